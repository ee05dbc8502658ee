module @jit_uint8_arithmetic attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<6x6xui8>, %arg1: tensor<6x6xui8>) -> (tensor<6x6xui8> {jax.result_info = "result[0]"}, tensor<6x6xui8> {jax.result_info = "result[1]"}, tensor<6x6xui8> {jax.result_info = "result[2]"}, tensor<6x6xi1> {jax.result_info = "result[3]"}) {
    %0 = stablehlo.add %arg0, %arg1 : tensor<6x6xui8>
    %c = stablehlo.constant dense<3> : tensor<ui8>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<ui8>) -> tensor<6x6xui8>
    %2 = stablehlo.shift_right_logical %arg0, %1 : tensor<6x6xui8>
    %c_0 = stablehlo.constant dense<1> : tensor<ui8>
    %3 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<ui8>) -> tensor<6x6xui8>
    %4 = stablehlo.shift_left %arg1, %3 : tensor<6x6xui8>
    %5 = stablehlo.xor %2, %4 : tensor<6x6xui8>
    %6 = stablehlo.popcnt %arg0 : tensor<6x6xui8>
    %7 = stablehlo.convert %arg0 : (tensor<6x6xui8>) -> tensor<6x6xf32>
    %cst = stablehlo.constant dense<2.550000e+02> : tensor<f32>
    %8 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<6x6xf32>
    %9 = stablehlo.divide %7, %8 : tensor<6x6xf32>
    %cst_1 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %10 = stablehlo.broadcast_in_dim %cst_1, dims = [] : (tensor<f32>) -> tensor<6x6xf32>
    %11 = stablehlo.compare GT, %9, %10, FLOAT : (tensor<6x6xf32>, tensor<6x6xf32>) -> tensor<6x6xi1>
    return %0, %5, %6, %11 : tensor<6x6xui8>, tensor<6x6xui8>, tensor<6x6xui8>, tensor<6x6xi1>
  }
}
