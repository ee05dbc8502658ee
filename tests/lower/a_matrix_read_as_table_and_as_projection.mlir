module @preheat {
  func.func public @main(%arg0: tensor<2x3xf32>, %arg1: tensor<4xi32>, %arg2: tensor<3x5xf32>) -> (tensor<4x3xf32>) {
    %0 = stablehlo.dot_general %arg0, %arg2, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x3xf32>, tensor<3x5xf32>) -> tensor<2x5xf32>
    %1 = stablehlo.transpose %arg2, dims = [1, 0] : (tensor<3x5xf32>) -> tensor<5x3xf32>
    %2 = stablehlo.reshape %arg1 : (tensor<4xi32>) -> tensor<4x1xi32>
    %3 = "stablehlo.gather"(%1, %2) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 3>}> : (tensor<5x3xf32>, tensor<4x1xi32>) -> tensor<4x3xf32>
    %4 = stablehlo.reshape %0 : (tensor<2x5xf32>) -> tensor<10x1xf32>
    %5 = stablehlo.slice %4 [2:6, 0:1] : (tensor<10x1xf32>) -> tensor<4x1xf32>
    %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x3xf32>
    %7 = stablehlo.multiply %3, %6 : tensor<4x3xf32>
    return %7 : tensor<4x3xf32>
  }
}
