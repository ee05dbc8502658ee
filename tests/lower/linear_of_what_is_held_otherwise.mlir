module @preheat {
  func.func public @main(%arg0: tensor<2x3x4x5xf32>, %arg1: tensor<1x1x3x6xf32>, %arg2: tensor<6xf32>, %arg3: tensor<5x7xf32>, %arg4: tensor<7xf32>, %arg5: tensor<6x2xf32>, %arg6: tensor<2xf32>) -> (tensor<2x7x4x2xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x3x4x5xf32>) -> tensor<2x4x5x3xf32>
    %1 = stablehlo.convolution(%0, %arg1) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x4x5x3xf32>, tensor<1x1x3x6xf32>) -> tensor<2x4x5x6xf32>
    %2 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<6xf32>) -> tensor<2x4x5x6xf32>
    %3 = stablehlo.add %1, %2 : tensor<2x4x5x6xf32>
    %4 = stablehlo.dot_general %3, %arg3, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x4x5x6xf32>, tensor<5x7xf32>) -> tensor<2x4x6x7xf32>
    %5 = stablehlo.broadcast_in_dim %arg4, dims = [3] : (tensor<7xf32>) -> tensor<2x4x6x7xf32>
    %6 = stablehlo.add %4, %5 : tensor<2x4x6x7xf32>
    %7 = stablehlo.dot_general %6, %arg5, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x4x6x7xf32>, tensor<6x2xf32>) -> tensor<2x4x7x2xf32>
    %8 = stablehlo.broadcast_in_dim %arg6, dims = [3] : (tensor<2xf32>) -> tensor<2x4x7x2xf32>
    %9 = stablehlo.add %7, %8 : tensor<2x4x7x2xf32>
    %10 = stablehlo.transpose %9, dims = [0, 2, 1, 3] : (tensor<2x4x7x2xf32>) -> tensor<2x7x4x2xf32>
    return %10 : tensor<2x7x4x2xf32>
  }
}
