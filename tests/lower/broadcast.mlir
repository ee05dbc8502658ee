module @preheat {
  func.func public @main(%arg0: tensor<3x1x2x1xf32>) -> (tensor<4x3x5x2xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 2, 3] : (tensor<3x1x2x1xf32>) -> tensor<3x4x2x5xf32>
    %1 = stablehlo.transpose %0, dims = [1, 0, 3, 2] : (tensor<3x4x2x5xf32>) -> tensor<4x3x5x2xf32>
    return %1 : tensor<4x3x5x2xf32>
  }
}
