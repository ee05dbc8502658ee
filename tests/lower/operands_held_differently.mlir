module @preheat {
  func.func public @main(%arg0: tensor<2x3x4xf32>, %arg1: tensor<4x1x2xf32>) -> (tensor<2x3x4xf32>) {
    %0 = stablehlo.transpose %arg1, dims = [2, 1, 0] : (tensor<4x1x2xf32>) -> tensor<2x1x4xf32>
    %1 = stablehlo.reshape %0 : (tensor<2x1x4xf32>) -> tensor<1x8x1xf32>
    %2 = stablehlo.slice %1 [0:1, 0:3, 0:1] : (tensor<1x8x1xf32>) -> tensor<1x3x1xf32>
    %3 = stablehlo.broadcast_in_dim %0, dims = [0, 1, 2] : (tensor<2x1x4xf32>) -> tensor<2x3x4xf32>
    %4 = stablehlo.multiply %3, %arg0 : tensor<2x3x4xf32>
    %5 = stablehlo.broadcast_in_dim %2, dims = [0, 1, 2] : (tensor<1x3x1xf32>) -> tensor<2x3x4xf32>
    %6 = stablehlo.add %5, %4 : tensor<2x3x4xf32>
    return %6 : tensor<2x3x4xf32>
  }
}
