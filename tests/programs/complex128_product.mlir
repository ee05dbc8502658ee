module @jit_complex128_product attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<3x3xcomplex<f64>>) -> (tensor<3x3xcomplex<f64>> {jax.result_info = "result[0]"}, tensor<3x3xf64> {jax.result_info = "result[1]"}, tensor<3x3xcomplex<f64>> {jax.result_info = "result[2]"}) {
    %0 = stablehlo.dot_general %arg0, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<3x3xcomplex<f64>>, tensor<3x3xcomplex<f64>>) -> tensor<3x3xcomplex<f64>>
    %1 = call @angle(%arg0) : (tensor<3x3xcomplex<f64>>) -> tensor<3x3xf64>
    %2 = stablehlo.slice %arg0 [0:1, 0:1] : (tensor<3x3xcomplex<f64>>) -> tensor<1x1xcomplex<f64>>
    %3 = stablehlo.reshape %2 : (tensor<1x1xcomplex<f64>>) -> tensor<complex<f64>>
    %cst = stablehlo.constant dense<(2.000000e+00,0.000000e+00)> : tensor<complex<f64>>
    %4 = stablehlo.add %3, %cst : tensor<complex<f64>>
    %5 = stablehlo.broadcast_in_dim %4, dims = [] : (tensor<complex<f64>>) -> tensor<3x3xcomplex<f64>>
    %6 = stablehlo.divide %arg0, %5 : tensor<3x3xcomplex<f64>>
    return %0, %1, %6 : tensor<3x3xcomplex<f64>>, tensor<3x3xf64>, tensor<3x3xcomplex<f64>>
  }
  func.func private @angle(%arg0: tensor<3x3xcomplex<f64>>) -> tensor<3x3xf64> {
    %0 = stablehlo.real %arg0 : (tensor<3x3xcomplex<f64>>) -> tensor<3x3xf64>
    %1 = stablehlo.imag %arg0 : (tensor<3x3xcomplex<f64>>) -> tensor<3x3xf64>
    %2 = stablehlo.atan2 %1, %0 : tensor<3x3xf64>
    return %2 : tensor<3x3xf64>
  }
}
