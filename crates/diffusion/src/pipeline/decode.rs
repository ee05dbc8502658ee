//! How do latents become pictures?
//!
//! The VAE decodes each picture alone, in tiles if the device has no room for the whole picture. If
//! the VAE's numbers did not fit its dtype, the picture is decoded again in float32.

use std::sync::Arc;

use preheat_runtime::device::fallback::Decode;
use preheat_runtime::progress::EventKind;
use preheat_runtime::{DeviceTensor, Executable, StageReport, Step, Warning, WarningKind};
use preheat_tensor::{Dtype, Tensor};

use super::checked_request::Prepared;
use super::error::PipelineError;
use super::image::{Picture, Settings, eight_bits};
use super::stage::{Stage, Stages};
use super::tiles::{LatentDecoder, values_of};

/// Pictures, with warnings and reports about decoding them.
pub(super) struct Decoded {
    pub(super) pictures: Vec<Picture>,
    pub(super) warnings: Vec<Warning>,
    /// How further decoders became ready: the decoder of a tile and the one in float32, if they
    /// were needed.
    pub(super) others: Vec<StageReport>,
}

/// What may be wrong with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Numbers in it are not finite.
    NotFinite,
    /// Every pixel is black. A picture may be meant to be black, but often its numbers overflowed.
    Black,
}

impl Fault {
    /// The fault in `values`, the numbers from 0 to 1 of a whole picture, if there is one. A dark
    /// picture has no fault as long as at least one value does not round to 0.
    fn of(values: &[f32]) -> Option<Self> {
        if !is_finite(values) {
            Some(Self::NotFinite)
        } else if values.iter().all(|&value| eight_bits(value) == 0) {
            Some(Self::Black)
        } else {
            None
        }
    }
}

fn is_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Decodes the pictures of one request.
#[derive(Clone, Copy)]
pub(super) struct Decoding<'a> {
    pub(super) decoder: LatentDecoder<'a>,
    pub(super) prepared: &'a Prepared<'a>,
}

