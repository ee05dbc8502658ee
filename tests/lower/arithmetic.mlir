module @preheat {
  func.func public @main(%arg0: tensor<3x5xf32>, %arg1: tensor<3x1xf32>, %arg2: tensor<f32>) -> (tensor<3x5xf32>) {
    %0 = stablehlo.broadcast_in_dim %arg1, dims = [0, 1] : (tensor<3x1xf32>) -> tensor<3x5xf32>
    %1 = stablehlo.add %arg0, %0 : tensor<3x5xf32>
    %2 = stablehlo.broadcast_in_dim %arg1, dims = [0, 1] : (tensor<3x1xf32>) -> tensor<3x5xf32>
    %3 = stablehlo.subtract %2, %arg0 : tensor<3x5xf32>
    %4 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<f32>) -> tensor<3x5xf32>
    %5 = stablehlo.multiply %1, %4 : tensor<3x5xf32>
    %6 = stablehlo.constant dense<3.0> : tensor<3x5xf32>
    %7 = stablehlo.add %3, %6 : tensor<3x5xf32>
    %8 = stablehlo.divide %5, %7 : tensor<3x5xf32>
    %9 = stablehlo.minimum %8, %arg0 : tensor<3x5xf32>
    %10 = stablehlo.maximum %9, %3 : tensor<3x5xf32>
    return %10 : tensor<3x5xf32>
  }
}
