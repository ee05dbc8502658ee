module @jit_complex64_product attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x5xcomplex<f32>>, %arg1: tensor<5x3xcomplex<f32>>) -> (tensor<4x3xcomplex<f32>> {jax.result_info = "result[0]"}, tensor<3x4xcomplex<f32>> {jax.result_info = "result[1]"}, tensor<4x3xf32> {jax.result_info = "result[2]"}, tensor<4x3xcomplex<f32>> {jax.result_info = "result[3]"}, tensor<4x3xf32> {jax.result_info = "result[4]"}) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<4x5xcomplex<f32>>, tensor<5x3xcomplex<f32>>) -> tensor<4x3xcomplex<f32>>
    %1 = stablehlo.real %0 : (tensor<4x3xcomplex<f32>>) -> tensor<4x3xf32>
    %2 = stablehlo.imag %0 : (tensor<4x3xcomplex<f32>>) -> tensor<4x3xf32>
    %3 = stablehlo.negate %2 : tensor<4x3xf32>
    %4 = stablehlo.complex %1, %3 : tensor<4x3xcomplex<f32>>
    %5 = stablehlo.transpose %4, dims = [1, 0] : (tensor<4x3xcomplex<f32>>) -> tensor<3x4xcomplex<f32>>
    %6 = stablehlo.abs %0 : (tensor<4x3xcomplex<f32>>) -> tensor<4x3xf32>
    %7 = stablehlo.real %0 : (tensor<4x3xcomplex<f32>>) -> tensor<4x3xf32>
    %8 = stablehlo.convert %7 : (tensor<4x3xf32>) -> tensor<4x3xcomplex<f32>>
    %cst = stablehlo.constant dense<(0.000000e+00,1.000000e+00)> : tensor<complex<f32>>
    %9 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<complex<f32>>) -> tensor<4x3xcomplex<f32>>
    %10 = stablehlo.multiply %9, %8 : tensor<4x3xcomplex<f32>>
    %11 = stablehlo.exponential %10 : tensor<4x3xcomplex<f32>>
    %12 = stablehlo.imag %0 : (tensor<4x3xcomplex<f32>>) -> tensor<4x3xf32>
    return %0, %5, %6, %11, %12 : tensor<4x3xcomplex<f32>>, tensor<3x4xcomplex<f32>>, tensor<4x3xf32>, tensor<4x3xcomplex<f32>>, tensor<4x3xf32>
  }
}
