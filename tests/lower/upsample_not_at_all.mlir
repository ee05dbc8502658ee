module @preheat {
  func.func public @main(%arg0: tensor<1x2x3x3xf32>) -> (tensor<1x2x3x9xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg0, dims = [0, 1, 2, 4] : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x1x3xf32>
    %1 = stablehlo.reshape %0 : (tensor<1x2x3x1x3xf32>) -> tensor<1x2x3x3xf32>
    %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1, 2, 3] : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3x3xf32>
    %3 = stablehlo.reshape %2 : (tensor<1x2x3x3x3xf32>) -> tensor<1x2x3x9xf32>
    return %3 : tensor<1x2x3x9xf32>
  }
}
