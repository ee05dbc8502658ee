module @preheat {
  func.func public @main(%arg0: tensor<5xf32>, %arg1: tensor<5x4xf32>, %arg2: tensor<4xf32>) -> (tensor<4xf32>) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [0] x [0], precision = [HIGHEST, HIGHEST] : (tensor<5xf32>, tensor<5x4xf32>) -> tensor<4xf32>
    %1 = stablehlo.add %0, %arg2 : tensor<4xf32>
    return %1 : tensor<4xf32>
  }
}
