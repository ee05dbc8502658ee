module @jit_int8_dot attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<8x24xi8>, %arg1: tensor<24x5xi8>) -> (tensor<8x5xi32> {jax.result_info = "result[0]"}, tensor<8x5xi8> {jax.result_info = "result[1]"}) {
    %0 = stablehlo.dot_general %arg0, %arg1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<8x24xi8>, tensor<24x5xi8>) -> tensor<8x5xi32>
    %1 = stablehlo.slice %arg0 [0:8, 0:5] : (tensor<8x24xi8>) -> tensor<8x5xi8>
    %2 = stablehlo.slice %arg1 [0:8, 0:5] : (tensor<24x5xi8>) -> tensor<8x5xi8>
    %3 = stablehlo.add %1, %2 : tensor<8x5xi8>
    return %0, %3 : tensor<8x5xi32>, tensor<8x5xi8>
  }
}
