module @preheat {
  func.func public @main(%arg0: tensor<2x4x6x10xf32>, %arg1: tensor<2x8xf32>, %arg2: tensor<2x7x12xf32>, %arg3: tensor<3x3x4x8xf32>, %arg4: tensor<8xf32>, %arg5: tensor<8xf32>, %arg6: tensor<8xf32>, %arg7: tensor<3x3x8x8xf32>, %arg8: tensor<8xf32>, %arg9: tensor<8x8xf32>, %arg10: tensor<8xf32>, %arg11: tensor<3x3x8x8xf32>, %arg12: tensor<8xf32>, %arg13: tensor<8xf32>, %arg14: tensor<8xf32>, %arg15: tensor<8x8xf32>, %arg16: tensor<8xf32>, %arg17: tensor<8x8xf32>, %arg18: tensor<8xf32>, %arg19: tensor<8x8xf32>, %arg20: tensor<8xf32>, %arg21: tensor<8x8xf32>, %arg22: tensor<8xf32>, %arg23: tensor<12x8xf32>, %arg24: tensor<8xf32>, %arg25: tensor<12x8xf32>, %arg26: tensor<8xf32>, %arg27: tensor<8x16xf32>, %arg28: tensor<16xf32>, %arg29: tensor<1x1x16x4xf32>, %arg30: tensor<4xf32>) -> (tensor<2x4x6x10xf32>) {
    %0 = stablehlo.transpose %arg0, dims = [0, 2, 3, 1] : (tensor<2x4x6x10xf32>) -> tensor<2x6x10x4xf32>
    %1 = stablehlo.convolution(%0, %arg3) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x6x10x4xf32>, tensor<3x3x4x8xf32>) -> tensor<2x6x10x8xf32>
    %2 = stablehlo.broadcast_in_dim %arg4, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %3 = stablehlo.add %1, %2 : tensor<2x6x10x8xf32>
    %4 = stablehlo.reshape %3 : (tensor<2x6x10x8xf32>) -> tensor<2x60x4x2xf32>
    %5 = stablehlo.constant dense<0.0> : tensor<f32>
    %6 = stablehlo.reduce(%4 init: %5) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x60x4x2xf32>, tensor<f32>) -> tensor<2x4xf32>
    %7 = stablehlo.constant dense<120.0> : tensor<2x4xf32>
    %8 = stablehlo.divide %6, %7 : tensor<2x4xf32>
    %9 = stablehlo.broadcast_in_dim %8, dims = [0, 2] : (tensor<2x4xf32>) -> tensor<2x60x4x2xf32>
    %10 = stablehlo.subtract %4, %9 : tensor<2x60x4x2xf32>
    %11 = stablehlo.multiply %10, %10 : tensor<2x60x4x2xf32>
    %12 = stablehlo.constant dense<0.0> : tensor<f32>
    %13 = stablehlo.reduce(%11 init: %12) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x60x4x2xf32>, tensor<f32>) -> tensor<2x4xf32>
    %14 = stablehlo.constant dense<120.0> : tensor<2x4xf32>
    %15 = stablehlo.divide %13, %14 : tensor<2x4xf32>
    %16 = stablehlo.constant dense<1.0e-5> : tensor<2x4xf32>
    %17 = stablehlo.add %15, %16 : tensor<2x4xf32>
    %18 = stablehlo.rsqrt %17 : tensor<2x4xf32>
    %19 = stablehlo.broadcast_in_dim %18, dims = [0, 2] : (tensor<2x4xf32>) -> tensor<2x60x4x2xf32>
    %20 = stablehlo.multiply %10, %19 : tensor<2x60x4x2xf32>
    %21 = stablehlo.reshape %20 : (tensor<2x60x4x2xf32>) -> tensor<2x6x10x8xf32>
    %22 = stablehlo.broadcast_in_dim %arg5, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %23 = stablehlo.broadcast_in_dim %arg6, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %24 = stablehlo.multiply %21, %22 : tensor<2x6x10x8xf32>
    %25 = stablehlo.add %24, %23 : tensor<2x6x10x8xf32>
    %26 = stablehlo.logistic %25 : tensor<2x6x10x8xf32>
    %27 = stablehlo.multiply %25, %26 : tensor<2x6x10x8xf32>
    %28 = stablehlo.convolution(%27, %arg7) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x6x10x8xf32>, tensor<3x3x8x8xf32>) -> tensor<2x6x10x8xf32>
    %29 = stablehlo.broadcast_in_dim %arg8, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %30 = stablehlo.add %28, %29 : tensor<2x6x10x8xf32>
    %31 = stablehlo.dot_general %arg1, %arg9, contracting_dims = [1] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x8xf32>, tensor<8x8xf32>) -> tensor<2x8xf32>
    %32 = stablehlo.broadcast_in_dim %arg10, dims = [1] : (tensor<8xf32>) -> tensor<2x8xf32>
    %33 = stablehlo.add %31, %32 : tensor<2x8xf32>
    %34 = stablehlo.reshape %33 : (tensor<2x8xf32>) -> tensor<2x8x1x1xf32>
    %35 = stablehlo.reshape %34 : (tensor<2x8x1x1xf32>) -> tensor<2x1x1x8xf32>
    %36 = stablehlo.broadcast_in_dim %35, dims = [0, 1, 2, 3] : (tensor<2x1x1x8xf32>) -> tensor<2x6x10x8xf32>
    %37 = stablehlo.add %30, %36 : tensor<2x6x10x8xf32>
    %38 = stablehlo.add %37, %3 : tensor<2x6x10x8xf32>
    %39 = stablehlo.convolution(%38, %arg11) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [2, 2], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x6x10x8xf32>, tensor<3x3x8x8xf32>) -> tensor<2x3x5x8xf32>
    %40 = stablehlo.broadcast_in_dim %arg12, dims = [3] : (tensor<8xf32>) -> tensor<2x3x5x8xf32>
    %41 = stablehlo.add %39, %40 : tensor<2x3x5x8xf32>
    %42 = stablehlo.reshape %41 : (tensor<2x3x5x8xf32>) -> tensor<2x15x8xf32>
    %43 = stablehlo.constant dense<0.0> : tensor<f32>
    %44 = stablehlo.reduce(%42 init: %43) applies stablehlo.add across dimensions = [2] : (tensor<2x15x8xf32>, tensor<f32>) -> tensor<2x15xf32>
    %45 = stablehlo.constant dense<8.0> : tensor<2x15xf32>
    %46 = stablehlo.divide %44, %45 : tensor<2x15xf32>
    %47 = stablehlo.broadcast_in_dim %46, dims = [0, 1] : (tensor<2x15xf32>) -> tensor<2x15x8xf32>
    %48 = stablehlo.subtract %42, %47 : tensor<2x15x8xf32>
    %49 = stablehlo.multiply %48, %48 : tensor<2x15x8xf32>
    %50 = stablehlo.constant dense<0.0> : tensor<f32>
    %51 = stablehlo.reduce(%49 init: %50) applies stablehlo.add across dimensions = [2] : (tensor<2x15x8xf32>, tensor<f32>) -> tensor<2x15xf32>
    %52 = stablehlo.constant dense<8.0> : tensor<2x15xf32>
    %53 = stablehlo.divide %51, %52 : tensor<2x15xf32>
    %54 = stablehlo.constant dense<1.0e-5> : tensor<2x15xf32>
    %55 = stablehlo.add %53, %54 : tensor<2x15xf32>
    %56 = stablehlo.rsqrt %55 : tensor<2x15xf32>
    %57 = stablehlo.broadcast_in_dim %56, dims = [0, 1] : (tensor<2x15xf32>) -> tensor<2x15x8xf32>
    %58 = stablehlo.multiply %48, %57 : tensor<2x15x8xf32>
    %59 = stablehlo.broadcast_in_dim %arg13, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %60 = stablehlo.broadcast_in_dim %arg14, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %61 = stablehlo.multiply %58, %59 : tensor<2x15x8xf32>
    %62 = stablehlo.add %61, %60 : tensor<2x15x8xf32>
    %63 = stablehlo.dot_general %62, %arg15, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x15x8xf32>, tensor<8x8xf32>) -> tensor<2x15x8xf32>
    %64 = stablehlo.broadcast_in_dim %arg16, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %65 = stablehlo.add %63, %64 : tensor<2x15x8xf32>
    %66 = stablehlo.dot_general %62, %arg17, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x15x8xf32>, tensor<8x8xf32>) -> tensor<2x15x8xf32>
    %67 = stablehlo.broadcast_in_dim %arg18, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %68 = stablehlo.add %66, %67 : tensor<2x15x8xf32>
    %69 = stablehlo.dot_general %62, %arg19, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x15x8xf32>, tensor<8x8xf32>) -> tensor<2x15x8xf32>
    %70 = stablehlo.broadcast_in_dim %arg20, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %71 = stablehlo.add %69, %70 : tensor<2x15x8xf32>
    %72 = stablehlo.reshape %65 : (tensor<2x15x8xf32>) -> tensor<2x15x2x4xf32>
    %73 = stablehlo.transpose %72, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xf32>) -> tensor<2x2x15x4xf32>
    %74 = stablehlo.reshape %73 : (tensor<2x2x15x4xf32>) -> tensor<4x15x4xf32>
    %75 = stablehlo.reshape %68 : (tensor<2x15x8xf32>) -> tensor<2x15x2x4xf32>
    %76 = stablehlo.transpose %75, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xf32>) -> tensor<2x2x15x4xf32>
    %77 = stablehlo.reshape %76 : (tensor<2x2x15x4xf32>) -> tensor<4x15x4xf32>
    %78 = stablehlo.reshape %71 : (tensor<2x15x8xf32>) -> tensor<2x15x2x4xf32>
    %79 = stablehlo.transpose %78, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xf32>) -> tensor<2x2x15x4xf32>
    %80 = stablehlo.reshape %79 : (tensor<2x2x15x4xf32>) -> tensor<4x15x4xf32>
    %81 = stablehlo.dot_general %74, %77, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<4x15x4xf32>, tensor<4x15x4xf32>) -> tensor<4x15x15xf32>
    %82 = stablehlo.constant dense<0.5> : tensor<4x15x15xf32>
    %83 = stablehlo.multiply %81, %82 : tensor<4x15x15xf32>
    %84 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %85 = stablehlo.reduce(%83 init: %84) applies stablehlo.maximum across dimensions = [2] : (tensor<4x15x15xf32>, tensor<f32>) -> tensor<4x15xf32>
    %86 = stablehlo.broadcast_in_dim %85, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x15xf32>
    %87 = stablehlo.subtract %83, %86 : tensor<4x15x15xf32>
    %88 = stablehlo.exponential %87 : tensor<4x15x15xf32>
    %89 = stablehlo.constant dense<0.0> : tensor<f32>
    %90 = stablehlo.reduce(%88 init: %89) applies stablehlo.add across dimensions = [2] : (tensor<4x15x15xf32>, tensor<f32>) -> tensor<4x15xf32>
    %91 = stablehlo.dot_general %88, %80, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<4x15x15xf32>, tensor<4x15x4xf32>) -> tensor<4x15x4xf32>
    %92 = stablehlo.broadcast_in_dim %90, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x4xf32>
    %93 = stablehlo.divide %91, %92 : tensor<4x15x4xf32>
    %94 = stablehlo.reshape %93 : (tensor<4x15x4xf32>) -> tensor<2x2x15x4xf32>
    %95 = stablehlo.transpose %94, dims = [0, 2, 1, 3] : (tensor<2x2x15x4xf32>) -> tensor<2x15x2x4xf32>
    %96 = stablehlo.reshape %95 : (tensor<2x15x2x4xf32>) -> tensor<2x15x8xf32>
    %97 = stablehlo.add %42, %96 : tensor<2x15x8xf32>
    %98 = stablehlo.dot_general %97, %arg21, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x15x8xf32>, tensor<8x8xf32>) -> tensor<2x15x8xf32>
    %99 = stablehlo.broadcast_in_dim %arg22, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %100 = stablehlo.add %98, %99 : tensor<2x15x8xf32>
    %101 = stablehlo.dot_general %arg2, %arg23, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x7x12xf32>, tensor<12x8xf32>) -> tensor<2x7x8xf32>
    %102 = stablehlo.broadcast_in_dim %arg24, dims = [2] : (tensor<8xf32>) -> tensor<2x7x8xf32>
    %103 = stablehlo.add %101, %102 : tensor<2x7x8xf32>
    %104 = stablehlo.dot_general %arg2, %arg25, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x7x12xf32>, tensor<12x8xf32>) -> tensor<2x7x8xf32>
    %105 = stablehlo.broadcast_in_dim %arg26, dims = [2] : (tensor<8xf32>) -> tensor<2x7x8xf32>
    %106 = stablehlo.add %104, %105 : tensor<2x7x8xf32>
    %107 = stablehlo.reshape %100 : (tensor<2x15x8xf32>) -> tensor<2x15x2x4xf32>
    %108 = stablehlo.transpose %107, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xf32>) -> tensor<2x2x15x4xf32>
    %109 = stablehlo.reshape %108 : (tensor<2x2x15x4xf32>) -> tensor<4x15x4xf32>
    %110 = stablehlo.reshape %103 : (tensor<2x7x8xf32>) -> tensor<2x7x2x4xf32>
    %111 = stablehlo.transpose %110, dims = [0, 2, 1, 3] : (tensor<2x7x2x4xf32>) -> tensor<2x2x7x4xf32>
    %112 = stablehlo.reshape %111 : (tensor<2x2x7x4xf32>) -> tensor<4x7x4xf32>
    %113 = stablehlo.reshape %106 : (tensor<2x7x8xf32>) -> tensor<2x7x2x4xf32>
    %114 = stablehlo.transpose %113, dims = [0, 2, 1, 3] : (tensor<2x7x2x4xf32>) -> tensor<2x2x7x4xf32>
    %115 = stablehlo.reshape %114 : (tensor<2x2x7x4xf32>) -> tensor<4x7x4xf32>
    %116 = stablehlo.dot_general %109, %112, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [HIGHEST, HIGHEST] : (tensor<4x15x4xf32>, tensor<4x7x4xf32>) -> tensor<4x15x7xf32>
    %117 = stablehlo.constant dense<0.5> : tensor<4x15x7xf32>
    %118 = stablehlo.multiply %116, %117 : tensor<4x15x7xf32>
    %119 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %120 = stablehlo.reduce(%118 init: %119) applies stablehlo.maximum across dimensions = [2] : (tensor<4x15x7xf32>, tensor<f32>) -> tensor<4x15xf32>
    %121 = stablehlo.broadcast_in_dim %120, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x7xf32>
    %122 = stablehlo.subtract %118, %121 : tensor<4x15x7xf32>
    %123 = stablehlo.exponential %122 : tensor<4x15x7xf32>
    %124 = stablehlo.constant dense<0.0> : tensor<f32>
    %125 = stablehlo.reduce(%123 init: %124) applies stablehlo.add across dimensions = [2] : (tensor<4x15x7xf32>, tensor<f32>) -> tensor<4x15xf32>
    %126 = stablehlo.dot_general %123, %115, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [HIGHEST, HIGHEST] : (tensor<4x15x7xf32>, tensor<4x7x4xf32>) -> tensor<4x15x4xf32>
    %127 = stablehlo.broadcast_in_dim %125, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x4xf32>
    %128 = stablehlo.divide %126, %127 : tensor<4x15x4xf32>
    %129 = stablehlo.reshape %128 : (tensor<4x15x4xf32>) -> tensor<2x2x15x4xf32>
    %130 = stablehlo.transpose %129, dims = [0, 2, 1, 3] : (tensor<2x2x15x4xf32>) -> tensor<2x15x2x4xf32>
    %131 = stablehlo.reshape %130 : (tensor<2x15x2x4xf32>) -> tensor<2x15x8xf32>
    %132 = stablehlo.add %97, %131 : tensor<2x15x8xf32>
    %133 = stablehlo.dot_general %132, %arg27, contracting_dims = [2] x [0], precision = [HIGHEST, HIGHEST] : (tensor<2x15x8xf32>, tensor<8x16xf32>) -> tensor<2x15x16xf32>
    %134 = stablehlo.broadcast_in_dim %arg28, dims = [2] : (tensor<16xf32>) -> tensor<2x15x16xf32>
    %135 = stablehlo.add %133, %134 : tensor<2x15x16xf32>
    %136 = stablehlo.slice %135 [0:2, 0:15, 0:8] : (tensor<2x15x16xf32>) -> tensor<2x15x8xf32>
    %137 = stablehlo.slice %135 [0:2, 0:15, 8:16] : (tensor<2x15x16xf32>) -> tensor<2x15x8xf32>
    %138 = stablehlo.constant dense<0.70710677> : tensor<2x15x8xf32>
    %139 = stablehlo.multiply %137, %138 : tensor<2x15x8xf32>
    %140 = chlo.erf %139 : tensor<2x15x8xf32> -> tensor<2x15x8xf32>
    %141 = stablehlo.constant dense<1.0> : tensor<2x15x8xf32>
    %142 = stablehlo.add %140, %141 : tensor<2x15x8xf32>
    %143 = stablehlo.constant dense<0.5> : tensor<2x15x8xf32>
    %144 = stablehlo.multiply %137, %143 : tensor<2x15x8xf32>
    %145 = stablehlo.multiply %144, %142 : tensor<2x15x8xf32>
    %146 = stablehlo.multiply %136, %145 : tensor<2x15x8xf32>
    %147 = stablehlo.add %132, %146 : tensor<2x15x8xf32>
    %148 = stablehlo.reshape %147 : (tensor<2x15x8xf32>) -> tensor<2x3x5x8xf32>
    %149 = stablehlo.broadcast_in_dim %148, dims = [0, 1, 3, 4] : (tensor<2x3x5x8xf32>) -> tensor<2x3x2x5x8xf32>
    %150 = stablehlo.reshape %149 : (tensor<2x3x2x5x8xf32>) -> tensor<2x6x5x8xf32>
    %151 = stablehlo.broadcast_in_dim %150, dims = [0, 1, 2, 4] : (tensor<2x6x5x8xf32>) -> tensor<2x6x5x2x8xf32>
    %152 = stablehlo.reshape %151 : (tensor<2x6x5x2x8xf32>) -> tensor<2x6x10x8xf32>
    %153 = stablehlo.concatenate %152, %3, dim = 3 : (tensor<2x6x10x8xf32>, tensor<2x6x10x8xf32>) -> tensor<2x6x10x16xf32>
    %154 = stablehlo.convolution(%153, %arg29) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]} : (tensor<2x6x10x16xf32>, tensor<1x1x16x4xf32>) -> tensor<2x6x10x4xf32>
    %155 = stablehlo.broadcast_in_dim %arg30, dims = [3] : (tensor<4xf32>) -> tensor<2x6x10x4xf32>
    %156 = stablehlo.add %154, %155 : tensor<2x6x10x4xf32>
    %157 = stablehlo.transpose %156, dims = [0, 3, 1, 2] : (tensor<2x6x10x4xf32>) -> tensor<2x4x6x10xf32>
    return %157 : tensor<2x4x6x10xf32>
  }
}
