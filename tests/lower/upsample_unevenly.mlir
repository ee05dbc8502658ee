module @preheat {
  func.func public @main(%arg0: tensor<1x2x5x7xf32>) -> (tensor<1x2x8x24xf32>) {
    %0 = stablehlo.constant dense<[0, 0, 1, 1, 2, 3, 3, 4]> : tensor<8xi32>
    %1 = stablehlo.reshape %0 : (tensor<8xi32>) -> tensor<8x1xi32>
    %2 = "stablehlo.gather"(%arg0, %1) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 1, 3], collapsed_slice_dims = [2], start_index_map = [2], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 2, 1, 7>}> : (tensor<1x2x5x7xf32>, tensor<8x1xi32>) -> tensor<1x2x8x7xf32>
    %3 = stablehlo.constant dense<[0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6]> : tensor<24xi32>
    %4 = stablehlo.reshape %3 : (tensor<24xi32>) -> tensor<24x1xi32>
    %5 = "stablehlo.gather"(%2, %4) <{dimension_numbers = #stablehlo.gather<offset_dims = [0, 1, 2], collapsed_slice_dims = [3], start_index_map = [3], index_vector_dim = 1>, indices_are_sorted = false, slice_sizes = array<i64: 1, 2, 8, 1>}> : (tensor<1x2x8x7xf32>, tensor<24x1xi32>) -> tensor<1x2x8x24xf32>
    return %5 : tensor<1x2x8x24xf32>
  }
}
