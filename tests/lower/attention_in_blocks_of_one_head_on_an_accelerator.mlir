module @preheat {
  func.func public @main(%arg0: tensor<1x1601x2xf32>, %arg1: tensor<1x1601x2xf32>, %arg2: tensor<1x1601x3xf32>) -> (tensor<1x1601x3xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<1x1601x2xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<1x1601x2xf32>
    %2 = stablehlo.reshape %1 : (tensor<1x1601x2xf32>) -> tensor<1x1601x1x2xf32>
    %3 = stablehlo.reshape %2 : (tensor<1x1601x1x2xf32>) -> tensor<1x1x1601x2xf32>
    %4 = stablehlo.reshape %3 : (tensor<1x1x1601x2xf32>) -> tensor<1x1601x2xf32>
    %5 = stablehlo.reshape %arg1 : (tensor<1x1601x2xf32>) -> tensor<1x1601x1x2xf32>
    %6 = stablehlo.reshape %5 : (tensor<1x1601x1x2xf32>) -> tensor<1x1x1601x2xf32>
    %7 = stablehlo.reshape %6 : (tensor<1x1x1601x2xf32>) -> tensor<1x1601x2xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<1x1601x3xf32>) -> tensor<1x1601x1x3xf32>
    %9 = stablehlo.reshape %8 : (tensor<1x1601x1x3xf32>) -> tensor<1x1x1601x3xf32>
    %10 = stablehlo.reshape %9 : (tensor<1x1x1601x3xf32>) -> tensor<1x1601x3xf32>
    %11 = stablehlo.dot_general %4, %7, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<1x1601x2xf32>, tensor<1x1601x2xf32>) -> tensor<1x1601x1601xf32>
    %12 = stablehlo.constant dense<0.4> : tensor<1x1601x1601xf32>
    %13 = stablehlo.multiply %11, %12 : tensor<1x1601x1601xf32>
    %14 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %15 = stablehlo.reduce(%13 init: %14) applies stablehlo.maximum across dimensions = [2] : (tensor<1x1601x1601xf32>, tensor<f32>) -> tensor<1x1601xf32>
    %16 = stablehlo.broadcast_in_dim %15, dims = [0, 1] : (tensor<1x1601xf32>) -> tensor<1x1601x1601xf32>
    %17 = stablehlo.subtract %13, %16 : tensor<1x1601x1601xf32>
    %18 = stablehlo.exponential %17 : tensor<1x1601x1601xf32>
    %19 = stablehlo.constant dense<0.0> : tensor<f32>
    %20 = stablehlo.reduce(%18 init: %19) applies stablehlo.add across dimensions = [2] : (tensor<1x1601x1601xf32>, tensor<f32>) -> tensor<1x1601xf32>
    %21 = stablehlo.dot_general %18, %10, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<1x1601x1601xf32>, tensor<1x1601x3xf32>) -> tensor<1x1601x3xf32>
    %22 = stablehlo.broadcast_in_dim %20, dims = [0, 1] : (tensor<1x1601xf32>) -> tensor<1x1601x3xf32>
    %23 = stablehlo.divide %21, %22 : tensor<1x1601x3xf32>
    %24 = stablehlo.reshape %23 : (tensor<1x1601x3xf32>) -> tensor<1x1x1601x3xf32>
    %25 = stablehlo.reshape %24 : (tensor<1x1x1601x3xf32>) -> tensor<1x1601x1x3xf32>
    %26 = stablehlo.reshape %25 : (tensor<1x1601x1x3xf32>) -> tensor<1x1601x3xf32>
    return %26 : tensor<1x1601x3xf32>
  }
}
