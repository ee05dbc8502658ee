module @preheat {
  func.func public @main(%arg0: tensor<2x1453x2xf32>, %arg1: tensor<2x1453x2xf32>, %arg2: tensor<2x1453x3xf32>) -> (tensor<2x1453x3xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<2x1453x2xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<2x1453x2xf32>
    %2 = stablehlo.reshape %1 : (tensor<2x1453x2xf32>) -> tensor<2x1453x1x2xf32>
    %3 = stablehlo.reshape %2 : (tensor<2x1453x1x2xf32>) -> tensor<2x1x1453x2xf32>
    %4 = stablehlo.reshape %3 : (tensor<2x1x1453x2xf32>) -> tensor<2x1453x2xf32>
    %5 = stablehlo.reshape %arg1 : (tensor<2x1453x2xf32>) -> tensor<2x1453x1x2xf32>
    %6 = stablehlo.reshape %5 : (tensor<2x1453x1x2xf32>) -> tensor<2x1x1453x2xf32>
    %7 = stablehlo.reshape %6 : (tensor<2x1x1453x2xf32>) -> tensor<2x1453x2xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<2x1453x3xf32>) -> tensor<2x1453x1x3xf32>
    %9 = stablehlo.reshape %8 : (tensor<2x1453x1x3xf32>) -> tensor<2x1x1453x3xf32>
    %10 = stablehlo.reshape %9 : (tensor<2x1x1453x3xf32>) -> tensor<2x1453x3xf32>
    %11 = stablehlo.constant dense<0> : tensor<i32>
    %12 = stablehlo.constant dense<0.0> : tensor<2x1453x3xf32>
    %13:5 = stablehlo.while(%14 = %11, %15 = %12, %16 = %4, %17 = %7, %18 = %10) : tensor<i32>, tensor<2x1453x3xf32>, tensor<2x1453x2xf32>, tensor<2x1453x2xf32>, tensor<2x1453x3xf32>
    cond {
      %19 = stablehlo.constant dense<6> : tensor<i32>
      %20 = stablehlo.compare LT, %14, %19, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %20 : tensor<i1>
    } do {
      %21 = stablehlo.constant dense<0> : tensor<i32>
      %22 = stablehlo.constant dense<3> : tensor<i32>
      %23 = stablehlo.divide %14, %22 : tensor<i32>
      %24 = stablehlo.remainder %14, %22 : tensor<i32>
      %25 = stablehlo.constant dense<485> : tensor<i32>
      %26 = stablehlo.multiply %24, %25 : tensor<i32>
      %27 = stablehlo.constant dense<968> : tensor<i32>
      %28 = stablehlo.minimum %26, %27 : tensor<i32>
      %29 = stablehlo.dynamic_slice %16, %23, %28, %21, sizes = [1, 485, 2] : (tensor<2x1453x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x485x2xf32>
      %30 = stablehlo.reshape %29 : (tensor<1x485x2xf32>) -> tensor<485x2xf32>
      %31 = stablehlo.dynamic_slice %17, %23, %21, %21, sizes = [1, 1453, 2] : (tensor<2x1453x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1453x2xf32>
      %32 = stablehlo.reshape %31 : (tensor<1x1453x2xf32>) -> tensor<1453x2xf32>
      %33 = stablehlo.dynamic_slice %18, %23, %21, %21, sizes = [1, 1453, 3] : (tensor<2x1453x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1453x3xf32>
      %34 = stablehlo.reshape %33 : (tensor<1x1453x3xf32>) -> tensor<1453x3xf32>
      %35 = stablehlo.dot_general %30, %32, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<485x2xf32>, tensor<1453x2xf32>) -> tensor<485x1453xf32>
      %36 = stablehlo.constant dense<0.4> : tensor<485x1453xf32>
      %37 = stablehlo.multiply %35, %36 : tensor<485x1453xf32>
      %38 = stablehlo.iota dim = 0 : tensor<485x1453xi32>
      %39 = stablehlo.broadcast_in_dim %28, dims = [] : (tensor<i32>) -> tensor<485x1453xi32>
      %40 = stablehlo.add %38, %39 : tensor<485x1453xi32>
      %41 = stablehlo.iota dim = 1 : tensor<485x1453xi32>
      %42 = stablehlo.compare GE, %40, %41, SIGNED : (tensor<485x1453xi32>, tensor<485x1453xi32>) -> tensor<485x1453xi1>
      %43 = stablehlo.constant dense<0xFF800000> : tensor<485x1453xf32>
      %44 = stablehlo.select %42, %37, %43 : tensor<485x1453xi1>, tensor<485x1453xf32>
      %45 = stablehlo.constant dense<0xFF800000> : tensor<f32>
      %46 = stablehlo.reduce(%44 init: %45) applies stablehlo.maximum across dimensions = [1] : (tensor<485x1453xf32>, tensor<f32>) -> tensor<485xf32>
      %47 = stablehlo.broadcast_in_dim %46, dims = [0] : (tensor<485xf32>) -> tensor<485x1453xf32>
      %48 = stablehlo.subtract %44, %47 : tensor<485x1453xf32>
      %49 = stablehlo.exponential %48 : tensor<485x1453xf32>
      %50 = stablehlo.constant dense<0.0> : tensor<f32>
      %51 = stablehlo.reduce(%49 init: %50) applies stablehlo.add across dimensions = [1] : (tensor<485x1453xf32>, tensor<f32>) -> tensor<485xf32>
      %52 = stablehlo.dot_general %49, %34, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<485x1453xf32>, tensor<1453x3xf32>) -> tensor<485x3xf32>
      %53 = stablehlo.broadcast_in_dim %51, dims = [0] : (tensor<485xf32>) -> tensor<485x3xf32>
      %54 = stablehlo.divide %52, %53 : tensor<485x3xf32>
      %55 = stablehlo.reshape %54 : (tensor<485x3xf32>) -> tensor<1x485x3xf32>
      %56 = stablehlo.dynamic_update_slice %15, %55, %23, %28, %21 : (tensor<2x1453x3xf32>, tensor<1x485x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x1453x3xf32>
      %57 = stablehlo.constant dense<1> : tensor<i32>
      %58 = stablehlo.add %14, %57 : tensor<i32>
      stablehlo.return %58, %56, %16, %17, %18 : tensor<i32>, tensor<2x1453x3xf32>, tensor<2x1453x2xf32>, tensor<2x1453x2xf32>, tensor<2x1453x3xf32>
    }
    %59 = stablehlo.reshape %13#1 : (tensor<2x1453x3xf32>) -> tensor<2x1x1453x3xf32>
    %60 = stablehlo.reshape %59 : (tensor<2x1x1453x3xf32>) -> tensor<2x1453x1x3xf32>
    %61 = stablehlo.reshape %60 : (tensor<2x1453x1x3xf32>) -> tensor<2x1453x3xf32>
    return %61 : tensor<2x1453x3xf32>
  }
}
