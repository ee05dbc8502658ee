module @preheat {
  func.func public @main(%arg0: tensor<1x1500x4xf32>, %arg1: tensor<1x1500x4xf32>, %arg2: tensor<1x1500x6xf32>) -> (tensor<1x1500x6xf32>) {
    %0 = stablehlo.constant dense<4.0> : tensor<1x1500x4xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<1x1500x4xf32>
    %2 = stablehlo.reshape %1 : (tensor<1x1500x4xf32>) -> tensor<1x1500x2x2xf32>
    %3 = stablehlo.transpose %2, dims = [0, 2, 1, 3] : (tensor<1x1500x2x2xf32>) -> tensor<1x2x1500x2xf32>
    %4 = stablehlo.reshape %3 : (tensor<1x2x1500x2xf32>) -> tensor<2x1500x2xf32>
    %5 = stablehlo.reshape %arg1 : (tensor<1x1500x4xf32>) -> tensor<1x1500x2x2xf32>
    %6 = stablehlo.transpose %5, dims = [0, 2, 1, 3] : (tensor<1x1500x2x2xf32>) -> tensor<1x2x1500x2xf32>
    %7 = stablehlo.reshape %6 : (tensor<1x2x1500x2xf32>) -> tensor<2x1500x2xf32>
    %8 = stablehlo.reshape %arg2 : (tensor<1x1500x6xf32>) -> tensor<1x1500x2x3xf32>
    %9 = stablehlo.transpose %8, dims = [0, 2, 1, 3] : (tensor<1x1500x2x3xf32>) -> tensor<1x2x1500x3xf32>
    %10 = stablehlo.reshape %9 : (tensor<1x2x1500x3xf32>) -> tensor<2x1500x3xf32>
    %11 = stablehlo.constant dense<0> : tensor<i32>
    %12 = stablehlo.constant dense<0.0> : tensor<2x1500x3xf32>
    %13:5 = stablehlo.while(%14 = %11, %15 = %12, %16 = %4, %17 = %7, %18 = %10) : tensor<i32>, tensor<2x1500x3xf32>, tensor<2x1500x2xf32>, tensor<2x1500x2xf32>, tensor<2x1500x3xf32>
    cond {
      %19 = stablehlo.constant dense<6> : tensor<i32>
      %20 = stablehlo.compare LT, %14, %19, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %20 : tensor<i1>
    } do {
      %21 = stablehlo.constant dense<0> : tensor<i32>
      %22 = stablehlo.constant dense<3> : tensor<i32>
      %23 = stablehlo.divide %14, %22 : tensor<i32>
      %24 = stablehlo.remainder %14, %22 : tensor<i32>
      %25 = stablehlo.constant dense<500> : tensor<i32>
      %26 = stablehlo.multiply %24, %25 : tensor<i32>
      %27 = stablehlo.dynamic_slice %16, %23, %26, %21, sizes = [1, 500, 2] : (tensor<2x1500x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x500x2xf32>
      %28 = stablehlo.reshape %27 : (tensor<1x500x2xf32>) -> tensor<500x2xf32>
      %29 = stablehlo.dynamic_slice %17, %23, %21, %21, sizes = [1, 1500, 2] : (tensor<2x1500x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1500x2xf32>
      %30 = stablehlo.reshape %29 : (tensor<1x1500x2xf32>) -> tensor<1500x2xf32>
      %31 = stablehlo.dynamic_slice %18, %23, %21, %21, sizes = [1, 1500, 3] : (tensor<2x1500x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1500x3xf32>
      %32 = stablehlo.reshape %31 : (tensor<1x1500x3xf32>) -> tensor<1500x3xf32>
      %33 = stablehlo.dot_general %28, %30, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<500x2xf32>, tensor<1500x2xf32>) -> tensor<500x1500xf32>
      %34 = stablehlo.constant dense<0.4> : tensor<500x1500xf32>
      %35 = stablehlo.multiply %33, %34 : tensor<500x1500xf32>
      %36 = stablehlo.constant dense<0xFF800000> : tensor<f32>
      %37 = stablehlo.reduce(%35 init: %36) applies stablehlo.maximum across dimensions = [1] : (tensor<500x1500xf32>, tensor<f32>) -> tensor<500xf32>
      %38 = stablehlo.broadcast_in_dim %37, dims = [0] : (tensor<500xf32>) -> tensor<500x1500xf32>
      %39 = stablehlo.subtract %35, %38 : tensor<500x1500xf32>
      %40 = stablehlo.exponential %39 : tensor<500x1500xf32>
      %41 = stablehlo.constant dense<0.0> : tensor<f32>
      %42 = stablehlo.reduce(%40 init: %41) applies stablehlo.add across dimensions = [1] : (tensor<500x1500xf32>, tensor<f32>) -> tensor<500xf32>
      %43 = stablehlo.dot_general %40, %32, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<500x1500xf32>, tensor<1500x3xf32>) -> tensor<500x3xf32>
      %44 = stablehlo.broadcast_in_dim %42, dims = [0] : (tensor<500xf32>) -> tensor<500x3xf32>
      %45 = stablehlo.divide %43, %44 : tensor<500x3xf32>
      %46 = stablehlo.reshape %45 : (tensor<500x3xf32>) -> tensor<1x500x3xf32>
      %47 = stablehlo.dynamic_update_slice %15, %46, %23, %26, %21 : (tensor<2x1500x3xf32>, tensor<1x500x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x1500x3xf32>
      %48 = stablehlo.constant dense<1> : tensor<i32>
      %49 = stablehlo.add %14, %48 : tensor<i32>
      stablehlo.return %49, %47, %16, %17, %18 : tensor<i32>, tensor<2x1500x3xf32>, tensor<2x1500x2xf32>, tensor<2x1500x2xf32>, tensor<2x1500x3xf32>
    }
    %50 = stablehlo.reshape %13#1 : (tensor<2x1500x3xf32>) -> tensor<1x2x1500x3xf32>
    %51 = stablehlo.transpose %50, dims = [0, 2, 1, 3] : (tensor<1x2x1500x3xf32>) -> tensor<1x1500x2x3xf32>
    %52 = stablehlo.reshape %51 : (tensor<1x1500x2x3xf32>) -> tensor<1x1500x6xf32>
    return %52 : tensor<1x1500x6xf32>
  }
}
