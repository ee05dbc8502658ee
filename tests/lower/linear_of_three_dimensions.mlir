module @preheat {
  func.func public @main(%arg0: tensor<2x7x5xf32>, %arg1: tensor<5x4xf32>, %arg2: tensor<4xf32>) -> (tensor<2x7x4xf32>) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x7x5xf32>, tensor<5x4xf32>) -> tensor<2x7x4xf32>
    %1 = stablehlo.broadcast_in_dim %arg2, dims = [2] : (tensor<4xf32>) -> tensor<2x7x4xf32>
    %2 = stablehlo.add %0, %1 : tensor<2x7x4xf32>
    return %2 : tensor<2x7x4xf32>
  }
}
