module @preheat {
  func.func public @main(%arg0: tensor<2x3xf32>) -> (tensor<2x3xf32>) {
    %0 = stablehlo.constant dense<"0xCDCCCC3D000020C008E53C1EB11A8261000000000000E040"> : tensor<2x3xf32>
    %1 = stablehlo.constant dense<1.5> : tensor<2x1xf32>
    %2 = stablehlo.multiply %arg0, %0 : tensor<2x3xf32>
    %3 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<2x1xf32>) -> tensor<2x3xf32>
    %4 = stablehlo.add %2, %3 : tensor<2x3xf32>
    return %4 : tensor<2x3xf32>
  }
}
