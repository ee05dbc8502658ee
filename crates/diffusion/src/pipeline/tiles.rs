//! How is a picture decoded if it is too large for the device?
//!
//! The picture is decoded in overlapping tiles. The same graph decodes each tile alone, and
//! neighbouring tiles are blended where they overlap. A pixel is the mean of all tiles that contain
//! it, weighted by its distance from each tile's edge. The VAE's norms and its attention see only
//! one tile at a time, so the result is not exactly the picture that the whole latents would give.

use std::sync::Arc;

use preheat_runtime::device::fallback::{Decode, Tile, tiles};
use preheat_runtime::{DeviceTensor, Executable, StageReport};
use preheat_tensor::Tensor;

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::obtain::Used;
use super::on_stage::StageRunner;
use super::stage::{Stage, Stages};
use crate::models::LATENT_PX;

/// Runs a decoder on latents, whole or in tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct LatentDecoder<'a> {
    pub(super) runner: StageRunner<'a>,
    pub(super) used: &'a Used,
}

impl LatentDecoder<'_> {
    /// Runs the decoder once; returns its picture on the device and on the host.
    pub(super) fn decode(
        &self,
        (stage, executable): (&Stage, &Executable),
        latents: &Tensor,
        weights: &[Arc<DeviceTensor>],
    ) -> Result<(DeviceTensor, Tensor), PipelineError> {
        let latents = self.runner.home(stage).runtime.to_device(latents)?;
        let images =
            executable.run(std::iter::once(&latents).chain(weights.iter().map(AsRef::as_ref)))?;
        let image = images.into_iter().next().ok_or(PipelineError::NoPicture)?;
        let failed = |cause| preheat_runtime::Error::Run {
            stage: stage.name.to_owned(),
            doing: "reading a result",
            cause,
        };
        let values = image.to_host().map_err(failed)?;
        Ok((image, values))
    }

    /// Decodes `latents` in tiles; `whole` is the decoder of the whole picture. Returns `None` if
    /// the latents are no larger than a tile.
    pub(super) fn decode_in_tiles(
        &self,
        prepared: &Prepared<'_>,
        whole: &Stage,
        latents: &Tensor,
    ) -> Result<Option<(Vec<f32>, StageReport)>, PipelineError> {
        let mut shape = prepared.shape.clone();
        shape.dtypes.vae = whole.dtype.clone();
        let Some(stage) = Stages::tile_decoder(self.runner.model, &shape)? else { return Ok(None) };
        let sides = shape.latent_sides;
        let tiles = tiles(sides);
        let runtime = &self.runner.home(&stage).runtime;
        runtime.warn(format!(
            "{} has no room to decode the picture whole: it is decoded in {} overlapping tiles",
            runtime.device().selected,
            tiles.len()
        ));
        let executable = runtime.request(&prepared.plan.signature, &stage.graph).get()?;
        self.used.note([&executable]);
        let planes = Planes::of(latents, sides)?;
        let mut picture = Blend::new(sides);
        for tile in tiles {
            let part = planes.cut(tile)?;
            let decode = |weights: &[_]| self.decode((&stage, &executable), &part, weights);
            let (_, values) = self.runner.run((&stage, &executable), Decode::Tiles, decode)?;
            picture.add(tile, &values_of(&values)?);
        }
        Ok(Some((picture.finish(), executable.report().clone())))
    }
}

/// The numbers of a picture or of latents.
pub(super) fn values_of(tensor: &Tensor) -> Result<Vec<f32>, PipelineError> {
    tensor.to_f32().ok_or(PipelineError::NoPicture)
}

/// Latents on the host, one plane for each channel.
struct Planes {
    values: Vec<f32>,
    sides: [usize; 2],
}

impl Planes {
    fn of(latents: &Tensor, sides: [u64; 2]) -> Result<Self, PipelineError> {
        Ok(Self { values: values_of(latents)?, sides: sides.map(at) })
    }

    /// The latents of a tile, `f32[1, channels, height, width]`.
    fn cut(&self, tile: Tile) -> Result<Tensor, PipelineError> {
        let ([height, width], [top, left], [rows, columns]) =
            (self.sides, tile.origin.map(at), tile.sides.map(at));
        let planes = self.values.chunks_exact((height * width).max(1));
        let channels = planes.len() as u64;
        let row = |plane: &[f32], y: usize| plane[y * width + left..][..columns].to_vec();
        let values: Vec<f32> =
            planes.flat_map(|plane| (top..top + rows).flat_map(move |y| row(plane, y))).collect();
        let [rows, columns] = tile.sides;
        Ok(Tensor::from_f32(&[1, channels, rows, columns], &values)
            .map_err(preheat_runtime::Error::from)?)
    }
}

