module @jit_reverse_clamp_iota attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<4x7xf32>) -> (tensor<4x7xf32> {jax.result_info = "result[0]"}, tensor<4x7xf32> {jax.result_info = "result[1]"}, tensor<4x7xf32> {jax.result_info = "result[2]"}, tensor<4x7xf32> {jax.result_info = "result[3]"}) {
    %0 = stablehlo.iota dim = 0 : tensor<4x7xi32>
    %1 = stablehlo.reverse %arg0, dims = [0, 1] : tensor<4x7xf32>
    %cst = stablehlo.constant dense<-5.000000e-01> : tensor<f32>
    %cst_0 = stablehlo.constant dense<7.500000e-01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<4x7xf32>
    %3 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<4x7xf32>
    %4 = stablehlo.clamp %2, %arg0, %3 : tensor<4x7xf32>
    %c = stablehlo.constant dense<2> : tensor<i32>
    %5 = call @remainder(%0, %c) : (tensor<4x7xi32>, tensor<i32>) -> tensor<4x7xi32>
    %c_1 = stablehlo.constant dense<0> : tensor<i32>
    %6 = stablehlo.broadcast_in_dim %c_1, dims = [] : (tensor<i32>) -> tensor<4x7xi32>
    %7 = stablehlo.compare EQ, %5, %6, SIGNED : (tensor<4x7xi32>, tensor<4x7xi32>) -> tensor<4x7xi1>
    %c_2 = stablehlo.constant dense<0> : tensor<i32>
    %8 = call @_where_0(%7, %arg0, %c_2) : (tensor<4x7xi1>, tensor<4x7xf32>, tensor<i32>) -> tensor<4x7xf32>
    %cst_3 = stablehlo.constant dense<3.000000e+00> : tensor<f32>
    %9 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<4x7xf32>
    %10 = stablehlo.multiply %arg0, %9 : tensor<4x7xf32>
    %11 = call @round(%10) : (tensor<4x7xf32>) -> tensor<4x7xf32>
    return %1, %4, %8, %11 : tensor<4x7xf32>, tensor<4x7xf32>, tensor<4x7xf32>, tensor<4x7xf32>
  }
  func.func private @remainder(%arg0: tensor<4x7xi32>, %arg1: tensor<i32>) -> tensor<4x7xi32> {
    %0 = stablehlo.convert %arg1 : tensor<i32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %1 = stablehlo.compare EQ, %0, %c, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %c_0 = stablehlo.constant dense<1> : tensor<i32>
    %2 = call @_where(%1, %c_0, %0) : (tensor<i1>, tensor<i32>, tensor<i32>) -> tensor<i32>
    %3 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<4x7xi32>
    %4 = stablehlo.remainder %arg0, %3 : tensor<4x7xi32>
    %c_1 = stablehlo.constant dense<0> : tensor<i32>
    %5 = stablehlo.broadcast_in_dim %c_1, dims = [] : (tensor<i32>) -> tensor<4x7xi32>
    %6 = stablehlo.compare NE, %4, %5, SIGNED : (tensor<4x7xi32>, tensor<4x7xi32>) -> tensor<4x7xi1>
    %c_2 = stablehlo.constant dense<0> : tensor<i32>
    %7 = stablehlo.broadcast_in_dim %c_2, dims = [] : (tensor<i32>) -> tensor<4x7xi32>
    %8 = stablehlo.compare LT, %4, %7, SIGNED : (tensor<4x7xi32>, tensor<4x7xi32>) -> tensor<4x7xi1>
    %c_3 = stablehlo.constant dense<0> : tensor<i32>
    %9 = stablehlo.compare LT, %2, %c_3, SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    %10 = stablehlo.broadcast_in_dim %9, dims = [] : (tensor<i1>) -> tensor<4x7xi1>
    %11 = stablehlo.compare NE, %8, %10, UNSIGNED : (tensor<4x7xi1>, tensor<4x7xi1>) -> tensor<4x7xi1>
    %12 = stablehlo.and %11, %6 : tensor<4x7xi1>
    %13 = stablehlo.broadcast_in_dim %2, dims = [] : (tensor<i32>) -> tensor<4x7xi32>
    %14 = stablehlo.add %4, %13 : tensor<4x7xi32>
    %15 = stablehlo.select %12, %14, %4 : tensor<4x7xi1>, tensor<4x7xi32>
    return %15 : tensor<4x7xi32>
  }
  func.func private @_where(%arg0: tensor<i1>, %arg1: tensor<i32>, %arg2: tensor<i32>) -> tensor<i32> {
    %0 = stablehlo.select %arg0, %arg1, %arg2 : tensor<i1>, tensor<i32>
    return %0 : tensor<i32>
  }
  func.func private @_where_0(%arg0: tensor<4x7xi1>, %arg1: tensor<4x7xf32>, %arg2: tensor<i32>) -> tensor<4x7xf32> {
    %0 = stablehlo.convert %arg2 : (tensor<i32>) -> tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<4x7xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<4x7xi1>, tensor<4x7xf32>
    return %2 : tensor<4x7xf32>
  }
  func.func private @round(%arg0: tensor<4x7xf32>) -> tensor<4x7xf32> {
    %0 = stablehlo.round_nearest_even %arg0 : tensor<4x7xf32>
    return %0 : tensor<4x7xf32>
  }
}
