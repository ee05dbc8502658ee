module @preheat {
  func.func public @main(%arg0: tensor<2x13x8xf32>, %arg1: tensor<2x13x8xf32>, %arg2: tensor<2x13x10xf32>) -> (tensor<2x13x10xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<2x13x8xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x13x8xf32>
    %2 = stablehlo.reshape %1 : (tensor<2x13x8xf32>) -> tensor<2x13x2x4xf32>
    %3 = stablehlo.transpose %2, dims = [0, 2, 1, 3] : (tensor<2x13x2x4xf32>) -> tensor<2x2x13x4xf32>
    %4 = stablehlo.reshape %3 : (tensor<2x2x13x4xf32>) -> tensor<4x13x4xf32>
    %5 = stablehlo.reshape %arg1 : (tensor<2x13x8xf32>) -> tensor<2x13x2x4xf32>
    %6 = stablehlo.transpose %5, dims = [0, 2, 1, 3] : (tensor<2x13x2x4xf32>) -> tensor<2x2x13x4xf32>
    %7 = stablehlo.reshape %6 : (tensor<2x2x13x4xf32>) -> tensor<4x13x4xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<2x13x10xf32>) -> tensor<2x13x2x5xf32>
    %9 = stablehlo.transpose %8, dims = [0, 2, 1, 3] : (tensor<2x13x2x5xf32>) -> tensor<2x2x13x5xf32>
    %10 = stablehlo.reshape %9 : (tensor<2x2x13x5xf32>) -> tensor<4x13x5xf32>
    %11 = stablehlo.dot_general %4, %7, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<4x13x4xf32>, tensor<4x13x4xf32>) -> tensor<4x13x13xf32>
    %12 = stablehlo.constant dense<0.4> : tensor<4x13x13xf32>
    %13 = stablehlo.multiply %11, %12 : tensor<4x13x13xf32>
    %14 = stablehlo.iota dim = 1 : tensor<4x13x13xi32>
    %15 = stablehlo.iota dim = 2 : tensor<4x13x13xi32>
    %16 = stablehlo.compare GE, %14, %15, SIGNED : (tensor<4x13x13xi32>, tensor<4x13x13xi32>) -> tensor<4x13x13xi1>
    %17 = stablehlo.constant dense<0xFF800000> : tensor<4x13x13xf32>
    %18 = stablehlo.select %16, %13, %17 : tensor<4x13x13xi1>, tensor<4x13x13xf32>
    %19 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %20 = stablehlo.reduce(%18 init: %19) applies stablehlo.maximum across dimensions = [2] : (tensor<4x13x13xf32>, tensor<f32>) -> tensor<4x13xf32>
    %21 = stablehlo.broadcast_in_dim %20, dims = [0, 1] : (tensor<4x13xf32>) -> tensor<4x13x13xf32>
    %22 = stablehlo.subtract %18, %21 : tensor<4x13x13xf32>
    %23 = stablehlo.exponential %22 : tensor<4x13x13xf32>
    %24 = stablehlo.constant dense<0.0> : tensor<f32>
    %25 = stablehlo.reduce(%23 init: %24) applies stablehlo.add across dimensions = [2] : (tensor<4x13x13xf32>, tensor<f32>) -> tensor<4x13xf32>
    %26 = stablehlo.dot_general %23, %10, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<4x13x13xf32>, tensor<4x13x5xf32>) -> tensor<4x13x5xf32>
    %27 = stablehlo.broadcast_in_dim %25, dims = [0, 1] : (tensor<4x13xf32>) -> tensor<4x13x5xf32>
    %28 = stablehlo.divide %26, %27 : tensor<4x13x5xf32>
    %29 = stablehlo.reshape %28 : (tensor<4x13x5xf32>) -> tensor<2x2x13x5xf32>
    %30 = stablehlo.transpose %29, dims = [0, 2, 1, 3] : (tensor<2x2x13x5xf32>) -> tensor<2x13x2x5xf32>
    %31 = stablehlo.reshape %30 : (tensor<2x13x2x5xf32>) -> tensor<2x13x10xf32>
    return %31 : tensor<2x13x10xf32>
  }
}
