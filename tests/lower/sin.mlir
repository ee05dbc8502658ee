module @preheat {
  func.func public @main(%arg0: tensor<5x33xf32>) -> (tensor<5x33xf32>) {
    %0 = stablehlo.constant dense<6.0> : tensor<5x33xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<5x33xf32>
    %2 = stablehlo.sine %1 : tensor<5x33xf32>
    return %2 : tensor<5x33xf32>
  }
}
