module @preheat {
  func.func public @main(%arg0: tensor<2x3x4x5xf32>, %arg1: tensor<3x3x3x6xf32>, %arg2: tensor<6xf32>) -> (tensor<3x4x20xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x3x4x5xf32>) -> tensor<2x4x5x3xf32>
    %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x4x5x3xf32>, tensor<3x3x3x6xf32>) -> tensor<2x4x5x6xf32>
    %2 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<6xf32>) -> tensor<2x4x5x6xf32>
    %3 = stablehlo.add %1, %2 : tensor<2x4x5x6xf32>
    %4 = stablehlo.reshape %3 : (tensor<2x4x5x6xf32>) -> tensor<2x20x6xf32>
    %5 = stablehlo.reshape %4 : (tensor<2x20x6xf32>) -> tensor<2x4x5x6xf32>
    %6 = stablehlo.add %5, %3 : tensor<2x4x5x6xf32>
    %7 = stablehlo.transpose %6, dims = [0, 3, 1, 2] : (tensor<2x4x5x6xf32>) -> tensor<2x6x4x5xf32>
    %8 = stablehlo.reshape %7 : (tensor<2x6x4x5xf32>) -> tensor<3x4x20xf32>
    %9 = stablehlo.reshape %6 : (tensor<2x4x5x6xf32>) -> tensor<1x2x20x2x3x1xf32>
    %10 = stablehlo.transpose %9, dims = [0, 1, 3, 4, 2, 5] : (tensor<1x2x20x2x3x1xf32>) -> tensor<1x2x2x3x20x1xf32>
    %11 = stablehlo.reshape %10 : (tensor<1x2x2x3x20x1xf32>) -> tensor<3x4x20xf32>
    %12 = stablehlo.multiply %8, %11 : tensor<3x4x20xf32>
    return %12 : tensor<3x4x20xf32>
  }
}
