//! How do latents become larger between two passes of a run?
//!
//! They are interpolated as torch's `interpolate` does it with a `scale_factor`, and then noised
//! for the second pass. Other programs call this a hires fix.

use std::str::FromStr;
use std::sync::Arc;

use preheat_tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;

/// A second pass at a larger size, which begins with the latents of the first. In JSON, it may also
/// be a number, the factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentUpscale {
    /// By how much each side grows: above 1 and up to 8. The new sides are rounded down to
    /// multiples of 8 px.
    pub factor: f64,
    /// How much of the enlarged picture is made anew, above 0 and up to 1: this share of the steps
    /// is run again.
    #[serde(default = "default_strength")]
    pub strength: f64,
    /// How the latents are interpolated.
    #[serde(default)]
    pub mode: LatentInterpolation,
}

/// How latents are interpolated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LatentInterpolation {
    /// Between the four nearest latents, with `align_corners` off.
    #[default]
    Bilinear,
    /// The latent at the position rounded down.
    Nearest,
}

/// The text names no interpolation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no interpolation: bilinear and nearest are there")]
pub struct ParseLatentInterpolationError(String);

impl FromStr for LatentInterpolation {
    type Err = ParseLatentInterpolationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "bilinear" => Ok(Self::Bilinear),
            "nearest" => Ok(Self::Nearest),
            _ => Err(ParseLatentInterpolationError(text.to_owned())),
        }
    }
}

fn default_strength() -> f64 {
    LatentUpscale::DEFAULT_STRENGTH
}

impl LatentUpscale {
    /// The strength if none is given: that of the AUTOMATIC1111 web UI.
    pub const DEFAULT_STRENGTH: f64 = 0.7;
    /// The largest factor.
    const MOST: f64 = 8.0;

    /// A second pass with everything but the factor at its default.
    pub fn new(factor: f64) -> Self {
        Self { factor, strength: Self::DEFAULT_STRENGTH, mode: LatentInterpolation::default() }
    }

    /// Refuses a factor or a strength that is out of range.
    pub(super) fn check(self) -> Result<(), PipelineError> {
        if !(self.factor > 1.0 && self.factor <= Self::MOST) {
            let why = format!("give a factor above 1 and up to {}", Self::MOST);
            return Err(PipelineError::request("upscale_latents", self.factor, why));
        }
        if !(self.strength > 0.0 && self.strength <= 1.0) {
            let why = "give a number above 0 and up to 1".to_owned();
            return Err(PipelineError::request("strength of upscale_latents", self.strength, why));
        }
        Ok(())
    }

    /// The size in pixels, `[width, height]`, of the picture that two passes make, of which the
    /// first one has this size.
    pub fn size_of(self, first_pass: [u64; 2]) -> [u64; 2] {
        self.enlarged(first_pass, crate::models::LATENT_PX)
    }

    /// A size in pixels after the first pass, in whole latents.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sides of pictures"
    )]
    pub(super) fn enlarged(self, size: [u64; 2], unit: u64) -> [u64; 2] {
        size.map(|side| ((side as f64 * self.factor) as u64) / unit * unit)
    }
}

/// Reads an upscaling in either of the forms that JSON may have.
pub(super) fn upscale<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<LatentUpscale>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "upscale_latents is a factor, or {\"factor\": X, ...}")]
    enum Forms {
        Factor(f64),
        Whole(LatentUpscale),
    }
    Ok(Option::<Forms>::deserialize(deserializer)?.map(|form| match form {
        Forms::Factor(factor) => LatentUpscale::new(factor),
        Forms::Whole(whole) => whole,
    }))
}

/// The enlarged latents that a second pass begins with.
#[derive(Debug, Clone)]
pub(super) struct EnlargedLatents {
    planes: Arc<Vec<Vec<f32>>>,
    /// Height and width.
    sides: [usize; 2],
}

impl EnlargedLatents {
    /// Enlarges the latents of a first pass, `f32[batch, channels, height, width]`.
    pub(super) fn of(latents: &Tensor, upscale: LatentUpscale) -> Result<Self, PipelineError> {
        let values = latents.to_f32().ok_or(PipelineError::NoPicture)?;
        let [_, _, height, width] = latents.kind().dims[..] else {
            return Err(PipelineError::NoPicture);
        };
        let from = [height, width].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        let sides = upscale.enlarged([height, width], 1);
        let sides = sides.map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        let [rows, columns] = [0, 1].map(|axis| positions(from[axis], sides[axis], upscale));
        let planes = values.chunks_exact((from[0] * from[1]).max(1));
        let enlarge = |plane: &[f32]| -> Vec<f32> {
            let at = |y: usize, x: usize| plane[y * from[1] + x];
            let of_row = |y: &Position| {
                let of_pixel = |x: &Position| {
                    let above = x.between(at(y.first, x.first), at(y.first, x.second));
                    let below = x.between(at(y.second, x.first), at(y.second, x.second));
                    y.between(above, below)
                };
                columns.iter().map(of_pixel).collect::<Vec<_>>()
            };
            rows.iter().flat_map(of_row).collect()
        };
        Ok(Self { planes: Arc::new(planes.map(enlarge).collect()), sides })
    }

