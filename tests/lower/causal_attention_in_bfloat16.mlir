module @preheat {
  func.func public @main(%arg0: tensor<2x9x12xf32>, %arg1: tensor<2x9x12xf32>, %arg2: tensor<2x9x15xf32>) -> (tensor<2x9x15xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<2x9x12xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x9x12xf32>
    %2 = stablehlo.convert %1 : (tensor<2x9x12xf32>) -> tensor<2x9x12xbf16>
    %3 = stablehlo.convert %arg1 : (tensor<2x9x12xf32>) -> tensor<2x9x12xbf16>
    %4 = stablehlo.convert %arg2 : (tensor<2x9x15xf32>) -> tensor<2x9x15xbf16>
    %5 = stablehlo.reshape %2 : (tensor<2x9x12xbf16>) -> tensor<2x9x3x4xbf16>
    %6 = stablehlo.transpose %5, dims = [0, 2, 1, 3] : (tensor<2x9x3x4xbf16>) -> tensor<2x3x9x4xbf16>
    %7 = stablehlo.reshape %6 : (tensor<2x3x9x4xbf16>) -> tensor<6x9x4xbf16>
    %8 = stablehlo.reshape %3 : (tensor<2x9x12xbf16>) -> tensor<2x9x3x4xbf16>
    %9 = stablehlo.transpose %8, dims = [0, 2, 1, 3] : (tensor<2x9x3x4xbf16>) -> tensor<2x3x9x4xbf16>
    %10 = stablehlo.reshape %9 : (tensor<2x3x9x4xbf16>) -> tensor<6x9x4xbf16>
    %11 = stablehlo.reshape %4 : (tensor<2x9x15xbf16>) -> tensor<2x9x3x5xbf16>
    %12 = stablehlo.transpose %11, dims = [0, 2, 1, 3] : (tensor<2x9x3x5xbf16>) -> tensor<2x3x9x5xbf16>
    %13 = stablehlo.reshape %12 : (tensor<2x3x9x5xbf16>) -> tensor<6x9x5xbf16>
    %14 = stablehlo.dot_general %7, %10, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [DEFAULT, DEFAULT] : (tensor<6x9x4xbf16>, tensor<6x9x4xbf16>) -> tensor<6x9x9xf32>
    %15 = stablehlo.constant dense<0.4> : tensor<6x9x9xf32>
    %16 = stablehlo.multiply %14, %15 : tensor<6x9x9xf32>
    %17 = stablehlo.iota dim = 1 : tensor<6x9x9xi32>
    %18 = stablehlo.iota dim = 2 : tensor<6x9x9xi32>
    %19 = stablehlo.compare GE, %17, %18, SIGNED : (tensor<6x9x9xi32>, tensor<6x9x9xi32>) -> tensor<6x9x9xi1>
    %20 = stablehlo.constant dense<0xFF800000> : tensor<6x9x9xf32>
    %21 = stablehlo.select %19, %16, %20 : tensor<6x9x9xi1>, tensor<6x9x9xf32>
    %22 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %23 = stablehlo.reduce(%21 init: %22) applies stablehlo.maximum across dimensions = [2] : (tensor<6x9x9xf32>, tensor<f32>) -> tensor<6x9xf32>
    %24 = stablehlo.broadcast_in_dim %23, dims = [0, 1] : (tensor<6x9xf32>) -> tensor<6x9x9xf32>
    %25 = stablehlo.subtract %21, %24 : tensor<6x9x9xf32>
    %26 = stablehlo.exponential %25 : tensor<6x9x9xf32>
    %27 = stablehlo.constant dense<0.0> : tensor<f32>
    %28 = stablehlo.reduce(%26 init: %27) applies stablehlo.add across dimensions = [2] : (tensor<6x9x9xf32>, tensor<f32>) -> tensor<6x9xf32>
    %29 = stablehlo.convert %26 : (tensor<6x9x9xf32>) -> tensor<6x9x9xbf16>
    %30 = stablehlo.dot_general %29, %13, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<6x9x9xbf16>, tensor<6x9x5xbf16>) -> tensor<6x9x5xf32>
    %31 = stablehlo.broadcast_in_dim %28, dims = [0, 1] : (tensor<6x9xf32>) -> tensor<6x9x5xf32>
    %32 = stablehlo.divide %30, %31 : tensor<6x9x5xf32>
    %33 = stablehlo.convert %32 : (tensor<6x9x5xf32>) -> tensor<6x9x5xbf16>
    %34 = stablehlo.reshape %33 : (tensor<6x9x5xbf16>) -> tensor<2x3x9x5xbf16>
    %35 = stablehlo.transpose %34, dims = [0, 2, 1, 3] : (tensor<2x3x9x5xbf16>) -> tensor<2x9x3x5xbf16>
    %36 = stablehlo.reshape %35 : (tensor<2x9x3x5xbf16>) -> tensor<2x9x15xbf16>
    %37 = stablehlo.convert %36 : (tensor<2x9x15xbf16>) -> tensor<2x9x15xf32>
    return %37 : tensor<2x9x15xf32>
  }
}
