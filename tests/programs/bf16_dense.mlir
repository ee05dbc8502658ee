module @jit_bf16_dense attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<6x16xbf16>, %arg1: tensor<16x12xbf16>, %arg2: tensor<12xbf16>) -> (tensor<6x12xbf16> {jax.result_info = "result[0]"}, tensor<6x16xf32> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<6x16xbf16>, tensor<16x12xbf16>) -> tensor<6x12xbf16>
    %cst = stablehlo.constant dense<4.000000e+00> : tensor<bf16>
    %1 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<bf16>) -> tensor<6x12xbf16>
    %2 = stablehlo.divide %0, %1 : tensor<6x12xbf16>
    %3 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<12xbf16>) -> tensor<1x12xbf16>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<1x12xbf16>) -> tensor<6x12xbf16>
    %5 = stablehlo.add %2, %4 : tensor<6x12xbf16>
    %6 = call @relu(%5) : (tensor<6x12xbf16>) -> tensor<6x12xbf16>
    %cst_0 = stablehlo.constant dense<3.000000e+00> : tensor<bf16>
    %7 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<bf16>) -> tensor<6x16xbf16>
    %8 = stablehlo.multiply %arg0, %7 : tensor<6x16xbf16>
    %9 = stablehlo.convert %8 : (tensor<6x16xbf16>) -> tensor<6x16xf32>
    return %6, %9 : tensor<6x12xbf16>, tensor<6x16xf32>
  }
  func.func private @relu(%arg0: tensor<6x12xbf16>) -> tensor<6x12xbf16> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<bf16>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<bf16>) -> tensor<6x12xbf16>
    %1 = stablehlo.maximum %arg0, %0 : tensor<6x12xbf16>
    return %1 : tensor<6x12xbf16>
  }
}
