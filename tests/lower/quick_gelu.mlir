module @preheat {
  func.func public @main(%arg0: tensor<5x33xf32>) -> (tensor<5x33xf32>) {
    %0 = stablehlo.constant dense<6.0> : tensor<5x33xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<5x33xf32>
    %2 = stablehlo.constant dense<1.702> : tensor<5x33xf32>
    %3 = stablehlo.multiply %1, %2 : tensor<5x33xf32>
    %4 = stablehlo.logistic %3 : tensor<5x33xf32>
    %5 = stablehlo.multiply %1, %4 : tensor<5x33xf32>
    return %5 : tensor<5x33xf32>
  }
}
