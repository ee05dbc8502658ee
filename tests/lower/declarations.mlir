module @preheat {
  func.func public @main(%arg0: tensor<1x2x3x4xf32>, %arg1: tensor<1x2x3x4xf32> {tf.aliasing_output = 1 : i32}, %arg2: tensor<1x2x3x4xf32> {tf.aliasing_output = 2 : i32}) -> (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) {
    %0 = stablehlo.add %arg0, %arg1 : tensor<1x2x3x4xf32>
    return %arg0, %0, %0 : tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>
  }
}
