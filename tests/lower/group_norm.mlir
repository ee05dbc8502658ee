module @preheat {
  func.func public @main(%arg0: tensor<2x6x5x3xf32>, %arg1: tensor<6xf32>, %arg2: tensor<6xf32>) -> (tensor<2x6x5x3xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x6x5x3xf32>) -> tensor<2x5x3x6xf32>
    %1 = stablehlo.reshape %0 : (tensor<2x5x3x6xf32>) -> tensor<2x15x3x2xf32>
    %2 = stablehlo.constant dense<0.0> : tensor<f32>
    %3 = stablehlo.reduce(%1 init: %2) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x15x3x2xf32>, tensor<f32>) -> tensor<2x3xf32>
    %4 = stablehlo.constant dense<30.0> : tensor<2x3xf32>
    %5 = stablehlo.divide %3, %4 : tensor<2x3xf32>
    %6 = stablehlo.broadcast_in_dim %5, dims = [0, 2] : (tensor<2x3xf32>) -> tensor<2x15x3x2xf32>
    %7 = stablehlo.subtract %1, %6 : tensor<2x15x3x2xf32>
    %8 = stablehlo.multiply %7, %7 : tensor<2x15x3x2xf32>
    %9 = stablehlo.constant dense<0.0> : tensor<f32>
    %10 = stablehlo.reduce(%8 init: %9) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x15x3x2xf32>, tensor<f32>) -> tensor<2x3xf32>
    %11 = stablehlo.constant dense<30.0> : tensor<2x3xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x3xf32>
    %13 = stablehlo.constant dense<1.0e-5> : tensor<2x3xf32>
    %14 = stablehlo.add %12, %13 : tensor<2x3xf32>
    %15 = stablehlo.rsqrt %14 : tensor<2x3xf32>
    %16 = stablehlo.broadcast_in_dim %15, dims = [0, 2] : (tensor<2x3xf32>) -> tensor<2x15x3x2xf32>
    %17 = stablehlo.multiply %7, %16 : tensor<2x15x3x2xf32>
    %18 = stablehlo.reshape %17 : (tensor<2x15x3x2xf32>) -> tensor<2x5x3x6xf32>
    %19 = stablehlo.broadcast_in_dim %arg1, dims = [3] : (tensor<6xf32>) -> tensor<2x5x3x6xf32>
    %20 = stablehlo.broadcast_in_dim %arg2, dims = [3] : (tensor<6xf32>) -> tensor<2x5x3x6xf32>
    %21 = stablehlo.multiply %18, %19 : tensor<2x5x3x6xf32>
    %22 = stablehlo.add %21, %20 : tensor<2x5x3x6xf32>
    %23 = stablehlo.transpose %22, dims = [0, 3, 1, 2] : (tensor<2x5x3x6xf32>) -> tensor<2x6x5x3xf32>
    return %23 : tensor<2x6x5x3xf32>
  }
}
