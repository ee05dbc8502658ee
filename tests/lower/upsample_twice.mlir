module @preheat {
  func.func public @main(%arg0: tensor<2x3x4x5xf32>) -> (tensor<2x3x8x10xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 2, 4] : (tensor<2x3x4x5xf32>) -> tensor<2x3x4x2x5xf32>
    %1 = stablehlo.reshape %0 : (tensor<2x3x4x2x5xf32>) -> tensor<2x3x8x5xf32>
    %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1, 2, 3] : (tensor<2x3x8x5xf32>) -> tensor<2x3x8x5x2xf32>
    %3 = stablehlo.reshape %2 : (tensor<2x3x8x5x2xf32>) -> tensor<2x3x8x10xf32>
    return %3 : tensor<2x3x8x10xf32>
  }
}