/// The picture that tiles are added to: red, green and blue planes.
struct Blend {
    sides: [usize; 2],
    sums: Vec<f32>,
    weights: Vec<f32>,
}

impl Blend {
    /// An empty picture for latents of these `sides`.
    fn new(sides: [u64; 2]) -> Self {
        let sides = sides.map(|side| at(side * LATENT_PX));
        let pixels = sides[0] * sides[1];
        Self { sides, sums: vec![0.0; 3 * pixels], weights: vec![0.0; pixels] }
    }

    /// Adds the three planes of a tile.
    fn add(&mut self, tile: Tile, values: &[f32]) {
        let [origin, sides] =
            [tile.origin, tile.sides].map(|pair| pair.map(|side| at(side * LATENT_PX)));
        let [rows, columns] = [0, 1].map(|axis| ramp(sides[axis], origin[axis], self.sides[axis]));
        let plane = self.sides[0] * self.sides[1];
        for (y, row) in rows.iter().enumerate() {
            for (x, column) in columns.iter().enumerate() {
                let (here, weight) =
                    ((origin[0] + y) * self.sides[1] + origin[1] + x, row * column);
                self.weights[here] += weight;
                for channel in 0..3 {
                    let value = values
                        .get(channel * sides[0] * sides[1] + y * sides[1] + x)
                        .copied()
                        .unwrap_or(0.0);
                    self.sums[channel * plane + here] += weight * value;
                }
            }
        }
    }

    fn finish(mut self) -> Vec<f32> {
        for (index, sum) in self.sums.iter_mut().enumerate() {
            *sum /= self.weights[index % self.weights.len()];
        }
        self.sums
    }
}

/// The weight of each pixel of a tile along one axis: 1, and less towards an edge beyond which the
/// picture continues. It is never 0.
fn ramp(length: usize, origin: usize, whole: usize) -> Vec<f32> {
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    let rise = |from_edge: usize| (from_edge as f32 + 0.5) / (length as f32 / 2.0);
    let weight = |position: usize| {
        let before = if origin > 0 { rise(position) } else { 1.0 };
        let after = if origin + length < whole { rise(length - 1 - position) } else { 1.0 };
        before.min(after).min(1.0)
    };
    (0..length).map(weight).collect()
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// If every tile shows its part of a picture correctly, blending returns that picture, whatever
    /// the overlap is.
    #[test]
    fn tiles_that_agree_make_the_picture_itself() {
        for sides in [[64, 96], [70, 130], [112, 64]] {
            let [height, width] = sides.map(|side| at(side * LATENT_PX));
            let value = |channel: usize, y: usize, x: usize| {
                f32::from(u16::try_from((channel * 31 + y * 7 + x * 3) % 251).unwrap()) / 250.0
            };
            let mut picture = Blend::new(sides);
            for tile in tiles(sides) {
                let [origin, size] =
                    [tile.origin, tile.sides].map(|pair| pair.map(|side| at(side * LATENT_PX)));
                let plane = |channel| {
                    (0..size[0]).flat_map(move |y| {
                        (0..size[1]).map(move |x| value(channel, origin[0] + y, origin[1] + x))
                    })
                };
                picture.add(tile, &(0..3).flat_map(plane).collect::<Vec<_>>());
            }
            let made = picture.finish();
            for channel in 0..3 {
                for (y, x) in [
                    (0, 0),
                    (height - 1, width - 1),
                    (height / 2, width / 2),
                    (height / 3, width - 200),
                ] {
                    let have = made[channel * height * width + y * width + x];
                    assert!(
                        (have - value(channel, y, x)).abs() < 1e-5,
                        "{sides:?} {channel} {y} {x}: {have}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tile_is_cut_from_every_plane() {
        let values: Vec<f32> =
            (0..2 * 3 * 4).map(|value| f32::from(u8::try_from(value).unwrap())).collect();
        let latents = Tensor::from_f32(&[1, 2, 3, 4], &values).unwrap();
        let part = Planes::of(&latents, [3, 4])
            .unwrap()
            .cut(Tile { origin: [1, 2], sides: [2, 2] })
            .unwrap();
        assert_eq!(part.kind().dims, [1, 2, 2, 2]);
        assert_eq!(part.to_f32().unwrap(), [6.0, 7.0, 10.0, 11.0, 18.0, 19.0, 22.0, 23.0]);
    }

    #[test]
    fn an_edge_of_the_picture_counts_in_full_and_one_inside_it_little() {
        assert_eq!(ramp(4, 0, 4), [1.0; 4]);
        assert_eq!(ramp(4, 2, 6), [0.25, 0.75, 1.0, 1.0]);
        assert_eq!(ramp(4, 0, 6), [1.0, 1.0, 0.75, 0.25]);
    }
}
