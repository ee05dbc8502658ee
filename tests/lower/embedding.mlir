module @preheat {
  func.func public @main(%arg0: tensor<2x5xi32>, %arg1: tensor<6x3xf32>) -> (tensor<2x5x3xf32>) {
    %0 = stablehlo.reshape %arg0 : (tensor<2x5xi32>) -> tensor<2x5x1xi32>
    %1 = "stablehlo.gather"(%arg1, %0) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 3>}> : (tensor<6x3xf32>, tensor<2x5x1xi32>) -> tensor<2x5x3xf32>
    return %1 : tensor<2x5x3xf32>
  }
}
