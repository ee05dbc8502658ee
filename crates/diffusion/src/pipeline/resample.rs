//! How is a picture made smaller or larger?
//!
//! As diffusers' `VaeImageProcessor` does it: by Pillow's Lanczos filter, with the same rounding,
//! so that every byte is equal. Pillow resamples rows first and columns then, rounds to eight bits
//! after each, and rounds the filter's weights to 22 bits.

/// How many lobes the filter has on each side.
const LOBES: f64 = 3.0;
/// The bits behind the point of a weight.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The weights of one output pixel, and the first pixel that it is computed from.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Resamples `rgb`, rows of pixels of three bytes, from one size to another. Sizes are `[width,
/// height]`, and no side is 0.
pub(super) fn resample(rgb: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    let mut pixels = rgb.to_vec();
    if from[0] != to[0] {
        let windows = windows(from[0], to[0]);
        let rows = pixels.chunks_exact(3 * from[0]);
        pixels =
            rows.flat_map(|row| windows.iter().flat_map(|window| sum(row, 3, window))).collect();
    }
    if from[1] != to[1] {
        let stride = 3 * to[0];
        let windows = windows(from[1], to[1]);
        let row = |window: &Window| {
            (0..to[0]).flat_map(|x| sum(&pixels[3 * x..], stride, window)).collect::<Vec<_>>()
        };
        pixels = windows.iter().flat_map(row).collect();
    }
    pixels
}

/// A pixel from those that lie `stride` bytes apart.
fn sum(pixels: &[u8], stride: usize, window: &Window) -> [u8; 3] {
    let mut sums = [1_i32 << (PRECISION_BITS - 1); 3];
    for (at, weight) in window.weights.iter().enumerate() {
        let pixel = &pixels[(window.first + at) * stride..];
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum = sum.saturating_add(i32::from(*value).saturating_mul(*weight));
        }
    }
    sums.map(|sum| u8::try_from((sum >> PRECISION_BITS).clamp(0, 255)).unwrap_or(u8::MAX))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides of pictures; weights are at most a little above 1"
)]
fn windows(from: usize, to: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    let widened = scale.max(1.0);
    let support = LOBES * widened;
    let window = |at: usize| {
        let center = (at as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let weight = |pixel: usize| lanczos((pixel as f64 - center + 0.5) / widened);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let whole: f64 = weights.iter().sum();
        let fixed = |weight: &f64| {
            let scaled = weight / whole * f64::from(1_u32 << PRECISION_BITS);
            // Truncated after a half is added, as in C.
            (scaled + 0.5_f64.copysign(scaled)) as i32
        };
        Window { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| {
        let x = x * std::f64::consts::PI;
        if x == 0.0 { 1.0 } else { x.sin() / x }
    };
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_picture_stays_uniform_at_every_size() {
        let rgb = [7, 130, 255].repeat(9 * 5);
        for to in [[9, 5], [3, 2], [20, 5], [9, 11], [1, 1]] {
            let made = resample(&rgb, [9, 5], to);
            assert_eq!(made, [7, 130, 255].repeat(to[0] * to[1]), "{to:?}");
        }
    }

    /// The values are those of Pillow 13.0.0.
    #[test]
    fn an_edge_is_sharpened_as_pillow_does() {
        let row: Vec<u8> = [0, 0, 0, 255, 255, 255].into_iter().flat_map(|v| [v; 3]).collect();
        let red = |to: [usize; 2]| -> Vec<u8> {
            resample(&row, [6, 1], to).into_iter().step_by(3).collect()
        };
        assert_eq!(red([4, 1]), [0, 10, 245, 255]);
        assert_eq!(red([9, 1]), [0, 6, 0, 0, 128, 255, 255, 249, 255]);
    }
}
