module @jit_residual_block_gradient attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x6x8x8xf32>, %arg1: tensor<6x6x3x3xf32>, %arg2: tensor<6xf32>) -> (tensor<f32> {jax.result_info = "result[0]"}, tensor<6x6x3x3xf32> {jax.result_info = "result[1][0]"}, tensor<6xf32> {jax.result_info = "result[1][1]"}) {
    %cst = stablehlo.constant dense<7.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<6x6x3x3xf32>
    %1 = stablehlo.divide %arg1, %0 : tensor<6x6x3x3xf32>
    %2 = stablehlo.convolution(%arg0, %1) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x6x8x8xf32>, tensor<6x6x3x3xf32>) -> tensor<2x6x8x8xf32>
    %3 = stablehlo.broadcast_in_dim %arg2, dims = [0] : (tensor<6xf32>) -> tensor<6x1x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [1, 2, 3] : (tensor<6x1x1xf32>) -> tensor<1x6x1x1xf32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [0, 1, 2, 3] : (tensor<1x6x1x1xf32>) -> tensor<2x6x8x8xf32>
    %6 = stablehlo.add %2, %5 : tensor<2x6x8x8xf32>
    %7:3 = call @silu(%6) : (tensor<2x6x8x8xf32>) -> (tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>)
    %8 = stablehlo.add %arg0, %7#0 : tensor<2x6x8x8xf32>
    %9 = stablehlo.multiply %8, %8 : tensor<2x6x8x8xf32>
    %cst_0 = stablehlo.constant dense<2.000000e+00> : tensor<f32>
    %10 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x6x8x8xf32>
    %11 = stablehlo.multiply %10, %8 : tensor<2x6x8x8xf32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %12 = stablehlo.reduce(%9 init: %cst_1) applies stablehlo.add across dimensions = [0, 1, 2, 3] : (tensor<2x6x8x8xf32>, tensor<f32>) -> tensor<f32>
    %cst_2 = stablehlo.constant dense<7.680000e+02> : tensor<f32>
    %13 = stablehlo.divide %12, %cst_2 : tensor<f32>
    %cst_3 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %cst_4 = stablehlo.constant dense<7.680000e+02> : tensor<f32>
    %14 = stablehlo.divide %cst_3, %cst_4 : tensor<f32>
    %15 = stablehlo.broadcast_in_dim %14, dims = [] : (tensor<f32>) -> tensor<2x6x8x8xf32>
    %16 = stablehlo.multiply %15, %11 : tensor<2x6x8x8xf32>
    %17 = call @silu_0(%7#1, %7#2, %6, %16) : (tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>) -> tensor<2x6x8x8xf32>
    %cst_5 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %18 = stablehlo.reduce(%17 init: %cst_5) applies stablehlo.add across dimensions = [0, 2, 3] : (tensor<2x6x8x8xf32>, tensor<f32>) -> tensor<6xf32>
    %19 = stablehlo.reshape %18 : (tensor<6xf32>) -> tensor<1x6x1x1xf32>
    %cst_6 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %20 = stablehlo.reduce(%19 init: %cst_6) applies stablehlo.add across dimensions = [0, 2, 3] : (tensor<1x6x1x1xf32>, tensor<f32>) -> tensor<6xf32>
    %21 = stablehlo.broadcast_in_dim %20, dims = [0] : (tensor<6xf32>) -> tensor<6x1x1xf32>
    %cst_7 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %22 = stablehlo.reduce(%21 init: %cst_7) applies stablehlo.add across dimensions = [1, 2] : (tensor<6x1x1xf32>, tensor<f32>) -> tensor<6xf32>
    %23 = stablehlo.convolution(%arg0, %17) dim_numbers = [f, b, 0, 1]x[i, o, 0, 1]->[f, b, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>) -> tensor<6x6x3x3xf32>
    %cst_8 = stablehlo.constant dense<7.000000e+00> : tensor<f32>
    %24 = stablehlo.broadcast_in_dim %cst_8, dims = [] : (tensor<f32>) -> tensor<6x6x3x3xf32>
    %25 = stablehlo.divide %23, %24 : tensor<6x6x3x3xf32>
    return %13, %25, %22 : tensor<f32>, tensor<6x6x3x3xf32>, tensor<6xf32>
  }
  func.func private @silu(%arg0: tensor<2x6x8x8xf32>) -> (tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>) {
    %0 = stablehlo.negate %arg0 : tensor<2x6x8x8xf32>
    %1 = stablehlo.exponential %0 : tensor<2x6x8x8xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x6x8x8xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x6x8x8xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x6x8x8xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x6x8x8xf32>
    %cst_1 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %6 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<2x6x8x8xf32>
    %7 = stablehlo.subtract %6, %5 : tensor<2x6x8x8xf32>
    %8 = stablehlo.multiply %5, %7 : tensor<2x6x8x8xf32>
    %9 = stablehlo.multiply %arg0, %5 : tensor<2x6x8x8xf32>
    return %9, %8, %5 : tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>, tensor<2x6x8x8xf32>
  }
  func.func private @silu_0(%arg0: tensor<2x6x8x8xf32>, %arg1: tensor<2x6x8x8xf32>, %arg2: tensor<2x6x8x8xf32>, %arg3: tensor<2x6x8x8xf32>) -> tensor<2x6x8x8xf32> {
    %0 = stablehlo.multiply %arg2, %arg3 : tensor<2x6x8x8xf32>
    %1 = stablehlo.multiply %arg3, %arg1 : tensor<2x6x8x8xf32>
    %2 = stablehlo.multiply %0, %arg0 : tensor<2x6x8x8xf32>
    %3 = stablehlo.add %1, %2 : tensor<2x6x8x8xf32>
    return %3 : tensor<2x6x8x8xf32>
  }
}