impl Decoding<'_> {
    /// Decodes each picture alone, with the executable of the request's own decoder. Latents are
    /// `f32[batch, channels, height, width]`.
    pub(super) fn decode(
        &self,
        (stage, executable): (&Stage, &Executable),
        latents: &Tensor,
    ) -> Result<Decoded, PipelineError> {
        let (prepared, runner) = (self.prepared, self.decoder.runner);
        let watch = runner.watch;
        let latents = one_by_one(latents)?;
        let (mut pictures, mut faults) = (Vec::with_capacity(latents.len()), Vec::new());
        let total = latents.len() as u64;
        let mut boundary =
            runner.home(stage).runtime.step_boundary("decode").of(watch.model_id, stage.name);
        let mut tiled = None;
        for (index, one) in (0..).zip(&latents) {
            watch.tell(stage.name, EventKind::Decoding { done: index, total });
            let values =
                self.decode_one((stage, executable), one, boundary.begin()?, &mut tiled)?;
            // If the latents themselves are not finite, no dtype of the VAE gives a picture.
            if let Some(fault) =
                Fault::of(&values).filter(|_| one.to_f32().is_none_or(|values| is_finite(&values)))
            {
                faults.push((index, fault));
            }
            pictures.push(picture(prepared, index, &values));
        }
        watch.tell(stage.name, EventKind::Decoding { done: total, total });
        let count = pictures.len();
        let mut decoded =
            Decoded { pictures, warnings: Vec::new(), others: tiled.into_iter().collect() };
        if stage.dtype.dtype == Dtype::Float32 {
            let broken = faults.iter().filter(|(_, fault)| *fault == Fault::NotFinite);
            decoded.warnings.extend(broken.map(|(index, _)| not_finite_in_f32(count, *index)));
        } else if !faults.is_empty() {
            self.decode_in_f32(&latents, &faults, &mut decoded)?;
        }
        let runtime = &runner.home(stage).runtime;
        decoded.warnings.iter().for_each(|warning| runtime.tell_warning(warning));
        Ok(decoded)
    }

    /// Decodes one picture: whole, or in tiles if the device has no room for that. Once a tile's
    /// decoder was needed, `tiled` holds its report, and later pictures are decoded in tiles at
    /// once.
    fn decode_one(
        &self,
        (stage, executable): (&Stage, &Executable),
        latents: &Tensor,
        step: Step<'_, '_>,
        tiled: &mut Option<StageReport>,
    ) -> Result<Vec<f32>, PipelineError> {
        let Self { decoder, prepared } = *self;
        let whole =
            |weights: &[Arc<DeviceTensor>]| decoder.decode((stage, executable), latents, weights);
        let whole_first = match tiled {
            None => Some(decoder.runner.run_as_it_is((stage, executable), whole)),
            Some(_) => None,
        };
        let (image, values) = match whole_first {
            Some(Err(error)) if !error.is_out_of_memory() => return Err(error),
            Some(Ok(decoded)) => decoded,
            no_room => {
                let in_tiles = decoder.decode_in_tiles(prepared, stage, latents);
                return match (in_tiles, no_room) {
                    (Ok(Some((values, report))), _) => {
                        *tiled = Some(report);
                        Ok(values)
                    }
                    // The picture is no larger than a tile: it is decoded whole, and more is
                    // offloaded.
                    (Ok(None), _) => {
                        let slices = Decode::Slices;
                        values_of(&decoder.runner.run((stage, executable), slices, whole)?.1)
                    }
                    // If the tile's decoder may not be compiled, the out-of-memory error that made
                    // it necessary is returned.
                    (
                        Err(PipelineError::Runtime(preheat_runtime::Error::NotWarm(_))),
                        Some(Err(error)),
                    )
                    | (Err(error), _) => Err(error),
                };
            }
        };
        step.until(&image)?;
        values_of(&values)
    }

    /// Decodes the pictures listed in `faults` again, in float32. A picture for which this fails
    /// stays as it is, and a warning says why.
    fn decode_in_f32(
        &self,
        latents: &[Tensor],
        faults: &[(u64, Fault)],
        decoded: &mut Decoded,
    ) -> Result<(), PipelineError> {
        let Self { decoder: LatentDecoder { runner, used }, prepared } = *self;
        let dtype = prepared.shape.dtypes.vae.dtype;
        let stage = Stages::decoder_in_f32(runner.model, &prepared.shape)?;
        let runtime = &runner.home(&stage).runtime;
        let executable = match runtime.request(&prepared.plan.signature, &stage.graph).get() {
            Ok(executable) => executable,
            Err(preheat_runtime::Error::Cancelled) => {
                return Err(preheat_runtime::Error::Cancelled.into());
            }
            Err(error) => {
                decoded.warnings.push(cannot_be_repaired(dtype, faults[0].1, &error.into()));
                return Ok(());
            }
        };
        used.note([&executable]);
        decoded.others.push(executable.report().clone());
        let mut boundary = runtime.step_boundary("decode").of(runner.watch.model_id, stage.name);
        let mut tiled = None;
        for &(index, fault) in faults {
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            let again = boundary.begin().map_err(PipelineError::from).and_then(|step| {
                self.decode_one((&stage, &executable), &latents[at], step, &mut tiled)
            });
            let values = match again {
                Ok(values) => values,
                Err(error) if error.is_cancelled() => return Err(error),
                Err(error) => {
                    decoded.warnings.push(cannot_be_repaired(dtype, fault, &error));
                    continue;
                }
            };
            match Fault::of(&values) {
                // It is black in float32 too, so it is meant to be black.
                Some(Fault::Black) if fault == Fault::Black => {}
                Some(Fault::NotFinite) => {
                    decoded.warnings.push(not_finite_in_f32(latents.len(), index));
                }
                _ => decoded.warnings.push(repaired(latents.len(), index, dtype, fault)),
            }
            decoded.pictures[at] = picture(prepared, index, &values);
        }
        Ok(())
    }
}

/// Splits a batch into the latents of each picture, `f32[1, channels, height, width]`.
fn one_by_one(latents: &Tensor) -> Result<Vec<Tensor>, PipelineError> {
    let mut kind = latents.kind().clone();
    let Some(first) = kind.dims.first_mut() else { return Ok(Vec::new()) };
    let count = usize::try_from(std::mem::replace(first, 1)).unwrap_or(1).max(1);
    let each = latents.bytes().chunks_exact((latents.bytes().len() / count).max(1));
    each.map(|bytes| Ok(Tensor::new(kind.clone(), bytes).map_err(preheat_runtime::Error::from)?))
        .collect()
}

fn picture(prepared: &Prepared<'_>, index: u64, values: &[f32]) -> Picture {
    let sizes = prepared.plan.sizes;
    let settings = settings_of(prepared, index);
    Picture::cropped(values, sizes.padded, sizes.crop_origin, sizes.requested, settings)
}

