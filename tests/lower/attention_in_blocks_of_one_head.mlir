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
    %11 = stablehlo.constant dense<0> : tensor<i32>
    %12 = stablehlo.constant dense<0.0> : tensor<1x1601x3xf32>
    %13:5 = stablehlo.while(%14 = %11, %15 = %12, %16 = %4, %17 = %7, %18 = %10) : tensor<i32>, tensor<1x1601x3xf32>, tensor<1x1601x2xf32>, tensor<1x1601x2xf32>, tensor<1x1601x3xf32>
    cond {
      %19 = stablehlo.constant dense<3> : tensor<i32>
      %20 = stablehlo.compare LT, %14, %19, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %20 : tensor<i1>
    } do {
      %21 = stablehlo.constant dense<0> : tensor<i32>
      %22 = stablehlo.constant dense<3> : tensor<i32>
      %23 = stablehlo.divide %14, %22 : tensor<i32>
      %24 = stablehlo.remainder %14, %22 : tensor<i32>
      %25 = stablehlo.constant dense<534> : tensor<i32>
      %26 = stablehlo.multiply %24, %25 : tensor<i32>
      %27 = stablehlo.constant dense<1067> : tensor<i32>
      %28 = stablehlo.minimum %26, %27 : tensor<i32>
      %29 = stablehlo.dynamic_slice %16, %23, %28, %21, sizes = [1, 534, 2] : (tensor<1x1601x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x534x2xf32>
      %30 = stablehlo.reshape %29 : (tensor<1x534x2xf32>) -> tensor<534x2xf32>
      %31 = stablehlo.dynamic_slice %17, %23, %21, %21, sizes = [1, 1601, 2] : (tensor<1x1601x2xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1601x2xf32>
      %32 = stablehlo.reshape %31 : (tensor<1x1601x2xf32>) -> tensor<1601x2xf32>
      %33 = stablehlo.dynamic_slice %18, %23, %21, %21, sizes = [1, 1601, 3] : (tensor<1x1601x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1601x3xf32>
      %34 = stablehlo.reshape %33 : (tensor<1x1601x3xf32>) -> tensor<1601x3xf32>
      %35 = stablehlo.dot_general %30, %32, contracting_dims = [1] x [1], precision = [HIGHEST, HIGHEST] : (tensor<534x2xf32>, tensor<1601x2xf32>) -> tensor<534x1601xf32>
      %36 = stablehlo.constant dense<0.4> : tensor<534x1601xf32>
      %37 = stablehlo.multiply %35, %36 : tensor<534x1601xf32>
      %38 = stablehlo.constant dense<0xFF800000> : tensor<f32>
      %39 = stablehlo.reduce(%37 init: %38) applies stablehlo.maximum across dimensions = [1] : (tensor<534x1601xf32>, tensor<f32>) -> tensor<534xf32>
      %40 = stablehlo.broadcast_in_dim %39, dims = [0] : (tensor<534xf32>) -> tensor<534x1601xf32>
      %41 = stablehlo.subtract %37, %40 : tensor<534x1601xf32>
      %42 = stablehlo.exponential %41 : tensor<534x1601xf32>
      %43 = stablehlo.constant dense<0.0> : tensor<f32>
      %44 = stablehlo.reduce(%42 init: %43) applies stablehlo.add across dimensions = [1] : (tensor<534x1601xf32>, tensor<f32>) -> tensor<534xf32>
      %45 = stablehlo.dot_general %42, %34, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<534x1601xf32>, tensor<1601x3xf32>) -> tensor<534x3xf32>
      %46 = stablehlo.broadcast_in_dim %44, dims = [0] : (tensor<534xf32>) -> tensor<534x3xf32>
      %47 = stablehlo.divide %45, %46 : tensor<534x3xf32>
      %48 = stablehlo.reshape %47 : (tensor<534x3xf32>) -> tensor<1x534x3xf32>
      %49 = stablehlo.dynamic_update_slice %15, %48, %23, %28, %21 : (tensor<1x1601x3xf32>, tensor<1x534x3xf32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<1x1601x3xf32>
      %50 = stablehlo.constant dense<1> : tensor<i32>
      %51 = stablehlo.add %14, %50 : tensor<i32>
      stablehlo.return %51, %49, %16, %17, %18 : tensor<i32>, tensor<1x1601x3xf32>, tensor<1x1601x2xf32>, tensor<1x1601x2xf32>, tensor<1x1601x3xf32>
    }
    %52 = stablehlo.reshape %13#1 : (tensor<1x1601x3xf32>) -> tensor<1x1x1601x3xf32>
    %53 = stablehlo.reshape %52 : (tensor<1x1x1601x3xf32>) -> tensor<1x1601x1x3xf32>
    %54 = stablehlo.reshape %53 : (tensor<1x1601x1x3xf32>) -> tensor<1x1601x3xf32>
    return %54 : tensor<1x1601x3xf32>
  }
}
