module @jit_constant_only attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main() -> (tensor<2x3xf32> {jax.result_info = "result[0]"}, tensor<ui8> {jax.result_info = "result[1]"}) {
    %cst = stablehlo.constant dense<[[1.500000e+00, -2.250000e+00, 1.000000e-30], [3.000000e+38, -0.000000e+00, 0x7F800000]]> : tensor<2x3xf32>
    %c = stablehlo.constant dense<200> : tensor<ui8>
    return %cst, %c : tensor<2x3xf32>, tensor<ui8>
  }
}
