//! Which number is each byte of float8?

use half::f16;

/// The value of each byte in `float8_e4m3fn`: one bit of sign, four of exponent, three of mantissa.
/// There is no infinity, and the largest mantissa of the largest exponent is NaN.
pub(super) static E4M3: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let (exponent, mantissa) = (byte >> 3 & 15, byte & 7);
        let bits = match (exponent, mantissa) {
            (15, 7) => 0x7fc0_0000,
            // Below the smallest exponent, the mantissa counts multiples of 2^-9.
            (0, 0) => 0,
            (0, _) => {
                let leading = mantissa.ilog2();
                let rest = mantissa ^ (1 << leading);
                (127 - 9 + leading) << 23 | rest << (23 - leading)
            }
            _ => (exponent + 127 - 7) << 23 | mantissa << 20,
        };
        table[byte as usize] = f32::from_bits(bits | (byte & 128) << 24);
        byte += 1;
    }
    table
};

/// The value of each byte in `float8_e5m2`, which is the upper half of a float16.
pub(super) static E5M2: [f32; 256] = {
    let mut table = [0.0; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = f16::from_bits((byte as u16) << 8).to_f32_const();
        if byte == 255 {
            break table;
        }
        byte += 1;
    }
};
