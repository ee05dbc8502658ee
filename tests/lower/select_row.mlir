module @preheat {
  func.func public @main(%arg0: tensor<4x6x3xf32>, %arg1: tensor<4xi32>) -> (tensor<4x3xf32>) {
    %0 = stablehlo.iota dim = 0 : tensor<4x1xi32>
    %1 = stablehlo.reshape %arg1 : (tensor<4xi32>) -> tensor<4x1xi32>
    %2 = stablehlo.concatenate %0, %1, dim = 1 : (tensor<4x1xi32>, tensor<4x1xi32>) -> tensor<4x2xi32>
    %3 = "stablehlo.gather"(%arg0, %2) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0, 1], start_index_map = [0, 1], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 1, 3>}> : (tensor<4x6x3xf32>, tensor<4x2xi32>) -> tensor<4x3xf32>
    return %3 : tensor<4x3xf32>
  }
}
