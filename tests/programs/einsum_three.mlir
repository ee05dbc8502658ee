module @jit_einsum_three attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<3x4x5xf32>, %arg1: tensor<5x4x6xf32>, %arg2: tensor<6x3xf32>) -> (tensor<4x6xf32> {jax.result_info = "result[0]"}, tensor<3x4xf32> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.dot_general %arg1, %arg0, batching_dims = [1] x [1], contracting_dims = [0] x [2], precision = [DEFAULT, DEFAULT] : (tensor<5x4x6xf32>, tensor<3x4x5xf32>) -> tensor<4x6x3xf32>
    %1 = stablehlo.dot_general %0, %arg2, batching_dims = [1] x [0], contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<4x6x3xf32>, tensor<6x3xf32>) -> tensor<6x4xf32>
    %2 = stablehlo.transpose %1, dims = [1, 0] : (tensor<6x4xf32>) -> tensor<4x6xf32>
    %cst = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %3 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<4x6xf32>
    %4 = stablehlo.divide %2, %3 : tensor<4x6xf32>
    %5 = stablehlo.slice %arg0 [0:3, 0:4, 0:3] : (tensor<3x4x5xf32>) -> tensor<3x4x3xf32>
    %6 = stablehlo.iota dim = 0 : tensor<3x3xui32>
    %7 = stablehlo.iota dim = 1 : tensor<3x3xui32>
    %8 = stablehlo.compare EQ, %6, %7, UNSIGNED : (tensor<3x3xui32>, tensor<3x3xui32>) -> tensor<3x3xi1>
    %9 = stablehlo.broadcast_in_dim %8, dims = [0, 2] : (tensor<3x3xi1>) -> tensor<3x4x3xi1>
    %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %10 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<3x4x3xf32>
    %11 = stablehlo.select %9, %5, %10 : tensor<3x4x3xi1>, tensor<3x4x3xf32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %12 = stablehlo.reduce(%11 init: %cst_1) applies stablehlo.add across dimensions = [0] : (tensor<3x4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
    %13 = stablehlo.transpose %12, dims = [1, 0] : (tensor<4x3xf32>) -> tensor<3x4xf32>
    return %4, %13 : tensor<4x6xf32>, tensor<3x4xf32>
  }
}
