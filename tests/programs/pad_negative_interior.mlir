module @jit_pad_negative_interior attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<5x6xf32>) -> (tensor<10x5xf32> {jax.result_info = "result[0]"}, tensor<13x7xf32> {jax.result_info = "result[1]"}) {
    %cst = stablehlo.constant dense<9.000000e+00> : tensor<f32>
    %0 = stablehlo.pad %arg0, %cst, low = [-1, 2], high = [2, -3], interior = [1, 0] : (tensor<5x6xf32>, tensor<f32>) -> tensor<10x5xf32>
    %cst_0 = stablehlo.constant dense<-1.000000e+00> : tensor<f32>
    %1 = stablehlo.pad %arg0, %cst_0, low = [0, -2], high = [0, -2], interior = [2, 1] : (tensor<5x6xf32>, tensor<f32>) -> tensor<13x7xf32>
    return %0, %1 : tensor<10x5xf32>, tensor<13x7xf32>
  }
}
