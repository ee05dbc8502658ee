module @jit_conv_one_dimension attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x4x20xf32>, %arg1: tensor<6x4x5xf32>) -> (tensor<2x6x7xf32> {jax.result_info = "result"}) {
    %cst = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<6x4x5xf32>
    %1 = stablehlo.divide %arg1, %0 : tensor<6x4x5xf32>
    %2 = stablehlo.convolution(%arg0, %1) dim_numbers = [b, f, 0]x[o, i, 0]->[b, f, 0], window = {stride = [3], pad = [[2, 1]], lhs_dilate = [1], rhs_dilate = [1], reverse = [false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x4x20xf32>, tensor<6x4x5xf32>) -> tensor<2x6x7xf32>
    return %2 : tensor<2x6x7xf32>
  }
}
