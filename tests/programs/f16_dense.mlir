module @jit_f16_dense attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<6x16xf16>, %arg1: tensor<16x12xf16>) -> (tensor<6x12xf16> {jax.result_info = "result[0]"}, tensor<6x12xf32> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<6x16xf16>, tensor<16x12xf16>) -> tensor<6x12xf16>
    %cst = stablehlo.constant dense<4.000000e+00> : tensor<f16>
    %1 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f16>) -> tensor<6x12xf16>
    %2 = stablehlo.divide %0, %1 : tensor<6x12xf16>
    %3 = stablehlo.abs %2 : tensor<6x12xf16>
    %4 = stablehlo.negate %3 : tensor<6x12xf16>
    %5 = stablehlo.exponential %4 : tensor<6x12xf16>
    %6 = stablehlo.convert %5 : (tensor<6x12xf16>) -> tensor<6x12xf32>
    return %2, %6 : tensor<6x12xf16>, tensor<6x12xf32>
  }
}
