module @jit_euler_step attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<1x4x64x64xf32> {tf.aliasing_output = 0 : i32}, %arg1: tensor<2x4x64x64xf32>, %arg2: tensor<f32>, %arg3: tensor<f32>, %arg4: tensor<f32>) -> (tensor<1x4x64x64xf32> {jax.result_info = "result[0]"}, tensor<1x4x64x64xf32> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.slice %arg1 [0:1, 0:4, 0:64, 0:64] : (tensor<2x4x64x64xf32>) -> tensor<1x4x64x64xf32>
    %1 = stablehlo.slice %arg1 [1:2, 0:4, 0:64, 0:64] : (tensor<2x4x64x64xf32>) -> tensor<1x4x64x64xf32>
    %2 = stablehlo.subtract %1, %0 : tensor<1x4x64x64xf32>
    %3 = stablehlo.broadcast_in_dim %arg2, dims = [] : (tensor<f32>) -> tensor<1x4x64x64xf32>
    %4 = stablehlo.multiply %3, %2 : tensor<1x4x64x64xf32>
    %5 = stablehlo.add %0, %4 : tensor<1x4x64x64xf32>
    %6 = stablehlo.subtract %arg4, %arg3 : tensor<f32>
    %7 = stablehlo.broadcast_in_dim %6, dims = [] : (tensor<f32>) -> tensor<1x4x64x64xf32>
    %8 = stablehlo.multiply %7, %5 : tensor<1x4x64x64xf32>
    %9 = stablehlo.add %arg0, %8 : tensor<1x4x64x64xf32>
    %10 = stablehlo.multiply %arg4, %arg4 : tensor<f32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %11 = stablehlo.add %10, %cst : tensor<f32>
    %12 = stablehlo.rsqrt %11 : tensor<f32>
    %13 = stablehlo.broadcast_in_dim %12, dims = [] : (tensor<f32>) -> tensor<1x4x64x64xf32>
    %14 = stablehlo.multiply %9, %13 : tensor<1x4x64x64xf32>
    return %9, %14 : tensor<1x4x64x64xf32>, tensor<1x4x64x64xf32>
  }
}
