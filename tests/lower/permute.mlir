module @preheat {
  func.func public @main(%arg0: tensor<2x3x4xf32>) -> (tensor<3x4x2xf32>) {
    %0 = stablehlo.add %arg0, %arg0 : tensor<2x3x4xf32>
    %1 = stablehlo.transpose %0, dims = [1, 2, 0] : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
    return %1 : tensor<3x4x2xf32>
  }
}
