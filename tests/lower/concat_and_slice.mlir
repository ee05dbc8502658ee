module @preheat {
  func.func public @main(%arg0: tensor<2x3x4x5xf32>, %arg1: tensor<2x2x4x5xf32>, %arg2: tensor<3x3x2x4xf32>, %arg3: tensor<4xf32>) -> (tensor<2x6x8x3xf32>) {
    %0 = stablehlo.transpose %arg1, dims = [0, 2, 3, 1] : (tensor<2x2x4x5xf32>) -> tensor<2x4x5x2xf32>
    %1 = stablehlo.convolution(%0, %arg2) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x4x5x2xf32>, tensor<3x3x2x4xf32>) -> tensor<2x4x5x4xf32>
    %2 = stablehlo.broadcast_in_dim %arg3, dims = [3] : (tensor<4xf32>) -> tensor<2x4x5x4xf32>
    %3 = stablehlo.add %1, %2 : tensor<2x4x5x4xf32>
    %4 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x3x4x5xf32>) -> tensor<2x4x5x3xf32>
    %5 = stablehlo.concatenate %4, %3, %4, dim = 3 : (tensor<2x4x5x3xf32>, tensor<2x4x5x4xf32>, tensor<2x4x5x3xf32>) -> tensor<2x4x5x10xf32>
    %6 = stablehlo.slice %5 [0:2, 0:4, 0:5, 2:8] : (tensor<2x4x5x10xf32>) -> tensor<2x4x5x6xf32>
    %7 = stablehlo.slice %6 [0:2, 0:4, 1:4, 0:6] : (tensor<2x4x5x6xf32>) -> tensor<2x4x3x6xf32>
    %8 = stablehlo.concatenate %7, %7, dim = 1 : (tensor<2x4x3x6xf32>, tensor<2x4x3x6xf32>) -> tensor<2x8x3x6xf32>
    %9 = stablehlo.transpose %8, dims = [0, 3, 1, 2] : (tensor<2x8x3x6xf32>) -> tensor<2x6x8x3xf32>
    return %9 : tensor<2x6x8x3xf32>
  }
}
