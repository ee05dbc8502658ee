module @preheat {
  func.func public @main(%arg0: tensor<2x7001x6xf32>) -> (tensor<2x7001x6xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x7001x6xf32>) -> tensor<2x7001x3x2xf32>
    %1 = stablehlo.transpose %0, dims = [0, 2, 1, 3] : (tensor<2x7001x3x2xf32>) -> tensor<2x3x7001x2xf32>
    %2 = stablehlo.reshape %1 : (tensor<2x3x7001x2xf32>) -> tensor<6x7001x2xf32>
    %3 = stablehlo.reshape %arg0 : (tensor<2x7001x6xf32>) -> tensor<2x7001x3x2xf32>
    %4 = stablehlo.transpose %3, dims = [0, 2, 1, 3] : (tensor<2x7001x3x2xf32>) -> tensor<2x3x7001x2xf32>
    %5 = stablehlo.reshape %4 : (tensor<2x3x7001x2xf32>) -> tensor<6x7001x2xf32>
    %6 = stablehlo.reshape %arg0 : (tensor<2x7001x6xf32>) -> tensor<2x7001x3x2xf32>
    %7 = stablehlo.transpose %6, dims = [0, 2, 1, 3] : (tensor<2x7001x3x2xf32>) -> tensor<2x3x7001x2xf32>
    %8 = stablehlo.reshape %7 : (tensor<2x3x7001x2xf32>) -> tensor<6x7001x2xf32>
    %9 = stablehlo.constant dense<0> : tensor<i32>
    %10 = stablehlo.constant dense<0.0> : tensor<6x7001x2xf32>
    %11:5 = stablehlo.while(%12 = %9, %13 = %10, %14 = %2, %15 = %5, %16 = %8) : tensor<i32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>
    cond {
      %17 = stablehlo.constant dense<3> : tensor<i32>
      %18 = stablehlo.compare LT, %12, %17, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %18 : tensor<i1>
    } do {
      %19 = stablehlo.constant dense<0> : tensor<i32>
      %20 = stablehlo.constant dense<3> : tensor<i32>
      %21 = stablehlo.divide %12, %20 : tensor<i32>
      %22 = stablehlo.remainder %12, %20 : tensor<i32>
      %23 = stablehlo.constant dense<2334> : tensor<i32>
      %24 = stablehlo.multiply %22, %23 : tensor<i32>
      %25 = stablehlo.constant dense<4667> : tensor<i32>
      %26 = stablehlo.minimum %24, %25 : tensor<i32>
      %27 = stablehlo.dynamic_slice %14, %19, %26, %19, sizes = [6, 2334, 2] : (tensor<6x7001x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<6x2334x2xf32>
      %28 = stablehlo.dynamic_slice %15, %19, %19, %19, sizes = [6, 7001, 2] : (tensor<6x7001x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<6x7001x2xf32>
      %29 = stablehlo.dynamic_slice %16, %19, %19, %19, sizes = [6, 7001, 2] : (tensor<6x7001x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<6x7001x2xf32>
      %30 = stablehlo.dot_general %27, %28, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<6x2334x2xf32>, tensor<6x7001x2xf32>) -> tensor<6x2334x7001xf32>
      %31 = stablehlo.constant dense<0.5> : tensor<6x2334x7001xf32>
      %32 = stablehlo.multiply %30, %31 : tensor<6x2334x7001xf32>
      %33 = stablehlo.iota dim = 1 : tensor<6x2334x7001xi32>
      %34 = stablehlo.broadcast_in_dim %26, dims = [] : (tensor<i32>) -> tensor<6x2334x7001xi32>
      %35 = stablehlo.add %33, %34 : tensor<6x2334x7001xi32>
      %36 = stablehlo.iota dim = 2 : tensor<6x2334x7001xi32>
      %37 = stablehlo.compare GE, %35, %36, SIGNED : (tensor<6x2334x7001xi32>, tensor<6x2334x7001xi32>) -> tensor<6x2334x7001xi1>
      %38 = stablehlo.constant dense<0xFF800000> : tensor<6x2334x7001xf32>
      %39 = stablehlo.select %37, %32, %38 : tensor<6x2334x7001xi1>, tensor<6x2334x7001xf32>
      %40 = stablehlo.constant dense<0xFF800000> : tensor<f32>
      %41 = stablehlo.reduce(%39 init: %40) applies stablehlo.maximum across dimensions = [2] : (tensor<6x2334x7001xf32>, tensor<f32>) -> tensor<6x2334xf32>
      %42 = stablehlo.broadcast_in_dim %41, dims = [0, 1] : (tensor<6x2334xf32>) -> tensor<6x2334x7001xf32>
      %43 = stablehlo.subtract %39, %42 : tensor<6x2334x7001xf32>
      %44 = stablehlo.exponential %43 : tensor<6x2334x7001xf32>
      %45 = stablehlo.constant dense<0.0> : tensor<f32>
      %46 = stablehlo.reduce(%44 init: %45) applies stablehlo.add across dimensions = [2] : (tensor<6x2334x7001xf32>, tensor<f32>) -> tensor<6x2334xf32>
      %47 = stablehlo.dot_general %44, %29, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<6x2334x7001xf32>, tensor<6x7001x2xf32>) -> tensor<6x2334x2xf32>
      %48 = stablehlo.broadcast_in_dim %46, dims = [0, 1] : (tensor<6x2334xf32>) -> tensor<6x2334x2xf32>
      %49 = stablehlo.divide %47, %48 : tensor<6x2334x2xf32>
      %50 = stablehlo.dynamic_update_slice %13, %49, %19, %26, %19 : (tensor<6x7001x2xf32>, tensor<6x2334x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<6x7001x2xf32>
      %51 = stablehlo.constant dense<1> : tensor<i32>
      %52 = stablehlo.add %12, %51 : tensor<i32>
      stablehlo.return %52, %50, %14, %15, %16 : tensor<i32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>, tensor<6x7001x2xf32>
    }
    %53 = stablehlo.reshape %11#1 : (tensor<6x7001x2xf32>) -> tensor<2x3x7001x2xf32>
    %54 = stablehlo.transpose %53, dims = [0, 2, 1, 3] : (tensor<2x3x7001x2xf32>) -> tensor<2x7001x3x2xf32>
    %55 = stablehlo.reshape %54 : (tensor<2x7001x3x2xf32>) -> tensor<2x7001x6xf32>
    return %55 : tensor<2x7001x6xf32>
  }
}
