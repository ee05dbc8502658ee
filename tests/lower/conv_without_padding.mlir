module @preheat {
  func.func public @main(%arg0: tensor<1x2x6x6xf32>, %arg1: tensor<3x3x2x3xf32>, %arg2: tensor<3xf32>) -> (tensor<1x3x4x4xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<1x2x6x6xf32>) -> tensor<1x6x6x2xf32>
    %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<1x6x6x2xf32>, tensor<3x3x2x3xf32>) -> tensor<1x4x4x3xf32>
    %2 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<3xf32>) -> tensor<1x4x4x3xf32>
    %3 = stablehlo.add %1, %2 : tensor<1x4x4x3xf32>
    %4 = stablehlo.transpose %3, dims = [0, 3, 1, 2] : (tensor<1x4x4x3xf32>) -> tensor<1x3x4x4xf32>
    return %4 : tensor<1x3x4x4xf32>
  }
}
