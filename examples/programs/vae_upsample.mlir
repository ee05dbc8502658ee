module @jit_vae_upsample attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<32xf32>, %arg1: tensor<32xf32>, %arg2: tensor<32x32x3x3xf32>, %arg3: tensor<32xf32>, %arg4: tensor<32xf32>, %arg5: tensor<32xf32>, %arg6: tensor<32x32x3x3xf32>, %arg7: tensor<32xf32>, %arg8: tensor<32x32x3x3xf32>, %arg9: tensor<32xf32>, %arg10: tensor<32xf32>, %arg11: tensor<32xf32>, %arg12: tensor<3x32x3x3xf32>, %arg13: tensor<3xf32>, %arg14: tensor<1x32x32x32xf32>) -> (tensor<1x3x64x64xf32> {jax.result_info = "result"}) {
    %0 = stablehlo.reshape %arg14 : (tensor<1x32x32x32xf32>) -> tensor<1x8x4096xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1 = stablehlo.reduce(%0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<1x8x4096xf32>, tensor<f32>) -> tensor<1x8xf32>
    %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %cst_0 = stablehlo.constant dense<4.096000e+03> : tensor<f32>
    %3 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %4 = stablehlo.divide %2, %3 : tensor<1x8x1xf32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x4096xf32>
    %6 = stablehlo.subtract %0, %5 : tensor<1x8x4096xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %7 = call @_var(%0, %c) : (tensor<1x8x4096xf32>, tensor<i32>) -> tensor<1x8x1xf32>
    %cst_1 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %8 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %9 = stablehlo.add %7, %8 : tensor<1x8x1xf32>
    %10 = stablehlo.rsqrt %9 : tensor<1x8x1xf32>
    %11 = stablehlo.broadcast_in_dim %10, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x4096xf32>
    %12 = stablehlo.multiply %6, %11 : tensor<1x8x4096xf32>
    %13 = stablehlo.reshape %12 : (tensor<1x8x4096xf32>) -> tensor<1x32x32x32xf32>
    %14 = stablehlo.broadcast_in_dim %arg0, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %15 = stablehlo.broadcast_in_dim %14, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %16 = stablehlo.multiply %13, %15 : tensor<1x32x32x32xf32>
    %17 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %18 = stablehlo.broadcast_in_dim %17, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %19 = stablehlo.add %16, %18 : tensor<1x32x32x32xf32>
    %20 = call @silu(%19) : (tensor<1x32x32x32xf32>) -> tensor<1x32x32x32xf32>
    %21 = stablehlo.convolution(%20, %arg2) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<1x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<1x32x32x32xf32>
    %22 = stablehlo.broadcast_in_dim %arg3, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %23 = stablehlo.broadcast_in_dim %22, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %24 = stablehlo.add %21, %23 : tensor<1x32x32x32xf32>
    %25 = stablehlo.reshape %24 : (tensor<1x32x32x32xf32>) -> tensor<1x8x4096xf32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %26 = stablehlo.reduce(%25 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<1x8x4096xf32>, tensor<f32>) -> tensor<1x8xf32>
    %27 = stablehlo.broadcast_in_dim %26, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %cst_3 = stablehlo.constant dense<4.096000e+03> : tensor<f32>
    %28 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %29 = stablehlo.divide %27, %28 : tensor<1x8x1xf32>
    %30 = stablehlo.broadcast_in_dim %29, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x4096xf32>
    %31 = stablehlo.subtract %25, %30 : tensor<1x8x4096xf32>
    %c_4 = stablehlo.constant dense<0> : tensor<i32>
    %32 = call @_var(%25, %c_4) : (tensor<1x8x4096xf32>, tensor<i32>) -> tensor<1x8x1xf32>
    %cst_5 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %33 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %34 = stablehlo.add %32, %33 : tensor<1x8x1xf32>
    %35 = stablehlo.rsqrt %34 : tensor<1x8x1xf32>
    %36 = stablehlo.broadcast_in_dim %35, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x4096xf32>
    %37 = stablehlo.multiply %31, %36 : tensor<1x8x4096xf32>
    %38 = stablehlo.reshape %37 : (tensor<1x8x4096xf32>) -> tensor<1x32x32x32xf32>
    %39 = stablehlo.broadcast_in_dim %arg4, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %40 = stablehlo.broadcast_in_dim %39, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %41 = stablehlo.multiply %38, %40 : tensor<1x32x32x32xf32>
    %42 = stablehlo.broadcast_in_dim %arg5, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %43 = stablehlo.broadcast_in_dim %42, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %44 = stablehlo.add %41, %43 : tensor<1x32x32x32xf32>
    %45 = call @silu(%44) : (tensor<1x32x32x32xf32>) -> tensor<1x32x32x32xf32>
    %46 = stablehlo.convolution(%45, %arg6) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<1x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<1x32x32x32xf32>
    %47 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %48 = stablehlo.broadcast_in_dim %47, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x32x32xf32>
    %49 = stablehlo.add %46, %48 : tensor<1x32x32x32xf32>
    %50 = stablehlo.add %arg14, %49 : tensor<1x32x32x32xf32>
    %51 = stablehlo.broadcast_in_dim %50, dims = [0, 1, 2, 4] : (tensor<1x32x32x32xf32>) -> tensor<1x32x32x1x32x1xf32>
    %52 = stablehlo.broadcast_in_dim %51, dims = [0, 1, 2, 3, 4, 5] : (tensor<1x32x32x1x32x1xf32>) -> tensor<1x32x32x2x32x2xf32>
    %53 = stablehlo.reshape %52 : (tensor<1x32x32x2x32x2xf32>) -> tensor<1x32x64x64xf32>
    %54 = stablehlo.convolution(%53, %arg8) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<1x32x64x64xf32>, tensor<32x32x3x3xf32>) -> tensor<1x32x64x64xf32>
    %55 = stablehlo.broadcast_in_dim %arg9, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %56 = stablehlo.broadcast_in_dim %55, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x64x64xf32>
    %57 = stablehlo.add %54, %56 : tensor<1x32x64x64xf32>
    %58 = stablehlo.reshape %57 : (tensor<1x32x64x64xf32>) -> tensor<1x8x16384xf32>
    %cst_6 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %59 = stablehlo.reduce(%58 init: %cst_6) applies stablehlo.add across dimensions = [2] : (tensor<1x8x16384xf32>, tensor<f32>) -> tensor<1x8xf32>
    %60 = stablehlo.broadcast_in_dim %59, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %cst_7 = stablehlo.constant dense<1.638400e+04> : tensor<f32>
    %61 = stablehlo.broadcast_in_dim %cst_7, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %62 = stablehlo.divide %60, %61 : tensor<1x8x1xf32>
    %63 = stablehlo.broadcast_in_dim %62, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x16384xf32>
    %64 = stablehlo.subtract %58, %63 : tensor<1x8x16384xf32>
    %c_8 = stablehlo.constant dense<0> : tensor<i32>
    %65 = call @_var_0(%58, %c_8) : (tensor<1x8x16384xf32>, tensor<i32>) -> tensor<1x8x1xf32>
    %cst_9 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %66 = stablehlo.broadcast_in_dim %cst_9, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %67 = stablehlo.add %65, %66 : tensor<1x8x1xf32>
    %68 = stablehlo.rsqrt %67 : tensor<1x8x1xf32>
    %69 = stablehlo.broadcast_in_dim %68, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x16384xf32>
    %70 = stablehlo.multiply %64, %69 : tensor<1x8x16384xf32>
    %71 = stablehlo.reshape %70 : (tensor<1x8x16384xf32>) -> tensor<1x32x64x64xf32>
    %72 = stablehlo.broadcast_in_dim %arg10, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %73 = stablehlo.broadcast_in_dim %72, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x64x64xf32>
    %74 = stablehlo.multiply %71, %73 : tensor<1x32x64x64xf32>
    %75 = stablehlo.broadcast_in_dim %arg11, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %76 = stablehlo.broadcast_in_dim %75, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<1x32x64x64xf32>
    %77 = stablehlo.add %74, %76 : tensor<1x32x64x64xf32>
    %78 = call @silu_1(%77) : (tensor<1x32x64x64xf32>) -> tensor<1x32x64x64xf32>
    %79 = stablehlo.convolution(%78, %arg12) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<1x32x64x64xf32>, tensor<3x32x3x3xf32>) -> tensor<1x3x64x64xf32>
    %80 = stablehlo.broadcast_in_dim %arg13, dims = [1] : (tensor<3xf32>) -> tensor<1x3x1x1xf32>
    %81 = stablehlo.broadcast_in_dim %80, dims = [0, 1, 2, 3] : (tensor<1x3x1x1xf32>) -> tensor<1x3x64x64xf32>
    %82 = stablehlo.add %79, %81 : tensor<1x3x64x64xf32>
    %cst_10 = stablehlo.constant dense<2.000000e+00> : tensor<f32>
    %83 = stablehlo.broadcast_in_dim %cst_10, dims = [] : (tensor<f32>) -> tensor<1x3x64x64xf32>
    %84 = stablehlo.divide %82, %83 : tensor<1x3x64x64xf32>
    %cst_11 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %85 = stablehlo.broadcast_in_dim %cst_11, dims = [] : (tensor<f32>) -> tensor<1x3x64x64xf32>
    %86 = stablehlo.add %84, %85 : tensor<1x3x64x64xf32>
    %c_12 = stablehlo.constant dense<0> : tensor<i32>
    %c_13 = stablehlo.constant dense<1> : tensor<i32>
    %87 = call @clip(%86, %c_12, %c_13) : (tensor<1x3x64x64xf32>, tensor<i32>, tensor<i32>) -> tensor<1x3x64x64xf32>
    return %87 : tensor<1x3x64x64xf32>
  }
  func.func private @_var(%arg0: tensor<1x8x4096xf32>, %arg1: tensor<i32>) -> tensor<1x8x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<1x8x4096xf32>, tensor<f32>) -> tensor<1x8xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %cst_0 = stablehlo.constant dense<4.096000e+03> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<1x8x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x4096xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<1x8x4096xf32>
    %6 = chlo.square %5 : tensor<1x8x4096xf32> -> tensor<1x8x4096xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<4.096000e+03> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<1x8x4096xf32>, tensor<f32>) -> tensor<1x8xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<1x8x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<1x8x1xf32>, tensor<f32>) -> tensor<1x8x1xf32>
    return %14 : tensor<1x8x1xf32>
  }
  func.func private @_where(%arg0: tensor<i1>, %arg1: tensor<1x8x1xf32>, %arg2: tensor<f32>) -> tensor<1x8x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<1x8x1xf32>
    return %2 : tensor<1x8x1xf32>
  }
  func.func private @silu(%arg0: tensor<1x32x32x32xf32>) -> tensor<1x32x32x32xf32> {
    %0 = stablehlo.negate %arg0 : tensor<1x32x32x32xf32>
    %1 = stablehlo.exponential %0 : tensor<1x32x32x32xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<1x32x32x32xf32>
    %3 = stablehlo.add %2, %1 : tensor<1x32x32x32xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<1x32x32x32xf32>
    %5 = stablehlo.divide %4, %3 : tensor<1x32x32x32xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<1x32x32x32xf32>
    return %6 : tensor<1x32x32x32xf32>
  }
  func.func private @_var_0(%arg0: tensor<1x8x16384xf32>, %arg1: tensor<i32>) -> tensor<1x8x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<1x8x16384xf32>, tensor<f32>) -> tensor<1x8xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %cst_0 = stablehlo.constant dense<1.638400e+04> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<1x8x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<1x8x1xf32>) -> tensor<1x8x16384xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<1x8x16384xf32>
    %6 = chlo.square %5 : tensor<1x8x16384xf32> -> tensor<1x8x16384xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.638400e+04> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<1x8x16384xf32>, tensor<f32>) -> tensor<1x8xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<1x8x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<1x8x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<1x8x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<1x8x1xf32>, tensor<f32>) -> tensor<1x8x1xf32>
    return %14 : tensor<1x8x1xf32>
  }
  func.func private @silu_1(%arg0: tensor<1x32x64x64xf32>) -> tensor<1x32x64x64xf32> {
    %0 = stablehlo.negate %arg0 : tensor<1x32x64x64xf32>
    %1 = stablehlo.exponential %0 : tensor<1x32x64x64xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<1x32x64x64xf32>
    %3 = stablehlo.add %2, %1 : tensor<1x32x64x64xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<1x32x64x64xf32>
    %5 = stablehlo.divide %4, %3 : tensor<1x32x64x64xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<1x32x64x64xf32>
    return %6 : tensor<1x32x64x64xf32>
  }
  func.func private @clip(%arg0: tensor<1x3x64x64xf32>, %arg1: tensor<i32>, %arg2: tensor<i32>) -> tensor<1x3x64x64xf32> {
    %0 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<1x3x64x64xf32>
    %2 = stablehlo.maximum %1, %arg0 : tensor<1x3x64x64xf32>
    %3 = stablehlo.convert %arg2 : (tensor<i32>) -> tensor<f32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [] : (tensor<f32>) -> tensor<1x3x64x64xf32>
    %5 = stablehlo.minimum %4, %2 : tensor<1x3x64x64xf32>
    return %5 : tensor<1x3x64x64xf32>
  }
}
