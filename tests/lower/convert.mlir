module @preheat {
  func.func public @main(%arg0: tensor<7xf32>) -> (tensor<7xf32>) {
    %0 = stablehlo.convert %arg0 : (tensor<7xf32>) -> tensor<7xbf16>
    %1 = stablehlo.convert %0 : (tensor<7xbf16>) -> tensor<7xf32>
    %2 = stablehlo.subtract %arg0, %1 : tensor<7xf32>
    %3 = stablehlo.constant dense<0.0001> : tensor<7xf32>
    %4 = stablehlo.multiply %2, %3 : tensor<7xf32>
    %5 = stablehlo.add %arg0, %4 : tensor<7xf32>
    return %5 : tensor<7xf32>
  }
}
