module @jit_several_outputs attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<3x4xf32>, %arg1: tensor<3xi32>, %arg2: tensor<3xi1>) -> (tensor<3xi32> {jax.result_info = "result['count']"}, tensor<3xi1> {jax.result_info = "result['flags']"}, tensor<3x4xf32> {jax.result_info = "result['same']"}, tensor<i32> {jax.result_info = "result['scalar']"}, tensor<4xf32> {jax.result_info = "result['sum']"}) {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [0] : (tensor<3x4xf32>, tensor<f32>) -> tensor<4xf32>
    %c = stablehlo.constant dense<2> : tensor<i32>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<3xi32>
    %2 = stablehlo.multiply %arg1, %1 : tensor<3xi32>
    %3 = stablehlo.not %arg2 : tensor<3xi1>
    %4 = stablehlo.convert %arg2 : (tensor<3xi1>) -> tensor<3xi32>
    %c_0 = stablehlo.constant dense<0> : tensor<i32>
    %5 = stablehlo.reduce(%4 init: %c_0) applies stablehlo.add across dimensions = [0] : (tensor<3xi32>, tensor<i32>) -> tensor<i32>
    return %2, %3, %arg0, %5, %0 : tensor<3xi32>, tensor<3xi1>, tensor<3x4xf32>, tensor<i32>, tensor<4xf32>
  }
}
