module @preheat {
  func.func public @main(%arg0: tensor<1xf32>) -> (tensor<3x8xf32>) {
    %0 = stablehlo.constant dense<30.0> : tensor<1xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<1xf32>
    %2 = stablehlo.reshape %1 : (tensor<1xf32>) -> tensor<1x1xf32>
    %3 = stablehlo.constant dense<"0x0000803F0000003F0000803E0000003E"> : tensor<1x4xf32>
    %4 = stablehlo.broadcast_in_dim %2, dims = [0, 1] : (tensor<1x1xf32>) -> tensor<1x4xf32>
    %5 = stablehlo.multiply %4, %3 : tensor<1x4xf32>
    %6 = stablehlo.sine %5 : tensor<1x4xf32>
    %7 = stablehlo.cosine %5 : tensor<1x4xf32>
    %8 = stablehlo.concatenate %7, %6, dim = 1 : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x8xf32>
    %9 = stablehlo.broadcast_in_dim %8, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<3x8xf32>
    return %9 : tensor<3x8xf32>
  }
}
