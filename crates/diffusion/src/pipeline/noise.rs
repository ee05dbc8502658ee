//! Which noise does torch's generator on the CPU draw for a seed?
//!
//! The noise that torch's `randn` draws for a seed is part of what people mean by "the same
//! picture". This module therefore reproduces it exactly. Uniform numbers come from the Mersenne
//! Twister. Box and Muller's method makes normal numbers of them, in blocks of sixteen or in pairs,
//! and the second number of a pair is kept as torch keeps it.

use std::f32::consts::TAU;

use rand_mt::Mt;

/// A generator of normal noise that draws as `torch.Generator("cpu")` does.
#[derive(Debug, Clone)]
pub struct Generator {
    twister: Mt,
    /// The second number of a pair, kept for the next short draw; long draws do not use it.
    spare: Option<f64>,
}

/// Draws of at least this many numbers are made in blocks of this size.
const BLOCK: usize = 16;

impl Generator {
    /// A generator as `torch.manual_seed` leaves it, which uses only the lower 32 bits of the seed.
    pub fn new(seed: u64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "torch seeds its twister with the lower 32 bits"
        )]
        let seed = seed as u32;
        Self { twister: Mt::new(seed), spare: None }
    }

    /// Draws `count` numbers with mean 0 and variance 1: `torch.randn(count)` in f32.
    ///
    /// The state carries over: one draw of 32 numbers equals two draws of 16, but not three of 10,
    /// 10 and 12.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; count];
        self.fill_normal(&mut numbers);
        numbers
    }

    /// Draws as [`normal`](Self::normal) does, and writes the numbers into existing memory.
    pub fn fill_normal(&mut self, numbers: &mut [f32]) {
        if numbers.len() < BLOCK {
            numbers.fill_with(|| self.one_of_pair());
            return;
        }
        numbers.fill_with(|| self.uniform());
        let (blocks, rest) = numbers.as_chunks_mut::<BLOCK>();
        blocks.iter_mut().for_each(transform);
        if !rest.is_empty()
            && let Some(last) = numbers.last_chunk_mut::<BLOCK>()
        {
            last.fill_with(|| self.uniform());
            transform(last);
        }
    }

    /// The lower 24 bits of one output of the twister, as a fraction: in [0, 1).
    fn uniform(&mut self) -> f32 {
        const BITS: u32 = 24;
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit the mantissa")]
        let (bits, range) =
            ((self.twister.next_u32() & ((1 << BITS) - 1)) as f32, (1 << BITS) as f32);
        bits / range
    }

    /// The lower 53 bits of two outputs of the twister, of which the first is the upper half, as a
    /// fraction: in [0, 1).
    fn uniform_f64(&mut self) -> f64 {
        const BITS: u32 = 53;
        let (high, low) = (u64::from(self.twister.next_u32()), u64::from(self.twister.next_u32()));
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit the mantissa")]
        let (bits, range) =
            (((high << 32 | low) & ((1 << BITS) - 1)) as f64, (1_u64 << BITS) as f64);
        bits / range
    }

    fn one_of_pair(&mut self) -> f32 {
        let number = self.spare.take().unwrap_or_else(|| {
            let angle = std::f64::consts::TAU * self.uniform_f64();
            let radius = (-2.0 * (-self.uniform_f64()).ln_1p()).sqrt();
            self.spare = Some(radius * angle.sin());
            radius * angle.cos()
        });
        #[expect(clippy::cast_possible_truncation, reason = "rounded, as torch does")]
        let number = number as f32;
        number
    }
}

/// Turns uniform numbers in [0, 1) into normal ones: the first half of a block gives the radii, the
/// second half the angles.
fn transform(block: &mut [f32; BLOCK]) {
    let (first, second) = block.split_at_mut(BLOCK / 2);
    for (first, second) in first.iter_mut().zip(second) {
        let radius = (-2.0 * (1.0 - *first).ln()).sqrt();
        let (sine, cosine) = (TAU * *second).sin_cos();
        *first = radius * cosine;
        *second = radius * sine;
    }
}
