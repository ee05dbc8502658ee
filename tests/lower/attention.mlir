module @preheat {
  func.func public @main(%arg0: tensor<2x6x15xf32>, %arg1: tensor<2x6x15xf32>, %arg2: tensor<2x6x18xf32>) -> (tensor<2x6x18xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<2x6x15xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x6x15xf32>
    %2 = stablehlo.reshape %1 : (tensor<2x6x15xf32>) -> tensor<2x6x3x5xf32>
    %3 = stablehlo.transpose %2, dims = [0, 2, 1, 3] : (tensor<2x6x3x5xf32>) -> tensor<2x3x6x5xf32>
    %4 = stablehlo.reshape %3 : (tensor<2x3x6x5xf32>) -> tensor<6x6x5xf32>
    %5 = stablehlo.reshape %arg1 : (tensor<2x6x15xf32>) -> tensor<2x6x3x5xf32>
    %6 = stablehlo.transpose %5, dims = [0, 2, 1, 3] : (tensor<2x6x3x5xf32>) -> tensor<2x3x6x5xf32>
    %7 = stablehlo.reshape %6 : (tensor<2x3x6x5xf32>) -> tensor<6x6x5xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<2x6x18xf32>) -> tensor<2x6x3x6xf32>
    %9 = stablehlo.transpose %8, dims = [0, 2, 1, 3] : (tensor<2x6x3x6xf32>) -> tensor<2x3x6x6xf32>
    %10 = stablehlo.reshape %9 : (tensor<2x3x6x6xf32>) -> tensor<6x6x6xf32>
    %11 = stablehlo.dot_general %4, %7, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<6x6x5xf32>, tensor<6x6x5xf32>) -> tensor<6x6x6xf32>
    %12 = stablehlo.constant dense<0.4> : tensor<6x6x6xf32>
    %13 = stablehlo.multiply %11, %12 : tensor<6x6x6xf32>
    %14 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %15 = stablehlo.reduce(%13 init: %14) applies stablehlo.maximum across dimensions = [2] : (tensor<6x6x6xf32>, tensor<f32>) -> tensor<6x6xf32>
    %16 = stablehlo.broadcast_in_dim %15, dims = [0, 1] : (tensor<6x6xf32>) -> tensor<6x6x6xf32>
    %17 = stablehlo.subtract %13, %16 : tensor<6x6x6xf32>
    %18 = stablehlo.exponential %17 : tensor<6x6x6xf32>
    %19 = stablehlo.constant dense<0.0> : tensor<f32>
    %20 = stablehlo.reduce(%18 init: %19) applies stablehlo.add across dimensions = [2] : (tensor<6x6x6xf32>, tensor<f32>) -> tensor<6x6xf32>
    %21 = stablehlo.dot_general %18, %10, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<6x6x6xf32>, tensor<6x6x6xf32>) -> tensor<6x6x6xf32>
    %22 = stablehlo.broadcast_in_dim %20, dims = [0, 1] : (tensor<6x6xf32>) -> tensor<6x6x6xf32>
    %23 = stablehlo.divide %21, %22 : tensor<6x6x6xf32>
    %24 = stablehlo.reshape %23 : (tensor<6x6x6xf32>) -> tensor<2x3x6x6xf32>
    %25 = stablehlo.transpose %24, dims = [0, 2, 1, 3] : (tensor<2x3x6x6xf32>) -> tensor<2x6x3x6xf32>
    %26 = stablehlo.reshape %25 : (tensor<2x6x3x6xf32>) -> tensor<2x6x18xf32>
    return %26 : tensor<2x6x18xf32>
  }
}
