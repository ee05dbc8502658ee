module @preheat {
  func.func public @main(%arg0: tensor<2x4x6x10xf32>, %arg1: tensor<2x8xf32>, %arg2: tensor<2x7x12xf32>, %arg3: tensor<3x3x4x8xbf16>, %arg4: tensor<8xbf16>, %arg5: tensor<8xf32>, %arg6: tensor<8xf32>, %arg7: tensor<3x3x8x8xbf16>, %arg8: tensor<8xbf16>, %arg9: tensor<8x8xbf16>, %arg10: tensor<8xbf16>, %arg11: tensor<3x3x8x8xbf16>, %arg12: tensor<8xbf16>, %arg13: tensor<8xf32>, %arg14: tensor<8xf32>, %arg15: tensor<8x8xbf16>, %arg16: tensor<8xbf16>, %arg17: tensor<8x8xbf16>, %arg18: tensor<8xbf16>, %arg19: tensor<8x8xbf16>, %arg20: tensor<8xbf16>, %arg21: tensor<8x8xbf16>, %arg22: tensor<8xbf16>, %arg23: tensor<12x8xbf16>, %arg24: tensor<8xbf16>, %arg25: tensor<12x8xbf16>, %arg26: tensor<8xbf16>, %arg27: tensor<8x16xbf16>, %arg28: tensor<16xbf16>, %arg29: tensor<1x1x16x4xbf16>, %arg30: tensor<4xbf16>) -> (tensor<2x4x6x10xf32>) {
    %0 = stablehlo.convert %arg0 : (tensor<2x4x6x10xf32>) -> tensor<2x4x6x10xbf16>
    %1 = stablehlo.transpose %0, dims = [0, 2, 3, 1] : (tensor<2x4x6x10xbf16>) -> tensor<2x6x10x4xbf16>
    %2 = stablehlo.convolution(%1, %arg3) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x6x10x4xbf16>, tensor<3x3x4x8xbf16>) -> tensor<2x6x10x8xbf16>
    %3 = stablehlo.broadcast_in_dim %arg4, dims = [3] : (tensor<8xbf16>) -> tensor<2x6x10x8xbf16>
    %4 = stablehlo.add %2, %3 : tensor<2x6x10x8xbf16>
    %5 = stablehlo.convert %4 : (tensor<2x6x10x8xbf16>) -> tensor<2x6x10x8xf32>
    %6 = stablehlo.reshape %5 : (tensor<2x6x10x8xf32>) -> tensor<2x60x4x2xf32>
    %7 = stablehlo.constant dense<0.0> : tensor<f32>
    %8 = stablehlo.reduce(%6 init: %7) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x60x4x2xf32>, tensor<f32>) -> tensor<2x4xf32>
    %9 = stablehlo.constant dense<120.0> : tensor<2x4xf32>
    %10 = stablehlo.divide %8, %9 : tensor<2x4xf32>
    %11 = stablehlo.broadcast_in_dim %10, dims = [0, 2] : (tensor<2x4xf32>) -> tensor<2x60x4x2xf32>
    %12 = stablehlo.subtract %6, %11 : tensor<2x60x4x2xf32>
    %13 = stablehlo.multiply %12, %12 : tensor<2x60x4x2xf32>
    %14 = stablehlo.constant dense<0.0> : tensor<f32>
    %15 = stablehlo.reduce(%13 init: %14) applies stablehlo.add across dimensions = [1, 3] : (tensor<2x60x4x2xf32>, tensor<f32>) -> tensor<2x4xf32>
    %16 = stablehlo.constant dense<120.0> : tensor<2x4xf32>
    %17 = stablehlo.divide %15, %16 : tensor<2x4xf32>
    %18 = stablehlo.constant dense<1.0e-5> : tensor<2x4xf32>
    %19 = stablehlo.add %17, %18 : tensor<2x4xf32>
    %20 = stablehlo.rsqrt %19 : tensor<2x4xf32>
    %21 = stablehlo.broadcast_in_dim %20, dims = [0, 2] : (tensor<2x4xf32>) -> tensor<2x60x4x2xf32>
    %22 = stablehlo.multiply %12, %21 : tensor<2x60x4x2xf32>
    %23 = stablehlo.reshape %22 : (tensor<2x60x4x2xf32>) -> tensor<2x6x10x8xf32>
    %24 = stablehlo.broadcast_in_dim %arg5, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %25 = stablehlo.broadcast_in_dim %arg6, dims = [3] : (tensor<8xf32>) -> tensor<2x6x10x8xf32>
    %26 = stablehlo.multiply %23, %24 : tensor<2x6x10x8xf32>
    %27 = stablehlo.add %26, %25 : tensor<2x6x10x8xf32>
    %28 = stablehlo.convert %27 : (tensor<2x6x10x8xf32>) -> tensor<2x6x10x8xbf16>
    %29 = stablehlo.convert %28 : (tensor<2x6x10x8xbf16>) -> tensor<2x6x10x8xf32>
    %30 = stablehlo.logistic %29 : tensor<2x6x10x8xf32>
    %31 = stablehlo.multiply %29, %30 : tensor<2x6x10x8xf32>
    %32 = stablehlo.convert %31 : (tensor<2x6x10x8xf32>) -> tensor<2x6x10x8xbf16>
    %33 = stablehlo.convolution(%32, %arg7) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x6x10x8xbf16>, tensor<3x3x8x8xbf16>) -> tensor<2x6x10x8xbf16>
    %34 = stablehlo.broadcast_in_dim %arg8, dims = [3] : (tensor<8xbf16>) -> tensor<2x6x10x8xbf16>
    %35 = stablehlo.add %33, %34 : tensor<2x6x10x8xbf16>
    %36 = stablehlo.convert %arg1 : (tensor<2x8xf32>) -> tensor<2x8xbf16>
    %37 = stablehlo.dot_general %36, %arg9, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x8xbf16>, tensor<8x8xbf16>) -> tensor<2x8xbf16>
    %38 = stablehlo.broadcast_in_dim %arg10, dims = [1] : (tensor<8xbf16>) -> tensor<2x8xbf16>
    %39 = stablehlo.add %37, %38 : tensor<2x8xbf16>
    %40 = stablehlo.reshape %39 : (tensor<2x8xbf16>) -> tensor<2x8x1x1xbf16>
    %41 = stablehlo.reshape %40 : (tensor<2x8x1x1xbf16>) -> tensor<2x1x1x8xbf16>
    %42 = stablehlo.broadcast_in_dim %41, dims = [0, 1, 2, 3] : (tensor<2x1x1x8xbf16>) -> tensor<2x6x10x8xbf16>
    %43 = stablehlo.add %35, %42 : tensor<2x6x10x8xbf16>
    %44 = stablehlo.add %43, %4 : tensor<2x6x10x8xbf16>
    %45 = stablehlo.convolution(%44, %arg11) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [2, 2], pad = [[1, 1], [1, 1]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x6x10x8xbf16>, tensor<3x3x8x8xbf16>) -> tensor<2x3x5x8xbf16>
    %46 = stablehlo.broadcast_in_dim %arg12, dims = [3] : (tensor<8xbf16>) -> tensor<2x3x5x8xbf16>
    %47 = stablehlo.add %45, %46 : tensor<2x3x5x8xbf16>
    %48 = stablehlo.reshape %47 : (tensor<2x3x5x8xbf16>) -> tensor<2x15x8xbf16>
    %49 = stablehlo.convert %48 : (tensor<2x15x8xbf16>) -> tensor<2x15x8xf32>
    %50 = stablehlo.constant dense<0.0> : tensor<f32>
    %51 = stablehlo.reduce(%49 init: %50) applies stablehlo.add across dimensions = [2] : (tensor<2x15x8xf32>, tensor<f32>) -> tensor<2x15xf32>
    %52 = stablehlo.constant dense<8.0> : tensor<2x15xf32>
    %53 = stablehlo.divide %51, %52 : tensor<2x15xf32>
    %54 = stablehlo.broadcast_in_dim %53, dims = [0, 1] : (tensor<2x15xf32>) -> tensor<2x15x8xf32>
    %55 = stablehlo.subtract %49, %54 : tensor<2x15x8xf32>
    %56 = stablehlo.multiply %55, %55 : tensor<2x15x8xf32>
    %57 = stablehlo.constant dense<0.0> : tensor<f32>
    %58 = stablehlo.reduce(%56 init: %57) applies stablehlo.add across dimensions = [2] : (tensor<2x15x8xf32>, tensor<f32>) -> tensor<2x15xf32>
    %59 = stablehlo.constant dense<8.0> : tensor<2x15xf32>
    %60 = stablehlo.divide %58, %59 : tensor<2x15xf32>
    %61 = stablehlo.constant dense<1.0e-5> : tensor<2x15xf32>
    %62 = stablehlo.add %60, %61 : tensor<2x15xf32>
    %63 = stablehlo.rsqrt %62 : tensor<2x15xf32>
    %64 = stablehlo.broadcast_in_dim %63, dims = [0, 1] : (tensor<2x15xf32>) -> tensor<2x15x8xf32>
    %65 = stablehlo.multiply %55, %64 : tensor<2x15x8xf32>
    %66 = stablehlo.broadcast_in_dim %arg13, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %67 = stablehlo.broadcast_in_dim %arg14, dims = [2] : (tensor<8xf32>) -> tensor<2x15x8xf32>
    %68 = stablehlo.multiply %65, %66 : tensor<2x15x8xf32>
    %69 = stablehlo.add %68, %67 : tensor<2x15x8xf32>
    %70 = stablehlo.convert %69 : (tensor<2x15x8xf32>) -> tensor<2x15x8xbf16>
    %71 = stablehlo.dot_general %70, %arg15, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x15x8xbf16>, tensor<8x8xbf16>) -> tensor<2x15x8xbf16>
    %72 = stablehlo.broadcast_in_dim %arg16, dims = [2] : (tensor<8xbf16>) -> tensor<2x15x8xbf16>
    %73 = stablehlo.add %71, %72 : tensor<2x15x8xbf16>
    %74 = stablehlo.dot_general %70, %arg17, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x15x8xbf16>, tensor<8x8xbf16>) -> tensor<2x15x8xbf16>
    %75 = stablehlo.broadcast_in_dim %arg18, dims = [2] : (tensor<8xbf16>) -> tensor<2x15x8xbf16>
    %76 = stablehlo.add %74, %75 : tensor<2x15x8xbf16>
    %77 = stablehlo.dot_general %70, %arg19, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x15x8xbf16>, tensor<8x8xbf16>) -> tensor<2x15x8xbf16>
    %78 = stablehlo.broadcast_in_dim %arg20, dims = [2] : (tensor<8xbf16>) -> tensor<2x15x8xbf16>
    %79 = stablehlo.add %77, %78 : tensor<2x15x8xbf16>
    %80 = stablehlo.reshape %73 : (tensor<2x15x8xbf16>) -> tensor<2x15x2x4xbf16>
    %81 = stablehlo.transpose %80, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xbf16>) -> tensor<2x2x15x4xbf16>
    %82 = stablehlo.reshape %81 : (tensor<2x2x15x4xbf16>) -> tensor<4x15x4xbf16>
    %83 = stablehlo.reshape %76 : (tensor<2x15x8xbf16>) -> tensor<2x15x2x4xbf16>
    %84 = stablehlo.transpose %83, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xbf16>) -> tensor<2x2x15x4xbf16>
    %85 = stablehlo.reshape %84 : (tensor<2x2x15x4xbf16>) -> tensor<4x15x4xbf16>
    %86 = stablehlo.reshape %79 : (tensor<2x15x8xbf16>) -> tensor<2x15x2x4xbf16>
    %87 = stablehlo.transpose %86, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xbf16>) -> tensor<2x2x15x4xbf16>
    %88 = stablehlo.reshape %87 : (tensor<2x2x15x4xbf16>) -> tensor<4x15x4xbf16>
    %89 = stablehlo.convert %82 : (tensor<4x15x4xbf16>) -> tensor<4x15x4xf32>
    %90 = stablehlo.convert %85 : (tensor<4x15x4xbf16>) -> tensor<4x15x4xf32>
    %91 = stablehlo.dot_general %89, %90, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [DEFAULT, DEFAULT] : (tensor<4x15x4xf32>, tensor<4x15x4xf32>) -> tensor<4x15x15xf32>
    %92 = stablehlo.constant dense<0.5> : tensor<4x15x15xf32>
    %93 = stablehlo.multiply %91, %92 : tensor<4x15x15xf32>
    %94 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %95 = stablehlo.reduce(%93 init: %94) applies stablehlo.maximum across dimensions = [2] : (tensor<4x15x15xf32>, tensor<f32>) -> tensor<4x15xf32>
    %96 = stablehlo.broadcast_in_dim %95, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x15xf32>
    %97 = stablehlo.subtract %93, %96 : tensor<4x15x15xf32>
    %98 = stablehlo.exponential %97 : tensor<4x15x15xf32>
    %99 = stablehlo.constant dense<0.0> : tensor<f32>
    %100 = stablehlo.reduce(%98 init: %99) applies stablehlo.add across dimensions = [2] : (tensor<4x15x15xf32>, tensor<f32>) -> tensor<4x15xf32>
    %101 = stablehlo.convert %98 : (tensor<4x15x15xf32>) -> tensor<4x15x15xbf16>
    %102 = stablehlo.dot_general %101, %88, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<4x15x15xbf16>, tensor<4x15x4xbf16>) -> tensor<4x15x4xf32>
    %103 = stablehlo.broadcast_in_dim %100, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x4xf32>
    %104 = stablehlo.divide %102, %103 : tensor<4x15x4xf32>
    %105 = stablehlo.convert %104 : (tensor<4x15x4xf32>) -> tensor<4x15x4xbf16>
    %106 = stablehlo.reshape %105 : (tensor<4x15x4xbf16>) -> tensor<2x2x15x4xbf16>
    %107 = stablehlo.transpose %106, dims = [0, 2, 1, 3] : (tensor<2x2x15x4xbf16>) -> tensor<2x15x2x4xbf16>
    %108 = stablehlo.reshape %107 : (tensor<2x15x2x4xbf16>) -> tensor<2x15x8xbf16>
    %109 = stablehlo.add %48, %108 : tensor<2x15x8xbf16>
    %110 = stablehlo.dot_general %109, %arg21, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x15x8xbf16>, tensor<8x8xbf16>) -> tensor<2x15x8xbf16>
    %111 = stablehlo.broadcast_in_dim %arg22, dims = [2] : (tensor<8xbf16>) -> tensor<2x15x8xbf16>
    %112 = stablehlo.add %110, %111 : tensor<2x15x8xbf16>
    %113 = stablehlo.convert %arg2 : (tensor<2x7x12xf32>) -> tensor<2x7x12xbf16>
    %114 = stablehlo.dot_general %113, %arg23, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x7x12xbf16>, tensor<12x8xbf16>) -> tensor<2x7x8xbf16>
    %115 = stablehlo.broadcast_in_dim %arg24, dims = [2] : (tensor<8xbf16>) -> tensor<2x7x8xbf16>
    %116 = stablehlo.add %114, %115 : tensor<2x7x8xbf16>
    %117 = stablehlo.dot_general %113, %arg25, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x7x12xbf16>, tensor<12x8xbf16>) -> tensor<2x7x8xbf16>
    %118 = stablehlo.broadcast_in_dim %arg26, dims = [2] : (tensor<8xbf16>) -> tensor<2x7x8xbf16>
    %119 = stablehlo.add %117, %118 : tensor<2x7x8xbf16>
    %120 = stablehlo.reshape %112 : (tensor<2x15x8xbf16>) -> tensor<2x15x2x4xbf16>
    %121 = stablehlo.transpose %120, dims = [0, 2, 1, 3] : (tensor<2x15x2x4xbf16>) -> tensor<2x2x15x4xbf16>
    %122 = stablehlo.reshape %121 : (tensor<2x2x15x4xbf16>) -> tensor<4x15x4xbf16>
    %123 = stablehlo.reshape %116 : (tensor<2x7x8xbf16>) -> tensor<2x7x2x4xbf16>
    %124 = stablehlo.transpose %123, dims = [0, 2, 1, 3] : (tensor<2x7x2x4xbf16>) -> tensor<2x2x7x4xbf16>
    %125 = stablehlo.reshape %124 : (tensor<2x2x7x4xbf16>) -> tensor<4x7x4xbf16>
    %126 = stablehlo.reshape %119 : (tensor<2x7x8xbf16>) -> tensor<2x7x2x4xbf16>
    %127 = stablehlo.transpose %126, dims = [0, 2, 1, 3] : (tensor<2x7x2x4xbf16>) -> tensor<2x2x7x4xbf16>
    %128 = stablehlo.reshape %127 : (tensor<2x2x7x4xbf16>) -> tensor<4x7x4xbf16>
    %129 = stablehlo.dot_general %122, %125, batching_dims = [0] x [0], contracting_dims = [2] x [2], precision = [DEFAULT, DEFAULT] : (tensor<4x15x4xbf16>, tensor<4x7x4xbf16>) -> tensor<4x15x7xf32>
    %130 = stablehlo.constant dense<0.5> : tensor<4x15x7xf32>
    %131 = stablehlo.multiply %129, %130 : tensor<4x15x7xf32>
    %132 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %133 = stablehlo.reduce(%131 init: %132) applies stablehlo.maximum across dimensions = [2] : (tensor<4x15x7xf32>, tensor<f32>) -> tensor<4x15xf32>
    %134 = stablehlo.broadcast_in_dim %133, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x7xf32>
    %135 = stablehlo.subtract %131, %134 : tensor<4x15x7xf32>
    %136 = stablehlo.exponential %135 : tensor<4x15x7xf32>
    %137 = stablehlo.constant dense<0.0> : tensor<f32>
    %138 = stablehlo.reduce(%136 init: %137) applies stablehlo.add across dimensions = [2] : (tensor<4x15x7xf32>, tensor<f32>) -> tensor<4x15xf32>
    %139 = stablehlo.convert %136 : (tensor<4x15x7xf32>) -> tensor<4x15x7xbf16>
    %140 = stablehlo.dot_general %139, %128, batching_dims = [0] x [0], contracting_dims = [2] x [1], precision = [DEFAULT, DEFAULT] : (tensor<4x15x7xbf16>, tensor<4x7x4xbf16>) -> tensor<4x15x4xf32>
    %141 = stablehlo.broadcast_in_dim %138, dims = [0, 1] : (tensor<4x15xf32>) -> tensor<4x15x4xf32>
    %142 = stablehlo.divide %140, %141 : tensor<4x15x4xf32>
    %143 = stablehlo.convert %142 : (tensor<4x15x4xf32>) -> tensor<4x15x4xbf16>
    %144 = stablehlo.reshape %143 : (tensor<4x15x4xbf16>) -> tensor<2x2x15x4xbf16>
    %145 = stablehlo.transpose %144, dims = [0, 2, 1, 3] : (tensor<2x2x15x4xbf16>) -> tensor<2x15x2x4xbf16>
    %146 = stablehlo.reshape %145 : (tensor<2x15x2x4xbf16>) -> tensor<2x15x8xbf16>
    %147 = stablehlo.add %109, %146 : tensor<2x15x8xbf16>
    %148 = stablehlo.dot_general %147, %arg27, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x15x8xbf16>, tensor<8x16xbf16>) -> tensor<2x15x16xbf16>
    %149 = stablehlo.broadcast_in_dim %arg28, dims = [2] : (tensor<16xbf16>) -> tensor<2x15x16xbf16>
    %150 = stablehlo.add %148, %149 : tensor<2x15x16xbf16>
    %151 = stablehlo.slice %150 [0:2, 0:15, 0:8] : (tensor<2x15x16xbf16>) -> tensor<2x15x8xbf16>
    %152 = stablehlo.slice %150 [0:2, 0:15, 8:16] : (tensor<2x15x16xbf16>) -> tensor<2x15x8xbf16>
    %153 = stablehlo.convert %152 : (tensor<2x15x8xbf16>) -> tensor<2x15x8xf32>
    %154 = stablehlo.constant dense<0.70710677> : tensor<2x15x8xf32>
    %155 = stablehlo.multiply %153, %154 : tensor<2x15x8xf32>
    %156 = chlo.erf %155 : tensor<2x15x8xf32> -> tensor<2x15x8xf32>
    %157 = stablehlo.constant dense<1.0> : tensor<2x15x8xf32>
    %158 = stablehlo.add %156, %157 : tensor<2x15x8xf32>
    %159 = stablehlo.constant dense<0.5> : tensor<2x15x8xf32>
    %160 = stablehlo.multiply %153, %159 : tensor<2x15x8xf32>
    %161 = stablehlo.multiply %160, %158 : tensor<2x15x8xf32>
    %162 = stablehlo.convert %161 : (tensor<2x15x8xf32>) -> tensor<2x15x8xbf16>
    %163 = stablehlo.multiply %151, %162 : tensor<2x15x8xbf16>
    %164 = stablehlo.add %147, %163 : tensor<2x15x8xbf16>
    %165 = stablehlo.reshape %164 : (tensor<2x15x8xbf16>) -> tensor<2x3x5x8xbf16>
    %166 = stablehlo.broadcast_in_dim %165, dims = [0, 1, 3, 4] : (tensor<2x3x5x8xbf16>) -> tensor<2x3x2x5x8xbf16>
    %167 = stablehlo.reshape %166 : (tensor<2x3x2x5x8xbf16>) -> tensor<2x6x5x8xbf16>
    %168 = stablehlo.broadcast_in_dim %167, dims = [0, 1, 2, 4] : (tensor<2x6x5x8xbf16>) -> tensor<2x6x5x2x8xbf16>
    %169 = stablehlo.reshape %168 : (tensor<2x6x5x2x8xbf16>) -> tensor<2x6x10x8xbf16>
    %170 = stablehlo.concatenate %169, %4, dim = 3 : (tensor<2x6x10x8xbf16>, tensor<2x6x10x8xbf16>) -> tensor<2x6x10x16xbf16>
    %171 = stablehlo.convolution(%170, %arg29) dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f], window = {stride = [1, 1], pad = [[0, 0], [0, 0]]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x6x10x16xbf16>, tensor<1x1x16x4xbf16>) -> tensor<2x6x10x4xbf16>
    %172 = stablehlo.broadcast_in_dim %arg30, dims = [3] : (tensor<4xbf16>) -> tensor<2x6x10x4xbf16>
    %173 = stablehlo.add %171, %172 : tensor<2x6x10x4xbf16>
    %174 = stablehlo.convert %173 : (tensor<2x6x10x4xbf16>) -> tensor<2x6x10x4xf32>
    %175 = stablehlo.transpose %174, dims = [0, 3, 1, 2] : (tensor<2x6x10x4xf32>) -> tensor<2x4x6x10xf32>
    return %175 : tensor<2x4x6x10xf32>
  }
}
