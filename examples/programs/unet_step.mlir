module @jit_step attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<32x128xf32>, %arg1: tensor<128xf32>, %arg2: tensor<128x128xf32>, %arg3: tensor<128xf32>, %arg4: tensor<32x4x3x3xf32>, %arg5: tensor<32xf32>, %arg6: tensor<32xf32>, %arg7: tensor<32xf32>, %arg8: tensor<32x32x3x3xf32>, %arg9: tensor<32xf32>, %arg10: tensor<128x32xf32>, %arg11: tensor<32xf32>, %arg12: tensor<32xf32>, %arg13: tensor<32xf32>, %arg14: tensor<32x32x3x3xf32>, %arg15: tensor<32xf32>, %arg16: tensor<32xf32>, %arg17: tensor<32xf32>, %arg18: tensor<32x32x1x1xf32>, %arg19: tensor<32xf32>, %arg20: tensor<32xf32>, %arg21: tensor<32xf32>, %arg22: tensor<32x32xf32>, %arg23: tensor<32x32xf32>, %arg24: tensor<32x32xf32>, %arg25: tensor<32x32xf32>, %arg26: tensor<32xf32>, %arg27: tensor<32xf32>, %arg28: tensor<32xf32>, %arg29: tensor<32x32xf32>, %arg30: tensor<64x32xf32>, %arg31: tensor<64x32xf32>, %arg32: tensor<32x32xf32>, %arg33: tensor<32xf32>, %arg34: tensor<32xf32>, %arg35: tensor<32xf32>, %arg36: tensor<32x256xf32>, %arg37: tensor<256xf32>, %arg38: tensor<128x32xf32>, %arg39: tensor<32xf32>, %arg40: tensor<32x32x1x1xf32>, %arg41: tensor<32xf32>, %arg42: tensor<32x32x3x3xf32>, %arg43: tensor<32xf32>, %arg44: tensor<32xf32>, %arg45: tensor<32xf32>, %arg46: tensor<64x32x3x3xf32>, %arg47: tensor<64xf32>, %arg48: tensor<128x64xf32>, %arg49: tensor<64xf32>, %arg50: tensor<64xf32>, %arg51: tensor<64xf32>, %arg52: tensor<64x64x3x3xf32>, %arg53: tensor<64xf32>, %arg54: tensor<64x32x1x1xf32>, %arg55: tensor<64xf32>, %arg56: tensor<64xf32>, %arg57: tensor<64xf32>, %arg58: tensor<64x64x1x1xf32>, %arg59: tensor<64xf32>, %arg60: tensor<64xf32>, %arg61: tensor<64xf32>, %arg62: tensor<64x64xf32>, %arg63: tensor<64x64xf32>, %arg64: tensor<64x64xf32>, %arg65: tensor<64x64xf32>, %arg66: tensor<64xf32>, %arg67: tensor<64xf32>, %arg68: tensor<64xf32>, %arg69: tensor<64x64xf32>, %arg70: tensor<64x64xf32>, %arg71: tensor<64x64xf32>, %arg72: tensor<64x64xf32>, %arg73: tensor<64xf32>, %arg74: tensor<64xf32>, %arg75: tensor<64xf32>, %arg76: tensor<64x512xf32>, %arg77: tensor<512xf32>, %arg78: tensor<256x64xf32>, %arg79: tensor<64xf32>, %arg80: tensor<64x64x1x1xf32>, %arg81: tensor<64xf32>, %arg82: tensor<64x64x3x3xf32>, %arg83: tensor<64xf32>, %arg84: tensor<64xf32>, %arg85: tensor<64xf32>, %arg86: tensor<128x64x3x3xf32>, %arg87: tensor<128xf32>, %arg88: tensor<128x128xf32>, %arg89: tensor<128xf32>, %arg90: tensor<128xf32>, %arg91: tensor<128xf32>, %arg92: tensor<128x128x3x3xf32>, %arg93: tensor<128xf32>, %arg94: tensor<128x64x1x1xf32>, %arg95: tensor<128xf32>, %arg96: tensor<128xf32>, %arg97: tensor<128xf32>, %arg98: tensor<128x128x1x1xf32>, %arg99: tensor<128xf32>, %arg100: tensor<128xf32>, %arg101: tensor<128xf32>, %arg102: tensor<128x128xf32>, %arg103: tensor<128x128xf32>, %arg104: tensor<128x128xf32>, %arg105: tensor<128x128xf32>, %arg106: tensor<128xf32>, %arg107: tensor<128xf32>, %arg108: tensor<128xf32>, %arg109: tensor<128x128xf32>, %arg110: tensor<64x128xf32>, %arg111: tensor<64x128xf32>, %arg112: tensor<128x128xf32>, %arg113: tensor<128xf32>, %arg114: tensor<128xf32>, %arg115: tensor<128xf32>, %arg116: tensor<128x1024xf32>, %arg117: tensor<1024xf32>, %arg118: tensor<512x128xf32>, %arg119: tensor<128xf32>, %arg120: tensor<128x128x1x1xf32>, %arg121: tensor<128xf32>, %arg122: tensor<128x128x3x3xf32>, %arg123: tensor<128xf32>, %arg124: tensor<128xf32>, %arg125: tensor<128xf32>, %arg126: tensor<128x128x3x3xf32>, %arg127: tensor<128xf32>, %arg128: tensor<128x128xf32>, %arg129: tensor<128xf32>, %arg130: tensor<128xf32>, %arg131: tensor<128xf32>, %arg132: tensor<128x128x3x3xf32>, %arg133: tensor<128xf32>, %arg134: tensor<128xf32>, %arg135: tensor<128xf32>, %arg136: tensor<128x128x3x3xf32>, %arg137: tensor<128xf32>, %arg138: tensor<128x128xf32>, %arg139: tensor<128xf32>, %arg140: tensor<128xf32>, %arg141: tensor<128xf32>, %arg142: tensor<128x128x3x3xf32>, %arg143: tensor<128xf32>, %arg144: tensor<128xf32>, %arg145: tensor<128xf32>, %arg146: tensor<128x128x1x1xf32>, %arg147: tensor<128xf32>, %arg148: tensor<128xf32>, %arg149: tensor<128xf32>, %arg150: tensor<128x128xf32>, %arg151: tensor<128x128xf32>, %arg152: tensor<128x128xf32>, %arg153: tensor<128x128xf32>, %arg154: tensor<128xf32>, %arg155: tensor<128xf32>, %arg156: tensor<128xf32>, %arg157: tensor<128x128xf32>, %arg158: tensor<64x128xf32>, %arg159: tensor<64x128xf32>, %arg160: tensor<128x128xf32>, %arg161: tensor<128xf32>, %arg162: tensor<128xf32>, %arg163: tensor<128xf32>, %arg164: tensor<128x1024xf32>, %arg165: tensor<1024xf32>, %arg166: tensor<512x128xf32>, %arg167: tensor<128xf32>, %arg168: tensor<128x128x1x1xf32>, %arg169: tensor<128xf32>, %arg170: tensor<128xf32>, %arg171: tensor<128xf32>, %arg172: tensor<128x128x3x3xf32>, %arg173: tensor<128xf32>, %arg174: tensor<128x128xf32>, %arg175: tensor<128xf32>, %arg176: tensor<128xf32>, %arg177: tensor<128xf32>, %arg178: tensor<128x128x3x3xf32>, %arg179: tensor<128xf32>, %arg180: tensor<256xf32>, %arg181: tensor<256xf32>, %arg182: tensor<128x256x3x3xf32>, %arg183: tensor<128xf32>, %arg184: tensor<128x128xf32>, %arg185: tensor<128xf32>, %arg186: tensor<128xf32>, %arg187: tensor<128xf32>, %arg188: tensor<128x128x3x3xf32>, %arg189: tensor<128xf32>, %arg190: tensor<128x256x1x1xf32>, %arg191: tensor<128xf32>, %arg192: tensor<256xf32>, %arg193: tensor<256xf32>, %arg194: tensor<128x256x3x3xf32>, %arg195: tensor<128xf32>, %arg196: tensor<128x128xf32>, %arg197: tensor<128xf32>, %arg198: tensor<128xf32>, %arg199: tensor<128xf32>, %arg200: tensor<128x128x3x3xf32>, %arg201: tensor<128xf32>, %arg202: tensor<128x256x1x1xf32>, %arg203: tensor<128xf32>, %arg204: tensor<128x128x3x3xf32>, %arg205: tensor<128xf32>, %arg206: tensor<256xf32>, %arg207: tensor<256xf32>, %arg208: tensor<128x256x3x3xf32>, %arg209: tensor<128xf32>, %arg210: tensor<128x128xf32>, %arg211: tensor<128xf32>, %arg212: tensor<128xf32>, %arg213: tensor<128xf32>, %arg214: tensor<128x128x3x3xf32>, %arg215: tensor<128xf32>, %arg216: tensor<128x256x1x1xf32>, %arg217: tensor<128xf32>, %arg218: tensor<128xf32>, %arg219: tensor<128xf32>, %arg220: tensor<128x128x1x1xf32>, %arg221: tensor<128xf32>, %arg222: tensor<128xf32>, %arg223: tensor<128xf32>, %arg224: tensor<128x128xf32>, %arg225: tensor<128x128xf32>, %arg226: tensor<128x128xf32>, %arg227: tensor<128x128xf32>, %arg228: tensor<128xf32>, %arg229: tensor<128xf32>, %arg230: tensor<128xf32>, %arg231: tensor<128x128xf32>, %arg232: tensor<64x128xf32>, %arg233: tensor<64x128xf32>, %arg234: tensor<128x128xf32>, %arg235: tensor<128xf32>, %arg236: tensor<128xf32>, %arg237: tensor<128xf32>, %arg238: tensor<128x1024xf32>, %arg239: tensor<1024xf32>, %arg240: tensor<512x128xf32>, %arg241: tensor<128xf32>, %arg242: tensor<128x128x1x1xf32>, %arg243: tensor<128xf32>, %arg244: tensor<192xf32>, %arg245: tensor<192xf32>, %arg246: tensor<128x192x3x3xf32>, %arg247: tensor<128xf32>, %arg248: tensor<128x128xf32>, %arg249: tensor<128xf32>, %arg250: tensor<128xf32>, %arg251: tensor<128xf32>, %arg252: tensor<128x128x3x3xf32>, %arg253: tensor<128xf32>, %arg254: tensor<128x192x1x1xf32>, %arg255: tensor<128xf32>, %arg256: tensor<128xf32>, %arg257: tensor<128xf32>, %arg258: tensor<128x128x1x1xf32>, %arg259: tensor<128xf32>, %arg260: tensor<128xf32>, %arg261: tensor<128xf32>, %arg262: tensor<128x128xf32>, %arg263: tensor<128x128xf32>, %arg264: tensor<128x128xf32>, %arg265: tensor<128x128xf32>, %arg266: tensor<128xf32>, %arg267: tensor<128xf32>, %arg268: tensor<128xf32>, %arg269: tensor<128x128xf32>, %arg270: tensor<64x128xf32>, %arg271: tensor<64x128xf32>, %arg272: tensor<128x128xf32>, %arg273: tensor<128xf32>, %arg274: tensor<128xf32>, %arg275: tensor<128xf32>, %arg276: tensor<128x1024xf32>, %arg277: tensor<1024xf32>, %arg278: tensor<512x128xf32>, %arg279: tensor<128xf32>, %arg280: tensor<128x128x1x1xf32>, %arg281: tensor<128xf32>, %arg282: tensor<128x128x3x3xf32>, %arg283: tensor<128xf32>, %arg284: tensor<192xf32>, %arg285: tensor<192xf32>, %arg286: tensor<64x192x3x3xf32>, %arg287: tensor<64xf32>, %arg288: tensor<128x64xf32>, %arg289: tensor<64xf32>, %arg290: tensor<64xf32>, %arg291: tensor<64xf32>, %arg292: tensor<64x64x3x3xf32>, %arg293: tensor<64xf32>, %arg294: tensor<64x192x1x1xf32>, %arg295: tensor<64xf32>, %arg296: tensor<64xf32>, %arg297: tensor<64xf32>, %arg298: tensor<64x64x1x1xf32>, %arg299: tensor<64xf32>, %arg300: tensor<64xf32>, %arg301: tensor<64xf32>, %arg302: tensor<64x64xf32>, %arg303: tensor<64x64xf32>, %arg304: tensor<64x64xf32>, %arg305: tensor<64x64xf32>, %arg306: tensor<64xf32>, %arg307: tensor<64xf32>, %arg308: tensor<64xf32>, %arg309: tensor<64x64xf32>, %arg310: tensor<64x64xf32>, %arg311: tensor<64x64xf32>, %arg312: tensor<64x64xf32>, %arg313: tensor<64xf32>, %arg314: tensor<64xf32>, %arg315: tensor<64xf32>, %arg316: tensor<64x512xf32>, %arg317: tensor<512xf32>, %arg318: tensor<256x64xf32>, %arg319: tensor<64xf32>, %arg320: tensor<64x64x1x1xf32>, %arg321: tensor<64xf32>, %arg322: tensor<96xf32>, %arg323: tensor<96xf32>, %arg324: tensor<64x96x3x3xf32>, %arg325: tensor<64xf32>, %arg326: tensor<128x64xf32>, %arg327: tensor<64xf32>, %arg328: tensor<64xf32>, %arg329: tensor<64xf32>, %arg330: tensor<64x64x3x3xf32>, %arg331: tensor<64xf32>, %arg332: tensor<64x96x1x1xf32>, %arg333: tensor<64xf32>, %arg334: tensor<64xf32>, %arg335: tensor<64xf32>, %arg336: tensor<64x64x1x1xf32>, %arg337: tensor<64xf32>, %arg338: tensor<64xf32>, %arg339: tensor<64xf32>, %arg340: tensor<64x64xf32>, %arg341: tensor<64x64xf32>, %arg342: tensor<64x64xf32>, %arg343: tensor<64x64xf32>, %arg344: tensor<64xf32>, %arg345: tensor<64xf32>, %arg346: tensor<64xf32>, %arg347: tensor<64x64xf32>, %arg348: tensor<64x64xf32>, %arg349: tensor<64x64xf32>, %arg350: tensor<64x64xf32>, %arg351: tensor<64xf32>, %arg352: tensor<64xf32>, %arg353: tensor<64xf32>, %arg354: tensor<64x512xf32>, %arg355: tensor<512xf32>, %arg356: tensor<256x64xf32>, %arg357: tensor<64xf32>, %arg358: tensor<64x64x1x1xf32>, %arg359: tensor<64xf32>, %arg360: tensor<64x64x3x3xf32>, %arg361: tensor<64xf32>, %arg362: tensor<96xf32>, %arg363: tensor<96xf32>, %arg364: tensor<32x96x3x3xf32>, %arg365: tensor<32xf32>, %arg366: tensor<128x32xf32>, %arg367: tensor<32xf32>, %arg368: tensor<32xf32>, %arg369: tensor<32xf32>, %arg370: tensor<32x32x3x3xf32>, %arg371: tensor<32xf32>, %arg372: tensor<32x96x1x1xf32>, %arg373: tensor<32xf32>, %arg374: tensor<32xf32>, %arg375: tensor<32xf32>, %arg376: tensor<32x32x1x1xf32>, %arg377: tensor<32xf32>, %arg378: tensor<32xf32>, %arg379: tensor<32xf32>, %arg380: tensor<32x32xf32>, %arg381: tensor<32x32xf32>, %arg382: tensor<32x32xf32>, %arg383: tensor<32x32xf32>, %arg384: tensor<32xf32>, %arg385: tensor<32xf32>, %arg386: tensor<32xf32>, %arg387: tensor<32x32xf32>, %arg388: tensor<64x32xf32>, %arg389: tensor<64x32xf32>, %arg390: tensor<32x32xf32>, %arg391: tensor<32xf32>, %arg392: tensor<32xf32>, %arg393: tensor<32xf32>, %arg394: tensor<32x256xf32>, %arg395: tensor<256xf32>, %arg396: tensor<128x32xf32>, %arg397: tensor<32xf32>, %arg398: tensor<32x32x1x1xf32>, %arg399: tensor<32xf32>, %arg400: tensor<64xf32>, %arg401: tensor<64xf32>, %arg402: tensor<32x64x3x3xf32>, %arg403: tensor<32xf32>, %arg404: tensor<128x32xf32>, %arg405: tensor<32xf32>, %arg406: tensor<32xf32>, %arg407: tensor<32xf32>, %arg408: tensor<32x32x3x3xf32>, %arg409: tensor<32xf32>, %arg410: tensor<32x64x1x1xf32>, %arg411: tensor<32xf32>, %arg412: tensor<32xf32>, %arg413: tensor<32xf32>, %arg414: tensor<32x32x1x1xf32>, %arg415: tensor<32xf32>, %arg416: tensor<32xf32>, %arg417: tensor<32xf32>, %arg418: tensor<32x32xf32>, %arg419: tensor<32x32xf32>, %arg420: tensor<32x32xf32>, %arg421: tensor<32x32xf32>, %arg422: tensor<32xf32>, %arg423: tensor<32xf32>, %arg424: tensor<32xf32>, %arg425: tensor<32x32xf32>, %arg426: tensor<64x32xf32>, %arg427: tensor<64x32xf32>, %arg428: tensor<32x32xf32>, %arg429: tensor<32xf32>, %arg430: tensor<32xf32>, %arg431: tensor<32xf32>, %arg432: tensor<32x256xf32>, %arg433: tensor<256xf32>, %arg434: tensor<128x32xf32>, %arg435: tensor<32xf32>, %arg436: tensor<32x32x1x1xf32>, %arg437: tensor<32xf32>, %arg438: tensor<32xf32>, %arg439: tensor<32xf32>, %arg440: tensor<4x32x3x3xf32>, %arg441: tensor<4xf32>, %arg442: tensor<2x4x32x32xf32>, %arg443: tensor<2xf32>, %arg444: tensor<2x77x64xf32>) -> (tensor<2x4x32x32xf32> {jax.result_info = "result"}) {
    %0 = stablehlo.broadcast_in_dim %arg443, dims = [0] : (tensor<2xf32>) -> tensor<2x1xf32>
    %1 = stablehlo.iota dim = 0 : tensor<16xi32>
    %2 = stablehlo.convert %1 : (tensor<16xi32>) -> tensor<16xf32>
    %cst = stablehlo.constant dense<-9.21034049> : tensor<f32>
    %3 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<16xf32>
    %4 = stablehlo.multiply %3, %2 : tensor<16xf32>
    %cst_0 = stablehlo.constant dense<1.600000e+01> : tensor<f32>
    %5 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<16xf32>
    %6 = stablehlo.divide %4, %5 : tensor<16xf32>
    %7 = stablehlo.exponential %6 : tensor<16xf32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [1] : (tensor<16xf32>) -> tensor<1x16xf32>
    %9 = stablehlo.convert %8 : tensor<1x16xf32>
    %10 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x1xf32>) -> tensor<2x16xf32>
    %11 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<1x16xf32>) -> tensor<2x16xf32>
    %12 = stablehlo.multiply %10, %11 : tensor<2x16xf32>
    %13 = stablehlo.cosine %12 : tensor<2x16xf32>
    %14 = stablehlo.sine %12 : tensor<2x16xf32>
    %15 = stablehlo.concatenate %13, %14, dim = 1 : (tensor<2x16xf32>, tensor<2x16xf32>) -> tensor<2x32xf32>
    %16 = stablehlo.dot_general %15, %arg0, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x32xf32>, tensor<32x128xf32>) -> tensor<2x128xf32>
    %17 = stablehlo.broadcast_in_dim %arg1, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %18 = stablehlo.broadcast_in_dim %17, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %19 = stablehlo.add %16, %18 : tensor<2x128xf32>
    %20 = call @silu(%19) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %21 = stablehlo.dot_general %20, %arg2, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %22 = stablehlo.broadcast_in_dim %arg3, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %23 = stablehlo.broadcast_in_dim %22, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %24 = stablehlo.add %21, %23 : tensor<2x128xf32>
    %25 = stablehlo.convolution(%arg442, %arg4) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x4x32x32xf32>, tensor<32x4x3x3xf32>) -> tensor<2x32x32x32xf32>
    %26 = stablehlo.broadcast_in_dim %arg5, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %27 = stablehlo.broadcast_in_dim %26, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %28 = stablehlo.add %25, %27 : tensor<2x32x32x32xf32>
    %29 = stablehlo.reshape %28 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %30 = stablehlo.reduce(%29 init: %cst_1) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %31 = stablehlo.broadcast_in_dim %30, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_2 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %32 = stablehlo.broadcast_in_dim %cst_2, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %33 = stablehlo.divide %31, %32 : tensor<2x32x1xf32>
    %34 = stablehlo.broadcast_in_dim %33, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %35 = stablehlo.subtract %29, %34 : tensor<2x32x1024xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %36 = call @_var(%29, %c) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %37 = stablehlo.broadcast_in_dim %cst_3, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %38 = stablehlo.add %36, %37 : tensor<2x32x1xf32>
    %39 = stablehlo.rsqrt %38 : tensor<2x32x1xf32>
    %40 = stablehlo.broadcast_in_dim %39, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %41 = stablehlo.multiply %35, %40 : tensor<2x32x1024xf32>
    %42 = stablehlo.reshape %41 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %43 = stablehlo.broadcast_in_dim %arg6, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %44 = stablehlo.broadcast_in_dim %43, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %45 = stablehlo.multiply %42, %44 : tensor<2x32x32x32xf32>
    %46 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %47 = stablehlo.broadcast_in_dim %46, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %48 = stablehlo.add %45, %47 : tensor<2x32x32x32xf32>
    %49 = call @silu_0(%48) : (tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32>
    %50 = stablehlo.convolution(%49, %arg8) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<2x32x32x32xf32>
    %51 = stablehlo.broadcast_in_dim %arg9, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %52 = stablehlo.broadcast_in_dim %51, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %53 = stablehlo.add %50, %52 : tensor<2x32x32x32xf32>
    %54 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %55 = stablehlo.dot_general %54, %arg10, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x32xf32>) -> tensor<2x32xf32>
    %56 = stablehlo.broadcast_in_dim %arg11, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32>
    %57 = stablehlo.broadcast_in_dim %56, dims = [0, 1] : (tensor<1x32xf32>) -> tensor<2x32xf32>
    %58 = stablehlo.add %55, %57 : tensor<2x32xf32>
    %59 = stablehlo.broadcast_in_dim %58, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1x1xf32>
    %60 = stablehlo.broadcast_in_dim %59, dims = [0, 1, 2, 3] : (tensor<2x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %61 = stablehlo.add %53, %60 : tensor<2x32x32x32xf32>
    %62 = stablehlo.reshape %61 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_4 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %63 = stablehlo.reduce(%62 init: %cst_4) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %64 = stablehlo.broadcast_in_dim %63, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_5 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %65 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %66 = stablehlo.divide %64, %65 : tensor<2x32x1xf32>
    %67 = stablehlo.broadcast_in_dim %66, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %68 = stablehlo.subtract %62, %67 : tensor<2x32x1024xf32>
    %c_6 = stablehlo.constant dense<0> : tensor<i32>
    %69 = call @_var(%62, %c_6) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_7 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %70 = stablehlo.broadcast_in_dim %cst_7, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %71 = stablehlo.add %69, %70 : tensor<2x32x1xf32>
    %72 = stablehlo.rsqrt %71 : tensor<2x32x1xf32>
    %73 = stablehlo.broadcast_in_dim %72, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %74 = stablehlo.multiply %68, %73 : tensor<2x32x1024xf32>
    %75 = stablehlo.reshape %74 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %76 = stablehlo.broadcast_in_dim %arg12, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %77 = stablehlo.broadcast_in_dim %76, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %78 = stablehlo.multiply %75, %77 : tensor<2x32x32x32xf32>
    %79 = stablehlo.broadcast_in_dim %arg13, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %80 = stablehlo.broadcast_in_dim %79, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %81 = stablehlo.add %78, %80 : tensor<2x32x32x32xf32>
    %82 = call @silu_0(%81) : (tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32>
    %83 = stablehlo.convolution(%82, %arg14) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<2x32x32x32xf32>
    %84 = stablehlo.broadcast_in_dim %arg15, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %85 = stablehlo.broadcast_in_dim %84, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %86 = stablehlo.add %83, %85 : tensor<2x32x32x32xf32>
    %87 = stablehlo.add %86, %28 : tensor<2x32x32x32xf32>
    %88 = stablehlo.reshape %87 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_8 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %89 = stablehlo.reduce(%88 init: %cst_8) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %90 = stablehlo.broadcast_in_dim %89, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_9 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %91 = stablehlo.broadcast_in_dim %cst_9, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %92 = stablehlo.divide %90, %91 : tensor<2x32x1xf32>
    %93 = stablehlo.broadcast_in_dim %92, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %94 = stablehlo.subtract %88, %93 : tensor<2x32x1024xf32>
    %c_10 = stablehlo.constant dense<0> : tensor<i32>
    %95 = call @_var(%88, %c_10) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_11 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %96 = stablehlo.broadcast_in_dim %cst_11, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %97 = stablehlo.add %95, %96 : tensor<2x32x1xf32>
    %98 = stablehlo.rsqrt %97 : tensor<2x32x1xf32>
    %99 = stablehlo.broadcast_in_dim %98, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %100 = stablehlo.multiply %94, %99 : tensor<2x32x1024xf32>
    %101 = stablehlo.reshape %100 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %102 = stablehlo.broadcast_in_dim %arg16, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %103 = stablehlo.broadcast_in_dim %102, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %104 = stablehlo.multiply %101, %103 : tensor<2x32x32x32xf32>
    %105 = stablehlo.broadcast_in_dim %arg17, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %106 = stablehlo.broadcast_in_dim %105, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %107 = stablehlo.add %104, %106 : tensor<2x32x32x32xf32>
    %108 = stablehlo.convolution(%107, %arg18) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %109 = stablehlo.broadcast_in_dim %arg19, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %110 = stablehlo.broadcast_in_dim %109, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %111 = stablehlo.add %108, %110 : tensor<2x32x32x32xf32>
    %112 = stablehlo.reshape %111 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %113 = stablehlo.transpose %112, dims = [0, 2, 1] : (tensor<2x32x1024xf32>) -> tensor<2x1024x32xf32>
    %cst_12 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %114 = stablehlo.reduce(%113 init: %cst_12) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %115 = stablehlo.broadcast_in_dim %114, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_13 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %116 = stablehlo.broadcast_in_dim %cst_13, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %117 = stablehlo.divide %115, %116 : tensor<2x1024x1xf32>
    %118 = stablehlo.broadcast_in_dim %117, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %119 = stablehlo.subtract %113, %118 : tensor<2x1024x32xf32>
    %c_14 = stablehlo.constant dense<0> : tensor<i32>
    %120 = call @_var_1(%113, %c_14) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_15 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %121 = stablehlo.broadcast_in_dim %cst_15, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %122 = stablehlo.add %120, %121 : tensor<2x1024x1xf32>
    %123 = stablehlo.rsqrt %122 : tensor<2x1024x1xf32>
    %124 = stablehlo.broadcast_in_dim %123, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %125 = stablehlo.multiply %119, %124 : tensor<2x1024x32xf32>
    %126 = stablehlo.broadcast_in_dim %arg20, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %127 = stablehlo.broadcast_in_dim %126, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %128 = stablehlo.multiply %125, %127 : tensor<2x1024x32xf32>
    %129 = stablehlo.broadcast_in_dim %arg21, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %130 = stablehlo.broadcast_in_dim %129, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %131 = stablehlo.add %128, %130 : tensor<2x1024x32xf32>
    %132 = stablehlo.dot_general %131, %arg22, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %133 = stablehlo.dot_general %131, %arg23, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %134 = stablehlo.dot_general %131, %arg24, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %135 = stablehlo.reshape %132 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %136 = stablehlo.reshape %133 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %137 = stablehlo.dot_general %135, %136, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x1024x4x8xf32>) -> tensor<2x4x1024x1024xf32>
    %cst_16 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %138 = stablehlo.broadcast_in_dim %cst_16, dims = [] : (tensor<f32>) -> tensor<2x4x1024x1024xf32>
    %139 = stablehlo.divide %137, %138 : tensor<2x4x1024x1024xf32>
    %cst_17 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %140 = stablehlo.reduce(%139 init: %cst_17) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_18 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %141 = stablehlo.broadcast_in_dim %cst_18, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %142 = stablehlo.maximum %141, %140 : tensor<2x4x1024xf32>
    %143 = stablehlo.broadcast_in_dim %142, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %144 = stablehlo.broadcast_in_dim %143, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %145 = stablehlo.subtract %139, %144 : tensor<2x4x1024x1024xf32>
    %146 = stablehlo.exponential %145 : tensor<2x4x1024x1024xf32>
    %cst_19 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %147 = stablehlo.reduce(%146 init: %cst_19) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %148 = stablehlo.broadcast_in_dim %147, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %149 = stablehlo.broadcast_in_dim %148, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %150 = stablehlo.divide %146, %149 : tensor<2x4x1024x1024xf32>
    %151 = stablehlo.reshape %134 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %152 = stablehlo.dot_general %151, %150, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x4x1024x1024xf32>) -> tensor<2x4x8x1024xf32>
    %153 = stablehlo.transpose %152, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %154 = stablehlo.reshape %153 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %155 = stablehlo.dot_general %154, %arg25, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %156 = stablehlo.broadcast_in_dim %arg26, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %157 = stablehlo.broadcast_in_dim %156, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %158 = stablehlo.add %155, %157 : tensor<2x1024x32xf32>
    %159 = stablehlo.add %113, %158 : tensor<2x1024x32xf32>
    %cst_20 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %160 = stablehlo.reduce(%159 init: %cst_20) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %161 = stablehlo.broadcast_in_dim %160, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_21 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %162 = stablehlo.broadcast_in_dim %cst_21, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %163 = stablehlo.divide %161, %162 : tensor<2x1024x1xf32>
    %164 = stablehlo.broadcast_in_dim %163, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %165 = stablehlo.subtract %159, %164 : tensor<2x1024x32xf32>
    %c_22 = stablehlo.constant dense<0> : tensor<i32>
    %166 = call @_var_1(%159, %c_22) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_23 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %167 = stablehlo.broadcast_in_dim %cst_23, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %168 = stablehlo.add %166, %167 : tensor<2x1024x1xf32>
    %169 = stablehlo.rsqrt %168 : tensor<2x1024x1xf32>
    %170 = stablehlo.broadcast_in_dim %169, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %171 = stablehlo.multiply %165, %170 : tensor<2x1024x32xf32>
    %172 = stablehlo.broadcast_in_dim %arg27, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %173 = stablehlo.broadcast_in_dim %172, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %174 = stablehlo.multiply %171, %173 : tensor<2x1024x32xf32>
    %175 = stablehlo.broadcast_in_dim %arg28, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %176 = stablehlo.broadcast_in_dim %175, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %177 = stablehlo.add %174, %176 : tensor<2x1024x32xf32>
    %178 = stablehlo.dot_general %177, %arg29, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %179 = stablehlo.dot_general %arg444, %arg30, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %180 = stablehlo.dot_general %arg444, %arg31, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %181 = stablehlo.reshape %178 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %182 = stablehlo.reshape %179 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %183 = stablehlo.dot_general %181, %182, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x77x4x8xf32>) -> tensor<2x4x1024x77xf32>
    %cst_24 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %184 = stablehlo.broadcast_in_dim %cst_24, dims = [] : (tensor<f32>) -> tensor<2x4x1024x77xf32>
    %185 = stablehlo.divide %183, %184 : tensor<2x4x1024x77xf32>
    %cst_25 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %186 = stablehlo.reduce(%185 init: %cst_25) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_26 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %187 = stablehlo.broadcast_in_dim %cst_26, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %188 = stablehlo.maximum %187, %186 : tensor<2x4x1024xf32>
    %189 = stablehlo.broadcast_in_dim %188, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %190 = stablehlo.broadcast_in_dim %189, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %191 = stablehlo.subtract %185, %190 : tensor<2x4x1024x77xf32>
    %192 = stablehlo.exponential %191 : tensor<2x4x1024x77xf32>
    %cst_27 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %193 = stablehlo.reduce(%192 init: %cst_27) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %194 = stablehlo.broadcast_in_dim %193, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %195 = stablehlo.broadcast_in_dim %194, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %196 = stablehlo.divide %192, %195 : tensor<2x4x1024x77xf32>
    %197 = stablehlo.reshape %180 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %198 = stablehlo.dot_general %197, %196, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x8xf32>, tensor<2x4x1024x77xf32>) -> tensor<2x4x8x1024xf32>
    %199 = stablehlo.transpose %198, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %200 = stablehlo.reshape %199 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %201 = stablehlo.dot_general %200, %arg32, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %202 = stablehlo.broadcast_in_dim %arg33, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %203 = stablehlo.broadcast_in_dim %202, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %204 = stablehlo.add %201, %203 : tensor<2x1024x32xf32>
    %205 = stablehlo.add %159, %204 : tensor<2x1024x32xf32>
    %cst_28 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %206 = stablehlo.reduce(%205 init: %cst_28) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %207 = stablehlo.broadcast_in_dim %206, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_29 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %208 = stablehlo.broadcast_in_dim %cst_29, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %209 = stablehlo.divide %207, %208 : tensor<2x1024x1xf32>
    %210 = stablehlo.broadcast_in_dim %209, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %211 = stablehlo.subtract %205, %210 : tensor<2x1024x32xf32>
    %c_30 = stablehlo.constant dense<0> : tensor<i32>
    %212 = call @_var_1(%205, %c_30) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_31 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %213 = stablehlo.broadcast_in_dim %cst_31, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %214 = stablehlo.add %212, %213 : tensor<2x1024x1xf32>
    %215 = stablehlo.rsqrt %214 : tensor<2x1024x1xf32>
    %216 = stablehlo.broadcast_in_dim %215, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %217 = stablehlo.multiply %211, %216 : tensor<2x1024x32xf32>
    %218 = stablehlo.broadcast_in_dim %arg34, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %219 = stablehlo.broadcast_in_dim %218, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %220 = stablehlo.multiply %217, %219 : tensor<2x1024x32xf32>
    %221 = stablehlo.broadcast_in_dim %arg35, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %222 = stablehlo.broadcast_in_dim %221, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %223 = stablehlo.add %220, %222 : tensor<2x1024x32xf32>
    %224 = stablehlo.dot_general %223, %arg36, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x256xf32>) -> tensor<2x1024x256xf32>
    %225 = stablehlo.broadcast_in_dim %arg37, dims = [2] : (tensor<256xf32>) -> tensor<1x1x256xf32>
    %226 = stablehlo.broadcast_in_dim %225, dims = [0, 1, 2] : (tensor<1x1x256xf32>) -> tensor<2x1024x256xf32>
    %227 = stablehlo.add %224, %226 : tensor<2x1024x256xf32>
    %228 = stablehlo.slice %227 [0:2, 0:1024, 0:128] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %229 = stablehlo.slice %227 [0:2, 0:1024, 128:256] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %cst_32 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %230 = stablehlo.broadcast_in_dim %cst_32, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %231 = stablehlo.multiply %230, %229 : tensor<2x1024x128xf32>
    %232 = stablehlo.negate %229 : tensor<2x1024x128xf32>
    %cst_33 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %233 = stablehlo.broadcast_in_dim %cst_33, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %234 = stablehlo.multiply %232, %233 : tensor<2x1024x128xf32>
    %235 = chlo.erfc %234 : tensor<2x1024x128xf32> -> tensor<2x1024x128xf32>
    %236 = stablehlo.multiply %231, %235 : tensor<2x1024x128xf32>
    %237 = stablehlo.multiply %228, %236 : tensor<2x1024x128xf32>
    %238 = stablehlo.dot_general %237, %arg38, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x128xf32>, tensor<128x32xf32>) -> tensor<2x1024x32xf32>
    %239 = stablehlo.broadcast_in_dim %arg39, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %240 = stablehlo.broadcast_in_dim %239, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %241 = stablehlo.add %238, %240 : tensor<2x1024x32xf32>
    %242 = stablehlo.add %205, %241 : tensor<2x1024x32xf32>
    %243 = stablehlo.transpose %242, dims = [0, 2, 1] : (tensor<2x1024x32xf32>) -> tensor<2x32x1024xf32>
    %244 = stablehlo.reshape %243 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %245 = stablehlo.convolution(%244, %arg40) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %246 = stablehlo.broadcast_in_dim %arg41, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %247 = stablehlo.broadcast_in_dim %246, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %248 = stablehlo.add %245, %247 : tensor<2x32x32x32xf32>
    %249 = stablehlo.add %248, %87 : tensor<2x32x32x32xf32>
    %250 = stablehlo.convolution(%249, %arg42) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [2, 2], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<2x32x16x16xf32>
    %251 = stablehlo.broadcast_in_dim %arg43, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %252 = stablehlo.broadcast_in_dim %251, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x16x16xf32>
    %253 = stablehlo.add %250, %252 : tensor<2x32x16x16xf32>
    %254 = stablehlo.reshape %253 : (tensor<2x32x16x16xf32>) -> tensor<2x32x256xf32>
    %cst_34 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %255 = stablehlo.reduce(%254 init: %cst_34) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %256 = stablehlo.broadcast_in_dim %255, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_35 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %257 = stablehlo.broadcast_in_dim %cst_35, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %258 = stablehlo.divide %256, %257 : tensor<2x32x1xf32>
    %259 = stablehlo.broadcast_in_dim %258, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %260 = stablehlo.subtract %254, %259 : tensor<2x32x256xf32>
    %c_36 = stablehlo.constant dense<0> : tensor<i32>
    %261 = call @_var_3(%254, %c_36) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_37 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %262 = stablehlo.broadcast_in_dim %cst_37, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %263 = stablehlo.add %261, %262 : tensor<2x32x1xf32>
    %264 = stablehlo.rsqrt %263 : tensor<2x32x1xf32>
    %265 = stablehlo.broadcast_in_dim %264, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %266 = stablehlo.multiply %260, %265 : tensor<2x32x256xf32>
    %267 = stablehlo.reshape %266 : (tensor<2x32x256xf32>) -> tensor<2x32x16x16xf32>
    %268 = stablehlo.broadcast_in_dim %arg44, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %269 = stablehlo.broadcast_in_dim %268, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x16x16xf32>
    %270 = stablehlo.multiply %267, %269 : tensor<2x32x16x16xf32>
    %271 = stablehlo.broadcast_in_dim %arg45, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %272 = stablehlo.broadcast_in_dim %271, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x16x16xf32>
    %273 = stablehlo.add %270, %272 : tensor<2x32x16x16xf32>
    %274 = call @silu_4(%273) : (tensor<2x32x16x16xf32>) -> tensor<2x32x16x16xf32>
    %275 = stablehlo.convolution(%274, %arg46) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x16x16xf32>, tensor<64x32x3x3xf32>) -> tensor<2x64x16x16xf32>
    %276 = stablehlo.broadcast_in_dim %arg47, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %277 = stablehlo.broadcast_in_dim %276, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %278 = stablehlo.add %275, %277 : tensor<2x64x16x16xf32>
    %279 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %280 = stablehlo.dot_general %279, %arg48, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x64xf32>) -> tensor<2x64xf32>
    %281 = stablehlo.broadcast_in_dim %arg49, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32>
    %282 = stablehlo.broadcast_in_dim %281, dims = [0, 1] : (tensor<1x64xf32>) -> tensor<2x64xf32>
    %283 = stablehlo.add %280, %282 : tensor<2x64xf32>
    %284 = stablehlo.broadcast_in_dim %283, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1x1xf32>
    %285 = stablehlo.broadcast_in_dim %284, dims = [0, 1, 2, 3] : (tensor<2x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %286 = stablehlo.add %278, %285 : tensor<2x64x16x16xf32>
    %287 = stablehlo.reshape %286 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_38 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %288 = stablehlo.reduce(%287 init: %cst_38) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %289 = stablehlo.broadcast_in_dim %288, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_39 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %290 = stablehlo.broadcast_in_dim %cst_39, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %291 = stablehlo.divide %289, %290 : tensor<2x32x1xf32>
    %292 = stablehlo.broadcast_in_dim %291, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %293 = stablehlo.subtract %287, %292 : tensor<2x32x512xf32>
    %c_40 = stablehlo.constant dense<0> : tensor<i32>
    %294 = call @_var_5(%287, %c_40) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_41 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %295 = stablehlo.broadcast_in_dim %cst_41, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %296 = stablehlo.add %294, %295 : tensor<2x32x1xf32>
    %297 = stablehlo.rsqrt %296 : tensor<2x32x1xf32>
    %298 = stablehlo.broadcast_in_dim %297, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %299 = stablehlo.multiply %293, %298 : tensor<2x32x512xf32>
    %300 = stablehlo.reshape %299 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %301 = stablehlo.broadcast_in_dim %arg50, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %302 = stablehlo.broadcast_in_dim %301, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %303 = stablehlo.multiply %300, %302 : tensor<2x64x16x16xf32>
    %304 = stablehlo.broadcast_in_dim %arg51, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %305 = stablehlo.broadcast_in_dim %304, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %306 = stablehlo.add %303, %305 : tensor<2x64x16x16xf32>
    %307 = call @silu_6(%306) : (tensor<2x64x16x16xf32>) -> tensor<2x64x16x16xf32>
    %308 = stablehlo.convolution(%307, %arg52) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x3x3xf32>) -> tensor<2x64x16x16xf32>
    %309 = stablehlo.broadcast_in_dim %arg53, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %310 = stablehlo.broadcast_in_dim %309, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %311 = stablehlo.add %308, %310 : tensor<2x64x16x16xf32>
    %312 = stablehlo.convolution(%253, %arg54) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x16x16xf32>, tensor<64x32x1x1xf32>) -> tensor<2x64x16x16xf32>
    %313 = stablehlo.broadcast_in_dim %arg55, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %314 = stablehlo.broadcast_in_dim %313, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %315 = stablehlo.add %312, %314 : tensor<2x64x16x16xf32>
    %316 = stablehlo.add %311, %315 : tensor<2x64x16x16xf32>
    %317 = stablehlo.reshape %316 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_42 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %318 = stablehlo.reduce(%317 init: %cst_42) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %319 = stablehlo.broadcast_in_dim %318, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_43 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %320 = stablehlo.broadcast_in_dim %cst_43, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %321 = stablehlo.divide %319, %320 : tensor<2x32x1xf32>
    %322 = stablehlo.broadcast_in_dim %321, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %323 = stablehlo.subtract %317, %322 : tensor<2x32x512xf32>
    %c_44 = stablehlo.constant dense<0> : tensor<i32>
    %324 = call @_var_5(%317, %c_44) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_45 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %325 = stablehlo.broadcast_in_dim %cst_45, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %326 = stablehlo.add %324, %325 : tensor<2x32x1xf32>
    %327 = stablehlo.rsqrt %326 : tensor<2x32x1xf32>
    %328 = stablehlo.broadcast_in_dim %327, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %329 = stablehlo.multiply %323, %328 : tensor<2x32x512xf32>
    %330 = stablehlo.reshape %329 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %331 = stablehlo.broadcast_in_dim %arg56, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %332 = stablehlo.broadcast_in_dim %331, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %333 = stablehlo.multiply %330, %332 : tensor<2x64x16x16xf32>
    %334 = stablehlo.broadcast_in_dim %arg57, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %335 = stablehlo.broadcast_in_dim %334, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %336 = stablehlo.add %333, %335 : tensor<2x64x16x16xf32>
    %337 = stablehlo.convolution(%336, %arg58) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %338 = stablehlo.broadcast_in_dim %arg59, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %339 = stablehlo.broadcast_in_dim %338, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %340 = stablehlo.add %337, %339 : tensor<2x64x16x16xf32>
    %341 = stablehlo.reshape %340 : (tensor<2x64x16x16xf32>) -> tensor<2x64x256xf32>
    %342 = stablehlo.transpose %341, dims = [0, 2, 1] : (tensor<2x64x256xf32>) -> tensor<2x256x64xf32>
    %cst_46 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %343 = stablehlo.reduce(%342 init: %cst_46) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %344 = stablehlo.broadcast_in_dim %343, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_47 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %345 = stablehlo.broadcast_in_dim %cst_47, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %346 = stablehlo.divide %344, %345 : tensor<2x256x1xf32>
    %347 = stablehlo.broadcast_in_dim %346, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %348 = stablehlo.subtract %342, %347 : tensor<2x256x64xf32>
    %c_48 = stablehlo.constant dense<0> : tensor<i32>
    %349 = call @_var_7(%342, %c_48) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_49 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %350 = stablehlo.broadcast_in_dim %cst_49, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %351 = stablehlo.add %349, %350 : tensor<2x256x1xf32>
    %352 = stablehlo.rsqrt %351 : tensor<2x256x1xf32>
    %353 = stablehlo.broadcast_in_dim %352, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %354 = stablehlo.multiply %348, %353 : tensor<2x256x64xf32>
    %355 = stablehlo.broadcast_in_dim %arg60, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %356 = stablehlo.broadcast_in_dim %355, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %357 = stablehlo.multiply %354, %356 : tensor<2x256x64xf32>
    %358 = stablehlo.broadcast_in_dim %arg61, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %359 = stablehlo.broadcast_in_dim %358, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %360 = stablehlo.add %357, %359 : tensor<2x256x64xf32>
    %361 = stablehlo.dot_general %360, %arg62, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %362 = stablehlo.dot_general %360, %arg63, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %363 = stablehlo.dot_general %360, %arg64, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %364 = stablehlo.reshape %361 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %365 = stablehlo.reshape %362 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %366 = stablehlo.dot_general %364, %365, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x256x4x16xf32>) -> tensor<2x4x256x256xf32>
    %cst_50 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %367 = stablehlo.broadcast_in_dim %cst_50, dims = [] : (tensor<f32>) -> tensor<2x4x256x256xf32>
    %368 = stablehlo.divide %366, %367 : tensor<2x4x256x256xf32>
    %cst_51 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %369 = stablehlo.reduce(%368 init: %cst_51) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_52 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %370 = stablehlo.broadcast_in_dim %cst_52, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %371 = stablehlo.maximum %370, %369 : tensor<2x4x256xf32>
    %372 = stablehlo.broadcast_in_dim %371, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %373 = stablehlo.broadcast_in_dim %372, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %374 = stablehlo.subtract %368, %373 : tensor<2x4x256x256xf32>
    %375 = stablehlo.exponential %374 : tensor<2x4x256x256xf32>
    %cst_53 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %376 = stablehlo.reduce(%375 init: %cst_53) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %377 = stablehlo.broadcast_in_dim %376, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %378 = stablehlo.broadcast_in_dim %377, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %379 = stablehlo.divide %375, %378 : tensor<2x4x256x256xf32>
    %380 = stablehlo.reshape %363 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %381 = stablehlo.dot_general %380, %379, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x4x256x256xf32>) -> tensor<2x4x16x256xf32>
    %382 = stablehlo.transpose %381, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %383 = stablehlo.reshape %382 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %384 = stablehlo.dot_general %383, %arg65, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %385 = stablehlo.broadcast_in_dim %arg66, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %386 = stablehlo.broadcast_in_dim %385, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %387 = stablehlo.add %384, %386 : tensor<2x256x64xf32>
    %388 = stablehlo.add %342, %387 : tensor<2x256x64xf32>
    %cst_54 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %389 = stablehlo.reduce(%388 init: %cst_54) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %390 = stablehlo.broadcast_in_dim %389, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_55 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %391 = stablehlo.broadcast_in_dim %cst_55, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %392 = stablehlo.divide %390, %391 : tensor<2x256x1xf32>
    %393 = stablehlo.broadcast_in_dim %392, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %394 = stablehlo.subtract %388, %393 : tensor<2x256x64xf32>
    %c_56 = stablehlo.constant dense<0> : tensor<i32>
    %395 = call @_var_7(%388, %c_56) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_57 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %396 = stablehlo.broadcast_in_dim %cst_57, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %397 = stablehlo.add %395, %396 : tensor<2x256x1xf32>
    %398 = stablehlo.rsqrt %397 : tensor<2x256x1xf32>
    %399 = stablehlo.broadcast_in_dim %398, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %400 = stablehlo.multiply %394, %399 : tensor<2x256x64xf32>
    %401 = stablehlo.broadcast_in_dim %arg67, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %402 = stablehlo.broadcast_in_dim %401, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %403 = stablehlo.multiply %400, %402 : tensor<2x256x64xf32>
    %404 = stablehlo.broadcast_in_dim %arg68, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %405 = stablehlo.broadcast_in_dim %404, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %406 = stablehlo.add %403, %405 : tensor<2x256x64xf32>
    %407 = stablehlo.dot_general %406, %arg69, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %408 = stablehlo.dot_general %arg444, %arg70, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %409 = stablehlo.dot_general %arg444, %arg71, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %410 = stablehlo.reshape %407 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %411 = stablehlo.reshape %408 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %412 = stablehlo.dot_general %410, %411, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x77x4x16xf32>) -> tensor<2x4x256x77xf32>
    %cst_58 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %413 = stablehlo.broadcast_in_dim %cst_58, dims = [] : (tensor<f32>) -> tensor<2x4x256x77xf32>
    %414 = stablehlo.divide %412, %413 : tensor<2x4x256x77xf32>
    %cst_59 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %415 = stablehlo.reduce(%414 init: %cst_59) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_60 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %416 = stablehlo.broadcast_in_dim %cst_60, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %417 = stablehlo.maximum %416, %415 : tensor<2x4x256xf32>
    %418 = stablehlo.broadcast_in_dim %417, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %419 = stablehlo.broadcast_in_dim %418, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %420 = stablehlo.subtract %414, %419 : tensor<2x4x256x77xf32>
    %421 = stablehlo.exponential %420 : tensor<2x4x256x77xf32>
    %cst_61 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %422 = stablehlo.reduce(%421 init: %cst_61) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %423 = stablehlo.broadcast_in_dim %422, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %424 = stablehlo.broadcast_in_dim %423, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %425 = stablehlo.divide %421, %424 : tensor<2x4x256x77xf32>
    %426 = stablehlo.reshape %409 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %427 = stablehlo.dot_general %426, %425, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x16xf32>, tensor<2x4x256x77xf32>) -> tensor<2x4x16x256xf32>
    %428 = stablehlo.transpose %427, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %429 = stablehlo.reshape %428 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %430 = stablehlo.dot_general %429, %arg72, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %431 = stablehlo.broadcast_in_dim %arg73, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %432 = stablehlo.broadcast_in_dim %431, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %433 = stablehlo.add %430, %432 : tensor<2x256x64xf32>
    %434 = stablehlo.add %388, %433 : tensor<2x256x64xf32>
    %cst_62 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %435 = stablehlo.reduce(%434 init: %cst_62) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %436 = stablehlo.broadcast_in_dim %435, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_63 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %437 = stablehlo.broadcast_in_dim %cst_63, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %438 = stablehlo.divide %436, %437 : tensor<2x256x1xf32>
    %439 = stablehlo.broadcast_in_dim %438, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %440 = stablehlo.subtract %434, %439 : tensor<2x256x64xf32>
    %c_64 = stablehlo.constant dense<0> : tensor<i32>
    %441 = call @_var_7(%434, %c_64) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_65 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %442 = stablehlo.broadcast_in_dim %cst_65, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %443 = stablehlo.add %441, %442 : tensor<2x256x1xf32>
    %444 = stablehlo.rsqrt %443 : tensor<2x256x1xf32>
    %445 = stablehlo.broadcast_in_dim %444, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %446 = stablehlo.multiply %440, %445 : tensor<2x256x64xf32>
    %447 = stablehlo.broadcast_in_dim %arg74, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %448 = stablehlo.broadcast_in_dim %447, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %449 = stablehlo.multiply %446, %448 : tensor<2x256x64xf32>
    %450 = stablehlo.broadcast_in_dim %arg75, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %451 = stablehlo.broadcast_in_dim %450, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %452 = stablehlo.add %449, %451 : tensor<2x256x64xf32>
    %453 = stablehlo.dot_general %452, %arg76, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x512xf32>) -> tensor<2x256x512xf32>
    %454 = stablehlo.broadcast_in_dim %arg77, dims = [2] : (tensor<512xf32>) -> tensor<1x1x512xf32>
    %455 = stablehlo.broadcast_in_dim %454, dims = [0, 1, 2] : (tensor<1x1x512xf32>) -> tensor<2x256x512xf32>
    %456 = stablehlo.add %453, %455 : tensor<2x256x512xf32>
    %457 = stablehlo.slice %456 [0:2, 0:256, 0:256] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %458 = stablehlo.slice %456 [0:2, 0:256, 256:512] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %cst_66 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %459 = stablehlo.broadcast_in_dim %cst_66, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %460 = stablehlo.multiply %459, %458 : tensor<2x256x256xf32>
    %461 = stablehlo.negate %458 : tensor<2x256x256xf32>
    %cst_67 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %462 = stablehlo.broadcast_in_dim %cst_67, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %463 = stablehlo.multiply %461, %462 : tensor<2x256x256xf32>
    %464 = chlo.erfc %463 : tensor<2x256x256xf32> -> tensor<2x256x256xf32>
    %465 = stablehlo.multiply %460, %464 : tensor<2x256x256xf32>
    %466 = stablehlo.multiply %457, %465 : tensor<2x256x256xf32>
    %467 = stablehlo.dot_general %466, %arg78, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x256xf32>, tensor<256x64xf32>) -> tensor<2x256x64xf32>
    %468 = stablehlo.broadcast_in_dim %arg79, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %469 = stablehlo.broadcast_in_dim %468, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %470 = stablehlo.add %467, %469 : tensor<2x256x64xf32>
    %471 = stablehlo.add %434, %470 : tensor<2x256x64xf32>
    %472 = stablehlo.transpose %471, dims = [0, 2, 1] : (tensor<2x256x64xf32>) -> tensor<2x64x256xf32>
    %473 = stablehlo.reshape %472 : (tensor<2x64x256xf32>) -> tensor<2x64x16x16xf32>
    %474 = stablehlo.convolution(%473, %arg80) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %475 = stablehlo.broadcast_in_dim %arg81, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %476 = stablehlo.broadcast_in_dim %475, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %477 = stablehlo.add %474, %476 : tensor<2x64x16x16xf32>
    %478 = stablehlo.add %477, %316 : tensor<2x64x16x16xf32>
    %479 = stablehlo.convolution(%478, %arg82) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [2, 2], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x3x3xf32>) -> tensor<2x64x8x8xf32>
    %480 = stablehlo.broadcast_in_dim %arg83, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %481 = stablehlo.broadcast_in_dim %480, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x8x8xf32>
    %482 = stablehlo.add %479, %481 : tensor<2x64x8x8xf32>
    %483 = stablehlo.reshape %482 : (tensor<2x64x8x8xf32>) -> tensor<2x32x128xf32>
    %cst_68 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %484 = stablehlo.reduce(%483 init: %cst_68) applies stablehlo.add across dimensions = [2] : (tensor<2x32x128xf32>, tensor<f32>) -> tensor<2x32xf32>
    %485 = stablehlo.broadcast_in_dim %484, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_69 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %486 = stablehlo.broadcast_in_dim %cst_69, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %487 = stablehlo.divide %485, %486 : tensor<2x32x1xf32>
    %488 = stablehlo.broadcast_in_dim %487, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %489 = stablehlo.subtract %483, %488 : tensor<2x32x128xf32>
    %c_70 = stablehlo.constant dense<0> : tensor<i32>
    %490 = call @_var_9(%483, %c_70) : (tensor<2x32x128xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_71 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %491 = stablehlo.broadcast_in_dim %cst_71, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %492 = stablehlo.add %490, %491 : tensor<2x32x1xf32>
    %493 = stablehlo.rsqrt %492 : tensor<2x32x1xf32>
    %494 = stablehlo.broadcast_in_dim %493, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %495 = stablehlo.multiply %489, %494 : tensor<2x32x128xf32>
    %496 = stablehlo.reshape %495 : (tensor<2x32x128xf32>) -> tensor<2x64x8x8xf32>
    %497 = stablehlo.broadcast_in_dim %arg84, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %498 = stablehlo.broadcast_in_dim %497, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x8x8xf32>
    %499 = stablehlo.multiply %496, %498 : tensor<2x64x8x8xf32>
    %500 = stablehlo.broadcast_in_dim %arg85, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %501 = stablehlo.broadcast_in_dim %500, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x8x8xf32>
    %502 = stablehlo.add %499, %501 : tensor<2x64x8x8xf32>
    %503 = call @silu_10(%502) : (tensor<2x64x8x8xf32>) -> tensor<2x64x8x8xf32>
    %504 = stablehlo.convolution(%503, %arg86) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x8x8xf32>, tensor<128x64x3x3xf32>) -> tensor<2x128x8x8xf32>
    %505 = stablehlo.broadcast_in_dim %arg87, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %506 = stablehlo.broadcast_in_dim %505, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %507 = stablehlo.add %504, %506 : tensor<2x128x8x8xf32>
    %508 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %509 = stablehlo.dot_general %508, %arg88, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %510 = stablehlo.broadcast_in_dim %arg89, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %511 = stablehlo.broadcast_in_dim %510, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %512 = stablehlo.add %509, %511 : tensor<2x128xf32>
    %513 = stablehlo.broadcast_in_dim %512, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %514 = stablehlo.broadcast_in_dim %513, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %515 = stablehlo.add %507, %514 : tensor<2x128x8x8xf32>
    %516 = stablehlo.reshape %515 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_72 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %517 = stablehlo.reduce(%516 init: %cst_72) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %518 = stablehlo.broadcast_in_dim %517, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_73 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %519 = stablehlo.broadcast_in_dim %cst_73, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %520 = stablehlo.divide %518, %519 : tensor<2x32x1xf32>
    %521 = stablehlo.broadcast_in_dim %520, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %522 = stablehlo.subtract %516, %521 : tensor<2x32x256xf32>
    %c_74 = stablehlo.constant dense<0> : tensor<i32>
    %523 = call @_var_3(%516, %c_74) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_75 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %524 = stablehlo.broadcast_in_dim %cst_75, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %525 = stablehlo.add %523, %524 : tensor<2x32x1xf32>
    %526 = stablehlo.rsqrt %525 : tensor<2x32x1xf32>
    %527 = stablehlo.broadcast_in_dim %526, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %528 = stablehlo.multiply %522, %527 : tensor<2x32x256xf32>
    %529 = stablehlo.reshape %528 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %530 = stablehlo.broadcast_in_dim %arg90, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %531 = stablehlo.broadcast_in_dim %530, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %532 = stablehlo.multiply %529, %531 : tensor<2x128x8x8xf32>
    %533 = stablehlo.broadcast_in_dim %arg91, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %534 = stablehlo.broadcast_in_dim %533, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %535 = stablehlo.add %532, %534 : tensor<2x128x8x8xf32>
    %536 = call @silu_11(%535) : (tensor<2x128x8x8xf32>) -> tensor<2x128x8x8xf32>
    %537 = stablehlo.convolution(%536, %arg92) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x8x8xf32>
    %538 = stablehlo.broadcast_in_dim %arg93, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %539 = stablehlo.broadcast_in_dim %538, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %540 = stablehlo.add %537, %539 : tensor<2x128x8x8xf32>
    %541 = stablehlo.convolution(%482, %arg94) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x8x8xf32>, tensor<128x64x1x1xf32>) -> tensor<2x128x8x8xf32>
    %542 = stablehlo.broadcast_in_dim %arg95, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %543 = stablehlo.broadcast_in_dim %542, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %544 = stablehlo.add %541, %543 : tensor<2x128x8x8xf32>
    %545 = stablehlo.add %540, %544 : tensor<2x128x8x8xf32>
    %546 = stablehlo.reshape %545 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_76 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %547 = stablehlo.reduce(%546 init: %cst_76) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %548 = stablehlo.broadcast_in_dim %547, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_77 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %549 = stablehlo.broadcast_in_dim %cst_77, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %550 = stablehlo.divide %548, %549 : tensor<2x32x1xf32>
    %551 = stablehlo.broadcast_in_dim %550, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %552 = stablehlo.subtract %546, %551 : tensor<2x32x256xf32>
    %c_78 = stablehlo.constant dense<0> : tensor<i32>
    %553 = call @_var_3(%546, %c_78) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_79 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %554 = stablehlo.broadcast_in_dim %cst_79, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %555 = stablehlo.add %553, %554 : tensor<2x32x1xf32>
    %556 = stablehlo.rsqrt %555 : tensor<2x32x1xf32>
    %557 = stablehlo.broadcast_in_dim %556, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %558 = stablehlo.multiply %552, %557 : tensor<2x32x256xf32>
    %559 = stablehlo.reshape %558 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %560 = stablehlo.broadcast_in_dim %arg96, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %561 = stablehlo.broadcast_in_dim %560, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %562 = stablehlo.multiply %559, %561 : tensor<2x128x8x8xf32>
    %563 = stablehlo.broadcast_in_dim %arg97, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %564 = stablehlo.broadcast_in_dim %563, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %565 = stablehlo.add %562, %564 : tensor<2x128x8x8xf32>
    %566 = stablehlo.convolution(%565, %arg98) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %567 = stablehlo.broadcast_in_dim %arg99, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %568 = stablehlo.broadcast_in_dim %567, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %569 = stablehlo.add %566, %568 : tensor<2x128x8x8xf32>
    %570 = stablehlo.reshape %569 : (tensor<2x128x8x8xf32>) -> tensor<2x128x64xf32>
    %571 = stablehlo.transpose %570, dims = [0, 2, 1] : (tensor<2x128x64xf32>) -> tensor<2x64x128xf32>
    %cst_80 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %572 = stablehlo.reduce(%571 init: %cst_80) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %573 = stablehlo.broadcast_in_dim %572, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_81 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %574 = stablehlo.broadcast_in_dim %cst_81, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %575 = stablehlo.divide %573, %574 : tensor<2x64x1xf32>
    %576 = stablehlo.broadcast_in_dim %575, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %577 = stablehlo.subtract %571, %576 : tensor<2x64x128xf32>
    %c_82 = stablehlo.constant dense<0> : tensor<i32>
    %578 = call @_var_12(%571, %c_82) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_83 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %579 = stablehlo.broadcast_in_dim %cst_83, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %580 = stablehlo.add %578, %579 : tensor<2x64x1xf32>
    %581 = stablehlo.rsqrt %580 : tensor<2x64x1xf32>
    %582 = stablehlo.broadcast_in_dim %581, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %583 = stablehlo.multiply %577, %582 : tensor<2x64x128xf32>
    %584 = stablehlo.broadcast_in_dim %arg100, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %585 = stablehlo.broadcast_in_dim %584, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %586 = stablehlo.multiply %583, %585 : tensor<2x64x128xf32>
    %587 = stablehlo.broadcast_in_dim %arg101, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %588 = stablehlo.broadcast_in_dim %587, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %589 = stablehlo.add %586, %588 : tensor<2x64x128xf32>
    %590 = stablehlo.dot_general %589, %arg102, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %591 = stablehlo.dot_general %589, %arg103, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %592 = stablehlo.dot_general %589, %arg104, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %593 = stablehlo.reshape %590 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %594 = stablehlo.reshape %591 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %595 = stablehlo.dot_general %593, %594, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x64x4x32xf32>) -> tensor<2x4x64x64xf32>
    %cst_84 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %596 = stablehlo.broadcast_in_dim %cst_84, dims = [] : (tensor<f32>) -> tensor<2x4x64x64xf32>
    %597 = stablehlo.divide %595, %596 : tensor<2x4x64x64xf32>
    %cst_85 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %598 = stablehlo.reduce(%597 init: %cst_85) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_86 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %599 = stablehlo.broadcast_in_dim %cst_86, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %600 = stablehlo.maximum %599, %598 : tensor<2x4x64xf32>
    %601 = stablehlo.broadcast_in_dim %600, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %602 = stablehlo.broadcast_in_dim %601, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %603 = stablehlo.subtract %597, %602 : tensor<2x4x64x64xf32>
    %604 = stablehlo.exponential %603 : tensor<2x4x64x64xf32>
    %cst_87 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %605 = stablehlo.reduce(%604 init: %cst_87) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %606 = stablehlo.broadcast_in_dim %605, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %607 = stablehlo.broadcast_in_dim %606, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %608 = stablehlo.divide %604, %607 : tensor<2x4x64x64xf32>
    %609 = stablehlo.reshape %592 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %610 = stablehlo.dot_general %609, %608, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x4x64x64xf32>) -> tensor<2x4x32x64xf32>
    %611 = stablehlo.transpose %610, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %612 = stablehlo.reshape %611 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %613 = stablehlo.dot_general %612, %arg105, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %614 = stablehlo.broadcast_in_dim %arg106, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %615 = stablehlo.broadcast_in_dim %614, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %616 = stablehlo.add %613, %615 : tensor<2x64x128xf32>
    %617 = stablehlo.add %571, %616 : tensor<2x64x128xf32>
    %cst_88 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %618 = stablehlo.reduce(%617 init: %cst_88) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %619 = stablehlo.broadcast_in_dim %618, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_89 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %620 = stablehlo.broadcast_in_dim %cst_89, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %621 = stablehlo.divide %619, %620 : tensor<2x64x1xf32>
    %622 = stablehlo.broadcast_in_dim %621, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %623 = stablehlo.subtract %617, %622 : tensor<2x64x128xf32>
    %c_90 = stablehlo.constant dense<0> : tensor<i32>
    %624 = call @_var_12(%617, %c_90) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_91 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %625 = stablehlo.broadcast_in_dim %cst_91, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %626 = stablehlo.add %624, %625 : tensor<2x64x1xf32>
    %627 = stablehlo.rsqrt %626 : tensor<2x64x1xf32>
    %628 = stablehlo.broadcast_in_dim %627, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %629 = stablehlo.multiply %623, %628 : tensor<2x64x128xf32>
    %630 = stablehlo.broadcast_in_dim %arg107, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %631 = stablehlo.broadcast_in_dim %630, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %632 = stablehlo.multiply %629, %631 : tensor<2x64x128xf32>
    %633 = stablehlo.broadcast_in_dim %arg108, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %634 = stablehlo.broadcast_in_dim %633, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %635 = stablehlo.add %632, %634 : tensor<2x64x128xf32>
    %636 = stablehlo.dot_general %635, %arg109, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %637 = stablehlo.dot_general %arg444, %arg110, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %638 = stablehlo.dot_general %arg444, %arg111, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %639 = stablehlo.reshape %636 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %640 = stablehlo.reshape %637 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %641 = stablehlo.dot_general %639, %640, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x77x4x32xf32>) -> tensor<2x4x64x77xf32>
    %cst_92 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %642 = stablehlo.broadcast_in_dim %cst_92, dims = [] : (tensor<f32>) -> tensor<2x4x64x77xf32>
    %643 = stablehlo.divide %641, %642 : tensor<2x4x64x77xf32>
    %cst_93 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %644 = stablehlo.reduce(%643 init: %cst_93) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_94 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %645 = stablehlo.broadcast_in_dim %cst_94, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %646 = stablehlo.maximum %645, %644 : tensor<2x4x64xf32>
    %647 = stablehlo.broadcast_in_dim %646, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %648 = stablehlo.broadcast_in_dim %647, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %649 = stablehlo.subtract %643, %648 : tensor<2x4x64x77xf32>
    %650 = stablehlo.exponential %649 : tensor<2x4x64x77xf32>
    %cst_95 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %651 = stablehlo.reduce(%650 init: %cst_95) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %652 = stablehlo.broadcast_in_dim %651, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %653 = stablehlo.broadcast_in_dim %652, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %654 = stablehlo.divide %650, %653 : tensor<2x4x64x77xf32>
    %655 = stablehlo.reshape %638 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %656 = stablehlo.dot_general %655, %654, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x32xf32>, tensor<2x4x64x77xf32>) -> tensor<2x4x32x64xf32>
    %657 = stablehlo.transpose %656, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %658 = stablehlo.reshape %657 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %659 = stablehlo.dot_general %658, %arg112, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %660 = stablehlo.broadcast_in_dim %arg113, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %661 = stablehlo.broadcast_in_dim %660, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %662 = stablehlo.add %659, %661 : tensor<2x64x128xf32>
    %663 = stablehlo.add %617, %662 : tensor<2x64x128xf32>
    %cst_96 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %664 = stablehlo.reduce(%663 init: %cst_96) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %665 = stablehlo.broadcast_in_dim %664, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_97 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %666 = stablehlo.broadcast_in_dim %cst_97, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %667 = stablehlo.divide %665, %666 : tensor<2x64x1xf32>
    %668 = stablehlo.broadcast_in_dim %667, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %669 = stablehlo.subtract %663, %668 : tensor<2x64x128xf32>
    %c_98 = stablehlo.constant dense<0> : tensor<i32>
    %670 = call @_var_12(%663, %c_98) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_99 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %671 = stablehlo.broadcast_in_dim %cst_99, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %672 = stablehlo.add %670, %671 : tensor<2x64x1xf32>
    %673 = stablehlo.rsqrt %672 : tensor<2x64x1xf32>
    %674 = stablehlo.broadcast_in_dim %673, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %675 = stablehlo.multiply %669, %674 : tensor<2x64x128xf32>
    %676 = stablehlo.broadcast_in_dim %arg114, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %677 = stablehlo.broadcast_in_dim %676, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %678 = stablehlo.multiply %675, %677 : tensor<2x64x128xf32>
    %679 = stablehlo.broadcast_in_dim %arg115, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %680 = stablehlo.broadcast_in_dim %679, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %681 = stablehlo.add %678, %680 : tensor<2x64x128xf32>
    %682 = stablehlo.dot_general %681, %arg116, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x1024xf32>) -> tensor<2x64x1024xf32>
    %683 = stablehlo.broadcast_in_dim %arg117, dims = [2] : (tensor<1024xf32>) -> tensor<1x1x1024xf32>
    %684 = stablehlo.broadcast_in_dim %683, dims = [0, 1, 2] : (tensor<1x1x1024xf32>) -> tensor<2x64x1024xf32>
    %685 = stablehlo.add %682, %684 : tensor<2x64x1024xf32>
    %686 = stablehlo.slice %685 [0:2, 0:64, 0:512] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %687 = stablehlo.slice %685 [0:2, 0:64, 512:1024] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %cst_100 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %688 = stablehlo.broadcast_in_dim %cst_100, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %689 = stablehlo.multiply %688, %687 : tensor<2x64x512xf32>
    %690 = stablehlo.negate %687 : tensor<2x64x512xf32>
    %cst_101 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %691 = stablehlo.broadcast_in_dim %cst_101, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %692 = stablehlo.multiply %690, %691 : tensor<2x64x512xf32>
    %693 = chlo.erfc %692 : tensor<2x64x512xf32> -> tensor<2x64x512xf32>
    %694 = stablehlo.multiply %689, %693 : tensor<2x64x512xf32>
    %695 = stablehlo.multiply %686, %694 : tensor<2x64x512xf32>
    %696 = stablehlo.dot_general %695, %arg118, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x512xf32>, tensor<512x128xf32>) -> tensor<2x64x128xf32>
    %697 = stablehlo.broadcast_in_dim %arg119, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %698 = stablehlo.broadcast_in_dim %697, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %699 = stablehlo.add %696, %698 : tensor<2x64x128xf32>
    %700 = stablehlo.add %663, %699 : tensor<2x64x128xf32>
    %701 = stablehlo.transpose %700, dims = [0, 2, 1] : (tensor<2x64x128xf32>) -> tensor<2x128x64xf32>
    %702 = stablehlo.reshape %701 : (tensor<2x128x64xf32>) -> tensor<2x128x8x8xf32>
    %703 = stablehlo.convolution(%702, %arg120) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %704 = stablehlo.broadcast_in_dim %arg121, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %705 = stablehlo.broadcast_in_dim %704, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %706 = stablehlo.add %703, %705 : tensor<2x128x8x8xf32>
    %707 = stablehlo.add %706, %545 : tensor<2x128x8x8xf32>
    %708 = stablehlo.convolution(%707, %arg122) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [2, 2], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %709 = stablehlo.broadcast_in_dim %arg123, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %710 = stablehlo.broadcast_in_dim %709, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %711 = stablehlo.add %708, %710 : tensor<2x128x4x4xf32>
    %712 = stablehlo.reshape %711 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_102 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %713 = stablehlo.reduce(%712 init: %cst_102) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %714 = stablehlo.broadcast_in_dim %713, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_103 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %715 = stablehlo.broadcast_in_dim %cst_103, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %716 = stablehlo.divide %714, %715 : tensor<2x32x1xf32>
    %717 = stablehlo.broadcast_in_dim %716, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %718 = stablehlo.subtract %712, %717 : tensor<2x32x64xf32>
    %c_104 = stablehlo.constant dense<0> : tensor<i32>
    %719 = call @_var_14(%712, %c_104) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_105 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %720 = stablehlo.broadcast_in_dim %cst_105, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %721 = stablehlo.add %719, %720 : tensor<2x32x1xf32>
    %722 = stablehlo.rsqrt %721 : tensor<2x32x1xf32>
    %723 = stablehlo.broadcast_in_dim %722, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %724 = stablehlo.multiply %718, %723 : tensor<2x32x64xf32>
    %725 = stablehlo.reshape %724 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %726 = stablehlo.broadcast_in_dim %arg124, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %727 = stablehlo.broadcast_in_dim %726, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %728 = stablehlo.multiply %725, %727 : tensor<2x128x4x4xf32>
    %729 = stablehlo.broadcast_in_dim %arg125, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %730 = stablehlo.broadcast_in_dim %729, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %731 = stablehlo.add %728, %730 : tensor<2x128x4x4xf32>
    %732 = call @silu_15(%731) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %733 = stablehlo.convolution(%732, %arg126) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %734 = stablehlo.broadcast_in_dim %arg127, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %735 = stablehlo.broadcast_in_dim %734, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %736 = stablehlo.add %733, %735 : tensor<2x128x4x4xf32>
    %737 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %738 = stablehlo.dot_general %737, %arg128, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %739 = stablehlo.broadcast_in_dim %arg129, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %740 = stablehlo.broadcast_in_dim %739, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %741 = stablehlo.add %738, %740 : tensor<2x128xf32>
    %742 = stablehlo.broadcast_in_dim %741, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %743 = stablehlo.broadcast_in_dim %742, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %744 = stablehlo.add %736, %743 : tensor<2x128x4x4xf32>
    %745 = stablehlo.reshape %744 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_106 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %746 = stablehlo.reduce(%745 init: %cst_106) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %747 = stablehlo.broadcast_in_dim %746, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_107 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %748 = stablehlo.broadcast_in_dim %cst_107, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %749 = stablehlo.divide %747, %748 : tensor<2x32x1xf32>
    %750 = stablehlo.broadcast_in_dim %749, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %751 = stablehlo.subtract %745, %750 : tensor<2x32x64xf32>
    %c_108 = stablehlo.constant dense<0> : tensor<i32>
    %752 = call @_var_14(%745, %c_108) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_109 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %753 = stablehlo.broadcast_in_dim %cst_109, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %754 = stablehlo.add %752, %753 : tensor<2x32x1xf32>
    %755 = stablehlo.rsqrt %754 : tensor<2x32x1xf32>
    %756 = stablehlo.broadcast_in_dim %755, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %757 = stablehlo.multiply %751, %756 : tensor<2x32x64xf32>
    %758 = stablehlo.reshape %757 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %759 = stablehlo.broadcast_in_dim %arg130, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %760 = stablehlo.broadcast_in_dim %759, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %761 = stablehlo.multiply %758, %760 : tensor<2x128x4x4xf32>
    %762 = stablehlo.broadcast_in_dim %arg131, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %763 = stablehlo.broadcast_in_dim %762, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %764 = stablehlo.add %761, %763 : tensor<2x128x4x4xf32>
    %765 = call @silu_15(%764) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %766 = stablehlo.convolution(%765, %arg132) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %767 = stablehlo.broadcast_in_dim %arg133, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %768 = stablehlo.broadcast_in_dim %767, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %769 = stablehlo.add %766, %768 : tensor<2x128x4x4xf32>
    %770 = stablehlo.add %769, %711 : tensor<2x128x4x4xf32>
    %771 = stablehlo.reshape %770 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_110 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %772 = stablehlo.reduce(%771 init: %cst_110) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %773 = stablehlo.broadcast_in_dim %772, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_111 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %774 = stablehlo.broadcast_in_dim %cst_111, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %775 = stablehlo.divide %773, %774 : tensor<2x32x1xf32>
    %776 = stablehlo.broadcast_in_dim %775, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %777 = stablehlo.subtract %771, %776 : tensor<2x32x64xf32>
    %c_112 = stablehlo.constant dense<0> : tensor<i32>
    %778 = call @_var_14(%771, %c_112) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_113 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %779 = stablehlo.broadcast_in_dim %cst_113, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %780 = stablehlo.add %778, %779 : tensor<2x32x1xf32>
    %781 = stablehlo.rsqrt %780 : tensor<2x32x1xf32>
    %782 = stablehlo.broadcast_in_dim %781, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %783 = stablehlo.multiply %777, %782 : tensor<2x32x64xf32>
    %784 = stablehlo.reshape %783 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %785 = stablehlo.broadcast_in_dim %arg134, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %786 = stablehlo.broadcast_in_dim %785, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %787 = stablehlo.multiply %784, %786 : tensor<2x128x4x4xf32>
    %788 = stablehlo.broadcast_in_dim %arg135, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %789 = stablehlo.broadcast_in_dim %788, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %790 = stablehlo.add %787, %789 : tensor<2x128x4x4xf32>
    %791 = call @silu_15(%790) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %792 = stablehlo.convolution(%791, %arg136) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %793 = stablehlo.broadcast_in_dim %arg137, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %794 = stablehlo.broadcast_in_dim %793, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %795 = stablehlo.add %792, %794 : tensor<2x128x4x4xf32>
    %796 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %797 = stablehlo.dot_general %796, %arg138, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %798 = stablehlo.broadcast_in_dim %arg139, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %799 = stablehlo.broadcast_in_dim %798, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %800 = stablehlo.add %797, %799 : tensor<2x128xf32>
    %801 = stablehlo.broadcast_in_dim %800, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %802 = stablehlo.broadcast_in_dim %801, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %803 = stablehlo.add %795, %802 : tensor<2x128x4x4xf32>
    %804 = stablehlo.reshape %803 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_114 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %805 = stablehlo.reduce(%804 init: %cst_114) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %806 = stablehlo.broadcast_in_dim %805, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_115 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %807 = stablehlo.broadcast_in_dim %cst_115, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %808 = stablehlo.divide %806, %807 : tensor<2x32x1xf32>
    %809 = stablehlo.broadcast_in_dim %808, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %810 = stablehlo.subtract %804, %809 : tensor<2x32x64xf32>
    %c_116 = stablehlo.constant dense<0> : tensor<i32>
    %811 = call @_var_14(%804, %c_116) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_117 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %812 = stablehlo.broadcast_in_dim %cst_117, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %813 = stablehlo.add %811, %812 : tensor<2x32x1xf32>
    %814 = stablehlo.rsqrt %813 : tensor<2x32x1xf32>
    %815 = stablehlo.broadcast_in_dim %814, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %816 = stablehlo.multiply %810, %815 : tensor<2x32x64xf32>
    %817 = stablehlo.reshape %816 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %818 = stablehlo.broadcast_in_dim %arg140, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %819 = stablehlo.broadcast_in_dim %818, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %820 = stablehlo.multiply %817, %819 : tensor<2x128x4x4xf32>
    %821 = stablehlo.broadcast_in_dim %arg141, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %822 = stablehlo.broadcast_in_dim %821, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %823 = stablehlo.add %820, %822 : tensor<2x128x4x4xf32>
    %824 = call @silu_15(%823) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %825 = stablehlo.convolution(%824, %arg142) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %826 = stablehlo.broadcast_in_dim %arg143, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %827 = stablehlo.broadcast_in_dim %826, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %828 = stablehlo.add %825, %827 : tensor<2x128x4x4xf32>
    %829 = stablehlo.add %828, %770 : tensor<2x128x4x4xf32>
    %830 = stablehlo.reshape %829 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_118 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %831 = stablehlo.reduce(%830 init: %cst_118) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %832 = stablehlo.broadcast_in_dim %831, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_119 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %833 = stablehlo.broadcast_in_dim %cst_119, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %834 = stablehlo.divide %832, %833 : tensor<2x32x1xf32>
    %835 = stablehlo.broadcast_in_dim %834, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %836 = stablehlo.subtract %830, %835 : tensor<2x32x64xf32>
    %c_120 = stablehlo.constant dense<0> : tensor<i32>
    %837 = call @_var_14(%830, %c_120) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_121 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %838 = stablehlo.broadcast_in_dim %cst_121, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %839 = stablehlo.add %837, %838 : tensor<2x32x1xf32>
    %840 = stablehlo.rsqrt %839 : tensor<2x32x1xf32>
    %841 = stablehlo.broadcast_in_dim %840, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %842 = stablehlo.multiply %836, %841 : tensor<2x32x64xf32>
    %843 = stablehlo.reshape %842 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %844 = stablehlo.broadcast_in_dim %arg144, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %845 = stablehlo.broadcast_in_dim %844, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %846 = stablehlo.multiply %843, %845 : tensor<2x128x4x4xf32>
    %847 = stablehlo.broadcast_in_dim %arg145, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %848 = stablehlo.broadcast_in_dim %847, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %849 = stablehlo.add %846, %848 : tensor<2x128x4x4xf32>
    %850 = stablehlo.convolution(%849, %arg146) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %851 = stablehlo.broadcast_in_dim %arg147, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %852 = stablehlo.broadcast_in_dim %851, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %853 = stablehlo.add %850, %852 : tensor<2x128x4x4xf32>
    %854 = stablehlo.reshape %853 : (tensor<2x128x4x4xf32>) -> tensor<2x128x16xf32>
    %855 = stablehlo.transpose %854, dims = [0, 2, 1] : (tensor<2x128x16xf32>) -> tensor<2x16x128xf32>
    %cst_122 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %856 = stablehlo.reduce(%855 init: %cst_122) applies stablehlo.add across dimensions = [2] : (tensor<2x16x128xf32>, tensor<f32>) -> tensor<2x16xf32>
    %857 = stablehlo.broadcast_in_dim %856, dims = [0, 1] : (tensor<2x16xf32>) -> tensor<2x16x1xf32>
    %cst_123 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %858 = stablehlo.broadcast_in_dim %cst_123, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %859 = stablehlo.divide %857, %858 : tensor<2x16x1xf32>
    %860 = stablehlo.broadcast_in_dim %859, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %861 = stablehlo.subtract %855, %860 : tensor<2x16x128xf32>
    %c_124 = stablehlo.constant dense<0> : tensor<i32>
    %862 = call @_var_16(%855, %c_124) : (tensor<2x16x128xf32>, tensor<i32>) -> tensor<2x16x1xf32>
    %cst_125 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %863 = stablehlo.broadcast_in_dim %cst_125, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %864 = stablehlo.add %862, %863 : tensor<2x16x1xf32>
    %865 = stablehlo.rsqrt %864 : tensor<2x16x1xf32>
    %866 = stablehlo.broadcast_in_dim %865, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %867 = stablehlo.multiply %861, %866 : tensor<2x16x128xf32>
    %868 = stablehlo.broadcast_in_dim %arg148, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %869 = stablehlo.broadcast_in_dim %868, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %870 = stablehlo.multiply %867, %869 : tensor<2x16x128xf32>
    %871 = stablehlo.broadcast_in_dim %arg149, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %872 = stablehlo.broadcast_in_dim %871, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %873 = stablehlo.add %870, %872 : tensor<2x16x128xf32>
    %874 = stablehlo.dot_general %873, %arg150, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %875 = stablehlo.dot_general %873, %arg151, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %876 = stablehlo.dot_general %873, %arg152, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %877 = stablehlo.reshape %874 : (tensor<2x16x128xf32>) -> tensor<2x16x4x32xf32>
    %878 = stablehlo.reshape %875 : (tensor<2x16x128xf32>) -> tensor<2x16x4x32xf32>
    %879 = stablehlo.dot_general %877, %878, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x16x4x32xf32>, tensor<2x16x4x32xf32>) -> tensor<2x4x16x16xf32>
    %cst_126 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %880 = stablehlo.broadcast_in_dim %cst_126, dims = [] : (tensor<f32>) -> tensor<2x4x16x16xf32>
    %881 = stablehlo.divide %879, %880 : tensor<2x4x16x16xf32>
    %cst_127 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %882 = stablehlo.reduce(%881 init: %cst_127) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x16x16xf32>, tensor<f32>) -> tensor<2x4x16xf32>
    %cst_128 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %883 = stablehlo.broadcast_in_dim %cst_128, dims = [] : (tensor<f32>) -> tensor<2x4x16xf32>
    %884 = stablehlo.maximum %883, %882 : tensor<2x4x16xf32>
    %885 = stablehlo.broadcast_in_dim %884, dims = [0, 1, 2] : (tensor<2x4x16xf32>) -> tensor<2x4x16x1xf32>
    %886 = stablehlo.broadcast_in_dim %885, dims = [0, 1, 2, 3] : (tensor<2x4x16x1xf32>) -> tensor<2x4x16x16xf32>
    %887 = stablehlo.subtract %881, %886 : tensor<2x4x16x16xf32>
    %888 = stablehlo.exponential %887 : tensor<2x4x16x16xf32>
    %cst_129 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %889 = stablehlo.reduce(%888 init: %cst_129) applies stablehlo.add across dimensions = [3] : (tensor<2x4x16x16xf32>, tensor<f32>) -> tensor<2x4x16xf32>
    %890 = stablehlo.broadcast_in_dim %889, dims = [0, 1, 2] : (tensor<2x4x16xf32>) -> tensor<2x4x16x1xf32>
    %891 = stablehlo.broadcast_in_dim %890, dims = [0, 1, 2, 3] : (tensor<2x4x16x1xf32>) -> tensor<2x4x16x16xf32>
    %892 = stablehlo.divide %888, %891 : tensor<2x4x16x16xf32>
    %893 = stablehlo.reshape %876 : (tensor<2x16x128xf32>) -> tensor<2x16x4x32xf32>
    %894 = stablehlo.dot_general %893, %892, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x16x4x32xf32>, tensor<2x4x16x16xf32>) -> tensor<2x4x32x16xf32>
    %895 = stablehlo.transpose %894, dims = [0, 3, 1, 2] : (tensor<2x4x32x16xf32>) -> tensor<2x16x4x32xf32>
    %896 = stablehlo.reshape %895 : (tensor<2x16x4x32xf32>) -> tensor<2x16x128xf32>
    %897 = stablehlo.dot_general %896, %arg153, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %898 = stablehlo.broadcast_in_dim %arg154, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %899 = stablehlo.broadcast_in_dim %898, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %900 = stablehlo.add %897, %899 : tensor<2x16x128xf32>
    %901 = stablehlo.add %855, %900 : tensor<2x16x128xf32>
    %cst_130 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %902 = stablehlo.reduce(%901 init: %cst_130) applies stablehlo.add across dimensions = [2] : (tensor<2x16x128xf32>, tensor<f32>) -> tensor<2x16xf32>
    %903 = stablehlo.broadcast_in_dim %902, dims = [0, 1] : (tensor<2x16xf32>) -> tensor<2x16x1xf32>
    %cst_131 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %904 = stablehlo.broadcast_in_dim %cst_131, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %905 = stablehlo.divide %903, %904 : tensor<2x16x1xf32>
    %906 = stablehlo.broadcast_in_dim %905, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %907 = stablehlo.subtract %901, %906 : tensor<2x16x128xf32>
    %c_132 = stablehlo.constant dense<0> : tensor<i32>
    %908 = call @_var_16(%901, %c_132) : (tensor<2x16x128xf32>, tensor<i32>) -> tensor<2x16x1xf32>
    %cst_133 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %909 = stablehlo.broadcast_in_dim %cst_133, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %910 = stablehlo.add %908, %909 : tensor<2x16x1xf32>
    %911 = stablehlo.rsqrt %910 : tensor<2x16x1xf32>
    %912 = stablehlo.broadcast_in_dim %911, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %913 = stablehlo.multiply %907, %912 : tensor<2x16x128xf32>
    %914 = stablehlo.broadcast_in_dim %arg155, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %915 = stablehlo.broadcast_in_dim %914, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %916 = stablehlo.multiply %913, %915 : tensor<2x16x128xf32>
    %917 = stablehlo.broadcast_in_dim %arg156, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %918 = stablehlo.broadcast_in_dim %917, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %919 = stablehlo.add %916, %918 : tensor<2x16x128xf32>
    %920 = stablehlo.dot_general %919, %arg157, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %921 = stablehlo.dot_general %arg444, %arg158, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %922 = stablehlo.dot_general %arg444, %arg159, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %923 = stablehlo.reshape %920 : (tensor<2x16x128xf32>) -> tensor<2x16x4x32xf32>
    %924 = stablehlo.reshape %921 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %925 = stablehlo.dot_general %923, %924, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x16x4x32xf32>, tensor<2x77x4x32xf32>) -> tensor<2x4x16x77xf32>
    %cst_134 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %926 = stablehlo.broadcast_in_dim %cst_134, dims = [] : (tensor<f32>) -> tensor<2x4x16x77xf32>
    %927 = stablehlo.divide %925, %926 : tensor<2x4x16x77xf32>
    %cst_135 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %928 = stablehlo.reduce(%927 init: %cst_135) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x16x77xf32>, tensor<f32>) -> tensor<2x4x16xf32>
    %cst_136 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %929 = stablehlo.broadcast_in_dim %cst_136, dims = [] : (tensor<f32>) -> tensor<2x4x16xf32>
    %930 = stablehlo.maximum %929, %928 : tensor<2x4x16xf32>
    %931 = stablehlo.broadcast_in_dim %930, dims = [0, 1, 2] : (tensor<2x4x16xf32>) -> tensor<2x4x16x1xf32>
    %932 = stablehlo.broadcast_in_dim %931, dims = [0, 1, 2, 3] : (tensor<2x4x16x1xf32>) -> tensor<2x4x16x77xf32>
    %933 = stablehlo.subtract %927, %932 : tensor<2x4x16x77xf32>
    %934 = stablehlo.exponential %933 : tensor<2x4x16x77xf32>
    %cst_137 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %935 = stablehlo.reduce(%934 init: %cst_137) applies stablehlo.add across dimensions = [3] : (tensor<2x4x16x77xf32>, tensor<f32>) -> tensor<2x4x16xf32>
    %936 = stablehlo.broadcast_in_dim %935, dims = [0, 1, 2] : (tensor<2x4x16xf32>) -> tensor<2x4x16x1xf32>
    %937 = stablehlo.broadcast_in_dim %936, dims = [0, 1, 2, 3] : (tensor<2x4x16x1xf32>) -> tensor<2x4x16x77xf32>
    %938 = stablehlo.divide %934, %937 : tensor<2x4x16x77xf32>
    %939 = stablehlo.reshape %922 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %940 = stablehlo.dot_general %939, %938, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x32xf32>, tensor<2x4x16x77xf32>) -> tensor<2x4x32x16xf32>
    %941 = stablehlo.transpose %940, dims = [0, 3, 1, 2] : (tensor<2x4x32x16xf32>) -> tensor<2x16x4x32xf32>
    %942 = stablehlo.reshape %941 : (tensor<2x16x4x32xf32>) -> tensor<2x16x128xf32>
    %943 = stablehlo.dot_general %942, %arg160, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x128xf32>) -> tensor<2x16x128xf32>
    %944 = stablehlo.broadcast_in_dim %arg161, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %945 = stablehlo.broadcast_in_dim %944, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %946 = stablehlo.add %943, %945 : tensor<2x16x128xf32>
    %947 = stablehlo.add %901, %946 : tensor<2x16x128xf32>
    %cst_138 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %948 = stablehlo.reduce(%947 init: %cst_138) applies stablehlo.add across dimensions = [2] : (tensor<2x16x128xf32>, tensor<f32>) -> tensor<2x16xf32>
    %949 = stablehlo.broadcast_in_dim %948, dims = [0, 1] : (tensor<2x16xf32>) -> tensor<2x16x1xf32>
    %cst_139 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %950 = stablehlo.broadcast_in_dim %cst_139, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %951 = stablehlo.divide %949, %950 : tensor<2x16x1xf32>
    %952 = stablehlo.broadcast_in_dim %951, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %953 = stablehlo.subtract %947, %952 : tensor<2x16x128xf32>
    %c_140 = stablehlo.constant dense<0> : tensor<i32>
    %954 = call @_var_16(%947, %c_140) : (tensor<2x16x128xf32>, tensor<i32>) -> tensor<2x16x1xf32>
    %cst_141 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %955 = stablehlo.broadcast_in_dim %cst_141, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %956 = stablehlo.add %954, %955 : tensor<2x16x1xf32>
    %957 = stablehlo.rsqrt %956 : tensor<2x16x1xf32>
    %958 = stablehlo.broadcast_in_dim %957, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %959 = stablehlo.multiply %953, %958 : tensor<2x16x128xf32>
    %960 = stablehlo.broadcast_in_dim %arg162, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %961 = stablehlo.broadcast_in_dim %960, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %962 = stablehlo.multiply %959, %961 : tensor<2x16x128xf32>
    %963 = stablehlo.broadcast_in_dim %arg163, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %964 = stablehlo.broadcast_in_dim %963, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %965 = stablehlo.add %962, %964 : tensor<2x16x128xf32>
    %966 = stablehlo.dot_general %965, %arg164, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x128xf32>, tensor<128x1024xf32>) -> tensor<2x16x1024xf32>
    %967 = stablehlo.broadcast_in_dim %arg165, dims = [2] : (tensor<1024xf32>) -> tensor<1x1x1024xf32>
    %968 = stablehlo.broadcast_in_dim %967, dims = [0, 1, 2] : (tensor<1x1x1024xf32>) -> tensor<2x16x1024xf32>
    %969 = stablehlo.add %966, %968 : tensor<2x16x1024xf32>
    %970 = stablehlo.slice %969 [0:2, 0:16, 0:512] : (tensor<2x16x1024xf32>) -> tensor<2x16x512xf32>
    %971 = stablehlo.slice %969 [0:2, 0:16, 512:1024] : (tensor<2x16x1024xf32>) -> tensor<2x16x512xf32>
    %cst_142 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %972 = stablehlo.broadcast_in_dim %cst_142, dims = [] : (tensor<f32>) -> tensor<2x16x512xf32>
    %973 = stablehlo.multiply %972, %971 : tensor<2x16x512xf32>
    %974 = stablehlo.negate %971 : tensor<2x16x512xf32>
    %cst_143 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %975 = stablehlo.broadcast_in_dim %cst_143, dims = [] : (tensor<f32>) -> tensor<2x16x512xf32>
    %976 = stablehlo.multiply %974, %975 : tensor<2x16x512xf32>
    %977 = chlo.erfc %976 : tensor<2x16x512xf32> -> tensor<2x16x512xf32>
    %978 = stablehlo.multiply %973, %977 : tensor<2x16x512xf32>
    %979 = stablehlo.multiply %970, %978 : tensor<2x16x512xf32>
    %980 = stablehlo.dot_general %979, %arg166, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x16x512xf32>, tensor<512x128xf32>) -> tensor<2x16x128xf32>
    %981 = stablehlo.broadcast_in_dim %arg167, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %982 = stablehlo.broadcast_in_dim %981, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x16x128xf32>
    %983 = stablehlo.add %980, %982 : tensor<2x16x128xf32>
    %984 = stablehlo.add %947, %983 : tensor<2x16x128xf32>
    %985 = stablehlo.transpose %984, dims = [0, 2, 1] : (tensor<2x16x128xf32>) -> tensor<2x128x16xf32>
    %986 = stablehlo.reshape %985 : (tensor<2x128x16xf32>) -> tensor<2x128x4x4xf32>
    %987 = stablehlo.convolution(%986, %arg168) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %988 = stablehlo.broadcast_in_dim %arg169, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %989 = stablehlo.broadcast_in_dim %988, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %990 = stablehlo.add %987, %989 : tensor<2x128x4x4xf32>
    %991 = stablehlo.add %990, %829 : tensor<2x128x4x4xf32>
    %992 = stablehlo.reshape %991 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_144 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %993 = stablehlo.reduce(%992 init: %cst_144) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %994 = stablehlo.broadcast_in_dim %993, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_145 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %995 = stablehlo.broadcast_in_dim %cst_145, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %996 = stablehlo.divide %994, %995 : tensor<2x32x1xf32>
    %997 = stablehlo.broadcast_in_dim %996, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %998 = stablehlo.subtract %992, %997 : tensor<2x32x64xf32>
    %c_146 = stablehlo.constant dense<0> : tensor<i32>
    %999 = call @_var_14(%992, %c_146) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_147 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1000 = stablehlo.broadcast_in_dim %cst_147, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1001 = stablehlo.add %999, %1000 : tensor<2x32x1xf32>
    %1002 = stablehlo.rsqrt %1001 : tensor<2x32x1xf32>
    %1003 = stablehlo.broadcast_in_dim %1002, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1004 = stablehlo.multiply %998, %1003 : tensor<2x32x64xf32>
    %1005 = stablehlo.reshape %1004 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %1006 = stablehlo.broadcast_in_dim %arg170, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1007 = stablehlo.broadcast_in_dim %1006, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1008 = stablehlo.multiply %1005, %1007 : tensor<2x128x4x4xf32>
    %1009 = stablehlo.broadcast_in_dim %arg171, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1010 = stablehlo.broadcast_in_dim %1009, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1011 = stablehlo.add %1008, %1010 : tensor<2x128x4x4xf32>
    %1012 = call @silu_15(%1011) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %1013 = stablehlo.convolution(%1012, %arg172) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1014 = stablehlo.broadcast_in_dim %arg173, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1015 = stablehlo.broadcast_in_dim %1014, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1016 = stablehlo.add %1013, %1015 : tensor<2x128x4x4xf32>
    %1017 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1018 = stablehlo.dot_general %1017, %arg174, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %1019 = stablehlo.broadcast_in_dim %arg175, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %1020 = stablehlo.broadcast_in_dim %1019, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %1021 = stablehlo.add %1018, %1020 : tensor<2x128xf32>
    %1022 = stablehlo.broadcast_in_dim %1021, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %1023 = stablehlo.broadcast_in_dim %1022, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1024 = stablehlo.add %1016, %1023 : tensor<2x128x4x4xf32>
    %1025 = stablehlo.reshape %1024 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_148 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1026 = stablehlo.reduce(%1025 init: %cst_148) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1027 = stablehlo.broadcast_in_dim %1026, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_149 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1028 = stablehlo.broadcast_in_dim %cst_149, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1029 = stablehlo.divide %1027, %1028 : tensor<2x32x1xf32>
    %1030 = stablehlo.broadcast_in_dim %1029, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1031 = stablehlo.subtract %1025, %1030 : tensor<2x32x64xf32>
    %c_150 = stablehlo.constant dense<0> : tensor<i32>
    %1032 = call @_var_14(%1025, %c_150) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_151 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1033 = stablehlo.broadcast_in_dim %cst_151, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1034 = stablehlo.add %1032, %1033 : tensor<2x32x1xf32>
    %1035 = stablehlo.rsqrt %1034 : tensor<2x32x1xf32>
    %1036 = stablehlo.broadcast_in_dim %1035, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1037 = stablehlo.multiply %1031, %1036 : tensor<2x32x64xf32>
    %1038 = stablehlo.reshape %1037 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %1039 = stablehlo.broadcast_in_dim %arg176, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1040 = stablehlo.broadcast_in_dim %1039, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1041 = stablehlo.multiply %1038, %1040 : tensor<2x128x4x4xf32>
    %1042 = stablehlo.broadcast_in_dim %arg177, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1043 = stablehlo.broadcast_in_dim %1042, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1044 = stablehlo.add %1041, %1043 : tensor<2x128x4x4xf32>
    %1045 = call @silu_15(%1044) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %1046 = stablehlo.convolution(%1045, %arg178) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1047 = stablehlo.broadcast_in_dim %arg179, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1048 = stablehlo.broadcast_in_dim %1047, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1049 = stablehlo.add %1046, %1048 : tensor<2x128x4x4xf32>
    %1050 = stablehlo.add %1049, %991 : tensor<2x128x4x4xf32>
    %1051 = stablehlo.concatenate %1050, %770, dim = 1 : (tensor<2x128x4x4xf32>, tensor<2x128x4x4xf32>) -> tensor<2x256x4x4xf32>
    %1052 = stablehlo.reshape %1051 : (tensor<2x256x4x4xf32>) -> tensor<2x32x128xf32>
    %cst_152 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1053 = stablehlo.reduce(%1052 init: %cst_152) applies stablehlo.add across dimensions = [2] : (tensor<2x32x128xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1054 = stablehlo.broadcast_in_dim %1053, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_153 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1055 = stablehlo.broadcast_in_dim %cst_153, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1056 = stablehlo.divide %1054, %1055 : tensor<2x32x1xf32>
    %1057 = stablehlo.broadcast_in_dim %1056, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %1058 = stablehlo.subtract %1052, %1057 : tensor<2x32x128xf32>
    %c_154 = stablehlo.constant dense<0> : tensor<i32>
    %1059 = call @_var_9(%1052, %c_154) : (tensor<2x32x128xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_155 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1060 = stablehlo.broadcast_in_dim %cst_155, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1061 = stablehlo.add %1059, %1060 : tensor<2x32x1xf32>
    %1062 = stablehlo.rsqrt %1061 : tensor<2x32x1xf32>
    %1063 = stablehlo.broadcast_in_dim %1062, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %1064 = stablehlo.multiply %1058, %1063 : tensor<2x32x128xf32>
    %1065 = stablehlo.reshape %1064 : (tensor<2x32x128xf32>) -> tensor<2x256x4x4xf32>
    %1066 = stablehlo.broadcast_in_dim %arg180, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1067 = stablehlo.broadcast_in_dim %1066, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x4x4xf32>
    %1068 = stablehlo.multiply %1065, %1067 : tensor<2x256x4x4xf32>
    %1069 = stablehlo.broadcast_in_dim %arg181, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1070 = stablehlo.broadcast_in_dim %1069, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x4x4xf32>
    %1071 = stablehlo.add %1068, %1070 : tensor<2x256x4x4xf32>
    %1072 = call @silu_18(%1071) : (tensor<2x256x4x4xf32>) -> tensor<2x256x4x4xf32>
    %1073 = stablehlo.convolution(%1072, %arg182) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x4x4xf32>, tensor<128x256x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1074 = stablehlo.broadcast_in_dim %arg183, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1075 = stablehlo.broadcast_in_dim %1074, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1076 = stablehlo.add %1073, %1075 : tensor<2x128x4x4xf32>
    %1077 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1078 = stablehlo.dot_general %1077, %arg184, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %1079 = stablehlo.broadcast_in_dim %arg185, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %1080 = stablehlo.broadcast_in_dim %1079, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %1081 = stablehlo.add %1078, %1080 : tensor<2x128xf32>
    %1082 = stablehlo.broadcast_in_dim %1081, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %1083 = stablehlo.broadcast_in_dim %1082, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1084 = stablehlo.add %1076, %1083 : tensor<2x128x4x4xf32>
    %1085 = stablehlo.reshape %1084 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_156 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1086 = stablehlo.reduce(%1085 init: %cst_156) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1087 = stablehlo.broadcast_in_dim %1086, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_157 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1088 = stablehlo.broadcast_in_dim %cst_157, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1089 = stablehlo.divide %1087, %1088 : tensor<2x32x1xf32>
    %1090 = stablehlo.broadcast_in_dim %1089, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1091 = stablehlo.subtract %1085, %1090 : tensor<2x32x64xf32>
    %c_158 = stablehlo.constant dense<0> : tensor<i32>
    %1092 = call @_var_14(%1085, %c_158) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_159 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1093 = stablehlo.broadcast_in_dim %cst_159, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1094 = stablehlo.add %1092, %1093 : tensor<2x32x1xf32>
    %1095 = stablehlo.rsqrt %1094 : tensor<2x32x1xf32>
    %1096 = stablehlo.broadcast_in_dim %1095, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1097 = stablehlo.multiply %1091, %1096 : tensor<2x32x64xf32>
    %1098 = stablehlo.reshape %1097 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %1099 = stablehlo.broadcast_in_dim %arg186, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1100 = stablehlo.broadcast_in_dim %1099, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1101 = stablehlo.multiply %1098, %1100 : tensor<2x128x4x4xf32>
    %1102 = stablehlo.broadcast_in_dim %arg187, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1103 = stablehlo.broadcast_in_dim %1102, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1104 = stablehlo.add %1101, %1103 : tensor<2x128x4x4xf32>
    %1105 = call @silu_15(%1104) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %1106 = stablehlo.convolution(%1105, %arg188) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1107 = stablehlo.broadcast_in_dim %arg189, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1108 = stablehlo.broadcast_in_dim %1107, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1109 = stablehlo.add %1106, %1108 : tensor<2x128x4x4xf32>
    %1110 = stablehlo.convolution(%1051, %arg190) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x4x4xf32>, tensor<128x256x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1111 = stablehlo.broadcast_in_dim %arg191, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1112 = stablehlo.broadcast_in_dim %1111, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1113 = stablehlo.add %1110, %1112 : tensor<2x128x4x4xf32>
    %1114 = stablehlo.add %1109, %1113 : tensor<2x128x4x4xf32>
    %1115 = stablehlo.concatenate %1114, %711, dim = 1 : (tensor<2x128x4x4xf32>, tensor<2x128x4x4xf32>) -> tensor<2x256x4x4xf32>
    %1116 = stablehlo.reshape %1115 : (tensor<2x256x4x4xf32>) -> tensor<2x32x128xf32>
    %cst_160 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1117 = stablehlo.reduce(%1116 init: %cst_160) applies stablehlo.add across dimensions = [2] : (tensor<2x32x128xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1118 = stablehlo.broadcast_in_dim %1117, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_161 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1119 = stablehlo.broadcast_in_dim %cst_161, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1120 = stablehlo.divide %1118, %1119 : tensor<2x32x1xf32>
    %1121 = stablehlo.broadcast_in_dim %1120, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %1122 = stablehlo.subtract %1116, %1121 : tensor<2x32x128xf32>
    %c_162 = stablehlo.constant dense<0> : tensor<i32>
    %1123 = call @_var_9(%1116, %c_162) : (tensor<2x32x128xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_163 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1124 = stablehlo.broadcast_in_dim %cst_163, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1125 = stablehlo.add %1123, %1124 : tensor<2x32x1xf32>
    %1126 = stablehlo.rsqrt %1125 : tensor<2x32x1xf32>
    %1127 = stablehlo.broadcast_in_dim %1126, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %1128 = stablehlo.multiply %1122, %1127 : tensor<2x32x128xf32>
    %1129 = stablehlo.reshape %1128 : (tensor<2x32x128xf32>) -> tensor<2x256x4x4xf32>
    %1130 = stablehlo.broadcast_in_dim %arg192, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1131 = stablehlo.broadcast_in_dim %1130, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x4x4xf32>
    %1132 = stablehlo.multiply %1129, %1131 : tensor<2x256x4x4xf32>
    %1133 = stablehlo.broadcast_in_dim %arg193, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1134 = stablehlo.broadcast_in_dim %1133, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x4x4xf32>
    %1135 = stablehlo.add %1132, %1134 : tensor<2x256x4x4xf32>
    %1136 = call @silu_18(%1135) : (tensor<2x256x4x4xf32>) -> tensor<2x256x4x4xf32>
    %1137 = stablehlo.convolution(%1136, %arg194) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x4x4xf32>, tensor<128x256x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1138 = stablehlo.broadcast_in_dim %arg195, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1139 = stablehlo.broadcast_in_dim %1138, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1140 = stablehlo.add %1137, %1139 : tensor<2x128x4x4xf32>
    %1141 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1142 = stablehlo.dot_general %1141, %arg196, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %1143 = stablehlo.broadcast_in_dim %arg197, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %1144 = stablehlo.broadcast_in_dim %1143, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %1145 = stablehlo.add %1142, %1144 : tensor<2x128xf32>
    %1146 = stablehlo.broadcast_in_dim %1145, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %1147 = stablehlo.broadcast_in_dim %1146, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1148 = stablehlo.add %1140, %1147 : tensor<2x128x4x4xf32>
    %1149 = stablehlo.reshape %1148 : (tensor<2x128x4x4xf32>) -> tensor<2x32x64xf32>
    %cst_164 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1150 = stablehlo.reduce(%1149 init: %cst_164) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1151 = stablehlo.broadcast_in_dim %1150, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_165 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1152 = stablehlo.broadcast_in_dim %cst_165, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1153 = stablehlo.divide %1151, %1152 : tensor<2x32x1xf32>
    %1154 = stablehlo.broadcast_in_dim %1153, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1155 = stablehlo.subtract %1149, %1154 : tensor<2x32x64xf32>
    %c_166 = stablehlo.constant dense<0> : tensor<i32>
    %1156 = call @_var_14(%1149, %c_166) : (tensor<2x32x64xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_167 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1157 = stablehlo.broadcast_in_dim %cst_167, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1158 = stablehlo.add %1156, %1157 : tensor<2x32x1xf32>
    %1159 = stablehlo.rsqrt %1158 : tensor<2x32x1xf32>
    %1160 = stablehlo.broadcast_in_dim %1159, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %1161 = stablehlo.multiply %1155, %1160 : tensor<2x32x64xf32>
    %1162 = stablehlo.reshape %1161 : (tensor<2x32x64xf32>) -> tensor<2x128x4x4xf32>
    %1163 = stablehlo.broadcast_in_dim %arg198, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1164 = stablehlo.broadcast_in_dim %1163, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1165 = stablehlo.multiply %1162, %1164 : tensor<2x128x4x4xf32>
    %1166 = stablehlo.broadcast_in_dim %arg199, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1167 = stablehlo.broadcast_in_dim %1166, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1168 = stablehlo.add %1165, %1167 : tensor<2x128x4x4xf32>
    %1169 = call @silu_15(%1168) : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32>
    %1170 = stablehlo.convolution(%1169, %arg200) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x4x4xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x4x4xf32>
    %1171 = stablehlo.broadcast_in_dim %arg201, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1172 = stablehlo.broadcast_in_dim %1171, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1173 = stablehlo.add %1170, %1172 : tensor<2x128x4x4xf32>
    %1174 = stablehlo.convolution(%1115, %arg202) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x4x4xf32>, tensor<128x256x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1175 = stablehlo.broadcast_in_dim %arg203, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1176 = stablehlo.broadcast_in_dim %1175, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x4x4xf32>
    %1177 = stablehlo.add %1174, %1176 : tensor<2x128x4x4xf32>
    %1178 = stablehlo.add %1173, %1177 : tensor<2x128x4x4xf32>
    %1179 = stablehlo.broadcast_in_dim %1178, dims = [0, 1, 2, 4] : (tensor<2x128x4x4xf32>) -> tensor<2x128x4x1x4x1xf32>
    %1180 = stablehlo.broadcast_in_dim %1179, dims = [0, 1, 2, 3, 4, 5] : (tensor<2x128x4x1x4x1xf32>) -> tensor<2x128x4x2x4x2xf32>
    %1181 = stablehlo.reshape %1180 : (tensor<2x128x4x2x4x2xf32>) -> tensor<2x128x8x8xf32>
    %1182 = stablehlo.convolution(%1181, %arg204) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x8x8xf32>
    %1183 = stablehlo.broadcast_in_dim %arg205, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1184 = stablehlo.broadcast_in_dim %1183, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1185 = stablehlo.add %1182, %1184 : tensor<2x128x8x8xf32>
    %1186 = stablehlo.concatenate %1185, %707, dim = 1 : (tensor<2x128x8x8xf32>, tensor<2x128x8x8xf32>) -> tensor<2x256x8x8xf32>
    %1187 = stablehlo.reshape %1186 : (tensor<2x256x8x8xf32>) -> tensor<2x32x512xf32>
    %cst_168 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1188 = stablehlo.reduce(%1187 init: %cst_168) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1189 = stablehlo.broadcast_in_dim %1188, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_169 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %1190 = stablehlo.broadcast_in_dim %cst_169, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1191 = stablehlo.divide %1189, %1190 : tensor<2x32x1xf32>
    %1192 = stablehlo.broadcast_in_dim %1191, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1193 = stablehlo.subtract %1187, %1192 : tensor<2x32x512xf32>
    %c_170 = stablehlo.constant dense<0> : tensor<i32>
    %1194 = call @_var_5(%1187, %c_170) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_171 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1195 = stablehlo.broadcast_in_dim %cst_171, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1196 = stablehlo.add %1194, %1195 : tensor<2x32x1xf32>
    %1197 = stablehlo.rsqrt %1196 : tensor<2x32x1xf32>
    %1198 = stablehlo.broadcast_in_dim %1197, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1199 = stablehlo.multiply %1193, %1198 : tensor<2x32x512xf32>
    %1200 = stablehlo.reshape %1199 : (tensor<2x32x512xf32>) -> tensor<2x256x8x8xf32>
    %1201 = stablehlo.broadcast_in_dim %arg206, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1202 = stablehlo.broadcast_in_dim %1201, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x8x8xf32>
    %1203 = stablehlo.multiply %1200, %1202 : tensor<2x256x8x8xf32>
    %1204 = stablehlo.broadcast_in_dim %arg207, dims = [1] : (tensor<256xf32>) -> tensor<1x256x1x1xf32>
    %1205 = stablehlo.broadcast_in_dim %1204, dims = [0, 1, 2, 3] : (tensor<1x256x1x1xf32>) -> tensor<2x256x8x8xf32>
    %1206 = stablehlo.add %1203, %1205 : tensor<2x256x8x8xf32>
    %1207 = call @silu_19(%1206) : (tensor<2x256x8x8xf32>) -> tensor<2x256x8x8xf32>
    %1208 = stablehlo.convolution(%1207, %arg208) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x8x8xf32>, tensor<128x256x3x3xf32>) -> tensor<2x128x8x8xf32>
    %1209 = stablehlo.broadcast_in_dim %arg209, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1210 = stablehlo.broadcast_in_dim %1209, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1211 = stablehlo.add %1208, %1210 : tensor<2x128x8x8xf32>
    %1212 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1213 = stablehlo.dot_general %1212, %arg210, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %1214 = stablehlo.broadcast_in_dim %arg211, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %1215 = stablehlo.broadcast_in_dim %1214, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %1216 = stablehlo.add %1213, %1215 : tensor<2x128xf32>
    %1217 = stablehlo.broadcast_in_dim %1216, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %1218 = stablehlo.broadcast_in_dim %1217, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1219 = stablehlo.add %1211, %1218 : tensor<2x128x8x8xf32>
    %1220 = stablehlo.reshape %1219 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_172 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1221 = stablehlo.reduce(%1220 init: %cst_172) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1222 = stablehlo.broadcast_in_dim %1221, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_173 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %1223 = stablehlo.broadcast_in_dim %cst_173, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1224 = stablehlo.divide %1222, %1223 : tensor<2x32x1xf32>
    %1225 = stablehlo.broadcast_in_dim %1224, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1226 = stablehlo.subtract %1220, %1225 : tensor<2x32x256xf32>
    %c_174 = stablehlo.constant dense<0> : tensor<i32>
    %1227 = call @_var_3(%1220, %c_174) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_175 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1228 = stablehlo.broadcast_in_dim %cst_175, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1229 = stablehlo.add %1227, %1228 : tensor<2x32x1xf32>
    %1230 = stablehlo.rsqrt %1229 : tensor<2x32x1xf32>
    %1231 = stablehlo.broadcast_in_dim %1230, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1232 = stablehlo.multiply %1226, %1231 : tensor<2x32x256xf32>
    %1233 = stablehlo.reshape %1232 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %1234 = stablehlo.broadcast_in_dim %arg212, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1235 = stablehlo.broadcast_in_dim %1234, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1236 = stablehlo.multiply %1233, %1235 : tensor<2x128x8x8xf32>
    %1237 = stablehlo.broadcast_in_dim %arg213, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1238 = stablehlo.broadcast_in_dim %1237, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1239 = stablehlo.add %1236, %1238 : tensor<2x128x8x8xf32>
    %1240 = call @silu_11(%1239) : (tensor<2x128x8x8xf32>) -> tensor<2x128x8x8xf32>
    %1241 = stablehlo.convolution(%1240, %arg214) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x8x8xf32>
    %1242 = stablehlo.broadcast_in_dim %arg215, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1243 = stablehlo.broadcast_in_dim %1242, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1244 = stablehlo.add %1241, %1243 : tensor<2x128x8x8xf32>
    %1245 = stablehlo.convolution(%1186, %arg216) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x256x8x8xf32>, tensor<128x256x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1246 = stablehlo.broadcast_in_dim %arg217, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1247 = stablehlo.broadcast_in_dim %1246, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1248 = stablehlo.add %1245, %1247 : tensor<2x128x8x8xf32>
    %1249 = stablehlo.add %1244, %1248 : tensor<2x128x8x8xf32>
    %1250 = stablehlo.reshape %1249 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_176 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1251 = stablehlo.reduce(%1250 init: %cst_176) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1252 = stablehlo.broadcast_in_dim %1251, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_177 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %1253 = stablehlo.broadcast_in_dim %cst_177, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1254 = stablehlo.divide %1252, %1253 : tensor<2x32x1xf32>
    %1255 = stablehlo.broadcast_in_dim %1254, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1256 = stablehlo.subtract %1250, %1255 : tensor<2x32x256xf32>
    %c_178 = stablehlo.constant dense<0> : tensor<i32>
    %1257 = call @_var_3(%1250, %c_178) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_179 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %1258 = stablehlo.broadcast_in_dim %cst_179, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1259 = stablehlo.add %1257, %1258 : tensor<2x32x1xf32>
    %1260 = stablehlo.rsqrt %1259 : tensor<2x32x1xf32>
    %1261 = stablehlo.broadcast_in_dim %1260, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1262 = stablehlo.multiply %1256, %1261 : tensor<2x32x256xf32>
    %1263 = stablehlo.reshape %1262 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %1264 = stablehlo.broadcast_in_dim %arg218, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1265 = stablehlo.broadcast_in_dim %1264, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1266 = stablehlo.multiply %1263, %1265 : tensor<2x128x8x8xf32>
    %1267 = stablehlo.broadcast_in_dim %arg219, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1268 = stablehlo.broadcast_in_dim %1267, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1269 = stablehlo.add %1266, %1268 : tensor<2x128x8x8xf32>
    %1270 = stablehlo.convolution(%1269, %arg220) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1271 = stablehlo.broadcast_in_dim %arg221, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1272 = stablehlo.broadcast_in_dim %1271, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1273 = stablehlo.add %1270, %1272 : tensor<2x128x8x8xf32>
    %1274 = stablehlo.reshape %1273 : (tensor<2x128x8x8xf32>) -> tensor<2x128x64xf32>
    %1275 = stablehlo.transpose %1274, dims = [0, 2, 1] : (tensor<2x128x64xf32>) -> tensor<2x64x128xf32>
    %cst_180 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1276 = stablehlo.reduce(%1275 init: %cst_180) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1277 = stablehlo.broadcast_in_dim %1276, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_181 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1278 = stablehlo.broadcast_in_dim %cst_181, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1279 = stablehlo.divide %1277, %1278 : tensor<2x64x1xf32>
    %1280 = stablehlo.broadcast_in_dim %1279, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1281 = stablehlo.subtract %1275, %1280 : tensor<2x64x128xf32>
    %c_182 = stablehlo.constant dense<0> : tensor<i32>
    %1282 = call @_var_12(%1275, %c_182) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_183 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1283 = stablehlo.broadcast_in_dim %cst_183, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1284 = stablehlo.add %1282, %1283 : tensor<2x64x1xf32>
    %1285 = stablehlo.rsqrt %1284 : tensor<2x64x1xf32>
    %1286 = stablehlo.broadcast_in_dim %1285, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1287 = stablehlo.multiply %1281, %1286 : tensor<2x64x128xf32>
    %1288 = stablehlo.broadcast_in_dim %arg222, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1289 = stablehlo.broadcast_in_dim %1288, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1290 = stablehlo.multiply %1287, %1289 : tensor<2x64x128xf32>
    %1291 = stablehlo.broadcast_in_dim %arg223, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1292 = stablehlo.broadcast_in_dim %1291, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1293 = stablehlo.add %1290, %1292 : tensor<2x64x128xf32>
    %1294 = stablehlo.dot_general %1293, %arg224, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1295 = stablehlo.dot_general %1293, %arg225, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1296 = stablehlo.dot_general %1293, %arg226, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1297 = stablehlo.reshape %1294 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1298 = stablehlo.reshape %1295 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1299 = stablehlo.dot_general %1297, %1298, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x64x4x32xf32>) -> tensor<2x4x64x64xf32>
    %cst_184 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %1300 = stablehlo.broadcast_in_dim %cst_184, dims = [] : (tensor<f32>) -> tensor<2x4x64x64xf32>
    %1301 = stablehlo.divide %1299, %1300 : tensor<2x4x64x64xf32>
    %cst_185 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1302 = stablehlo.reduce(%1301 init: %cst_185) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_186 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1303 = stablehlo.broadcast_in_dim %cst_186, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %1304 = stablehlo.maximum %1303, %1302 : tensor<2x4x64xf32>
    %1305 = stablehlo.broadcast_in_dim %1304, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1306 = stablehlo.broadcast_in_dim %1305, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %1307 = stablehlo.subtract %1301, %1306 : tensor<2x4x64x64xf32>
    %1308 = stablehlo.exponential %1307 : tensor<2x4x64x64xf32>
    %cst_187 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1309 = stablehlo.reduce(%1308 init: %cst_187) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %1310 = stablehlo.broadcast_in_dim %1309, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1311 = stablehlo.broadcast_in_dim %1310, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %1312 = stablehlo.divide %1308, %1311 : tensor<2x4x64x64xf32>
    %1313 = stablehlo.reshape %1296 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1314 = stablehlo.dot_general %1313, %1312, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x4x64x64xf32>) -> tensor<2x4x32x64xf32>
    %1315 = stablehlo.transpose %1314, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %1316 = stablehlo.reshape %1315 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %1317 = stablehlo.dot_general %1316, %arg227, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1318 = stablehlo.broadcast_in_dim %arg228, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1319 = stablehlo.broadcast_in_dim %1318, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1320 = stablehlo.add %1317, %1319 : tensor<2x64x128xf32>
    %1321 = stablehlo.add %1275, %1320 : tensor<2x64x128xf32>
    %cst_188 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1322 = stablehlo.reduce(%1321 init: %cst_188) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1323 = stablehlo.broadcast_in_dim %1322, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_189 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1324 = stablehlo.broadcast_in_dim %cst_189, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1325 = stablehlo.divide %1323, %1324 : tensor<2x64x1xf32>
    %1326 = stablehlo.broadcast_in_dim %1325, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1327 = stablehlo.subtract %1321, %1326 : tensor<2x64x128xf32>
    %c_190 = stablehlo.constant dense<0> : tensor<i32>
    %1328 = call @_var_12(%1321, %c_190) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_191 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1329 = stablehlo.broadcast_in_dim %cst_191, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1330 = stablehlo.add %1328, %1329 : tensor<2x64x1xf32>
    %1331 = stablehlo.rsqrt %1330 : tensor<2x64x1xf32>
    %1332 = stablehlo.broadcast_in_dim %1331, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1333 = stablehlo.multiply %1327, %1332 : tensor<2x64x128xf32>
    %1334 = stablehlo.broadcast_in_dim %arg229, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1335 = stablehlo.broadcast_in_dim %1334, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1336 = stablehlo.multiply %1333, %1335 : tensor<2x64x128xf32>
    %1337 = stablehlo.broadcast_in_dim %arg230, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1338 = stablehlo.broadcast_in_dim %1337, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1339 = stablehlo.add %1336, %1338 : tensor<2x64x128xf32>
    %1340 = stablehlo.dot_general %1339, %arg231, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1341 = stablehlo.dot_general %arg444, %arg232, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %1342 = stablehlo.dot_general %arg444, %arg233, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %1343 = stablehlo.reshape %1340 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1344 = stablehlo.reshape %1341 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %1345 = stablehlo.dot_general %1343, %1344, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x77x4x32xf32>) -> tensor<2x4x64x77xf32>
    %cst_192 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %1346 = stablehlo.broadcast_in_dim %cst_192, dims = [] : (tensor<f32>) -> tensor<2x4x64x77xf32>
    %1347 = stablehlo.divide %1345, %1346 : tensor<2x4x64x77xf32>
    %cst_193 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1348 = stablehlo.reduce(%1347 init: %cst_193) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_194 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1349 = stablehlo.broadcast_in_dim %cst_194, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %1350 = stablehlo.maximum %1349, %1348 : tensor<2x4x64xf32>
    %1351 = stablehlo.broadcast_in_dim %1350, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1352 = stablehlo.broadcast_in_dim %1351, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %1353 = stablehlo.subtract %1347, %1352 : tensor<2x4x64x77xf32>
    %1354 = stablehlo.exponential %1353 : tensor<2x4x64x77xf32>
    %cst_195 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1355 = stablehlo.reduce(%1354 init: %cst_195) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %1356 = stablehlo.broadcast_in_dim %1355, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1357 = stablehlo.broadcast_in_dim %1356, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %1358 = stablehlo.divide %1354, %1357 : tensor<2x4x64x77xf32>
    %1359 = stablehlo.reshape %1342 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %1360 = stablehlo.dot_general %1359, %1358, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x32xf32>, tensor<2x4x64x77xf32>) -> tensor<2x4x32x64xf32>
    %1361 = stablehlo.transpose %1360, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %1362 = stablehlo.reshape %1361 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %1363 = stablehlo.dot_general %1362, %arg234, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1364 = stablehlo.broadcast_in_dim %arg235, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1365 = stablehlo.broadcast_in_dim %1364, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1366 = stablehlo.add %1363, %1365 : tensor<2x64x128xf32>
    %1367 = stablehlo.add %1321, %1366 : tensor<2x64x128xf32>
    %cst_196 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1368 = stablehlo.reduce(%1367 init: %cst_196) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1369 = stablehlo.broadcast_in_dim %1368, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_197 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1370 = stablehlo.broadcast_in_dim %cst_197, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1371 = stablehlo.divide %1369, %1370 : tensor<2x64x1xf32>
    %1372 = stablehlo.broadcast_in_dim %1371, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1373 = stablehlo.subtract %1367, %1372 : tensor<2x64x128xf32>
    %c_198 = stablehlo.constant dense<0> : tensor<i32>
    %1374 = call @_var_12(%1367, %c_198) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_199 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1375 = stablehlo.broadcast_in_dim %cst_199, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1376 = stablehlo.add %1374, %1375 : tensor<2x64x1xf32>
    %1377 = stablehlo.rsqrt %1376 : tensor<2x64x1xf32>
    %1378 = stablehlo.broadcast_in_dim %1377, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1379 = stablehlo.multiply %1373, %1378 : tensor<2x64x128xf32>
    %1380 = stablehlo.broadcast_in_dim %arg236, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1381 = stablehlo.broadcast_in_dim %1380, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1382 = stablehlo.multiply %1379, %1381 : tensor<2x64x128xf32>
    %1383 = stablehlo.broadcast_in_dim %arg237, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1384 = stablehlo.broadcast_in_dim %1383, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1385 = stablehlo.add %1382, %1384 : tensor<2x64x128xf32>
    %1386 = stablehlo.dot_general %1385, %arg238, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x1024xf32>) -> tensor<2x64x1024xf32>
    %1387 = stablehlo.broadcast_in_dim %arg239, dims = [2] : (tensor<1024xf32>) -> tensor<1x1x1024xf32>
    %1388 = stablehlo.broadcast_in_dim %1387, dims = [0, 1, 2] : (tensor<1x1x1024xf32>) -> tensor<2x64x1024xf32>
    %1389 = stablehlo.add %1386, %1388 : tensor<2x64x1024xf32>
    %1390 = stablehlo.slice %1389 [0:2, 0:64, 0:512] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %1391 = stablehlo.slice %1389 [0:2, 0:64, 512:1024] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %cst_200 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %1392 = stablehlo.broadcast_in_dim %cst_200, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %1393 = stablehlo.multiply %1392, %1391 : tensor<2x64x512xf32>
    %1394 = stablehlo.negate %1391 : tensor<2x64x512xf32>
    %cst_201 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %1395 = stablehlo.broadcast_in_dim %cst_201, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %1396 = stablehlo.multiply %1394, %1395 : tensor<2x64x512xf32>
    %1397 = chlo.erfc %1396 : tensor<2x64x512xf32> -> tensor<2x64x512xf32>
    %1398 = stablehlo.multiply %1393, %1397 : tensor<2x64x512xf32>
    %1399 = stablehlo.multiply %1390, %1398 : tensor<2x64x512xf32>
    %1400 = stablehlo.dot_general %1399, %arg240, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x512xf32>, tensor<512x128xf32>) -> tensor<2x64x128xf32>
    %1401 = stablehlo.broadcast_in_dim %arg241, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1402 = stablehlo.broadcast_in_dim %1401, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1403 = stablehlo.add %1400, %1402 : tensor<2x64x128xf32>
    %1404 = stablehlo.add %1367, %1403 : tensor<2x64x128xf32>
    %1405 = stablehlo.transpose %1404, dims = [0, 2, 1] : (tensor<2x64x128xf32>) -> tensor<2x128x64xf32>
    %1406 = stablehlo.reshape %1405 : (tensor<2x128x64xf32>) -> tensor<2x128x8x8xf32>
    %1407 = stablehlo.convolution(%1406, %arg242) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1408 = stablehlo.broadcast_in_dim %arg243, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1409 = stablehlo.broadcast_in_dim %1408, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1410 = stablehlo.add %1407, %1409 : tensor<2x128x8x8xf32>
    %1411 = stablehlo.add %1410, %1249 : tensor<2x128x8x8xf32>
    %1412 = stablehlo.concatenate %1411, %482, dim = 1 : (tensor<2x128x8x8xf32>, tensor<2x64x8x8xf32>) -> tensor<2x192x8x8xf32>
    %1413 = stablehlo.reshape %1412 : (tensor<2x192x8x8xf32>) -> tensor<2x32x384xf32>
    %cst_202 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1414 = stablehlo.reduce(%1413 init: %cst_202) applies stablehlo.add across dimensions = [2] : (tensor<2x32x384xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1415 = stablehlo.broadcast_in_dim %1414, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_203 = stablehlo.constant dense<3.840000e+02> : tensor<f32>
    %1416 = stablehlo.broadcast_in_dim %cst_203, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1417 = stablehlo.divide %1415, %1416 : tensor<2x32x1xf32>
    %1418 = stablehlo.broadcast_in_dim %1417, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x384xf32>
    %1419 = stablehlo.subtract %1413, %1418 : tensor<2x32x384xf32>
    %c_204 = stablehlo.constant dense<0> : tensor<i32>
    %1420 = call @_var_20(%1413, %c_204) : (tensor<2x32x384xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_205 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1421 = stablehlo.broadcast_in_dim %cst_205, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1422 = stablehlo.add %1420, %1421 : tensor<2x32x1xf32>
    %1423 = stablehlo.rsqrt %1422 : tensor<2x32x1xf32>
    %1424 = stablehlo.broadcast_in_dim %1423, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x384xf32>
    %1425 = stablehlo.multiply %1419, %1424 : tensor<2x32x384xf32>
    %1426 = stablehlo.reshape %1425 : (tensor<2x32x384xf32>) -> tensor<2x192x8x8xf32>
    %1427 = stablehlo.broadcast_in_dim %arg244, dims = [1] : (tensor<192xf32>) -> tensor<1x192x1x1xf32>
    %1428 = stablehlo.broadcast_in_dim %1427, dims = [0, 1, 2, 3] : (tensor<1x192x1x1xf32>) -> tensor<2x192x8x8xf32>
    %1429 = stablehlo.multiply %1426, %1428 : tensor<2x192x8x8xf32>
    %1430 = stablehlo.broadcast_in_dim %arg245, dims = [1] : (tensor<192xf32>) -> tensor<1x192x1x1xf32>
    %1431 = stablehlo.broadcast_in_dim %1430, dims = [0, 1, 2, 3] : (tensor<1x192x1x1xf32>) -> tensor<2x192x8x8xf32>
    %1432 = stablehlo.add %1429, %1431 : tensor<2x192x8x8xf32>
    %1433 = call @silu_21(%1432) : (tensor<2x192x8x8xf32>) -> tensor<2x192x8x8xf32>
    %1434 = stablehlo.convolution(%1433, %arg246) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x192x8x8xf32>, tensor<128x192x3x3xf32>) -> tensor<2x128x8x8xf32>
    %1435 = stablehlo.broadcast_in_dim %arg247, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1436 = stablehlo.broadcast_in_dim %1435, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1437 = stablehlo.add %1434, %1436 : tensor<2x128x8x8xf32>
    %1438 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1439 = stablehlo.dot_general %1438, %arg248, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x128xf32>) -> tensor<2x128xf32>
    %1440 = stablehlo.broadcast_in_dim %arg249, dims = [1] : (tensor<128xf32>) -> tensor<1x128xf32>
    %1441 = stablehlo.broadcast_in_dim %1440, dims = [0, 1] : (tensor<1x128xf32>) -> tensor<2x128xf32>
    %1442 = stablehlo.add %1439, %1441 : tensor<2x128xf32>
    %1443 = stablehlo.broadcast_in_dim %1442, dims = [0, 1] : (tensor<2x128xf32>) -> tensor<2x128x1x1xf32>
    %1444 = stablehlo.broadcast_in_dim %1443, dims = [0, 1, 2, 3] : (tensor<2x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1445 = stablehlo.add %1437, %1444 : tensor<2x128x8x8xf32>
    %1446 = stablehlo.reshape %1445 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_206 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1447 = stablehlo.reduce(%1446 init: %cst_206) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1448 = stablehlo.broadcast_in_dim %1447, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_207 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %1449 = stablehlo.broadcast_in_dim %cst_207, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1450 = stablehlo.divide %1448, %1449 : tensor<2x32x1xf32>
    %1451 = stablehlo.broadcast_in_dim %1450, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1452 = stablehlo.subtract %1446, %1451 : tensor<2x32x256xf32>
    %c_208 = stablehlo.constant dense<0> : tensor<i32>
    %1453 = call @_var_3(%1446, %c_208) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_209 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1454 = stablehlo.broadcast_in_dim %cst_209, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1455 = stablehlo.add %1453, %1454 : tensor<2x32x1xf32>
    %1456 = stablehlo.rsqrt %1455 : tensor<2x32x1xf32>
    %1457 = stablehlo.broadcast_in_dim %1456, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1458 = stablehlo.multiply %1452, %1457 : tensor<2x32x256xf32>
    %1459 = stablehlo.reshape %1458 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %1460 = stablehlo.broadcast_in_dim %arg250, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1461 = stablehlo.broadcast_in_dim %1460, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1462 = stablehlo.multiply %1459, %1461 : tensor<2x128x8x8xf32>
    %1463 = stablehlo.broadcast_in_dim %arg251, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1464 = stablehlo.broadcast_in_dim %1463, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1465 = stablehlo.add %1462, %1464 : tensor<2x128x8x8xf32>
    %1466 = call @silu_11(%1465) : (tensor<2x128x8x8xf32>) -> tensor<2x128x8x8xf32>
    %1467 = stablehlo.convolution(%1466, %arg252) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x8x8xf32>
    %1468 = stablehlo.broadcast_in_dim %arg253, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1469 = stablehlo.broadcast_in_dim %1468, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1470 = stablehlo.add %1467, %1469 : tensor<2x128x8x8xf32>
    %1471 = stablehlo.convolution(%1412, %arg254) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x192x8x8xf32>, tensor<128x192x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1472 = stablehlo.broadcast_in_dim %arg255, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1473 = stablehlo.broadcast_in_dim %1472, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1474 = stablehlo.add %1471, %1473 : tensor<2x128x8x8xf32>
    %1475 = stablehlo.add %1470, %1474 : tensor<2x128x8x8xf32>
    %1476 = stablehlo.reshape %1475 : (tensor<2x128x8x8xf32>) -> tensor<2x32x256xf32>
    %cst_210 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1477 = stablehlo.reduce(%1476 init: %cst_210) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1478 = stablehlo.broadcast_in_dim %1477, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_211 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %1479 = stablehlo.broadcast_in_dim %cst_211, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1480 = stablehlo.divide %1478, %1479 : tensor<2x32x1xf32>
    %1481 = stablehlo.broadcast_in_dim %1480, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1482 = stablehlo.subtract %1476, %1481 : tensor<2x32x256xf32>
    %c_212 = stablehlo.constant dense<0> : tensor<i32>
    %1483 = call @_var_3(%1476, %c_212) : (tensor<2x32x256xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_213 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %1484 = stablehlo.broadcast_in_dim %cst_213, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1485 = stablehlo.add %1483, %1484 : tensor<2x32x1xf32>
    %1486 = stablehlo.rsqrt %1485 : tensor<2x32x1xf32>
    %1487 = stablehlo.broadcast_in_dim %1486, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %1488 = stablehlo.multiply %1482, %1487 : tensor<2x32x256xf32>
    %1489 = stablehlo.reshape %1488 : (tensor<2x32x256xf32>) -> tensor<2x128x8x8xf32>
    %1490 = stablehlo.broadcast_in_dim %arg256, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1491 = stablehlo.broadcast_in_dim %1490, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1492 = stablehlo.multiply %1489, %1491 : tensor<2x128x8x8xf32>
    %1493 = stablehlo.broadcast_in_dim %arg257, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1494 = stablehlo.broadcast_in_dim %1493, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1495 = stablehlo.add %1492, %1494 : tensor<2x128x8x8xf32>
    %1496 = stablehlo.convolution(%1495, %arg258) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1497 = stablehlo.broadcast_in_dim %arg259, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1498 = stablehlo.broadcast_in_dim %1497, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1499 = stablehlo.add %1496, %1498 : tensor<2x128x8x8xf32>
    %1500 = stablehlo.reshape %1499 : (tensor<2x128x8x8xf32>) -> tensor<2x128x64xf32>
    %1501 = stablehlo.transpose %1500, dims = [0, 2, 1] : (tensor<2x128x64xf32>) -> tensor<2x64x128xf32>
    %cst_214 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1502 = stablehlo.reduce(%1501 init: %cst_214) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1503 = stablehlo.broadcast_in_dim %1502, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_215 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1504 = stablehlo.broadcast_in_dim %cst_215, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1505 = stablehlo.divide %1503, %1504 : tensor<2x64x1xf32>
    %1506 = stablehlo.broadcast_in_dim %1505, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1507 = stablehlo.subtract %1501, %1506 : tensor<2x64x128xf32>
    %c_216 = stablehlo.constant dense<0> : tensor<i32>
    %1508 = call @_var_12(%1501, %c_216) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_217 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1509 = stablehlo.broadcast_in_dim %cst_217, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1510 = stablehlo.add %1508, %1509 : tensor<2x64x1xf32>
    %1511 = stablehlo.rsqrt %1510 : tensor<2x64x1xf32>
    %1512 = stablehlo.broadcast_in_dim %1511, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1513 = stablehlo.multiply %1507, %1512 : tensor<2x64x128xf32>
    %1514 = stablehlo.broadcast_in_dim %arg260, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1515 = stablehlo.broadcast_in_dim %1514, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1516 = stablehlo.multiply %1513, %1515 : tensor<2x64x128xf32>
    %1517 = stablehlo.broadcast_in_dim %arg261, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1518 = stablehlo.broadcast_in_dim %1517, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1519 = stablehlo.add %1516, %1518 : tensor<2x64x128xf32>
    %1520 = stablehlo.dot_general %1519, %arg262, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1521 = stablehlo.dot_general %1519, %arg263, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1522 = stablehlo.dot_general %1519, %arg264, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1523 = stablehlo.reshape %1520 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1524 = stablehlo.reshape %1521 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1525 = stablehlo.dot_general %1523, %1524, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x64x4x32xf32>) -> tensor<2x4x64x64xf32>
    %cst_218 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %1526 = stablehlo.broadcast_in_dim %cst_218, dims = [] : (tensor<f32>) -> tensor<2x4x64x64xf32>
    %1527 = stablehlo.divide %1525, %1526 : tensor<2x4x64x64xf32>
    %cst_219 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1528 = stablehlo.reduce(%1527 init: %cst_219) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_220 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1529 = stablehlo.broadcast_in_dim %cst_220, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %1530 = stablehlo.maximum %1529, %1528 : tensor<2x4x64xf32>
    %1531 = stablehlo.broadcast_in_dim %1530, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1532 = stablehlo.broadcast_in_dim %1531, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %1533 = stablehlo.subtract %1527, %1532 : tensor<2x4x64x64xf32>
    %1534 = stablehlo.exponential %1533 : tensor<2x4x64x64xf32>
    %cst_221 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1535 = stablehlo.reduce(%1534 init: %cst_221) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x64xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %1536 = stablehlo.broadcast_in_dim %1535, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1537 = stablehlo.broadcast_in_dim %1536, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x64xf32>
    %1538 = stablehlo.divide %1534, %1537 : tensor<2x4x64x64xf32>
    %1539 = stablehlo.reshape %1522 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1540 = stablehlo.dot_general %1539, %1538, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x4x64x64xf32>) -> tensor<2x4x32x64xf32>
    %1541 = stablehlo.transpose %1540, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %1542 = stablehlo.reshape %1541 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %1543 = stablehlo.dot_general %1542, %arg265, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1544 = stablehlo.broadcast_in_dim %arg266, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1545 = stablehlo.broadcast_in_dim %1544, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1546 = stablehlo.add %1543, %1545 : tensor<2x64x128xf32>
    %1547 = stablehlo.add %1501, %1546 : tensor<2x64x128xf32>
    %cst_222 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1548 = stablehlo.reduce(%1547 init: %cst_222) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1549 = stablehlo.broadcast_in_dim %1548, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_223 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1550 = stablehlo.broadcast_in_dim %cst_223, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1551 = stablehlo.divide %1549, %1550 : tensor<2x64x1xf32>
    %1552 = stablehlo.broadcast_in_dim %1551, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1553 = stablehlo.subtract %1547, %1552 : tensor<2x64x128xf32>
    %c_224 = stablehlo.constant dense<0> : tensor<i32>
    %1554 = call @_var_12(%1547, %c_224) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_225 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1555 = stablehlo.broadcast_in_dim %cst_225, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1556 = stablehlo.add %1554, %1555 : tensor<2x64x1xf32>
    %1557 = stablehlo.rsqrt %1556 : tensor<2x64x1xf32>
    %1558 = stablehlo.broadcast_in_dim %1557, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1559 = stablehlo.multiply %1553, %1558 : tensor<2x64x128xf32>
    %1560 = stablehlo.broadcast_in_dim %arg267, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1561 = stablehlo.broadcast_in_dim %1560, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1562 = stablehlo.multiply %1559, %1561 : tensor<2x64x128xf32>
    %1563 = stablehlo.broadcast_in_dim %arg268, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1564 = stablehlo.broadcast_in_dim %1563, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1565 = stablehlo.add %1562, %1564 : tensor<2x64x128xf32>
    %1566 = stablehlo.dot_general %1565, %arg269, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1567 = stablehlo.dot_general %arg444, %arg270, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %1568 = stablehlo.dot_general %arg444, %arg271, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x128xf32>) -> tensor<2x77x128xf32>
    %1569 = stablehlo.reshape %1566 : (tensor<2x64x128xf32>) -> tensor<2x64x4x32xf32>
    %1570 = stablehlo.reshape %1567 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %1571 = stablehlo.dot_general %1569, %1570, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x64x4x32xf32>, tensor<2x77x4x32xf32>) -> tensor<2x4x64x77xf32>
    %cst_226 = stablehlo.constant dense<5.65685415> : tensor<f32>
    %1572 = stablehlo.broadcast_in_dim %cst_226, dims = [] : (tensor<f32>) -> tensor<2x4x64x77xf32>
    %1573 = stablehlo.divide %1571, %1572 : tensor<2x4x64x77xf32>
    %cst_227 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1574 = stablehlo.reduce(%1573 init: %cst_227) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %cst_228 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1575 = stablehlo.broadcast_in_dim %cst_228, dims = [] : (tensor<f32>) -> tensor<2x4x64xf32>
    %1576 = stablehlo.maximum %1575, %1574 : tensor<2x4x64xf32>
    %1577 = stablehlo.broadcast_in_dim %1576, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1578 = stablehlo.broadcast_in_dim %1577, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %1579 = stablehlo.subtract %1573, %1578 : tensor<2x4x64x77xf32>
    %1580 = stablehlo.exponential %1579 : tensor<2x4x64x77xf32>
    %cst_229 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1581 = stablehlo.reduce(%1580 init: %cst_229) applies stablehlo.add across dimensions = [3] : (tensor<2x4x64x77xf32>, tensor<f32>) -> tensor<2x4x64xf32>
    %1582 = stablehlo.broadcast_in_dim %1581, dims = [0, 1, 2] : (tensor<2x4x64xf32>) -> tensor<2x4x64x1xf32>
    %1583 = stablehlo.broadcast_in_dim %1582, dims = [0, 1, 2, 3] : (tensor<2x4x64x1xf32>) -> tensor<2x4x64x77xf32>
    %1584 = stablehlo.divide %1580, %1583 : tensor<2x4x64x77xf32>
    %1585 = stablehlo.reshape %1568 : (tensor<2x77x128xf32>) -> tensor<2x77x4x32xf32>
    %1586 = stablehlo.dot_general %1585, %1584, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x32xf32>, tensor<2x4x64x77xf32>) -> tensor<2x4x32x64xf32>
    %1587 = stablehlo.transpose %1586, dims = [0, 3, 1, 2] : (tensor<2x4x32x64xf32>) -> tensor<2x64x4x32xf32>
    %1588 = stablehlo.reshape %1587 : (tensor<2x64x4x32xf32>) -> tensor<2x64x128xf32>
    %1589 = stablehlo.dot_general %1588, %arg272, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x128xf32>) -> tensor<2x64x128xf32>
    %1590 = stablehlo.broadcast_in_dim %arg273, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1591 = stablehlo.broadcast_in_dim %1590, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1592 = stablehlo.add %1589, %1591 : tensor<2x64x128xf32>
    %1593 = stablehlo.add %1547, %1592 : tensor<2x64x128xf32>
    %cst_230 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1594 = stablehlo.reduce(%1593 init: %cst_230) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1595 = stablehlo.broadcast_in_dim %1594, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_231 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %1596 = stablehlo.broadcast_in_dim %cst_231, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1597 = stablehlo.divide %1595, %1596 : tensor<2x64x1xf32>
    %1598 = stablehlo.broadcast_in_dim %1597, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1599 = stablehlo.subtract %1593, %1598 : tensor<2x64x128xf32>
    %c_232 = stablehlo.constant dense<0> : tensor<i32>
    %1600 = call @_var_12(%1593, %c_232) : (tensor<2x64x128xf32>, tensor<i32>) -> tensor<2x64x1xf32>
    %cst_233 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1601 = stablehlo.broadcast_in_dim %cst_233, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %1602 = stablehlo.add %1600, %1601 : tensor<2x64x1xf32>
    %1603 = stablehlo.rsqrt %1602 : tensor<2x64x1xf32>
    %1604 = stablehlo.broadcast_in_dim %1603, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %1605 = stablehlo.multiply %1599, %1604 : tensor<2x64x128xf32>
    %1606 = stablehlo.broadcast_in_dim %arg274, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1607 = stablehlo.broadcast_in_dim %1606, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1608 = stablehlo.multiply %1605, %1607 : tensor<2x64x128xf32>
    %1609 = stablehlo.broadcast_in_dim %arg275, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1610 = stablehlo.broadcast_in_dim %1609, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1611 = stablehlo.add %1608, %1610 : tensor<2x64x128xf32>
    %1612 = stablehlo.dot_general %1611, %arg276, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x128xf32>, tensor<128x1024xf32>) -> tensor<2x64x1024xf32>
    %1613 = stablehlo.broadcast_in_dim %arg277, dims = [2] : (tensor<1024xf32>) -> tensor<1x1x1024xf32>
    %1614 = stablehlo.broadcast_in_dim %1613, dims = [0, 1, 2] : (tensor<1x1x1024xf32>) -> tensor<2x64x1024xf32>
    %1615 = stablehlo.add %1612, %1614 : tensor<2x64x1024xf32>
    %1616 = stablehlo.slice %1615 [0:2, 0:64, 0:512] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %1617 = stablehlo.slice %1615 [0:2, 0:64, 512:1024] : (tensor<2x64x1024xf32>) -> tensor<2x64x512xf32>
    %cst_234 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %1618 = stablehlo.broadcast_in_dim %cst_234, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %1619 = stablehlo.multiply %1618, %1617 : tensor<2x64x512xf32>
    %1620 = stablehlo.negate %1617 : tensor<2x64x512xf32>
    %cst_235 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %1621 = stablehlo.broadcast_in_dim %cst_235, dims = [] : (tensor<f32>) -> tensor<2x64x512xf32>
    %1622 = stablehlo.multiply %1620, %1621 : tensor<2x64x512xf32>
    %1623 = chlo.erfc %1622 : tensor<2x64x512xf32> -> tensor<2x64x512xf32>
    %1624 = stablehlo.multiply %1619, %1623 : tensor<2x64x512xf32>
    %1625 = stablehlo.multiply %1616, %1624 : tensor<2x64x512xf32>
    %1626 = stablehlo.dot_general %1625, %arg278, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x64x512xf32>, tensor<512x128xf32>) -> tensor<2x64x128xf32>
    %1627 = stablehlo.broadcast_in_dim %arg279, dims = [2] : (tensor<128xf32>) -> tensor<1x1x128xf32>
    %1628 = stablehlo.broadcast_in_dim %1627, dims = [0, 1, 2] : (tensor<1x1x128xf32>) -> tensor<2x64x128xf32>
    %1629 = stablehlo.add %1626, %1628 : tensor<2x64x128xf32>
    %1630 = stablehlo.add %1593, %1629 : tensor<2x64x128xf32>
    %1631 = stablehlo.transpose %1630, dims = [0, 2, 1] : (tensor<2x64x128xf32>) -> tensor<2x128x64xf32>
    %1632 = stablehlo.reshape %1631 : (tensor<2x128x64xf32>) -> tensor<2x128x8x8xf32>
    %1633 = stablehlo.convolution(%1632, %arg280) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x8x8xf32>, tensor<128x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1634 = stablehlo.broadcast_in_dim %arg281, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1635 = stablehlo.broadcast_in_dim %1634, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x8x8xf32>
    %1636 = stablehlo.add %1633, %1635 : tensor<2x128x8x8xf32>
    %1637 = stablehlo.add %1636, %1475 : tensor<2x128x8x8xf32>
    %1638 = stablehlo.broadcast_in_dim %1637, dims = [0, 1, 2, 4] : (tensor<2x128x8x8xf32>) -> tensor<2x128x8x1x8x1xf32>
    %1639 = stablehlo.broadcast_in_dim %1638, dims = [0, 1, 2, 3, 4, 5] : (tensor<2x128x8x1x8x1xf32>) -> tensor<2x128x8x2x8x2xf32>
    %1640 = stablehlo.reshape %1639 : (tensor<2x128x8x2x8x2xf32>) -> tensor<2x128x16x16xf32>
    %1641 = stablehlo.convolution(%1640, %arg282) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x128x16x16xf32>, tensor<128x128x3x3xf32>) -> tensor<2x128x16x16xf32>
    %1642 = stablehlo.broadcast_in_dim %arg283, dims = [1] : (tensor<128xf32>) -> tensor<1x128x1x1xf32>
    %1643 = stablehlo.broadcast_in_dim %1642, dims = [0, 1, 2, 3] : (tensor<1x128x1x1xf32>) -> tensor<2x128x16x16xf32>
    %1644 = stablehlo.add %1641, %1643 : tensor<2x128x16x16xf32>
    %1645 = stablehlo.concatenate %1644, %478, dim = 1 : (tensor<2x128x16x16xf32>, tensor<2x64x16x16xf32>) -> tensor<2x192x16x16xf32>
    %1646 = stablehlo.reshape %1645 : (tensor<2x192x16x16xf32>) -> tensor<2x32x1536xf32>
    %cst_236 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1647 = stablehlo.reduce(%1646 init: %cst_236) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1536xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1648 = stablehlo.broadcast_in_dim %1647, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_237 = stablehlo.constant dense<1.536000e+03> : tensor<f32>
    %1649 = stablehlo.broadcast_in_dim %cst_237, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1650 = stablehlo.divide %1648, %1649 : tensor<2x32x1xf32>
    %1651 = stablehlo.broadcast_in_dim %1650, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1536xf32>
    %1652 = stablehlo.subtract %1646, %1651 : tensor<2x32x1536xf32>
    %c_238 = stablehlo.constant dense<0> : tensor<i32>
    %1653 = call @_var_22(%1646, %c_238) : (tensor<2x32x1536xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_239 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1654 = stablehlo.broadcast_in_dim %cst_239, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1655 = stablehlo.add %1653, %1654 : tensor<2x32x1xf32>
    %1656 = stablehlo.rsqrt %1655 : tensor<2x32x1xf32>
    %1657 = stablehlo.broadcast_in_dim %1656, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1536xf32>
    %1658 = stablehlo.multiply %1652, %1657 : tensor<2x32x1536xf32>
    %1659 = stablehlo.reshape %1658 : (tensor<2x32x1536xf32>) -> tensor<2x192x16x16xf32>
    %1660 = stablehlo.broadcast_in_dim %arg284, dims = [1] : (tensor<192xf32>) -> tensor<1x192x1x1xf32>
    %1661 = stablehlo.broadcast_in_dim %1660, dims = [0, 1, 2, 3] : (tensor<1x192x1x1xf32>) -> tensor<2x192x16x16xf32>
    %1662 = stablehlo.multiply %1659, %1661 : tensor<2x192x16x16xf32>
    %1663 = stablehlo.broadcast_in_dim %arg285, dims = [1] : (tensor<192xf32>) -> tensor<1x192x1x1xf32>
    %1664 = stablehlo.broadcast_in_dim %1663, dims = [0, 1, 2, 3] : (tensor<1x192x1x1xf32>) -> tensor<2x192x16x16xf32>
    %1665 = stablehlo.add %1662, %1664 : tensor<2x192x16x16xf32>
    %1666 = call @silu_23(%1665) : (tensor<2x192x16x16xf32>) -> tensor<2x192x16x16xf32>
    %1667 = stablehlo.convolution(%1666, %arg286) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x192x16x16xf32>, tensor<64x192x3x3xf32>) -> tensor<2x64x16x16xf32>
    %1668 = stablehlo.broadcast_in_dim %arg287, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1669 = stablehlo.broadcast_in_dim %1668, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1670 = stablehlo.add %1667, %1669 : tensor<2x64x16x16xf32>
    %1671 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1672 = stablehlo.dot_general %1671, %arg288, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x64xf32>) -> tensor<2x64xf32>
    %1673 = stablehlo.broadcast_in_dim %arg289, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32>
    %1674 = stablehlo.broadcast_in_dim %1673, dims = [0, 1] : (tensor<1x64xf32>) -> tensor<2x64xf32>
    %1675 = stablehlo.add %1672, %1674 : tensor<2x64xf32>
    %1676 = stablehlo.broadcast_in_dim %1675, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1x1xf32>
    %1677 = stablehlo.broadcast_in_dim %1676, dims = [0, 1, 2, 3] : (tensor<2x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1678 = stablehlo.add %1670, %1677 : tensor<2x64x16x16xf32>
    %1679 = stablehlo.reshape %1678 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_240 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1680 = stablehlo.reduce(%1679 init: %cst_240) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1681 = stablehlo.broadcast_in_dim %1680, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_241 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %1682 = stablehlo.broadcast_in_dim %cst_241, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1683 = stablehlo.divide %1681, %1682 : tensor<2x32x1xf32>
    %1684 = stablehlo.broadcast_in_dim %1683, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1685 = stablehlo.subtract %1679, %1684 : tensor<2x32x512xf32>
    %c_242 = stablehlo.constant dense<0> : tensor<i32>
    %1686 = call @_var_5(%1679, %c_242) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_243 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1687 = stablehlo.broadcast_in_dim %cst_243, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1688 = stablehlo.add %1686, %1687 : tensor<2x32x1xf32>
    %1689 = stablehlo.rsqrt %1688 : tensor<2x32x1xf32>
    %1690 = stablehlo.broadcast_in_dim %1689, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1691 = stablehlo.multiply %1685, %1690 : tensor<2x32x512xf32>
    %1692 = stablehlo.reshape %1691 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %1693 = stablehlo.broadcast_in_dim %arg290, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1694 = stablehlo.broadcast_in_dim %1693, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1695 = stablehlo.multiply %1692, %1694 : tensor<2x64x16x16xf32>
    %1696 = stablehlo.broadcast_in_dim %arg291, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1697 = stablehlo.broadcast_in_dim %1696, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1698 = stablehlo.add %1695, %1697 : tensor<2x64x16x16xf32>
    %1699 = call @silu_6(%1698) : (tensor<2x64x16x16xf32>) -> tensor<2x64x16x16xf32>
    %1700 = stablehlo.convolution(%1699, %arg292) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x3x3xf32>) -> tensor<2x64x16x16xf32>
    %1701 = stablehlo.broadcast_in_dim %arg293, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1702 = stablehlo.broadcast_in_dim %1701, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1703 = stablehlo.add %1700, %1702 : tensor<2x64x16x16xf32>
    %1704 = stablehlo.convolution(%1645, %arg294) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x192x16x16xf32>, tensor<64x192x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1705 = stablehlo.broadcast_in_dim %arg295, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1706 = stablehlo.broadcast_in_dim %1705, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1707 = stablehlo.add %1704, %1706 : tensor<2x64x16x16xf32>
    %1708 = stablehlo.add %1703, %1707 : tensor<2x64x16x16xf32>
    %1709 = stablehlo.reshape %1708 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_244 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1710 = stablehlo.reduce(%1709 init: %cst_244) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1711 = stablehlo.broadcast_in_dim %1710, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_245 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %1712 = stablehlo.broadcast_in_dim %cst_245, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1713 = stablehlo.divide %1711, %1712 : tensor<2x32x1xf32>
    %1714 = stablehlo.broadcast_in_dim %1713, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1715 = stablehlo.subtract %1709, %1714 : tensor<2x32x512xf32>
    %c_246 = stablehlo.constant dense<0> : tensor<i32>
    %1716 = call @_var_5(%1709, %c_246) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_247 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %1717 = stablehlo.broadcast_in_dim %cst_247, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1718 = stablehlo.add %1716, %1717 : tensor<2x32x1xf32>
    %1719 = stablehlo.rsqrt %1718 : tensor<2x32x1xf32>
    %1720 = stablehlo.broadcast_in_dim %1719, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1721 = stablehlo.multiply %1715, %1720 : tensor<2x32x512xf32>
    %1722 = stablehlo.reshape %1721 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %1723 = stablehlo.broadcast_in_dim %arg296, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1724 = stablehlo.broadcast_in_dim %1723, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1725 = stablehlo.multiply %1722, %1724 : tensor<2x64x16x16xf32>
    %1726 = stablehlo.broadcast_in_dim %arg297, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1727 = stablehlo.broadcast_in_dim %1726, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1728 = stablehlo.add %1725, %1727 : tensor<2x64x16x16xf32>
    %1729 = stablehlo.convolution(%1728, %arg298) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1730 = stablehlo.broadcast_in_dim %arg299, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1731 = stablehlo.broadcast_in_dim %1730, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1732 = stablehlo.add %1729, %1731 : tensor<2x64x16x16xf32>
    %1733 = stablehlo.reshape %1732 : (tensor<2x64x16x16xf32>) -> tensor<2x64x256xf32>
    %1734 = stablehlo.transpose %1733, dims = [0, 2, 1] : (tensor<2x64x256xf32>) -> tensor<2x256x64xf32>
    %cst_248 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1735 = stablehlo.reduce(%1734 init: %cst_248) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %1736 = stablehlo.broadcast_in_dim %1735, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_249 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1737 = stablehlo.broadcast_in_dim %cst_249, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1738 = stablehlo.divide %1736, %1737 : tensor<2x256x1xf32>
    %1739 = stablehlo.broadcast_in_dim %1738, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1740 = stablehlo.subtract %1734, %1739 : tensor<2x256x64xf32>
    %c_250 = stablehlo.constant dense<0> : tensor<i32>
    %1741 = call @_var_7(%1734, %c_250) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_251 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1742 = stablehlo.broadcast_in_dim %cst_251, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1743 = stablehlo.add %1741, %1742 : tensor<2x256x1xf32>
    %1744 = stablehlo.rsqrt %1743 : tensor<2x256x1xf32>
    %1745 = stablehlo.broadcast_in_dim %1744, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1746 = stablehlo.multiply %1740, %1745 : tensor<2x256x64xf32>
    %1747 = stablehlo.broadcast_in_dim %arg300, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1748 = stablehlo.broadcast_in_dim %1747, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1749 = stablehlo.multiply %1746, %1748 : tensor<2x256x64xf32>
    %1750 = stablehlo.broadcast_in_dim %arg301, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1751 = stablehlo.broadcast_in_dim %1750, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1752 = stablehlo.add %1749, %1751 : tensor<2x256x64xf32>
    %1753 = stablehlo.dot_general %1752, %arg302, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1754 = stablehlo.dot_general %1752, %arg303, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1755 = stablehlo.dot_general %1752, %arg304, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1756 = stablehlo.reshape %1753 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1757 = stablehlo.reshape %1754 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1758 = stablehlo.dot_general %1756, %1757, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x256x4x16xf32>) -> tensor<2x4x256x256xf32>
    %cst_252 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %1759 = stablehlo.broadcast_in_dim %cst_252, dims = [] : (tensor<f32>) -> tensor<2x4x256x256xf32>
    %1760 = stablehlo.divide %1758, %1759 : tensor<2x4x256x256xf32>
    %cst_253 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1761 = stablehlo.reduce(%1760 init: %cst_253) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_254 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1762 = stablehlo.broadcast_in_dim %cst_254, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %1763 = stablehlo.maximum %1762, %1761 : tensor<2x4x256xf32>
    %1764 = stablehlo.broadcast_in_dim %1763, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1765 = stablehlo.broadcast_in_dim %1764, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %1766 = stablehlo.subtract %1760, %1765 : tensor<2x4x256x256xf32>
    %1767 = stablehlo.exponential %1766 : tensor<2x4x256x256xf32>
    %cst_255 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1768 = stablehlo.reduce(%1767 init: %cst_255) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %1769 = stablehlo.broadcast_in_dim %1768, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1770 = stablehlo.broadcast_in_dim %1769, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %1771 = stablehlo.divide %1767, %1770 : tensor<2x4x256x256xf32>
    %1772 = stablehlo.reshape %1755 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1773 = stablehlo.dot_general %1772, %1771, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x4x256x256xf32>) -> tensor<2x4x16x256xf32>
    %1774 = stablehlo.transpose %1773, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %1775 = stablehlo.reshape %1774 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %1776 = stablehlo.dot_general %1775, %arg305, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1777 = stablehlo.broadcast_in_dim %arg306, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1778 = stablehlo.broadcast_in_dim %1777, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1779 = stablehlo.add %1776, %1778 : tensor<2x256x64xf32>
    %1780 = stablehlo.add %1734, %1779 : tensor<2x256x64xf32>
    %cst_256 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1781 = stablehlo.reduce(%1780 init: %cst_256) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %1782 = stablehlo.broadcast_in_dim %1781, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_257 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1783 = stablehlo.broadcast_in_dim %cst_257, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1784 = stablehlo.divide %1782, %1783 : tensor<2x256x1xf32>
    %1785 = stablehlo.broadcast_in_dim %1784, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1786 = stablehlo.subtract %1780, %1785 : tensor<2x256x64xf32>
    %c_258 = stablehlo.constant dense<0> : tensor<i32>
    %1787 = call @_var_7(%1780, %c_258) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_259 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1788 = stablehlo.broadcast_in_dim %cst_259, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1789 = stablehlo.add %1787, %1788 : tensor<2x256x1xf32>
    %1790 = stablehlo.rsqrt %1789 : tensor<2x256x1xf32>
    %1791 = stablehlo.broadcast_in_dim %1790, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1792 = stablehlo.multiply %1786, %1791 : tensor<2x256x64xf32>
    %1793 = stablehlo.broadcast_in_dim %arg307, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1794 = stablehlo.broadcast_in_dim %1793, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1795 = stablehlo.multiply %1792, %1794 : tensor<2x256x64xf32>
    %1796 = stablehlo.broadcast_in_dim %arg308, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1797 = stablehlo.broadcast_in_dim %1796, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1798 = stablehlo.add %1795, %1797 : tensor<2x256x64xf32>
    %1799 = stablehlo.dot_general %1798, %arg309, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1800 = stablehlo.dot_general %arg444, %arg310, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %1801 = stablehlo.dot_general %arg444, %arg311, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %1802 = stablehlo.reshape %1799 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1803 = stablehlo.reshape %1800 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %1804 = stablehlo.dot_general %1802, %1803, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x77x4x16xf32>) -> tensor<2x4x256x77xf32>
    %cst_260 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %1805 = stablehlo.broadcast_in_dim %cst_260, dims = [] : (tensor<f32>) -> tensor<2x4x256x77xf32>
    %1806 = stablehlo.divide %1804, %1805 : tensor<2x4x256x77xf32>
    %cst_261 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1807 = stablehlo.reduce(%1806 init: %cst_261) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_262 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1808 = stablehlo.broadcast_in_dim %cst_262, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %1809 = stablehlo.maximum %1808, %1807 : tensor<2x4x256xf32>
    %1810 = stablehlo.broadcast_in_dim %1809, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1811 = stablehlo.broadcast_in_dim %1810, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %1812 = stablehlo.subtract %1806, %1811 : tensor<2x4x256x77xf32>
    %1813 = stablehlo.exponential %1812 : tensor<2x4x256x77xf32>
    %cst_263 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1814 = stablehlo.reduce(%1813 init: %cst_263) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %1815 = stablehlo.broadcast_in_dim %1814, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1816 = stablehlo.broadcast_in_dim %1815, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %1817 = stablehlo.divide %1813, %1816 : tensor<2x4x256x77xf32>
    %1818 = stablehlo.reshape %1801 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %1819 = stablehlo.dot_general %1818, %1817, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x16xf32>, tensor<2x4x256x77xf32>) -> tensor<2x4x16x256xf32>
    %1820 = stablehlo.transpose %1819, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %1821 = stablehlo.reshape %1820 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %1822 = stablehlo.dot_general %1821, %arg312, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1823 = stablehlo.broadcast_in_dim %arg313, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1824 = stablehlo.broadcast_in_dim %1823, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1825 = stablehlo.add %1822, %1824 : tensor<2x256x64xf32>
    %1826 = stablehlo.add %1780, %1825 : tensor<2x256x64xf32>
    %cst_264 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1827 = stablehlo.reduce(%1826 init: %cst_264) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %1828 = stablehlo.broadcast_in_dim %1827, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_265 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1829 = stablehlo.broadcast_in_dim %cst_265, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1830 = stablehlo.divide %1828, %1829 : tensor<2x256x1xf32>
    %1831 = stablehlo.broadcast_in_dim %1830, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1832 = stablehlo.subtract %1826, %1831 : tensor<2x256x64xf32>
    %c_266 = stablehlo.constant dense<0> : tensor<i32>
    %1833 = call @_var_7(%1826, %c_266) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_267 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1834 = stablehlo.broadcast_in_dim %cst_267, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1835 = stablehlo.add %1833, %1834 : tensor<2x256x1xf32>
    %1836 = stablehlo.rsqrt %1835 : tensor<2x256x1xf32>
    %1837 = stablehlo.broadcast_in_dim %1836, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1838 = stablehlo.multiply %1832, %1837 : tensor<2x256x64xf32>
    %1839 = stablehlo.broadcast_in_dim %arg314, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1840 = stablehlo.broadcast_in_dim %1839, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1841 = stablehlo.multiply %1838, %1840 : tensor<2x256x64xf32>
    %1842 = stablehlo.broadcast_in_dim %arg315, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1843 = stablehlo.broadcast_in_dim %1842, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1844 = stablehlo.add %1841, %1843 : tensor<2x256x64xf32>
    %1845 = stablehlo.dot_general %1844, %arg316, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x512xf32>) -> tensor<2x256x512xf32>
    %1846 = stablehlo.broadcast_in_dim %arg317, dims = [2] : (tensor<512xf32>) -> tensor<1x1x512xf32>
    %1847 = stablehlo.broadcast_in_dim %1846, dims = [0, 1, 2] : (tensor<1x1x512xf32>) -> tensor<2x256x512xf32>
    %1848 = stablehlo.add %1845, %1847 : tensor<2x256x512xf32>
    %1849 = stablehlo.slice %1848 [0:2, 0:256, 0:256] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %1850 = stablehlo.slice %1848 [0:2, 0:256, 256:512] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %cst_268 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %1851 = stablehlo.broadcast_in_dim %cst_268, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %1852 = stablehlo.multiply %1851, %1850 : tensor<2x256x256xf32>
    %1853 = stablehlo.negate %1850 : tensor<2x256x256xf32>
    %cst_269 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %1854 = stablehlo.broadcast_in_dim %cst_269, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %1855 = stablehlo.multiply %1853, %1854 : tensor<2x256x256xf32>
    %1856 = chlo.erfc %1855 : tensor<2x256x256xf32> -> tensor<2x256x256xf32>
    %1857 = stablehlo.multiply %1852, %1856 : tensor<2x256x256xf32>
    %1858 = stablehlo.multiply %1849, %1857 : tensor<2x256x256xf32>
    %1859 = stablehlo.dot_general %1858, %arg318, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x256xf32>, tensor<256x64xf32>) -> tensor<2x256x64xf32>
    %1860 = stablehlo.broadcast_in_dim %arg319, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1861 = stablehlo.broadcast_in_dim %1860, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1862 = stablehlo.add %1859, %1861 : tensor<2x256x64xf32>
    %1863 = stablehlo.add %1826, %1862 : tensor<2x256x64xf32>
    %1864 = stablehlo.transpose %1863, dims = [0, 2, 1] : (tensor<2x256x64xf32>) -> tensor<2x64x256xf32>
    %1865 = stablehlo.reshape %1864 : (tensor<2x64x256xf32>) -> tensor<2x64x16x16xf32>
    %1866 = stablehlo.convolution(%1865, %arg320) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1867 = stablehlo.broadcast_in_dim %arg321, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1868 = stablehlo.broadcast_in_dim %1867, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1869 = stablehlo.add %1866, %1868 : tensor<2x64x16x16xf32>
    %1870 = stablehlo.add %1869, %1708 : tensor<2x64x16x16xf32>
    %1871 = stablehlo.concatenate %1870, %253, dim = 1 : (tensor<2x64x16x16xf32>, tensor<2x32x16x16xf32>) -> tensor<2x96x16x16xf32>
    %1872 = stablehlo.reshape %1871 : (tensor<2x96x16x16xf32>) -> tensor<2x32x768xf32>
    %cst_270 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1873 = stablehlo.reduce(%1872 init: %cst_270) applies stablehlo.add across dimensions = [2] : (tensor<2x32x768xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1874 = stablehlo.broadcast_in_dim %1873, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_271 = stablehlo.constant dense<7.680000e+02> : tensor<f32>
    %1875 = stablehlo.broadcast_in_dim %cst_271, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1876 = stablehlo.divide %1874, %1875 : tensor<2x32x1xf32>
    %1877 = stablehlo.broadcast_in_dim %1876, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x768xf32>
    %1878 = stablehlo.subtract %1872, %1877 : tensor<2x32x768xf32>
    %c_272 = stablehlo.constant dense<0> : tensor<i32>
    %1879 = call @_var_24(%1872, %c_272) : (tensor<2x32x768xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_273 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1880 = stablehlo.broadcast_in_dim %cst_273, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1881 = stablehlo.add %1879, %1880 : tensor<2x32x1xf32>
    %1882 = stablehlo.rsqrt %1881 : tensor<2x32x1xf32>
    %1883 = stablehlo.broadcast_in_dim %1882, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x768xf32>
    %1884 = stablehlo.multiply %1878, %1883 : tensor<2x32x768xf32>
    %1885 = stablehlo.reshape %1884 : (tensor<2x32x768xf32>) -> tensor<2x96x16x16xf32>
    %1886 = stablehlo.broadcast_in_dim %arg322, dims = [1] : (tensor<96xf32>) -> tensor<1x96x1x1xf32>
    %1887 = stablehlo.broadcast_in_dim %1886, dims = [0, 1, 2, 3] : (tensor<1x96x1x1xf32>) -> tensor<2x96x16x16xf32>
    %1888 = stablehlo.multiply %1885, %1887 : tensor<2x96x16x16xf32>
    %1889 = stablehlo.broadcast_in_dim %arg323, dims = [1] : (tensor<96xf32>) -> tensor<1x96x1x1xf32>
    %1890 = stablehlo.broadcast_in_dim %1889, dims = [0, 1, 2, 3] : (tensor<1x96x1x1xf32>) -> tensor<2x96x16x16xf32>
    %1891 = stablehlo.add %1888, %1890 : tensor<2x96x16x16xf32>
    %1892 = call @silu_25(%1891) : (tensor<2x96x16x16xf32>) -> tensor<2x96x16x16xf32>
    %1893 = stablehlo.convolution(%1892, %arg324) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x96x16x16xf32>, tensor<64x96x3x3xf32>) -> tensor<2x64x16x16xf32>
    %1894 = stablehlo.broadcast_in_dim %arg325, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1895 = stablehlo.broadcast_in_dim %1894, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1896 = stablehlo.add %1893, %1895 : tensor<2x64x16x16xf32>
    %1897 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %1898 = stablehlo.dot_general %1897, %arg326, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x64xf32>) -> tensor<2x64xf32>
    %1899 = stablehlo.broadcast_in_dim %arg327, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32>
    %1900 = stablehlo.broadcast_in_dim %1899, dims = [0, 1] : (tensor<1x64xf32>) -> tensor<2x64xf32>
    %1901 = stablehlo.add %1898, %1900 : tensor<2x64xf32>
    %1902 = stablehlo.broadcast_in_dim %1901, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1x1xf32>
    %1903 = stablehlo.broadcast_in_dim %1902, dims = [0, 1, 2, 3] : (tensor<2x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1904 = stablehlo.add %1896, %1903 : tensor<2x64x16x16xf32>
    %1905 = stablehlo.reshape %1904 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_274 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1906 = stablehlo.reduce(%1905 init: %cst_274) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1907 = stablehlo.broadcast_in_dim %1906, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_275 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %1908 = stablehlo.broadcast_in_dim %cst_275, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1909 = stablehlo.divide %1907, %1908 : tensor<2x32x1xf32>
    %1910 = stablehlo.broadcast_in_dim %1909, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1911 = stablehlo.subtract %1905, %1910 : tensor<2x32x512xf32>
    %c_276 = stablehlo.constant dense<0> : tensor<i32>
    %1912 = call @_var_5(%1905, %c_276) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_277 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1913 = stablehlo.broadcast_in_dim %cst_277, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1914 = stablehlo.add %1912, %1913 : tensor<2x32x1xf32>
    %1915 = stablehlo.rsqrt %1914 : tensor<2x32x1xf32>
    %1916 = stablehlo.broadcast_in_dim %1915, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1917 = stablehlo.multiply %1911, %1916 : tensor<2x32x512xf32>
    %1918 = stablehlo.reshape %1917 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %1919 = stablehlo.broadcast_in_dim %arg328, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1920 = stablehlo.broadcast_in_dim %1919, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1921 = stablehlo.multiply %1918, %1920 : tensor<2x64x16x16xf32>
    %1922 = stablehlo.broadcast_in_dim %arg329, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1923 = stablehlo.broadcast_in_dim %1922, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1924 = stablehlo.add %1921, %1923 : tensor<2x64x16x16xf32>
    %1925 = call @silu_6(%1924) : (tensor<2x64x16x16xf32>) -> tensor<2x64x16x16xf32>
    %1926 = stablehlo.convolution(%1925, %arg330) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x3x3xf32>) -> tensor<2x64x16x16xf32>
    %1927 = stablehlo.broadcast_in_dim %arg331, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1928 = stablehlo.broadcast_in_dim %1927, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1929 = stablehlo.add %1926, %1928 : tensor<2x64x16x16xf32>
    %1930 = stablehlo.convolution(%1871, %arg332) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x96x16x16xf32>, tensor<64x96x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1931 = stablehlo.broadcast_in_dim %arg333, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1932 = stablehlo.broadcast_in_dim %1931, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1933 = stablehlo.add %1930, %1932 : tensor<2x64x16x16xf32>
    %1934 = stablehlo.add %1929, %1933 : tensor<2x64x16x16xf32>
    %1935 = stablehlo.reshape %1934 : (tensor<2x64x16x16xf32>) -> tensor<2x32x512xf32>
    %cst_278 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1936 = stablehlo.reduce(%1935 init: %cst_278) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1937 = stablehlo.broadcast_in_dim %1936, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_279 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %1938 = stablehlo.broadcast_in_dim %cst_279, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1939 = stablehlo.divide %1937, %1938 : tensor<2x32x1xf32>
    %1940 = stablehlo.broadcast_in_dim %1939, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1941 = stablehlo.subtract %1935, %1940 : tensor<2x32x512xf32>
    %c_280 = stablehlo.constant dense<0> : tensor<i32>
    %1942 = call @_var_5(%1935, %c_280) : (tensor<2x32x512xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_281 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %1943 = stablehlo.broadcast_in_dim %cst_281, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %1944 = stablehlo.add %1942, %1943 : tensor<2x32x1xf32>
    %1945 = stablehlo.rsqrt %1944 : tensor<2x32x1xf32>
    %1946 = stablehlo.broadcast_in_dim %1945, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %1947 = stablehlo.multiply %1941, %1946 : tensor<2x32x512xf32>
    %1948 = stablehlo.reshape %1947 : (tensor<2x32x512xf32>) -> tensor<2x64x16x16xf32>
    %1949 = stablehlo.broadcast_in_dim %arg334, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1950 = stablehlo.broadcast_in_dim %1949, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1951 = stablehlo.multiply %1948, %1950 : tensor<2x64x16x16xf32>
    %1952 = stablehlo.broadcast_in_dim %arg335, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1953 = stablehlo.broadcast_in_dim %1952, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1954 = stablehlo.add %1951, %1953 : tensor<2x64x16x16xf32>
    %1955 = stablehlo.convolution(%1954, %arg336) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1956 = stablehlo.broadcast_in_dim %arg337, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %1957 = stablehlo.broadcast_in_dim %1956, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %1958 = stablehlo.add %1955, %1957 : tensor<2x64x16x16xf32>
    %1959 = stablehlo.reshape %1958 : (tensor<2x64x16x16xf32>) -> tensor<2x64x256xf32>
    %1960 = stablehlo.transpose %1959, dims = [0, 2, 1] : (tensor<2x64x256xf32>) -> tensor<2x256x64xf32>
    %cst_282 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1961 = stablehlo.reduce(%1960 init: %cst_282) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %1962 = stablehlo.broadcast_in_dim %1961, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_283 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %1963 = stablehlo.broadcast_in_dim %cst_283, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1964 = stablehlo.divide %1962, %1963 : tensor<2x256x1xf32>
    %1965 = stablehlo.broadcast_in_dim %1964, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1966 = stablehlo.subtract %1960, %1965 : tensor<2x256x64xf32>
    %c_284 = stablehlo.constant dense<0> : tensor<i32>
    %1967 = call @_var_7(%1960, %c_284) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_285 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %1968 = stablehlo.broadcast_in_dim %cst_285, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %1969 = stablehlo.add %1967, %1968 : tensor<2x256x1xf32>
    %1970 = stablehlo.rsqrt %1969 : tensor<2x256x1xf32>
    %1971 = stablehlo.broadcast_in_dim %1970, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %1972 = stablehlo.multiply %1966, %1971 : tensor<2x256x64xf32>
    %1973 = stablehlo.broadcast_in_dim %arg338, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1974 = stablehlo.broadcast_in_dim %1973, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1975 = stablehlo.multiply %1972, %1974 : tensor<2x256x64xf32>
    %1976 = stablehlo.broadcast_in_dim %arg339, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %1977 = stablehlo.broadcast_in_dim %1976, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %1978 = stablehlo.add %1975, %1977 : tensor<2x256x64xf32>
    %1979 = stablehlo.dot_general %1978, %arg340, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1980 = stablehlo.dot_general %1978, %arg341, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1981 = stablehlo.dot_general %1978, %arg342, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %1982 = stablehlo.reshape %1979 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1983 = stablehlo.reshape %1980 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1984 = stablehlo.dot_general %1982, %1983, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x256x4x16xf32>) -> tensor<2x4x256x256xf32>
    %cst_286 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %1985 = stablehlo.broadcast_in_dim %cst_286, dims = [] : (tensor<f32>) -> tensor<2x4x256x256xf32>
    %1986 = stablehlo.divide %1984, %1985 : tensor<2x4x256x256xf32>
    %cst_287 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1987 = stablehlo.reduce(%1986 init: %cst_287) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_288 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %1988 = stablehlo.broadcast_in_dim %cst_288, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %1989 = stablehlo.maximum %1988, %1987 : tensor<2x4x256xf32>
    %1990 = stablehlo.broadcast_in_dim %1989, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1991 = stablehlo.broadcast_in_dim %1990, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %1992 = stablehlo.subtract %1986, %1991 : tensor<2x4x256x256xf32>
    %1993 = stablehlo.exponential %1992 : tensor<2x4x256x256xf32>
    %cst_289 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %1994 = stablehlo.reduce(%1993 init: %cst_289) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x256xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %1995 = stablehlo.broadcast_in_dim %1994, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %1996 = stablehlo.broadcast_in_dim %1995, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x256xf32>
    %1997 = stablehlo.divide %1993, %1996 : tensor<2x4x256x256xf32>
    %1998 = stablehlo.reshape %1981 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %1999 = stablehlo.dot_general %1998, %1997, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x4x256x256xf32>) -> tensor<2x4x16x256xf32>
    %2000 = stablehlo.transpose %1999, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %2001 = stablehlo.reshape %2000 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %2002 = stablehlo.dot_general %2001, %arg343, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %2003 = stablehlo.broadcast_in_dim %arg344, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2004 = stablehlo.broadcast_in_dim %2003, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2005 = stablehlo.add %2002, %2004 : tensor<2x256x64xf32>
    %2006 = stablehlo.add %1960, %2005 : tensor<2x256x64xf32>
    %cst_290 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2007 = stablehlo.reduce(%2006 init: %cst_290) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %2008 = stablehlo.broadcast_in_dim %2007, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_291 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %2009 = stablehlo.broadcast_in_dim %cst_291, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %2010 = stablehlo.divide %2008, %2009 : tensor<2x256x1xf32>
    %2011 = stablehlo.broadcast_in_dim %2010, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %2012 = stablehlo.subtract %2006, %2011 : tensor<2x256x64xf32>
    %c_292 = stablehlo.constant dense<0> : tensor<i32>
    %2013 = call @_var_7(%2006, %c_292) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_293 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2014 = stablehlo.broadcast_in_dim %cst_293, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %2015 = stablehlo.add %2013, %2014 : tensor<2x256x1xf32>
    %2016 = stablehlo.rsqrt %2015 : tensor<2x256x1xf32>
    %2017 = stablehlo.broadcast_in_dim %2016, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %2018 = stablehlo.multiply %2012, %2017 : tensor<2x256x64xf32>
    %2019 = stablehlo.broadcast_in_dim %arg345, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2020 = stablehlo.broadcast_in_dim %2019, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2021 = stablehlo.multiply %2018, %2020 : tensor<2x256x64xf32>
    %2022 = stablehlo.broadcast_in_dim %arg346, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2023 = stablehlo.broadcast_in_dim %2022, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2024 = stablehlo.add %2021, %2023 : tensor<2x256x64xf32>
    %2025 = stablehlo.dot_general %2024, %arg347, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %2026 = stablehlo.dot_general %arg444, %arg348, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %2027 = stablehlo.dot_general %arg444, %arg349, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x64xf32>) -> tensor<2x77x64xf32>
    %2028 = stablehlo.reshape %2025 : (tensor<2x256x64xf32>) -> tensor<2x256x4x16xf32>
    %2029 = stablehlo.reshape %2026 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %2030 = stablehlo.dot_general %2028, %2029, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x256x4x16xf32>, tensor<2x77x4x16xf32>) -> tensor<2x4x256x77xf32>
    %cst_294 = stablehlo.constant dense<4.000000e+00> : tensor<f32>
    %2031 = stablehlo.broadcast_in_dim %cst_294, dims = [] : (tensor<f32>) -> tensor<2x4x256x77xf32>
    %2032 = stablehlo.divide %2030, %2031 : tensor<2x4x256x77xf32>
    %cst_295 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2033 = stablehlo.reduce(%2032 init: %cst_295) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %cst_296 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2034 = stablehlo.broadcast_in_dim %cst_296, dims = [] : (tensor<f32>) -> tensor<2x4x256xf32>
    %2035 = stablehlo.maximum %2034, %2033 : tensor<2x4x256xf32>
    %2036 = stablehlo.broadcast_in_dim %2035, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %2037 = stablehlo.broadcast_in_dim %2036, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %2038 = stablehlo.subtract %2032, %2037 : tensor<2x4x256x77xf32>
    %2039 = stablehlo.exponential %2038 : tensor<2x4x256x77xf32>
    %cst_297 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2040 = stablehlo.reduce(%2039 init: %cst_297) applies stablehlo.add across dimensions = [3] : (tensor<2x4x256x77xf32>, tensor<f32>) -> tensor<2x4x256xf32>
    %2041 = stablehlo.broadcast_in_dim %2040, dims = [0, 1, 2] : (tensor<2x4x256xf32>) -> tensor<2x4x256x1xf32>
    %2042 = stablehlo.broadcast_in_dim %2041, dims = [0, 1, 2, 3] : (tensor<2x4x256x1xf32>) -> tensor<2x4x256x77xf32>
    %2043 = stablehlo.divide %2039, %2042 : tensor<2x4x256x77xf32>
    %2044 = stablehlo.reshape %2027 : (tensor<2x77x64xf32>) -> tensor<2x77x4x16xf32>
    %2045 = stablehlo.dot_general %2044, %2043, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x16xf32>, tensor<2x4x256x77xf32>) -> tensor<2x4x16x256xf32>
    %2046 = stablehlo.transpose %2045, dims = [0, 3, 1, 2] : (tensor<2x4x16x256xf32>) -> tensor<2x256x4x16xf32>
    %2047 = stablehlo.reshape %2046 : (tensor<2x256x4x16xf32>) -> tensor<2x256x64xf32>
    %2048 = stablehlo.dot_general %2047, %arg350, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x64xf32>) -> tensor<2x256x64xf32>
    %2049 = stablehlo.broadcast_in_dim %arg351, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2050 = stablehlo.broadcast_in_dim %2049, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2051 = stablehlo.add %2048, %2050 : tensor<2x256x64xf32>
    %2052 = stablehlo.add %2006, %2051 : tensor<2x256x64xf32>
    %cst_298 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2053 = stablehlo.reduce(%2052 init: %cst_298) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %2054 = stablehlo.broadcast_in_dim %2053, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_299 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %2055 = stablehlo.broadcast_in_dim %cst_299, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %2056 = stablehlo.divide %2054, %2055 : tensor<2x256x1xf32>
    %2057 = stablehlo.broadcast_in_dim %2056, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %2058 = stablehlo.subtract %2052, %2057 : tensor<2x256x64xf32>
    %c_300 = stablehlo.constant dense<0> : tensor<i32>
    %2059 = call @_var_7(%2052, %c_300) : (tensor<2x256x64xf32>, tensor<i32>) -> tensor<2x256x1xf32>
    %cst_301 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2060 = stablehlo.broadcast_in_dim %cst_301, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %2061 = stablehlo.add %2059, %2060 : tensor<2x256x1xf32>
    %2062 = stablehlo.rsqrt %2061 : tensor<2x256x1xf32>
    %2063 = stablehlo.broadcast_in_dim %2062, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %2064 = stablehlo.multiply %2058, %2063 : tensor<2x256x64xf32>
    %2065 = stablehlo.broadcast_in_dim %arg352, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2066 = stablehlo.broadcast_in_dim %2065, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2067 = stablehlo.multiply %2064, %2066 : tensor<2x256x64xf32>
    %2068 = stablehlo.broadcast_in_dim %arg353, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2069 = stablehlo.broadcast_in_dim %2068, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2070 = stablehlo.add %2067, %2069 : tensor<2x256x64xf32>
    %2071 = stablehlo.dot_general %2070, %arg354, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x64xf32>, tensor<64x512xf32>) -> tensor<2x256x512xf32>
    %2072 = stablehlo.broadcast_in_dim %arg355, dims = [2] : (tensor<512xf32>) -> tensor<1x1x512xf32>
    %2073 = stablehlo.broadcast_in_dim %2072, dims = [0, 1, 2] : (tensor<1x1x512xf32>) -> tensor<2x256x512xf32>
    %2074 = stablehlo.add %2071, %2073 : tensor<2x256x512xf32>
    %2075 = stablehlo.slice %2074 [0:2, 0:256, 0:256] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %2076 = stablehlo.slice %2074 [0:2, 0:256, 256:512] : (tensor<2x256x512xf32>) -> tensor<2x256x256xf32>
    %cst_302 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %2077 = stablehlo.broadcast_in_dim %cst_302, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %2078 = stablehlo.multiply %2077, %2076 : tensor<2x256x256xf32>
    %2079 = stablehlo.negate %2076 : tensor<2x256x256xf32>
    %cst_303 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %2080 = stablehlo.broadcast_in_dim %cst_303, dims = [] : (tensor<f32>) -> tensor<2x256x256xf32>
    %2081 = stablehlo.multiply %2079, %2080 : tensor<2x256x256xf32>
    %2082 = chlo.erfc %2081 : tensor<2x256x256xf32> -> tensor<2x256x256xf32>
    %2083 = stablehlo.multiply %2078, %2082 : tensor<2x256x256xf32>
    %2084 = stablehlo.multiply %2075, %2083 : tensor<2x256x256xf32>
    %2085 = stablehlo.dot_general %2084, %arg356, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x256x256xf32>, tensor<256x64xf32>) -> tensor<2x256x64xf32>
    %2086 = stablehlo.broadcast_in_dim %arg357, dims = [2] : (tensor<64xf32>) -> tensor<1x1x64xf32>
    %2087 = stablehlo.broadcast_in_dim %2086, dims = [0, 1, 2] : (tensor<1x1x64xf32>) -> tensor<2x256x64xf32>
    %2088 = stablehlo.add %2085, %2087 : tensor<2x256x64xf32>
    %2089 = stablehlo.add %2052, %2088 : tensor<2x256x64xf32>
    %2090 = stablehlo.transpose %2089, dims = [0, 2, 1] : (tensor<2x256x64xf32>) -> tensor<2x64x256xf32>
    %2091 = stablehlo.reshape %2090 : (tensor<2x64x256xf32>) -> tensor<2x64x16x16xf32>
    %2092 = stablehlo.convolution(%2091, %arg358) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x16x16xf32>, tensor<64x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %2093 = stablehlo.broadcast_in_dim %arg359, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %2094 = stablehlo.broadcast_in_dim %2093, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x16x16xf32>
    %2095 = stablehlo.add %2092, %2094 : tensor<2x64x16x16xf32>
    %2096 = stablehlo.add %2095, %1934 : tensor<2x64x16x16xf32>
    %2097 = stablehlo.broadcast_in_dim %2096, dims = [0, 1, 2, 4] : (tensor<2x64x16x16xf32>) -> tensor<2x64x16x1x16x1xf32>
    %2098 = stablehlo.broadcast_in_dim %2097, dims = [0, 1, 2, 3, 4, 5] : (tensor<2x64x16x1x16x1xf32>) -> tensor<2x64x16x2x16x2xf32>
    %2099 = stablehlo.reshape %2098 : (tensor<2x64x16x2x16x2xf32>) -> tensor<2x64x32x32xf32>
    %2100 = stablehlo.convolution(%2099, %arg360) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x32x32xf32>, tensor<64x64x3x3xf32>) -> tensor<2x64x32x32xf32>
    %2101 = stablehlo.broadcast_in_dim %arg361, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %2102 = stablehlo.broadcast_in_dim %2101, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x32x32xf32>
    %2103 = stablehlo.add %2100, %2102 : tensor<2x64x32x32xf32>
    %2104 = stablehlo.concatenate %2103, %249, dim = 1 : (tensor<2x64x32x32xf32>, tensor<2x32x32x32xf32>) -> tensor<2x96x32x32xf32>
    %2105 = stablehlo.reshape %2104 : (tensor<2x96x32x32xf32>) -> tensor<2x32x3072xf32>
    %cst_304 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2106 = stablehlo.reduce(%2105 init: %cst_304) applies stablehlo.add across dimensions = [2] : (tensor<2x32x3072xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2107 = stablehlo.broadcast_in_dim %2106, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_305 = stablehlo.constant dense<3.072000e+03> : tensor<f32>
    %2108 = stablehlo.broadcast_in_dim %cst_305, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2109 = stablehlo.divide %2107, %2108 : tensor<2x32x1xf32>
    %2110 = stablehlo.broadcast_in_dim %2109, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x3072xf32>
    %2111 = stablehlo.subtract %2105, %2110 : tensor<2x32x3072xf32>
    %c_306 = stablehlo.constant dense<0> : tensor<i32>
    %2112 = call @_var_26(%2105, %c_306) : (tensor<2x32x3072xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_307 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2113 = stablehlo.broadcast_in_dim %cst_307, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2114 = stablehlo.add %2112, %2113 : tensor<2x32x1xf32>
    %2115 = stablehlo.rsqrt %2114 : tensor<2x32x1xf32>
    %2116 = stablehlo.broadcast_in_dim %2115, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x3072xf32>
    %2117 = stablehlo.multiply %2111, %2116 : tensor<2x32x3072xf32>
    %2118 = stablehlo.reshape %2117 : (tensor<2x32x3072xf32>) -> tensor<2x96x32x32xf32>
    %2119 = stablehlo.broadcast_in_dim %arg362, dims = [1] : (tensor<96xf32>) -> tensor<1x96x1x1xf32>
    %2120 = stablehlo.broadcast_in_dim %2119, dims = [0, 1, 2, 3] : (tensor<1x96x1x1xf32>) -> tensor<2x96x32x32xf32>
    %2121 = stablehlo.multiply %2118, %2120 : tensor<2x96x32x32xf32>
    %2122 = stablehlo.broadcast_in_dim %arg363, dims = [1] : (tensor<96xf32>) -> tensor<1x96x1x1xf32>
    %2123 = stablehlo.broadcast_in_dim %2122, dims = [0, 1, 2, 3] : (tensor<1x96x1x1xf32>) -> tensor<2x96x32x32xf32>
    %2124 = stablehlo.add %2121, %2123 : tensor<2x96x32x32xf32>
    %2125 = call @silu_27(%2124) : (tensor<2x96x32x32xf32>) -> tensor<2x96x32x32xf32>
    %2126 = stablehlo.convolution(%2125, %arg364) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x96x32x32xf32>, tensor<32x96x3x3xf32>) -> tensor<2x32x32x32xf32>
    %2127 = stablehlo.broadcast_in_dim %arg365, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2128 = stablehlo.broadcast_in_dim %2127, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2129 = stablehlo.add %2126, %2128 : tensor<2x32x32x32xf32>
    %2130 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %2131 = stablehlo.dot_general %2130, %arg366, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x32xf32>) -> tensor<2x32xf32>
    %2132 = stablehlo.broadcast_in_dim %arg367, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32>
    %2133 = stablehlo.broadcast_in_dim %2132, dims = [0, 1] : (tensor<1x32xf32>) -> tensor<2x32xf32>
    %2134 = stablehlo.add %2131, %2133 : tensor<2x32xf32>
    %2135 = stablehlo.broadcast_in_dim %2134, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1x1xf32>
    %2136 = stablehlo.broadcast_in_dim %2135, dims = [0, 1, 2, 3] : (tensor<2x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2137 = stablehlo.add %2129, %2136 : tensor<2x32x32x32xf32>
    %2138 = stablehlo.reshape %2137 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_308 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2139 = stablehlo.reduce(%2138 init: %cst_308) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2140 = stablehlo.broadcast_in_dim %2139, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_309 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2141 = stablehlo.broadcast_in_dim %cst_309, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2142 = stablehlo.divide %2140, %2141 : tensor<2x32x1xf32>
    %2143 = stablehlo.broadcast_in_dim %2142, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2144 = stablehlo.subtract %2138, %2143 : tensor<2x32x1024xf32>
    %c_310 = stablehlo.constant dense<0> : tensor<i32>
    %2145 = call @_var(%2138, %c_310) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_311 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2146 = stablehlo.broadcast_in_dim %cst_311, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2147 = stablehlo.add %2145, %2146 : tensor<2x32x1xf32>
    %2148 = stablehlo.rsqrt %2147 : tensor<2x32x1xf32>
    %2149 = stablehlo.broadcast_in_dim %2148, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2150 = stablehlo.multiply %2144, %2149 : tensor<2x32x1024xf32>
    %2151 = stablehlo.reshape %2150 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2152 = stablehlo.broadcast_in_dim %arg368, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2153 = stablehlo.broadcast_in_dim %2152, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2154 = stablehlo.multiply %2151, %2153 : tensor<2x32x32x32xf32>
    %2155 = stablehlo.broadcast_in_dim %arg369, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2156 = stablehlo.broadcast_in_dim %2155, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2157 = stablehlo.add %2154, %2156 : tensor<2x32x32x32xf32>
    %2158 = call @silu_0(%2157) : (tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32>
    %2159 = stablehlo.convolution(%2158, %arg370) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<2x32x32x32xf32>
    %2160 = stablehlo.broadcast_in_dim %arg371, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2161 = stablehlo.broadcast_in_dim %2160, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2162 = stablehlo.add %2159, %2161 : tensor<2x32x32x32xf32>
    %2163 = stablehlo.convolution(%2104, %arg372) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x96x32x32xf32>, tensor<32x96x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2164 = stablehlo.broadcast_in_dim %arg373, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2165 = stablehlo.broadcast_in_dim %2164, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2166 = stablehlo.add %2163, %2165 : tensor<2x32x32x32xf32>
    %2167 = stablehlo.add %2162, %2166 : tensor<2x32x32x32xf32>
    %2168 = stablehlo.reshape %2167 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_312 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2169 = stablehlo.reduce(%2168 init: %cst_312) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2170 = stablehlo.broadcast_in_dim %2169, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_313 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2171 = stablehlo.broadcast_in_dim %cst_313, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2172 = stablehlo.divide %2170, %2171 : tensor<2x32x1xf32>
    %2173 = stablehlo.broadcast_in_dim %2172, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2174 = stablehlo.subtract %2168, %2173 : tensor<2x32x1024xf32>
    %c_314 = stablehlo.constant dense<0> : tensor<i32>
    %2175 = call @_var(%2168, %c_314) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_315 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %2176 = stablehlo.broadcast_in_dim %cst_315, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2177 = stablehlo.add %2175, %2176 : tensor<2x32x1xf32>
    %2178 = stablehlo.rsqrt %2177 : tensor<2x32x1xf32>
    %2179 = stablehlo.broadcast_in_dim %2178, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2180 = stablehlo.multiply %2174, %2179 : tensor<2x32x1024xf32>
    %2181 = stablehlo.reshape %2180 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2182 = stablehlo.broadcast_in_dim %arg374, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2183 = stablehlo.broadcast_in_dim %2182, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2184 = stablehlo.multiply %2181, %2183 : tensor<2x32x32x32xf32>
    %2185 = stablehlo.broadcast_in_dim %arg375, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2186 = stablehlo.broadcast_in_dim %2185, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2187 = stablehlo.add %2184, %2186 : tensor<2x32x32x32xf32>
    %2188 = stablehlo.convolution(%2187, %arg376) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2189 = stablehlo.broadcast_in_dim %arg377, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2190 = stablehlo.broadcast_in_dim %2189, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2191 = stablehlo.add %2188, %2190 : tensor<2x32x32x32xf32>
    %2192 = stablehlo.reshape %2191 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %2193 = stablehlo.transpose %2192, dims = [0, 2, 1] : (tensor<2x32x1024xf32>) -> tensor<2x1024x32xf32>
    %cst_316 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2194 = stablehlo.reduce(%2193 init: %cst_316) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2195 = stablehlo.broadcast_in_dim %2194, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_317 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2196 = stablehlo.broadcast_in_dim %cst_317, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2197 = stablehlo.divide %2195, %2196 : tensor<2x1024x1xf32>
    %2198 = stablehlo.broadcast_in_dim %2197, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2199 = stablehlo.subtract %2193, %2198 : tensor<2x1024x32xf32>
    %c_318 = stablehlo.constant dense<0> : tensor<i32>
    %2200 = call @_var_1(%2193, %c_318) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_319 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2201 = stablehlo.broadcast_in_dim %cst_319, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2202 = stablehlo.add %2200, %2201 : tensor<2x1024x1xf32>
    %2203 = stablehlo.rsqrt %2202 : tensor<2x1024x1xf32>
    %2204 = stablehlo.broadcast_in_dim %2203, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2205 = stablehlo.multiply %2199, %2204 : tensor<2x1024x32xf32>
    %2206 = stablehlo.broadcast_in_dim %arg378, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2207 = stablehlo.broadcast_in_dim %2206, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2208 = stablehlo.multiply %2205, %2207 : tensor<2x1024x32xf32>
    %2209 = stablehlo.broadcast_in_dim %arg379, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2210 = stablehlo.broadcast_in_dim %2209, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2211 = stablehlo.add %2208, %2210 : tensor<2x1024x32xf32>
    %2212 = stablehlo.dot_general %2211, %arg380, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2213 = stablehlo.dot_general %2211, %arg381, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2214 = stablehlo.dot_general %2211, %arg382, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2215 = stablehlo.reshape %2212 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2216 = stablehlo.reshape %2213 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2217 = stablehlo.dot_general %2215, %2216, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x1024x4x8xf32>) -> tensor<2x4x1024x1024xf32>
    %cst_320 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %2218 = stablehlo.broadcast_in_dim %cst_320, dims = [] : (tensor<f32>) -> tensor<2x4x1024x1024xf32>
    %2219 = stablehlo.divide %2217, %2218 : tensor<2x4x1024x1024xf32>
    %cst_321 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2220 = stablehlo.reduce(%2219 init: %cst_321) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_322 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2221 = stablehlo.broadcast_in_dim %cst_322, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %2222 = stablehlo.maximum %2221, %2220 : tensor<2x4x1024xf32>
    %2223 = stablehlo.broadcast_in_dim %2222, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2224 = stablehlo.broadcast_in_dim %2223, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %2225 = stablehlo.subtract %2219, %2224 : tensor<2x4x1024x1024xf32>
    %2226 = stablehlo.exponential %2225 : tensor<2x4x1024x1024xf32>
    %cst_323 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2227 = stablehlo.reduce(%2226 init: %cst_323) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %2228 = stablehlo.broadcast_in_dim %2227, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2229 = stablehlo.broadcast_in_dim %2228, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %2230 = stablehlo.divide %2226, %2229 : tensor<2x4x1024x1024xf32>
    %2231 = stablehlo.reshape %2214 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2232 = stablehlo.dot_general %2231, %2230, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x4x1024x1024xf32>) -> tensor<2x4x8x1024xf32>
    %2233 = stablehlo.transpose %2232, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %2234 = stablehlo.reshape %2233 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %2235 = stablehlo.dot_general %2234, %arg383, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2236 = stablehlo.broadcast_in_dim %arg384, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2237 = stablehlo.broadcast_in_dim %2236, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2238 = stablehlo.add %2235, %2237 : tensor<2x1024x32xf32>
    %2239 = stablehlo.add %2193, %2238 : tensor<2x1024x32xf32>
    %cst_324 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2240 = stablehlo.reduce(%2239 init: %cst_324) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2241 = stablehlo.broadcast_in_dim %2240, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_325 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2242 = stablehlo.broadcast_in_dim %cst_325, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2243 = stablehlo.divide %2241, %2242 : tensor<2x1024x1xf32>
    %2244 = stablehlo.broadcast_in_dim %2243, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2245 = stablehlo.subtract %2239, %2244 : tensor<2x1024x32xf32>
    %c_326 = stablehlo.constant dense<0> : tensor<i32>
    %2246 = call @_var_1(%2239, %c_326) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_327 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2247 = stablehlo.broadcast_in_dim %cst_327, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2248 = stablehlo.add %2246, %2247 : tensor<2x1024x1xf32>
    %2249 = stablehlo.rsqrt %2248 : tensor<2x1024x1xf32>
    %2250 = stablehlo.broadcast_in_dim %2249, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2251 = stablehlo.multiply %2245, %2250 : tensor<2x1024x32xf32>
    %2252 = stablehlo.broadcast_in_dim %arg385, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2253 = stablehlo.broadcast_in_dim %2252, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2254 = stablehlo.multiply %2251, %2253 : tensor<2x1024x32xf32>
    %2255 = stablehlo.broadcast_in_dim %arg386, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2256 = stablehlo.broadcast_in_dim %2255, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2257 = stablehlo.add %2254, %2256 : tensor<2x1024x32xf32>
    %2258 = stablehlo.dot_general %2257, %arg387, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2259 = stablehlo.dot_general %arg444, %arg388, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %2260 = stablehlo.dot_general %arg444, %arg389, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %2261 = stablehlo.reshape %2258 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2262 = stablehlo.reshape %2259 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %2263 = stablehlo.dot_general %2261, %2262, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x77x4x8xf32>) -> tensor<2x4x1024x77xf32>
    %cst_328 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %2264 = stablehlo.broadcast_in_dim %cst_328, dims = [] : (tensor<f32>) -> tensor<2x4x1024x77xf32>
    %2265 = stablehlo.divide %2263, %2264 : tensor<2x4x1024x77xf32>
    %cst_329 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2266 = stablehlo.reduce(%2265 init: %cst_329) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_330 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2267 = stablehlo.broadcast_in_dim %cst_330, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %2268 = stablehlo.maximum %2267, %2266 : tensor<2x4x1024xf32>
    %2269 = stablehlo.broadcast_in_dim %2268, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2270 = stablehlo.broadcast_in_dim %2269, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %2271 = stablehlo.subtract %2265, %2270 : tensor<2x4x1024x77xf32>
    %2272 = stablehlo.exponential %2271 : tensor<2x4x1024x77xf32>
    %cst_331 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2273 = stablehlo.reduce(%2272 init: %cst_331) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %2274 = stablehlo.broadcast_in_dim %2273, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2275 = stablehlo.broadcast_in_dim %2274, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %2276 = stablehlo.divide %2272, %2275 : tensor<2x4x1024x77xf32>
    %2277 = stablehlo.reshape %2260 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %2278 = stablehlo.dot_general %2277, %2276, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x8xf32>, tensor<2x4x1024x77xf32>) -> tensor<2x4x8x1024xf32>
    %2279 = stablehlo.transpose %2278, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %2280 = stablehlo.reshape %2279 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %2281 = stablehlo.dot_general %2280, %arg390, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2282 = stablehlo.broadcast_in_dim %arg391, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2283 = stablehlo.broadcast_in_dim %2282, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2284 = stablehlo.add %2281, %2283 : tensor<2x1024x32xf32>
    %2285 = stablehlo.add %2239, %2284 : tensor<2x1024x32xf32>
    %cst_332 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2286 = stablehlo.reduce(%2285 init: %cst_332) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2287 = stablehlo.broadcast_in_dim %2286, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_333 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2288 = stablehlo.broadcast_in_dim %cst_333, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2289 = stablehlo.divide %2287, %2288 : tensor<2x1024x1xf32>
    %2290 = stablehlo.broadcast_in_dim %2289, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2291 = stablehlo.subtract %2285, %2290 : tensor<2x1024x32xf32>
    %c_334 = stablehlo.constant dense<0> : tensor<i32>
    %2292 = call @_var_1(%2285, %c_334) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_335 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2293 = stablehlo.broadcast_in_dim %cst_335, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2294 = stablehlo.add %2292, %2293 : tensor<2x1024x1xf32>
    %2295 = stablehlo.rsqrt %2294 : tensor<2x1024x1xf32>
    %2296 = stablehlo.broadcast_in_dim %2295, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2297 = stablehlo.multiply %2291, %2296 : tensor<2x1024x32xf32>
    %2298 = stablehlo.broadcast_in_dim %arg392, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2299 = stablehlo.broadcast_in_dim %2298, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2300 = stablehlo.multiply %2297, %2299 : tensor<2x1024x32xf32>
    %2301 = stablehlo.broadcast_in_dim %arg393, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2302 = stablehlo.broadcast_in_dim %2301, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2303 = stablehlo.add %2300, %2302 : tensor<2x1024x32xf32>
    %2304 = stablehlo.dot_general %2303, %arg394, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x256xf32>) -> tensor<2x1024x256xf32>
    %2305 = stablehlo.broadcast_in_dim %arg395, dims = [2] : (tensor<256xf32>) -> tensor<1x1x256xf32>
    %2306 = stablehlo.broadcast_in_dim %2305, dims = [0, 1, 2] : (tensor<1x1x256xf32>) -> tensor<2x1024x256xf32>
    %2307 = stablehlo.add %2304, %2306 : tensor<2x1024x256xf32>
    %2308 = stablehlo.slice %2307 [0:2, 0:1024, 0:128] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %2309 = stablehlo.slice %2307 [0:2, 0:1024, 128:256] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %cst_336 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %2310 = stablehlo.broadcast_in_dim %cst_336, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %2311 = stablehlo.multiply %2310, %2309 : tensor<2x1024x128xf32>
    %2312 = stablehlo.negate %2309 : tensor<2x1024x128xf32>
    %cst_337 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %2313 = stablehlo.broadcast_in_dim %cst_337, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %2314 = stablehlo.multiply %2312, %2313 : tensor<2x1024x128xf32>
    %2315 = chlo.erfc %2314 : tensor<2x1024x128xf32> -> tensor<2x1024x128xf32>
    %2316 = stablehlo.multiply %2311, %2315 : tensor<2x1024x128xf32>
    %2317 = stablehlo.multiply %2308, %2316 : tensor<2x1024x128xf32>
    %2318 = stablehlo.dot_general %2317, %arg396, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x128xf32>, tensor<128x32xf32>) -> tensor<2x1024x32xf32>
    %2319 = stablehlo.broadcast_in_dim %arg397, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2320 = stablehlo.broadcast_in_dim %2319, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2321 = stablehlo.add %2318, %2320 : tensor<2x1024x32xf32>
    %2322 = stablehlo.add %2285, %2321 : tensor<2x1024x32xf32>
    %2323 = stablehlo.transpose %2322, dims = [0, 2, 1] : (tensor<2x1024x32xf32>) -> tensor<2x32x1024xf32>
    %2324 = stablehlo.reshape %2323 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2325 = stablehlo.convolution(%2324, %arg398) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2326 = stablehlo.broadcast_in_dim %arg399, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2327 = stablehlo.broadcast_in_dim %2326, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2328 = stablehlo.add %2325, %2327 : tensor<2x32x32x32xf32>
    %2329 = stablehlo.add %2328, %2167 : tensor<2x32x32x32xf32>
    %2330 = stablehlo.concatenate %2329, %28, dim = 1 : (tensor<2x32x32x32xf32>, tensor<2x32x32x32xf32>) -> tensor<2x64x32x32xf32>
    %2331 = stablehlo.reshape %2330 : (tensor<2x64x32x32xf32>) -> tensor<2x32x2048xf32>
    %cst_338 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2332 = stablehlo.reduce(%2331 init: %cst_338) applies stablehlo.add across dimensions = [2] : (tensor<2x32x2048xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2333 = stablehlo.broadcast_in_dim %2332, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_339 = stablehlo.constant dense<2.048000e+03> : tensor<f32>
    %2334 = stablehlo.broadcast_in_dim %cst_339, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2335 = stablehlo.divide %2333, %2334 : tensor<2x32x1xf32>
    %2336 = stablehlo.broadcast_in_dim %2335, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x2048xf32>
    %2337 = stablehlo.subtract %2331, %2336 : tensor<2x32x2048xf32>
    %c_340 = stablehlo.constant dense<0> : tensor<i32>
    %2338 = call @_var_28(%2331, %c_340) : (tensor<2x32x2048xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_341 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2339 = stablehlo.broadcast_in_dim %cst_341, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2340 = stablehlo.add %2338, %2339 : tensor<2x32x1xf32>
    %2341 = stablehlo.rsqrt %2340 : tensor<2x32x1xf32>
    %2342 = stablehlo.broadcast_in_dim %2341, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x2048xf32>
    %2343 = stablehlo.multiply %2337, %2342 : tensor<2x32x2048xf32>
    %2344 = stablehlo.reshape %2343 : (tensor<2x32x2048xf32>) -> tensor<2x64x32x32xf32>
    %2345 = stablehlo.broadcast_in_dim %arg400, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %2346 = stablehlo.broadcast_in_dim %2345, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x32x32xf32>
    %2347 = stablehlo.multiply %2344, %2346 : tensor<2x64x32x32xf32>
    %2348 = stablehlo.broadcast_in_dim %arg401, dims = [1] : (tensor<64xf32>) -> tensor<1x64x1x1xf32>
    %2349 = stablehlo.broadcast_in_dim %2348, dims = [0, 1, 2, 3] : (tensor<1x64x1x1xf32>) -> tensor<2x64x32x32xf32>
    %2350 = stablehlo.add %2347, %2349 : tensor<2x64x32x32xf32>
    %2351 = call @silu_29(%2350) : (tensor<2x64x32x32xf32>) -> tensor<2x64x32x32xf32>
    %2352 = stablehlo.convolution(%2351, %arg402) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x32x32xf32>, tensor<32x64x3x3xf32>) -> tensor<2x32x32x32xf32>
    %2353 = stablehlo.broadcast_in_dim %arg403, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2354 = stablehlo.broadcast_in_dim %2353, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2355 = stablehlo.add %2352, %2354 : tensor<2x32x32x32xf32>
    %2356 = call @silu(%24) : (tensor<2x128xf32>) -> tensor<2x128xf32>
    %2357 = stablehlo.dot_general %2356, %arg404, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x128xf32>, tensor<128x32xf32>) -> tensor<2x32xf32>
    %2358 = stablehlo.broadcast_in_dim %arg405, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32>
    %2359 = stablehlo.broadcast_in_dim %2358, dims = [0, 1] : (tensor<1x32xf32>) -> tensor<2x32xf32>
    %2360 = stablehlo.add %2357, %2359 : tensor<2x32xf32>
    %2361 = stablehlo.broadcast_in_dim %2360, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1x1xf32>
    %2362 = stablehlo.broadcast_in_dim %2361, dims = [0, 1, 2, 3] : (tensor<2x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2363 = stablehlo.add %2355, %2362 : tensor<2x32x32x32xf32>
    %2364 = stablehlo.reshape %2363 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_342 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2365 = stablehlo.reduce(%2364 init: %cst_342) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2366 = stablehlo.broadcast_in_dim %2365, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_343 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2367 = stablehlo.broadcast_in_dim %cst_343, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2368 = stablehlo.divide %2366, %2367 : tensor<2x32x1xf32>
    %2369 = stablehlo.broadcast_in_dim %2368, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2370 = stablehlo.subtract %2364, %2369 : tensor<2x32x1024xf32>
    %c_344 = stablehlo.constant dense<0> : tensor<i32>
    %2371 = call @_var(%2364, %c_344) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_345 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2372 = stablehlo.broadcast_in_dim %cst_345, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2373 = stablehlo.add %2371, %2372 : tensor<2x32x1xf32>
    %2374 = stablehlo.rsqrt %2373 : tensor<2x32x1xf32>
    %2375 = stablehlo.broadcast_in_dim %2374, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2376 = stablehlo.multiply %2370, %2375 : tensor<2x32x1024xf32>
    %2377 = stablehlo.reshape %2376 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2378 = stablehlo.broadcast_in_dim %arg406, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2379 = stablehlo.broadcast_in_dim %2378, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2380 = stablehlo.multiply %2377, %2379 : tensor<2x32x32x32xf32>
    %2381 = stablehlo.broadcast_in_dim %arg407, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2382 = stablehlo.broadcast_in_dim %2381, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2383 = stablehlo.add %2380, %2382 : tensor<2x32x32x32xf32>
    %2384 = call @silu_0(%2383) : (tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32>
    %2385 = stablehlo.convolution(%2384, %arg408) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x3x3xf32>) -> tensor<2x32x32x32xf32>
    %2386 = stablehlo.broadcast_in_dim %arg409, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2387 = stablehlo.broadcast_in_dim %2386, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2388 = stablehlo.add %2385, %2387 : tensor<2x32x32x32xf32>
    %2389 = stablehlo.convolution(%2330, %arg410) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x64x32x32xf32>, tensor<32x64x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2390 = stablehlo.broadcast_in_dim %arg411, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2391 = stablehlo.broadcast_in_dim %2390, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2392 = stablehlo.add %2389, %2391 : tensor<2x32x32x32xf32>
    %2393 = stablehlo.add %2388, %2392 : tensor<2x32x32x32xf32>
    %2394 = stablehlo.reshape %2393 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_346 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2395 = stablehlo.reduce(%2394 init: %cst_346) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2396 = stablehlo.broadcast_in_dim %2395, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_347 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2397 = stablehlo.broadcast_in_dim %cst_347, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2398 = stablehlo.divide %2396, %2397 : tensor<2x32x1xf32>
    %2399 = stablehlo.broadcast_in_dim %2398, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2400 = stablehlo.subtract %2394, %2399 : tensor<2x32x1024xf32>
    %c_348 = stablehlo.constant dense<0> : tensor<i32>
    %2401 = call @_var(%2394, %c_348) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_349 = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %2402 = stablehlo.broadcast_in_dim %cst_349, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2403 = stablehlo.add %2401, %2402 : tensor<2x32x1xf32>
    %2404 = stablehlo.rsqrt %2403 : tensor<2x32x1xf32>
    %2405 = stablehlo.broadcast_in_dim %2404, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2406 = stablehlo.multiply %2400, %2405 : tensor<2x32x1024xf32>
    %2407 = stablehlo.reshape %2406 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2408 = stablehlo.broadcast_in_dim %arg412, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2409 = stablehlo.broadcast_in_dim %2408, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2410 = stablehlo.multiply %2407, %2409 : tensor<2x32x32x32xf32>
    %2411 = stablehlo.broadcast_in_dim %arg413, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2412 = stablehlo.broadcast_in_dim %2411, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2413 = stablehlo.add %2410, %2412 : tensor<2x32x32x32xf32>
    %2414 = stablehlo.convolution(%2413, %arg414) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2415 = stablehlo.broadcast_in_dim %arg415, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2416 = stablehlo.broadcast_in_dim %2415, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2417 = stablehlo.add %2414, %2416 : tensor<2x32x32x32xf32>
    %2418 = stablehlo.reshape %2417 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %2419 = stablehlo.transpose %2418, dims = [0, 2, 1] : (tensor<2x32x1024xf32>) -> tensor<2x1024x32xf32>
    %cst_350 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2420 = stablehlo.reduce(%2419 init: %cst_350) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2421 = stablehlo.broadcast_in_dim %2420, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_351 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2422 = stablehlo.broadcast_in_dim %cst_351, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2423 = stablehlo.divide %2421, %2422 : tensor<2x1024x1xf32>
    %2424 = stablehlo.broadcast_in_dim %2423, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2425 = stablehlo.subtract %2419, %2424 : tensor<2x1024x32xf32>
    %c_352 = stablehlo.constant dense<0> : tensor<i32>
    %2426 = call @_var_1(%2419, %c_352) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_353 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2427 = stablehlo.broadcast_in_dim %cst_353, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2428 = stablehlo.add %2426, %2427 : tensor<2x1024x1xf32>
    %2429 = stablehlo.rsqrt %2428 : tensor<2x1024x1xf32>
    %2430 = stablehlo.broadcast_in_dim %2429, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2431 = stablehlo.multiply %2425, %2430 : tensor<2x1024x32xf32>
    %2432 = stablehlo.broadcast_in_dim %arg416, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2433 = stablehlo.broadcast_in_dim %2432, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2434 = stablehlo.multiply %2431, %2433 : tensor<2x1024x32xf32>
    %2435 = stablehlo.broadcast_in_dim %arg417, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2436 = stablehlo.broadcast_in_dim %2435, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2437 = stablehlo.add %2434, %2436 : tensor<2x1024x32xf32>
    %2438 = stablehlo.dot_general %2437, %arg418, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2439 = stablehlo.dot_general %2437, %arg419, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2440 = stablehlo.dot_general %2437, %arg420, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2441 = stablehlo.reshape %2438 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2442 = stablehlo.reshape %2439 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2443 = stablehlo.dot_general %2441, %2442, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x1024x4x8xf32>) -> tensor<2x4x1024x1024xf32>
    %cst_354 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %2444 = stablehlo.broadcast_in_dim %cst_354, dims = [] : (tensor<f32>) -> tensor<2x4x1024x1024xf32>
    %2445 = stablehlo.divide %2443, %2444 : tensor<2x4x1024x1024xf32>
    %cst_355 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2446 = stablehlo.reduce(%2445 init: %cst_355) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_356 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2447 = stablehlo.broadcast_in_dim %cst_356, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %2448 = stablehlo.maximum %2447, %2446 : tensor<2x4x1024xf32>
    %2449 = stablehlo.broadcast_in_dim %2448, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2450 = stablehlo.broadcast_in_dim %2449, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %2451 = stablehlo.subtract %2445, %2450 : tensor<2x4x1024x1024xf32>
    %2452 = stablehlo.exponential %2451 : tensor<2x4x1024x1024xf32>
    %cst_357 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2453 = stablehlo.reduce(%2452 init: %cst_357) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x1024xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %2454 = stablehlo.broadcast_in_dim %2453, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2455 = stablehlo.broadcast_in_dim %2454, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x1024xf32>
    %2456 = stablehlo.divide %2452, %2455 : tensor<2x4x1024x1024xf32>
    %2457 = stablehlo.reshape %2440 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2458 = stablehlo.dot_general %2457, %2456, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x4x1024x1024xf32>) -> tensor<2x4x8x1024xf32>
    %2459 = stablehlo.transpose %2458, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %2460 = stablehlo.reshape %2459 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %2461 = stablehlo.dot_general %2460, %arg421, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2462 = stablehlo.broadcast_in_dim %arg422, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2463 = stablehlo.broadcast_in_dim %2462, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2464 = stablehlo.add %2461, %2463 : tensor<2x1024x32xf32>
    %2465 = stablehlo.add %2419, %2464 : tensor<2x1024x32xf32>
    %cst_358 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2466 = stablehlo.reduce(%2465 init: %cst_358) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2467 = stablehlo.broadcast_in_dim %2466, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_359 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2468 = stablehlo.broadcast_in_dim %cst_359, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2469 = stablehlo.divide %2467, %2468 : tensor<2x1024x1xf32>
    %2470 = stablehlo.broadcast_in_dim %2469, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2471 = stablehlo.subtract %2465, %2470 : tensor<2x1024x32xf32>
    %c_360 = stablehlo.constant dense<0> : tensor<i32>
    %2472 = call @_var_1(%2465, %c_360) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_361 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2473 = stablehlo.broadcast_in_dim %cst_361, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2474 = stablehlo.add %2472, %2473 : tensor<2x1024x1xf32>
    %2475 = stablehlo.rsqrt %2474 : tensor<2x1024x1xf32>
    %2476 = stablehlo.broadcast_in_dim %2475, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2477 = stablehlo.multiply %2471, %2476 : tensor<2x1024x32xf32>
    %2478 = stablehlo.broadcast_in_dim %arg423, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2479 = stablehlo.broadcast_in_dim %2478, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2480 = stablehlo.multiply %2477, %2479 : tensor<2x1024x32xf32>
    %2481 = stablehlo.broadcast_in_dim %arg424, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2482 = stablehlo.broadcast_in_dim %2481, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2483 = stablehlo.add %2480, %2482 : tensor<2x1024x32xf32>
    %2484 = stablehlo.dot_general %2483, %arg425, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2485 = stablehlo.dot_general %arg444, %arg426, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %2486 = stablehlo.dot_general %arg444, %arg427, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x77x64xf32>, tensor<64x32xf32>) -> tensor<2x77x32xf32>
    %2487 = stablehlo.reshape %2484 : (tensor<2x1024x32xf32>) -> tensor<2x1024x4x8xf32>
    %2488 = stablehlo.reshape %2485 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %2489 = stablehlo.dot_general %2487, %2488, batching_dims = [0, 2] x [0, 2], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x4x8xf32>, tensor<2x77x4x8xf32>) -> tensor<2x4x1024x77xf32>
    %cst_362 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %2490 = stablehlo.broadcast_in_dim %cst_362, dims = [] : (tensor<f32>) -> tensor<2x4x1024x77xf32>
    %2491 = stablehlo.divide %2489, %2490 : tensor<2x4x1024x77xf32>
    %cst_363 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2492 = stablehlo.reduce(%2491 init: %cst_363) applies stablehlo.maximum across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %cst_364 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %2493 = stablehlo.broadcast_in_dim %cst_364, dims = [] : (tensor<f32>) -> tensor<2x4x1024xf32>
    %2494 = stablehlo.maximum %2493, %2492 : tensor<2x4x1024xf32>
    %2495 = stablehlo.broadcast_in_dim %2494, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2496 = stablehlo.broadcast_in_dim %2495, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %2497 = stablehlo.subtract %2491, %2496 : tensor<2x4x1024x77xf32>
    %2498 = stablehlo.exponential %2497 : tensor<2x4x1024x77xf32>
    %cst_365 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2499 = stablehlo.reduce(%2498 init: %cst_365) applies stablehlo.add across dimensions = [3] : (tensor<2x4x1024x77xf32>, tensor<f32>) -> tensor<2x4x1024xf32>
    %2500 = stablehlo.broadcast_in_dim %2499, dims = [0, 1, 2] : (tensor<2x4x1024xf32>) -> tensor<2x4x1024x1xf32>
    %2501 = stablehlo.broadcast_in_dim %2500, dims = [0, 1, 2, 3] : (tensor<2x4x1024x1xf32>) -> tensor<2x4x1024x77xf32>
    %2502 = stablehlo.divide %2498, %2501 : tensor<2x4x1024x77xf32>
    %2503 = stablehlo.reshape %2486 : (tensor<2x77x32xf32>) -> tensor<2x77x4x8xf32>
    %2504 = stablehlo.dot_general %2503, %2502, batching_dims = [0, 2] x [0, 1], contracting_dims = [1] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x77x4x8xf32>, tensor<2x4x1024x77xf32>) -> tensor<2x4x8x1024xf32>
    %2505 = stablehlo.transpose %2504, dims = [0, 3, 1, 2] : (tensor<2x4x8x1024xf32>) -> tensor<2x1024x4x8xf32>
    %2506 = stablehlo.reshape %2505 : (tensor<2x1024x4x8xf32>) -> tensor<2x1024x32xf32>
    %2507 = stablehlo.dot_general %2506, %arg428, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x32xf32>) -> tensor<2x1024x32xf32>
    %2508 = stablehlo.broadcast_in_dim %arg429, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2509 = stablehlo.broadcast_in_dim %2508, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2510 = stablehlo.add %2507, %2509 : tensor<2x1024x32xf32>
    %2511 = stablehlo.add %2465, %2510 : tensor<2x1024x32xf32>
    %cst_366 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2512 = stablehlo.reduce(%2511 init: %cst_366) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %2513 = stablehlo.broadcast_in_dim %2512, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_367 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2514 = stablehlo.broadcast_in_dim %cst_367, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2515 = stablehlo.divide %2513, %2514 : tensor<2x1024x1xf32>
    %2516 = stablehlo.broadcast_in_dim %2515, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2517 = stablehlo.subtract %2511, %2516 : tensor<2x1024x32xf32>
    %c_368 = stablehlo.constant dense<0> : tensor<i32>
    %2518 = call @_var_1(%2511, %c_368) : (tensor<2x1024x32xf32>, tensor<i32>) -> tensor<2x1024x1xf32>
    %cst_369 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2519 = stablehlo.broadcast_in_dim %cst_369, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2520 = stablehlo.add %2518, %2519 : tensor<2x1024x1xf32>
    %2521 = stablehlo.rsqrt %2520 : tensor<2x1024x1xf32>
    %2522 = stablehlo.broadcast_in_dim %2521, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %2523 = stablehlo.multiply %2517, %2522 : tensor<2x1024x32xf32>
    %2524 = stablehlo.broadcast_in_dim %arg430, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2525 = stablehlo.broadcast_in_dim %2524, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2526 = stablehlo.multiply %2523, %2525 : tensor<2x1024x32xf32>
    %2527 = stablehlo.broadcast_in_dim %arg431, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2528 = stablehlo.broadcast_in_dim %2527, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2529 = stablehlo.add %2526, %2528 : tensor<2x1024x32xf32>
    %2530 = stablehlo.dot_general %2529, %arg432, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x32xf32>, tensor<32x256xf32>) -> tensor<2x1024x256xf32>
    %2531 = stablehlo.broadcast_in_dim %arg433, dims = [2] : (tensor<256xf32>) -> tensor<1x1x256xf32>
    %2532 = stablehlo.broadcast_in_dim %2531, dims = [0, 1, 2] : (tensor<1x1x256xf32>) -> tensor<2x1024x256xf32>
    %2533 = stablehlo.add %2530, %2532 : tensor<2x1024x256xf32>
    %2534 = stablehlo.slice %2533 [0:2, 0:1024, 0:128] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %2535 = stablehlo.slice %2533 [0:2, 0:1024, 128:256] : (tensor<2x1024x256xf32>) -> tensor<2x1024x128xf32>
    %cst_370 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %2536 = stablehlo.broadcast_in_dim %cst_370, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %2537 = stablehlo.multiply %2536, %2535 : tensor<2x1024x128xf32>
    %2538 = stablehlo.negate %2535 : tensor<2x1024x128xf32>
    %cst_371 = stablehlo.constant dense<0.707106769> : tensor<f32>
    %2539 = stablehlo.broadcast_in_dim %cst_371, dims = [] : (tensor<f32>) -> tensor<2x1024x128xf32>
    %2540 = stablehlo.multiply %2538, %2539 : tensor<2x1024x128xf32>
    %2541 = chlo.erfc %2540 : tensor<2x1024x128xf32> -> tensor<2x1024x128xf32>
    %2542 = stablehlo.multiply %2537, %2541 : tensor<2x1024x128xf32>
    %2543 = stablehlo.multiply %2534, %2542 : tensor<2x1024x128xf32>
    %2544 = stablehlo.dot_general %2543, %arg434, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x1024x128xf32>, tensor<128x32xf32>) -> tensor<2x1024x32xf32>
    %2545 = stablehlo.broadcast_in_dim %arg435, dims = [2] : (tensor<32xf32>) -> tensor<1x1x32xf32>
    %2546 = stablehlo.broadcast_in_dim %2545, dims = [0, 1, 2] : (tensor<1x1x32xf32>) -> tensor<2x1024x32xf32>
    %2547 = stablehlo.add %2544, %2546 : tensor<2x1024x32xf32>
    %2548 = stablehlo.add %2511, %2547 : tensor<2x1024x32xf32>
    %2549 = stablehlo.transpose %2548, dims = [0, 2, 1] : (tensor<2x1024x32xf32>) -> tensor<2x32x1024xf32>
    %2550 = stablehlo.reshape %2549 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2551 = stablehlo.convolution(%2550, %arg436) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[0, 0], [0, 0]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<32x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2552 = stablehlo.broadcast_in_dim %arg437, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2553 = stablehlo.broadcast_in_dim %2552, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2554 = stablehlo.add %2551, %2553 : tensor<2x32x32x32xf32>
    %2555 = stablehlo.add %2554, %2393 : tensor<2x32x32x32xf32>
    %2556 = stablehlo.reshape %2555 : (tensor<2x32x32x32xf32>) -> tensor<2x32x1024xf32>
    %cst_372 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %2557 = stablehlo.reduce(%2556 init: %cst_372) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %2558 = stablehlo.broadcast_in_dim %2557, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_373 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2559 = stablehlo.broadcast_in_dim %cst_373, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2560 = stablehlo.divide %2558, %2559 : tensor<2x32x1xf32>
    %2561 = stablehlo.broadcast_in_dim %2560, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2562 = stablehlo.subtract %2556, %2561 : tensor<2x32x1024xf32>
    %c_374 = stablehlo.constant dense<0> : tensor<i32>
    %2563 = call @_var(%2556, %c_374) : (tensor<2x32x1024xf32>, tensor<i32>) -> tensor<2x32x1xf32>
    %cst_375 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %2564 = stablehlo.broadcast_in_dim %cst_375, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2565 = stablehlo.add %2563, %2564 : tensor<2x32x1xf32>
    %2566 = stablehlo.rsqrt %2565 : tensor<2x32x1xf32>
    %2567 = stablehlo.broadcast_in_dim %2566, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %2568 = stablehlo.multiply %2562, %2567 : tensor<2x32x1024xf32>
    %2569 = stablehlo.reshape %2568 : (tensor<2x32x1024xf32>) -> tensor<2x32x32x32xf32>
    %2570 = stablehlo.broadcast_in_dim %arg438, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2571 = stablehlo.broadcast_in_dim %2570, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2572 = stablehlo.multiply %2569, %2571 : tensor<2x32x32x32xf32>
    %2573 = stablehlo.broadcast_in_dim %arg439, dims = [1] : (tensor<32xf32>) -> tensor<1x32x1x1xf32>
    %2574 = stablehlo.broadcast_in_dim %2573, dims = [0, 1, 2, 3] : (tensor<1x32x1x1xf32>) -> tensor<2x32x32x32xf32>
    %2575 = stablehlo.add %2572, %2574 : tensor<2x32x32x32xf32>
    %2576 = call @silu_0(%2575) : (tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32>
    %2577 = stablehlo.convolution(%2576, %arg440) dim_numbers = [b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1], window = {stride = [1, 1], pad = [[1, 1], [1, 1]], lhs_dilate = [1, 1], rhs_dilate = [1, 1], reverse = [false, false]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64, precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]} : (tensor<2x32x32x32xf32>, tensor<4x32x3x3xf32>) -> tensor<2x4x32x32xf32>
    %2578 = stablehlo.broadcast_in_dim %arg441, dims = [1] : (tensor<4xf32>) -> tensor<1x4x1x1xf32>
    %2579 = stablehlo.broadcast_in_dim %2578, dims = [0, 1, 2, 3] : (tensor<1x4x1x1xf32>) -> tensor<2x4x32x32xf32>
    %2580 = stablehlo.add %2577, %2579 : tensor<2x4x32x32xf32>
    return %2580 : tensor<2x4x32x32xf32>
  }
  func.func private @silu(%arg0: tensor<2x128xf32>) -> tensor<2x128xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x128xf32>
    %1 = stablehlo.exponential %0 : tensor<2x128xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x128xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x128xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x128xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x128xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x128xf32>
    return %6 : tensor<2x128xf32>
  }
  func.func private @_var(%arg0: tensor<2x32x1024xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1024xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x1024xf32>
    %6 = chlo.square %5 : tensor<2x32x1024xf32> -> tensor<2x32x1024xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.024000e+03> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1024xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @_where(%arg0: tensor<i1>, %arg1: tensor<2x32x1xf32>, %arg2: tensor<f32>) -> tensor<2x32x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x32x1xf32>
    return %2 : tensor<2x32x1xf32>
  }
  func.func private @silu_0(%arg0: tensor<2x32x32x32xf32>) -> tensor<2x32x32x32xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x32x32x32xf32>
    %1 = stablehlo.exponential %0 : tensor<2x32x32x32xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x32x32x32xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x32x32x32xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x32x32xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x32x32x32xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x32x32x32xf32>
    return %6 : tensor<2x32x32x32xf32>
  }
  func.func private @_var_1(%arg0: tensor<2x1024x32xf32>, %arg1: tensor<i32>) -> tensor<2x1024x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %cst_0 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x1024x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x1024x1xf32>) -> tensor<2x1024x32xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x1024x32xf32>
    %6 = chlo.square %5 : tensor<2x1024x32xf32> -> tensor<2x1024x32xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<3.200000e+01> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x1024x32xf32>, tensor<f32>) -> tensor<2x1024xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x1024xf32>) -> tensor<2x1024x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x1024x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where_2(%13, %12, %cst_4) : (tensor<i1>, tensor<2x1024x1xf32>, tensor<f32>) -> tensor<2x1024x1xf32>
    return %14 : tensor<2x1024x1xf32>
  }
  func.func private @_where_2(%arg0: tensor<i1>, %arg1: tensor<2x1024x1xf32>, %arg2: tensor<f32>) -> tensor<2x1024x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x1024x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x1024x1xf32>
    return %2 : tensor<2x1024x1xf32>
  }
  func.func private @_var_3(%arg0: tensor<2x32x256xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x256xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x256xf32>
    %6 = chlo.square %5 : tensor<2x32x256xf32> -> tensor<2x32x256xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<2.560000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x256xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_4(%arg0: tensor<2x32x16x16xf32>) -> tensor<2x32x16x16xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x32x16x16xf32>
    %1 = stablehlo.exponential %0 : tensor<2x32x16x16xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x32x16x16xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x32x16x16xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x16x16xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x32x16x16xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x32x16x16xf32>
    return %6 : tensor<2x32x16x16xf32>
  }
  func.func private @_var_5(%arg0: tensor<2x32x512xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x512xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x512xf32>
    %6 = chlo.square %5 : tensor<2x32x512xf32> -> tensor<2x32x512xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<5.120000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x512xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_6(%arg0: tensor<2x64x16x16xf32>) -> tensor<2x64x16x16xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x64x16x16xf32>
    %1 = stablehlo.exponential %0 : tensor<2x64x16x16xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x64x16x16xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x64x16x16xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x64x16x16xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x64x16x16xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x64x16x16xf32>
    return %6 : tensor<2x64x16x16xf32>
  }
  func.func private @_var_7(%arg0: tensor<2x256x64xf32>, %arg1: tensor<i32>) -> tensor<2x256x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %cst_0 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x256x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x256x1xf32>) -> tensor<2x256x64xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x256x64xf32>
    %6 = chlo.square %5 : tensor<2x256x64xf32> -> tensor<2x256x64xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x256x64xf32>, tensor<f32>) -> tensor<2x256xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x256xf32>) -> tensor<2x256x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x256x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where_8(%13, %12, %cst_4) : (tensor<i1>, tensor<2x256x1xf32>, tensor<f32>) -> tensor<2x256x1xf32>
    return %14 : tensor<2x256x1xf32>
  }
  func.func private @_where_8(%arg0: tensor<i1>, %arg1: tensor<2x256x1xf32>, %arg2: tensor<f32>) -> tensor<2x256x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x256x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x256x1xf32>
    return %2 : tensor<2x256x1xf32>
  }
  func.func private @_var_9(%arg0: tensor<2x32x128xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x128xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x128xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x128xf32>
    %6 = chlo.square %5 : tensor<2x32x128xf32> -> tensor<2x32x128xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x128xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_10(%arg0: tensor<2x64x8x8xf32>) -> tensor<2x64x8x8xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x64x8x8xf32>
    %1 = stablehlo.exponential %0 : tensor<2x64x8x8xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x64x8x8xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x64x8x8xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x64x8x8xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x64x8x8xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x64x8x8xf32>
    return %6 : tensor<2x64x8x8xf32>
  }
  func.func private @silu_11(%arg0: tensor<2x128x8x8xf32>) -> tensor<2x128x8x8xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x128x8x8xf32>
    %1 = stablehlo.exponential %0 : tensor<2x128x8x8xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x128x8x8xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x128x8x8xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x128x8x8xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x128x8x8xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x128x8x8xf32>
    return %6 : tensor<2x128x8x8xf32>
  }
  func.func private @_var_12(%arg0: tensor<2x64x128xf32>, %arg1: tensor<i32>) -> tensor<2x64x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %cst_0 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x64x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x64x1xf32>) -> tensor<2x64x128xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x64x128xf32>
    %6 = chlo.square %5 : tensor<2x64x128xf32> -> tensor<2x64x128xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x64x128xf32>, tensor<f32>) -> tensor<2x64xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x64xf32>) -> tensor<2x64x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x64x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where_13(%13, %12, %cst_4) : (tensor<i1>, tensor<2x64x1xf32>, tensor<f32>) -> tensor<2x64x1xf32>
    return %14 : tensor<2x64x1xf32>
  }
  func.func private @_where_13(%arg0: tensor<i1>, %arg1: tensor<2x64x1xf32>, %arg2: tensor<f32>) -> tensor<2x64x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x64x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x64x1xf32>
    return %2 : tensor<2x64x1xf32>
  }
  func.func private @_var_14(%arg0: tensor<2x32x64xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x64xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x64xf32>
    %6 = chlo.square %5 : tensor<2x32x64xf32> -> tensor<2x32x64xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<6.400000e+01> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x64xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_15(%arg0: tensor<2x128x4x4xf32>) -> tensor<2x128x4x4xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x128x4x4xf32>
    %1 = stablehlo.exponential %0 : tensor<2x128x4x4xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x128x4x4xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x128x4x4xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x128x4x4xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x128x4x4xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x128x4x4xf32>
    return %6 : tensor<2x128x4x4xf32>
  }
  func.func private @_var_16(%arg0: tensor<2x16x128xf32>, %arg1: tensor<i32>) -> tensor<2x16x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x16x128xf32>, tensor<f32>) -> tensor<2x16xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x16xf32>) -> tensor<2x16x1xf32>
    %cst_0 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x16x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x16x1xf32>) -> tensor<2x16x128xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x16x128xf32>
    %6 = chlo.square %5 : tensor<2x16x128xf32> -> tensor<2x16x128xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.280000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x16x128xf32>, tensor<f32>) -> tensor<2x16xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x16xf32>) -> tensor<2x16x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x16x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where_17(%13, %12, %cst_4) : (tensor<i1>, tensor<2x16x1xf32>, tensor<f32>) -> tensor<2x16x1xf32>
    return %14 : tensor<2x16x1xf32>
  }
  func.func private @_where_17(%arg0: tensor<i1>, %arg1: tensor<2x16x1xf32>, %arg2: tensor<f32>) -> tensor<2x16x1xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x16x1xf32>
    %2 = stablehlo.select %arg0, %arg1, %1 : tensor<i1>, tensor<2x16x1xf32>
    return %2 : tensor<2x16x1xf32>
  }
  func.func private @silu_18(%arg0: tensor<2x256x4x4xf32>) -> tensor<2x256x4x4xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x256x4x4xf32>
    %1 = stablehlo.exponential %0 : tensor<2x256x4x4xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x256x4x4xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x256x4x4xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x256x4x4xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x256x4x4xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x256x4x4xf32>
    return %6 : tensor<2x256x4x4xf32>
  }
  func.func private @silu_19(%arg0: tensor<2x256x8x8xf32>) -> tensor<2x256x8x8xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x256x8x8xf32>
    %1 = stablehlo.exponential %0 : tensor<2x256x8x8xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x256x8x8xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x256x8x8xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x256x8x8xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x256x8x8xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x256x8x8xf32>
    return %6 : tensor<2x256x8x8xf32>
  }
  func.func private @_var_20(%arg0: tensor<2x32x384xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x384xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<3.840000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x384xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x384xf32>
    %6 = chlo.square %5 : tensor<2x32x384xf32> -> tensor<2x32x384xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<3.840000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x384xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_21(%arg0: tensor<2x192x8x8xf32>) -> tensor<2x192x8x8xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x192x8x8xf32>
    %1 = stablehlo.exponential %0 : tensor<2x192x8x8xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x192x8x8xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x192x8x8xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x192x8x8xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x192x8x8xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x192x8x8xf32>
    return %6 : tensor<2x192x8x8xf32>
  }
  func.func private @_var_22(%arg0: tensor<2x32x1536xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1536xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<1.536000e+03> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x1536xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x1536xf32>
    %6 = chlo.square %5 : tensor<2x32x1536xf32> -> tensor<2x32x1536xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<1.536000e+03> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x1536xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_23(%arg0: tensor<2x192x16x16xf32>) -> tensor<2x192x16x16xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x192x16x16xf32>
    %1 = stablehlo.exponential %0 : tensor<2x192x16x16xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x192x16x16xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x192x16x16xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x192x16x16xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x192x16x16xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x192x16x16xf32>
    return %6 : tensor<2x192x16x16xf32>
  }
  func.func private @_var_24(%arg0: tensor<2x32x768xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x768xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<7.680000e+02> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x768xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x768xf32>
    %6 = chlo.square %5 : tensor<2x32x768xf32> -> tensor<2x32x768xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<7.680000e+02> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x768xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_25(%arg0: tensor<2x96x16x16xf32>) -> tensor<2x96x16x16xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x96x16x16xf32>
    %1 = stablehlo.exponential %0 : tensor<2x96x16x16xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x96x16x16xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x96x16x16xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x96x16x16xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x96x16x16xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x96x16x16xf32>
    return %6 : tensor<2x96x16x16xf32>
  }
  func.func private @_var_26(%arg0: tensor<2x32x3072xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x3072xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<3.072000e+03> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x3072xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x3072xf32>
    %6 = chlo.square %5 : tensor<2x32x3072xf32> -> tensor<2x32x3072xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<3.072000e+03> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x3072xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_27(%arg0: tensor<2x96x32x32xf32>) -> tensor<2x96x32x32xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x96x32x32xf32>
    %1 = stablehlo.exponential %0 : tensor<2x96x32x32xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x96x32x32xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x96x32x32xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x96x32x32xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x96x32x32xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x96x32x32xf32>
    return %6 : tensor<2x96x32x32xf32>
  }
  func.func private @_var_28(%arg0: tensor<2x32x2048xf32>, %arg1: tensor<i32>) -> tensor<2x32x1xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.reduce(%arg0 init: %cst) applies stablehlo.add across dimensions = [2] : (tensor<2x32x2048xf32>, tensor<f32>) -> tensor<2x32xf32>
    %1 = stablehlo.broadcast_in_dim %0, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %cst_0 = stablehlo.constant dense<2.048000e+03> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %3 = stablehlo.divide %1, %2 : tensor<2x32x1xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [0, 1, 2] : (tensor<2x32x1xf32>) -> tensor<2x32x2048xf32>
    %5 = stablehlo.subtract %arg0, %4 : tensor<2x32x2048xf32>
    %6 = chlo.square %5 : tensor<2x32x2048xf32> -> tensor<2x32x2048xf32>
    %7 = stablehlo.convert %arg1 : (tensor<i32>) -> tensor<f32>
    %cst_1 = stablehlo.constant dense<2.048000e+03> : tensor<f32>
    %8 = stablehlo.subtract %cst_1, %7 : tensor<f32>
    %cst_2 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %9 = stablehlo.reduce(%6 init: %cst_2) applies stablehlo.add across dimensions = [2] : (tensor<2x32x2048xf32>, tensor<f32>) -> tensor<2x32xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x1xf32>
    %11 = stablehlo.broadcast_in_dim %8, dims = [] : (tensor<f32>) -> tensor<2x32x1xf32>
    %12 = stablehlo.divide %10, %11 : tensor<2x32x1xf32>
    %cst_3 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %13 = stablehlo.compare GT, %8, %cst_3, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %cst_4 = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %14 = call @_where(%13, %12, %cst_4) : (tensor<i1>, tensor<2x32x1xf32>, tensor<f32>) -> tensor<2x32x1xf32>
    return %14 : tensor<2x32x1xf32>
  }
  func.func private @silu_29(%arg0: tensor<2x64x32x32xf32>) -> tensor<2x64x32x32xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x64x32x32xf32>
    %1 = stablehlo.exponential %0 : tensor<2x64x32x32xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x64x32x32xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x64x32x32xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x64x32x32xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x64x32x32xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x64x32x32xf32>
    return %6 : tensor<2x64x32x32xf32>
  }
}
