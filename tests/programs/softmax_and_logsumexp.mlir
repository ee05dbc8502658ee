module @jit_softmax_and_logsumexp attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<5x33xf32>) -> (tensor<5x33xf32> {jax.result_info = "result[0]"}, tensor<5x33xf32> {jax.result_info = "result[1]"}, tensor<f32> {jax.result_info = "result[2]"}) {
    %cst = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<5x33xf32>
    %1 = stablehlo.multiply %arg0, %0 : tensor<5x33xf32>
    %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2 = stablehlo.reduce(%1 init: %cst_0) applies stablehlo.maximum across dimensions = [0] : (tensor<5x33xf32>, tensor<f32>) -> tensor<33xf32>
    %cst_1 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %3 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<33xf32>
    %4 = stablehlo.maximum %3, %2 : tensor<33xf32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [1] : (tensor<33xf32>) -> tensor<1x33xf32>
    %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<1x33xf32>) -> tensor<5x33xf32>
    %7 = stablehlo.subtract %1, %6 : tensor<5x33xf32>
    %8 = stablehlo.exponential %7 : tensor<5x33xf32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%8 init: %cst_2) applies stablehlo.add across dimensions = [0] : (tensor<5x33xf32>, tensor<f32>) -> tensor<33xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [1] : (tensor<33xf32>) -> tensor<1x33xf32>
    %11 = stablehlo.broadcast_in_dim %10, dims = [0, 1] : (tensor<1x33xf32>) -> tensor<5x33xf32>
    %12 = stablehlo.divide %8, %11 : tensor<5x33xf32>
    %13 = call @log_softmax(%arg0) : (tensor<5x33xf32>) -> tensor<5x33xf32>
    %cst_3 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %14 = stablehlo.reduce(%arg0 init: %cst_3) applies stablehlo.maximum across dimensions = [0, 1] : (tensor<5x33xf32>, tensor<f32>) -> tensor<f32>
    %cst_4 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %15 = stablehlo.maximum %cst_4, %14 : tensor<f32>
    %16 = stablehlo.is_finite %15 : (tensor<f32>) -> tensor<i1>
    %cst_5 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %17 = stablehlo.select %16, %15, %cst_5 : tensor<i1>, tensor<f32>
    %18 = stablehlo.broadcast_in_dim %17, dims = [] : (tensor<f32>) -> tensor<1x1xf32>
    %19 = stablehlo.broadcast_in_dim %18, dims = [0, 1] : (tensor<1x1xf32>) -> tensor<5x33xf32>
    %20 = stablehlo.subtract %arg0, %19 : tensor<5x33xf32>
    %21 = stablehlo.exponential %20 : tensor<5x33xf32>
    %cst_6 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %22 = stablehlo.reduce(%21 init: %cst_6) applies stablehlo.add across dimensions = [0, 1] : (tensor<5x33xf32>, tensor<f32>) -> tensor<f32>
    %23 = stablehlo.abs %22 : tensor<f32>
    %24 = stablehlo.log %23 : tensor<f32>
    %25 = stablehlo.add %24, %17 : tensor<f32>
    return %12, %13, %25 : tensor<5x33xf32>, tensor<5x33xf32>, tensor<f32>
  }
  func.func private @log_softmax(%arg0: tensor<5x33xf32>) -> tensor<5x33xf32> {
    %cst = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.maximum across dimensions = [1] : (tensor<5x33xf32>, tensor<f32>) -> tensor<5xf32>
    %cst_0 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<5xf32>
    %2 = stablehlo.maximum %1, %0 : tensor<5xf32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [0] : (tensor<5xf32>) -> tensor<5x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1] : (tensor<5x1xf32>) -> tensor<5x33xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<5x33xf32>
    %6 = stablehlo.exponential %5 : tensor<5x33xf32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %7 = stablehlo.reduce(%6 init: %cst_1) applies stablehlo.add across dimensions = [1] : (tensor<5x33xf32>, tensor<f32>) -> tensor<5xf32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [0] : (tensor<5xf32>) -> tensor<5x1xf32>
    %9 = stablehlo.log %8 : tensor<5x1xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<5x1xf32>) -> tensor<5x33xf32>
    %11 = stablehlo.subtract %5, %10 : tensor<5x33xf32>
    return %11 : tensor<5x33xf32>
  }
}
