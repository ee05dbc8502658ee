module @preheat {
  func.func public @main(%arg0: tensor<2x5x3x4xf32>, %arg1: tensor<1x1x5x7xf32>) -> (tensor<2x7x3x4xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x5x3x4xf32>) -> tensor<2x3x4x5xf32>
    %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x3x4x5xf32>, tensor<1x1x5x7xf32>) -> tensor<2x3x4x7xf32>
    %2 = stablehlo.transpose %1, dims = [0, 3, 1, 2] : (tensor<2x3x4x7xf32>) -> tensor<2x7x3x4xf32>
    return %2 : tensor<2x7x3x4xf32>
  }
}