/// The settings that a picture of the batch was made from.
fn settings_of(prepared: &Prepared<'_>, index: u64) -> Settings {
    let (request, signature) = (prepared.request, &prepared.plan.signature);
    Settings {
        prompt: request.prompt.clone(),
        negative_prompt: request.negative_prompt.clone(),
        prompt_2: request.prompt_2.clone(),
        negative_prompt_2: request.negative_prompt_2.clone(),
        prompt_syntax: request.prompt_syntax,
        prompt_chunks: prepared.shape.prompt_chunks,
        seed: prepared.plan.seed.wrapping_add(index),
        steps: signature.steps,
        cfg_scale: signature.cfg_scale,
        scheduler: signature.scheduler.clone(),
        eta: Some(request.eta).filter(|eta| *eta != 0.0),
        timesteps: request.timesteps.clone(),
        sigmas: request.sigmas.clone(),
        image: request.image.clone(),
        mask: request.mask.clone(),
        strength: prepared.plan.from_picture.map(|planned| planned.strength),
        upscaled: prepared.enlarged.as_ref().map(|(_, upscaled)| *upscaled),
        size: prepared.plan.sizes.requested,
        padded_size: prepared.plan.sizes.padded,
        clip_skip: request.clip_skip,
        model_id: signature.model_id.clone(),
        dtype: signature.dtype.to_string(),
        loras: prepared.adapters.applied.clone(),
    }
}

/// How a message names a picture: by its place in the batch, unless it is the only one.
fn named(count: usize, index: u64) -> String {
    match count {
        0 | 1 => "the picture".to_owned(),
        _ => format!("picture {} of {count}", index + 1),
    }
}

fn repaired(count: usize, index: u64, dtype: Dtype, fault: Fault) -> Warning {
    let became = match fault {
        Fault::NotFinite => "held numbers that are not finite",
        Fault::Black => "was all black",
    };
    let text = format!(
        "{} {became} when the VAE decoded it in {dtype}, which is too small for this model, and \
         was decoded again in float32",
        named(count, index)
    );
    Warning::new(WarningKind::DecodedAgain, text)
}

fn not_finite_in_f32(count: usize, index: u64) -> Warning {
    Warning::from(format!(
        "{} holds numbers that are not finite, although its latents are finite and the VAE decoded it in float32: are the VAE's \
         weights damaged?",
        named(count, index)
    ))
}

fn cannot_be_repaired(dtype: Dtype, fault: Fault, error: &PipelineError) -> Warning {
    let became = match fault {
        Fault::NotFinite => {
            "the picture holds numbers that are not finite, which are shown as black: the VAE's numbers do not fit"
        }
        Fault::Black => "the picture is all black: the VAE's numbers may not fit",
    };
    let (kind, why) = match error {
        PipelineError::Runtime(preheat_runtime::Error::NotWarm(_)) => {
            let why = "float32 is not warm, and compiling is not allowed".to_owned();
            (WarningKind::ColdDecoder, why)
        }
        error => (WarningKind::Other, format!("that failed: {error}")),
    };
    let text = format!("{became} {dtype}. It should have been decoded again in float32, but {why}");
    Warning::new(kind, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dark_picture_is_no_fault_and_a_single_number_that_is_none_is() {
        let dark = [0.0, 0.0, 0.003, 0.0];
        assert_eq!(Fault::of(&dark), None, "one pixel rounds to 1");
        assert_eq!(
            Fault::of(&[0.0, 0.001, 0.0, 0.0]),
            Some(Fault::Black),
            "every pixel rounds to 0"
        );
        assert_eq!(Fault::of(&[0.5, 1.0, f32::NAN, 0.5]), Some(Fault::NotFinite));
        assert_eq!(Fault::of(&[f32::NAN; 4]), Some(Fault::NotFinite));
        assert_eq!(Fault::of(&[1.0; 4]), None);
    }

    #[test]
    fn latents_are_taken_apart() {
        let latents = Tensor::from_f32(&[2, 1, 1, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let each = one_by_one(&latents).unwrap();
        let values: Vec<_> = each.iter().map(|one| one.to_f32().unwrap()).collect();
        assert_eq!(values, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        assert_eq!(each[0].kind().dims, [1, 1, 1, 3]);
    }
}
