//! What is tried when a device runs out of memory?
//!
//! In this order: the VAE decodes in slices, then in overlapping tiles; then stages are offloaded;
//! then the request fails, with the figures.

use std::fmt;

use preheat_io::printable::byte_count;

use super::StageKind;
use super::offload::{Decision, Mode};

/// How the VAE decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decode {
    /// The whole batch at once.
    Together,
    /// One picture after the other.
    Slices,
    /// One tile of a picture after the other.
    Tiles,
}

/// How a request is executed, as far as it matters for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strategy {
    /// How the VAE decodes.
    pub decode: Decode,
    /// How weights come to the device.
    pub offload: Mode,
}

impl Strategy {
    /// What is tried next after `stage` ran out of memory; `None` if nothing is left. Only measures
    /// that help that stage are tried. Tiles do not help the denoiser, and slices do not help a
    /// single picture. The CPU has no other memory to offload to.
    #[must_use]
    pub fn after_out_of_memory(self, stage: StageKind, batch: u64, on_cpu: bool) -> Option<Self> {
        let decoding = matches!(stage, StageKind::Vae { .. });
        let decode = match self.decode {
            Decode::Together if decoding && batch > 1 => Some(Decode::Slices),
            Decode::Together | Decode::Slices if decoding => Some(Decode::Tiles),
            _ => None,
        };
        let offload = match self.offload {
            _ if on_cpu => None,
            Mode::None => Some(Mode::Model),
            Mode::Model => Some(Mode::Sequential),
            Mode::Sequential => None,
        };
        match (decode, offload) {
            (Some(decode), _) => Some(Self { decode, ..self }),
            (None, Some(offload)) => Some(Self { offload, ..self }),
            (None, None) => None,
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decode = match self.decode {
            Decode::Together => "all pictures decoded at once",
            Decode::Slices => "pictures decoded one by one",
            Decode::Tiles => "pictures decoded in tiles",
        };
        write!(f, "{decode}, offload {}", self.offload)
    }
}

/// Memory ran out, and there is nothing left to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "stage `{stage}` ran out of memory on {}: by the estimate it takes {} at best, {} was free and {} of that reserved; tried: {}. Make \
     the batch or the size smaller, let other programs that use the device's memory end, or choose another device",
    decision.device.label(),
    byte_count(decision.figures.sequential),
    decision.device.free_bytes.map_or_else(|| "an unknown amount".to_owned(), byte_count),
    byte_count(decision.reserve_bytes),
    in_words(tried)
)]
pub struct StageOutOfMemory {
    /// The stage that ran out of memory.
    pub stage: String,
    /// The device, and what was estimated for it.
    pub decision: Box<Decision>,
    /// Everything that was tried, in order.
    pub tried: Vec<Strategy>,
}

fn in_words(tried: &[Strategy]) -> String {
    if tried.is_empty() {
        return "nothing more, because the device already offloads all that it can".to_owned();
    }
    tried.iter().map(Strategy::to_string).collect::<Vec<_>>().join("; ")
}

/// A part of the latents that is decoded alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Its first row and column.
    pub origin: [u64; 2],
    /// Its height and width.
    pub sides: [u64; 2],
}

/// The side of a tile in latents: the size that Stable Diffusion's VAE was trained on, as in
/// diffusers' `tile_latent_min_size`.
pub const TILE: u64 = 64;
/// The least number of latents that neighbouring tiles share: a quarter, as in diffusers'
/// `tile_overlap_factor`.
pub const TILE_OVERLAP: u64 = 16;

/// Tiles that cover latents of `sides`, row by row. All have the same size, so that one graph
/// decodes them. The last tile of a row ends where the row ends, and may share more than
/// [`TILE_OVERLAP`] with its neighbour.
pub fn tiles(sides: [u64; 2]) -> Vec<Tile> {
    let origins = |side: u64| -> Vec<u64> {
        let last = side.saturating_sub(TILE);
        let step = TILE - TILE_OVERLAP;
        (0..=last.div_ceil(step)).map(|index| (index * step).min(last)).collect()
    };
    let size = sides.map(|side| side.min(TILE));
    let columns = origins(sides[1]);
    let row = |top: u64| columns.iter().map(move |&left| Tile { origin: [top, left], sides: size });
    origins(sides[0]).into_iter().flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAE: StageKind = StageKind::Vae { force_upcast: false };

    fn all_after(stage: StageKind, batch: u64, on_cpu: bool) -> Vec<String> {
        let first = Strategy { decode: Decode::Together, offload: Mode::None };
        let next = |strategy: &Strategy| strategy.after_out_of_memory(stage, batch, on_cpu);
        std::iter::successors(next(&first), next).map(|strategy| strategy.to_string()).collect()
    }

    #[test]
    fn slices_then_tiles_then_offload_then_nothing() {
        assert_eq!(
            all_after(VAE, 4, false),
            [
                "pictures decoded one by one, offload none",
                "pictures decoded in tiles, offload none",
                "pictures decoded in tiles, offload model",
                "pictures decoded in tiles, offload sequential",
            ]
        );
    }

    #[test]
    fn only_what_helps_is_tried() {
        assert_eq!(all_after(VAE, 1, true), ["pictures decoded in tiles, offload none"]);
        assert_eq!(
            all_after(StageKind::Denoiser, 4, false),
            [
                "all pictures decoded at once, offload model",
                "all pictures decoded at once, offload sequential"
            ]
        );
        assert!(all_after(StageKind::TextEncoder, 4, true).is_empty());
    }

    #[test]
    fn the_error_has_the_figures_and_what_was_tried() {
        use super::super::offload::{Offload, StageNeed};
        use super::super::{TorchDevice, TorchId};
        let device = TorchDevice {
            position: 0,
            id: TorchId::Cuda(0),
            name: "RTX 3050".to_owned(),
            total_bytes: Some(4 << 30),
            free_bytes: Some(3 << 30),
            compute_capability: None,
            rocm: false,
            problem: None,
        };
        let need = StageNeed {
            weight_bytes: 8 << 30,
            largest_layer_bytes: 1 << 30,
            activation_bytes: 5 << 30,
        };
        let decision = Box::new(Decision::of(Offload::Auto, &device, &[need], None));
        let tried = vec![Strategy { decode: Decode::Slices, offload: Mode::Sequential }];
        let words = StageOutOfMemory { stage: "denoiser".to_owned(), decision, tried }.to_string();
        for part in [
            "`denoiser`",
            "cuda (RTX 3050",
            "takes 7.0 GiB at best",
            "3.0 GiB was free",
            "512.0 MiB",
            "one by one",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }

    #[test]
    fn tiles_cover_everything_and_overlap() {
        for sides in [[64, 64], [65, 64], [112, 113], [128, 96], [30, 200], [8, 8]] {
            let tiles = tiles(sides);
            for axis in [0, 1] {
                let mut spans: Vec<_> =
                    tiles.iter().map(|tile| (tile.origin[axis], tile.sides[axis])).collect();
                spans.sort_unstable();
                spans.dedup();
                assert_eq!(spans[0].0, 0);
                assert_eq!(
                    spans.last().map(|(origin, side)| origin + side),
                    Some(sides[axis]),
                    "{sides:?}"
                );
                for pair in spans.windows(2) {
                    assert!(
                        pair[0].0 + pair[0].1 >= pair[1].0 + TILE_OVERLAP,
                        "{sides:?}: {pair:?}"
                    );
                }
            }
        }
        assert_eq!(tiles([64, 64]).len(), 1);
        assert_eq!(tiles([96, 128]).len(), 6);
    }
}
