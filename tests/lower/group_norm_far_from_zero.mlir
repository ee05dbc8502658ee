module @preheat {
  func.func public @main(%arg0: tensor<1x4x8x8xf32>, %arg1: tensor<4xf32>, %arg2: tensor<4xf32>) -> (tensor<1x4x8x8xf32>) {
    %0 = stablehlo.constant dense<100.0> : tensor<1x4x8x8xf32>
    %1 = stablehlo.add %arg0, %0 : tensor<1x4x8x8xf32>
    %2 = stablehlo.transpose %1, dims = [0, 2, 3, 1] : (tensor<1x4x8x8xf32>) -> tensor<1x8x8x4xf32>
    %3 = stablehlo.reshape %2 : (tensor<1x8x8x4xf32>) -> tensor<1x64x1x4xf32>
    %4 = stablehlo.constant dense<0.0> : tensor<f32>
    %5 = stablehlo.reduce(%3 init: %4) applies stablehlo.add across dimensions = [1, 3] : (tensor<1x64x1x4xf32>, tensor<f32>) -> tensor<1x1xf32>
    %6 = stablehlo.constant dense<256.0> : tensor<1x1xf32>
    %7 = stablehlo.divide %5, %6 : tensor<1x1xf32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [0, 2] : (tensor<1x1xf32>) -> tensor<1x64x1x4xf32>
    %9 = stablehlo.subtract %3, %8 : tensor<1x64x1x4xf32>
    %10 = stablehlo.multiply %9, %9 : tensor<1x64x1x4xf32>
    %11 = stablehlo.constant dense<0.0> : tensor<f32>
    %12 = stablehlo.reduce(%10 init: %11) applies stablehlo.add across dimensions = [1, 3] : (tensor<1x64x1x4xf32>, tensor<f32>) -> tensor<1x1xf32>
    %13 = stablehlo.constant dense<256.0> : tensor<1x1xf32>
    %14 = stablehlo.divide %12, %13 : tensor<1x1xf32>
    %15 = stablehlo.constant dense<1.0e-5> : tensor<1x1xf32>
    %16 = stablehlo.add %14, %15 : tensor<1x1xf32>
    %17 = stablehlo.rsqrt %16 : tensor<1x1xf32>
    %18 = stablehlo.broadcast_in_dim %17, dims = [0, 2] : (tensor<1x1xf32>) -> tensor<1x64x1x4xf32>
    %19 = stablehlo.multiply %9, %18 : tensor<1x64x1x4xf32>
    %20 = stablehlo.reshape %19 : (tensor<1x64x1x4xf32>) -> tensor<1x8x8x4xf32>
    %21 = stablehlo.broadcast_in_dim %arg1, dims = [3] : (tensor<4xf32>) -> tensor<1x8x8x4xf32>
    %22 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<4xf32>) -> tensor<1x8x8x4xf32>
    %23 = stablehlo.multiply %20, %21 : tensor<1x8x8x4xf32>
    %24 = stablehlo.add %23, %22 : tensor<1x8x8x4xf32>
    %25 = stablehlo.constant dense<0.05> : tensor<1x8x8x4xf32>
    %26 = stablehlo.multiply %24, %25 : tensor<1x8x8x4xf32>
    %27 = stablehlo.transpose %26, dims = [0, 3, 1, 2] : (tensor<1x8x8x4xf32>) -> tensor<1x4x8x8xf32>
    return %27 : tensor<1x4x8x8xf32>
  }
}
