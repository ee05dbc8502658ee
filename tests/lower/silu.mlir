module @preheat {
  func.func public @main(%arg0: tensor<5x33xf32>) -> (tensor<5x33xf32>) {
    %0 = stablehlo.constant dense<6.0> : tensor<5x33xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<5x33xf32>
    %2 = stablehlo.logistic %1 : tensor<5x33xf32>
    %3 = stablehlo.multiply %1, %2 : tensor<5x33xf32>
    return %3 : tensor<5x33xf32>
  }
}
