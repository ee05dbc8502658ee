//! Which noise levels does a form of sigmas give, between the noisiest and the quietest one?

use super::numbers::{real, single};
use super::spacing::linspace;

/// How the noise levels are spaced: the fields `use_karras_sigmas`, `use_exponential_sigmas`,
/// `use_beta_sigmas` and `use_lu_lambdas`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SigmaForm {
    /// The levels of the training's timesteps that are visited.
    Trained,
    /// Closer together where there is less noise: arXiv 2206.00364, equation 5, with rho 7.
    Karras,
    /// Evenly spaced in their logarithm.
    Exponential,
    /// At the quantiles of a beta distribution with both parameters 0.6: arXiv 2407.12173.
    Beta,
    /// Evenly spaced in lambda: arXiv 2206.00927, section 3.4.
    Lu,
}

/// `sigma_min` and `sigma_max`: the ends of the levels; `None` for the ends of the training's noise
/// levels.
#[derive(Debug, Clone, Copy)]
pub(super) struct SigmaRange {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

impl SigmaRange {
    /// The ends of the training's noise levels.
    pub(super) const OF_TRAINING: Self = Self { min: None, max: None };
}

impl SigmaForm {
    /// The levels, the noisiest first; `None` for the levels of the training. `most` and `least`
    /// are the ends of the training's levels.
    pub(super) fn levels(
        self,
        range: SigmaRange,
        most: f64,
        least: f64,
        steps: usize,
    ) -> Option<Vec<f64>> {
        let (to, from) = (range.min.unwrap_or(least), range.max.unwrap_or(most));
        Some(match self {
            Self::Trained => return None,
            Self::Karras => karras(from, to, steps, 7.0),
            Self::Exponential => exponentials(from.ln(), to.ln(), steps),
            // diffusers takes the logarithms in f32.
            Self::Lu => {
                let log = |sigma: f64| f64::from(single(sigma.ln()));
                let (from, to) = (log(most), log(least));
                let at = |ramp: f64| (from + ramp * (to - from)).exp();
                linspace(0.0, 1.0, steps).into_iter().map(at).collect()
            }
            Self::Beta => {
                let at = |ramp: f64| to + beta_quantile(1.0 - ramp) * (from - to);
                linspace(0.0, 1.0, steps).into_iter().map(at).collect()
            }
        })
    }
}

/// arXiv 2206.00364, equation 5.
pub(super) fn karras(from: f64, to: f64, steps: usize, rho: f64) -> Vec<f64> {
    let (from, to) = (from.powf(1.0 / rho), to.powf(1.0 / rho));
    linspace(0.0, 1.0, steps)
        .into_iter()
        .map(|ramp| (from + ramp * (to - from)).powf(rho))
        .collect()
}

/// The powers of e whose exponents are evenly spaced.
pub(super) fn exponentials(from: f64, to: f64, steps: usize) -> Vec<f64> {
    linspace(from, to, steps).into_iter().map(f64::exp).collect()
}

/// The parameters of the beta distribution.
const SHAPE: f64 = 0.6;

/// The value below which a share of the beta distribution lies.
fn beta_quantile(share: f64) -> f64 {
    /// Enough to halve the interval down to the last bit of an f64.
    const HALVINGS: usize = 60;
    // The distribution is symmetric, and the series below converges fast only in its lower half.
    if share > 0.5 {
        return 1.0 - beta_quantile(1.0 - share);
    }
    if share <= 0.0 {
        return 0.0;
    }
    let whole = 2.0 * beta_integral(0.5);
    let (mut low, mut high) = (0.0, 0.5);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if beta_integral(middle) < share * whole {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The integral of `t^(SHAPE - 1) * (1 - t)^(SHAPE - 1)` from 0 to a value of at most one half:
/// the second factor's binomial series, term by term.
fn beta_integral(end: f64) -> f64 {
    /// The terms shrink by a half at least.
    const TERMS: usize = 60;
    let (mut sum, mut factor) = (0.0, 1.0);
    for term in 0..TERMS {
        sum += factor / (SHAPE + real(term));
        factor *= (real(term) + 1.0 - SHAPE) / (real(term) + 1.0) * end;
    }
    end.powf(SHAPE) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_beta_distribution_are_those_of_scipy() {
        // scipy.stats.beta.ppf(share, 0.6, 0.6)
        for (share, quantile) in [
            (0.0, 0.0),
            (1e-6, 1.855_882_462_405_304_3e-10),
            (0.001, 1.855_873_851_745_199e-5),
            (1.0 / 19.0, 0.013_671_081_564_469_266),
            (0.1, 0.039_584_405_588_780_85),
            (0.25, 0.175_680_378_652_694_98),
            (0.5, 0.5),
            (0.6, 0.637_299_009_246_785_6),
            (0.9, 0.960_415_594_411_219_2),
            (0.999, 0.999_981_441_261_482_6),
            (1.0, 1.0),
        ] {
            let own = beta_quantile(share);
            assert!((own - quantile).abs() < 1e-13, "{share}: {own}, and scipy has {quantile}");
        }
    }
}
