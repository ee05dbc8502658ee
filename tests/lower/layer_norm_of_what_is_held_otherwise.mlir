module @preheat {
  func.func public @main(%arg0: tensor<2x11x3xf32>, %arg1: tensor<11xf32>, %arg2: tensor<11xf32>) -> (tensor<3x2x11xf32>) {
    %0 = stablehlo.constant dense<0.0> : tensor<f32>
    %1 = stablehlo.reduce(%arg0 init: %0) applies stablehlo.add across dimensions = [1] : (tensor<2x11x3xf32>, tensor<f32>) -> tensor<2x3xf32>
    %2 = stablehlo.constant dense<11.0> : tensor<2x3xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x3xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 2] : (tensor<2x3xf32>) -> tensor<2x11x3xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x11x3xf32>
    %6 = stablehlo.multiply %5, %5 : tensor<2x11x3xf32>
    %7 = stablehlo.constant dense<0.0> : tensor<f32>
    %8 = stablehlo.reduce(%6 init: %7) applies stablehlo.add across dimensions = [1] : (tensor<2x11x3xf32>, tensor<f32>) -> tensor<2x3xf32>
    %9 = stablehlo.constant dense<11.0> : tensor<2x3xf32>
    %10 = stablehlo.divide %8, %9 : tensor<2x3xf32>
    %11 = stablehlo.constant dense<1.0e-5> : tensor<2x3xf32>
    %12 = stablehlo.add %10, %11 : tensor<2x3xf32>
    %13 = stablehlo.rsqrt %12 : tensor<2x3xf32>
    %14 = stablehlo.broadcast_in_dim %13, dims = [0, 2] : (tensor<2x3xf32>) -> tensor<2x11x3xf32>
    %15 = stablehlo.multiply %5, %14 : tensor<2x11x3xf32>
    %16 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<11xf32>) -> tensor<2x11x3xf32>
    %17 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<11xf32>) -> tensor<2x11x3xf32>
    %18 = stablehlo.multiply %15, %16 : tensor<2x11x3xf32>
    %19 = stablehlo.add %18, %17 : tensor<2x11x3xf32>
    %20 = stablehlo.transpose %19, dims = [2, 0, 1] : (tensor<2x11x3xf32>) -> tensor<3x2x11xf32>
    return %20 : tensor<3x2x11xf32>
  }
}