    /// The latents at the size that is computed: cropped, or with the last column and row repeated.
    pub(super) fn fitted(&self, [height, width]: [usize; 2]) -> Vec<f32> {
        let [rows, columns] = self.sides;
        let at = move |y: usize, x: usize| y.min(rows - 1) * columns + x.min(columns - 1);
        let of_plane = |plane: &Vec<f32>| {
            let places = (0..height).flat_map(|y| (0..width).map(move |x| at(y, x)));
            places.map(|at| plane[at]).collect::<Vec<_>>()
        };
        self.planes.iter().flat_map(of_plane).collect()
    }
}

/// Between which two positions of a row or column a new one lies, and how far from the first.
struct Position {
    first: usize,
    second: usize,
    share: f32,
}

impl Position {
    fn between(&self, first: f32, second: f32) -> f32 {
        (1.0 - self.share) * first + self.share * second
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions in latents, computed in f32 as torch does"
)]
fn positions(from: usize, to: usize, upscale: LatentUpscale) -> Vec<Position> {
    let scale = (1.0 / upscale.factor) as f32;
    let last = from.saturating_sub(1);
    let position = |at: usize| match upscale.mode {
        LatentInterpolation::Nearest => {
            let first = ((at as f32 * scale).floor() as usize).min(last);
            Position { first, second: first, share: 0.0 }
        }
        LatentInterpolation::Bilinear => {
            let exact = (scale * (at as f32 + 0.5) - 0.5).max(0.0);
            let first = (exact as usize).min(last);
            Position { first, second: (first + 1).min(last), share: exact - first as f32 }
        }
    };
    (0..to).map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enlarged(mode: LatentInterpolation, factor: f64, sides: [usize; 2]) -> Vec<f32> {
        let latents = Tensor::from_f32(&[1, 1, 2, 2], &[0.0, 1.0, 2.0, 3.0]).unwrap();
        let upscale = LatentUpscale { mode, ..LatentUpscale::new(factor) };
        EnlargedLatents::of(&latents, upscale).unwrap().fitted(sides)
    }

    #[test]
    fn latents_are_repeated_or_lie_between_their_neighbours() {
        let row = |mode, factor, width| enlarged(mode, factor, [1, width]);
        let nearest = LatentInterpolation::Nearest;
        assert_eq!(row(nearest, 2.0, 4), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(row(nearest, 1.5, 3), [0.0, 0.0, 1.0]);
        let bilinear = LatentInterpolation::Bilinear;
        assert_eq!(row(bilinear, 2.0, 4), [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(enlarged(bilinear, 2.0, [4, 1]), [0.0, 0.5, 1.5, 2.0]);
        assert_eq!(row(bilinear, 2.0, 5), [0.0, 0.25, 0.75, 1.0, 1.0], "the last one is repeated");
    }

    #[test]
    fn a_factor_alone_has_the_defaults_and_what_is_out_of_range_is_refused() {
        let read = |json: &str| upscale(&mut serde_json::Deserializer::from_str(json));
        assert_eq!(read("2").unwrap(), Some(LatentUpscale::new(2.0)));
        let whole = read(r#"{"factor": 1.5, "strength": 0.4, "mode": "nearest"}"#).unwrap();
        let mode = LatentInterpolation::Nearest;
        assert_eq!(whole, Some(LatentUpscale { factor: 1.5, strength: 0.4, mode }));
        assert!(read("\"2x\"").unwrap_err().to_string().contains("is a factor, or {"));
        for factor in [1.0, 8.5, f64::NAN] {
            let told = LatentUpscale::new(factor).check().unwrap_err().to_string();
            assert!(told.ends_with(": give a factor above 1 and up to 8"), "{told}");
        }
        let weak = LatentUpscale { strength: 0.0, ..LatentUpscale::new(2.0) };
        let told = weak.check().unwrap_err().to_string();
        let said = "strength of upscale_latents is 0: give a number above 0 and up to 1";
        assert_eq!(told, said);
        assert_eq!(LatentUpscale::new(1.5).enlarged([512, 520], 8), [768, 776]);
        assert!("cubic".parse::<LatentInterpolation>().is_err());
    }
}
