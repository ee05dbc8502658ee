module @preheat {
  func.func public @main(%arg0: tensor<1x3x5x4xf32>, %arg1: tensor<1x1x3x2xf32>, %arg2: tensor<2xf32>) -> (tensor<1x2x9x7xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<1x3x5x4xf32>) -> tensor<1x5x4x3xf32>
    %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<1x5x4x3xf32>, tensor<1x1x3x2xf32>) -> tensor<1x5x4x2xf32>
    %2 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<2xf32>) -> tensor<1x5x4x2xf32>
    %3 = stablehlo.add %1, %2 : tensor<1x5x4x2xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 3, 4] : (tensor<1x5x4x2xf32>) -> tensor<1x5x2x4x2xf32>
    %5 = stablehlo.reshape %4 : (tensor<1x5x2x4x2xf32>) -> tensor<1x10x4x2xf32>
    %6 = stablehlo.slice %5 [0:1, 0:9, 0:4, 0:2] : (tensor<1x10x4x2xf32>) -> tensor<1x9x4x2xf32>
    %7 = stablehlo.broadcast_in_dim %6, dims = [0, 1, 2, 4] : (tensor<1x9x4x2xf32>) -> tensor<1x9x4x2x2xf32>
    %8 = stablehlo.reshape %7 : (tensor<1x9x4x2x2xf32>) -> tensor<1x9x8x2xf32>
    %9 = stablehlo.slice %8 [0:1, 0:9, 0:7, 0:2] : (tensor<1x9x8x2xf32>) -> tensor<1x9x7x2xf32>
    %10 = stablehlo.transpose %9, dims = [0, 3, 1, 2] : (tensor<1x9x7x2xf32>) -> tensor<1x2x9x7xf32>
    return %10 : tensor<1x2x9x7xf32>
  }
}
