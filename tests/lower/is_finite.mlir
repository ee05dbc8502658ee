module @preheat {
  func.func public @main(%arg0: tensor<4xf32>) -> (tensor<4xf32>) {
    %0 = stablehlo.constant dense<"0x0000803F0000807F0000C07FFFFF7F7F"> : tensor<4xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<4xf32>
    %2 = stablehlo.is_finite %1 : (tensor<4xf32>) -> tensor<4xi1>
    %3 = stablehlo.convert %2 : (tensor<4xi1>) -> tensor<4xf32>
    return %3 : tensor<4xf32>
  }
}
