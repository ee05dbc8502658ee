//! How much of the picture is left at each timestep that a model was trained with?
//!
//! The answer follows from the betas of the training. Which of these timesteps are visited is
//! decided in `spacing.rs`.

use std::f64::consts::PI;

use super::numbers::{real, single};

/// How the betas change over the training's timesteps.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Betas {
    /// In equal steps.
    Linear { start: f64, end: f64 },
    /// In equal steps of their square roots, as latent diffusion does it.
    ScaledLinear { start: f64, end: f64 },
    /// From a squared cosine (arXiv 2102.09672, equation 17).
    SquaredCosine,
    /// Given one by one.
    Trained(Vec<f64>),
}

/// The change that makes the last timestep hold no picture at all (arXiv 2305.08891, algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZeroSnr {
    /// Betas are not changed.
    Off,
    /// Betas are rescaled until the last alpha is zero.
    Exact,
    /// Betas are rescaled as for `Exact`. The last alpha is then set to 2^-24, so that its sigma is
    /// finite.
    Almost,
}

/// The cumulative products of alphas, one for each of the training's timesteps: the share of the
/// picture in the variance of the latents.
///
/// Each operation is rounded to f32 where torch rounds it, so that the products equal those that
/// diffusers computes with. `None` if a beta is not between 0 and 1.
pub(super) fn alphas_cumprod(
    betas: &Betas,
    train_timesteps: usize,
    zero_snr: ZeroSnr,
) -> Option<Vec<f32>> {
    let mut betas = match betas {
        Betas::Linear { start, end } => linspace(*start, *end, train_timesteps),
        Betas::ScaledLinear { start, end } => linspace(start.sqrt(), end.sqrt(), train_timesteps)
            .into_iter()
            .map(|root| root * root)
            .collect(),
        Betas::SquaredCosine => squared_cosine(train_timesteps),
        Betas::Trained(betas) => betas.iter().copied().map(single).collect(),
    };
    if !betas.iter().all(|&beta| beta > 0.0 && beta < 1.0) {
        return None;
    }
    if zero_snr != ZeroSnr::Off {
        betas = rescale_zero_snr(&betas);
    }
    let mut products = products(&betas);
    if let (ZeroSnr::Almost, Some(last)) = (zero_snr, products.last_mut()) {
        *last = 1.0 / 16_777_216.0;
    }
    Some(products)
}

/// The standard deviations of the noise, if the picture is not scaled: `sqrt((1 - alpha) / alpha)`.
pub(super) fn sigmas(alphas_cumprod: &[f32]) -> Vec<f32> {
    alphas_cumprod.iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
}

/// `torch.linspace` in f32: the first half is counted from the start and the second half from the
/// end, each value with a single rounding.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (single(start), single(end));
    if count == 1 {
        return vec![start];
    }
    let step = (end - start) / single(real(count - 1));
    let at = |index: usize| {
        if index < count / 2 {
            step.mul_add(single(real(index)), start)
        } else {
            step.mul_add(-single(real(count - 1 - index)), end)
        }
    };
    (0..count).map(at).collect()
}

fn squared_cosine(count: usize) -> Vec<f32> {
    let alpha_bar = |time: f64| ((time + 0.008) / 1.008 * PI / 2.0).cos().powi(2);
    let beta = |index| {
        1.0 - alpha_bar(real(index + 1) / real(count)) / alpha_bar(real(index) / real(count))
    };
    (0..count).map(|index| single(beta(index).min(0.999))).collect()
}

/// The cumulative products of `1 - beta`, accumulated in f64 as `torch.cumprod` does.
fn products(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0;
    let next = |beta: &f32| {
        product *= f64::from(1.0 - beta);
        single(product)
    };
    betas.iter().map(next).collect()
}

fn rescale_zero_snr(betas: &[f32]) -> Vec<f32> {
    let roots: Vec<f32> = products(betas).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let scale = first / (first - last);
    let mut before = 1.0;
    let beta = |root: &f32| {
        let scaled = (root - last) * scale;
        let product = scaled * scaled;
        let alpha = product / before;
        before = product;
        1.0 - alpha
    };
    roots.iter().map(beta).collect()
}
