module @preheat {
  func.func public @main(%arg0: tensor<5x33xf32>) -> (tensor<5x33xf32>) {
    %0 = stablehlo.constant dense<6.0> : tensor<5x33xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<5x33xf32>
    %2 = stablehlo.constant dense<0.70710677> : tensor<5x33xf32>
    %3 = stablehlo.multiply %1, %2 : tensor<5x33xf32>
    %4 = chlo.erf %3 : tensor<5x33xf32> -> tensor<5x33xf32>
    %5 = stablehlo.constant dense<1.0> : tensor<5x33xf32>
    %6 = stablehlo.add %4, %5 : tensor<5x33xf32>
    %7 = stablehlo.constant dense<0.5> : tensor<5x33xf32>
    %8 = stablehlo.multiply %1, %7 : tensor<5x33xf32>
    %9 = stablehlo.multiply %8, %6 : tensor<5x33xf32>
    return %9 : tensor<5x33xf32>
  }
}
