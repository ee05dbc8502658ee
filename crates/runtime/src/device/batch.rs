//! How many pictures are made at once if the user does not say?

use std::ops::RangeInclusive;

use serde::Serialize;

use super::placement::PlacementPlan;
use super::{DeviceName, TorchId};

/// The batches that are worth trying on a device. A TPU has the range of a CUDA card, because it
/// has not been measured.
pub fn range(device: DeviceName) -> RangeInclusive<u64> {
    match device {
        DeviceName::Cuda(_) | DeviceName::XlaCuda | DeviceName::Tpu => 4..=8,
        DeviceName::Mps => 2..=8,
        DeviceName::Cpu | DeviceName::XlaCpu | DeviceName::Fake(_) | DeviceName::Auto => 1..=4,
    }
}

/// A batch, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// The number of pictures that are made at once.
    pub size: u64,
    /// Why, in a phrase.
    pub reason: String,
}

/// Chooses the largest batch in the device's range that fits by the estimate and needs no more
/// offloading than a single picture. More offloading is not worth it: a larger batch saves less
/// time than moving weights costs. If not even the range's smallest batch fits, a smaller one is
/// chosen. If the memory is not known, the range's smallest batch is chosen.
///
/// # Errors
/// Those of `plan`, which plans a batch.
pub fn automatic<E>(
    device: TorchId,
    plan: impl Fn(u64) -> Result<PlacementPlan, E>,
) -> Result<Batch, E> {
    let (least, most) = range(device.into()).into_inner();
    let single = plan(1)?;
    if single.fits().is_none() {
        return Ok(Batch {
            size: least,
            reason: format!("nothing is known of the memory, and {device} starts at {least}"),
        });
    }
    for size in (2..=most).rev() {
        let planned = plan(size)?;
        if planned.fits() == Some(true) && planned.mode() == single.mode() {
            let why = if size == most { "the most that is tried" } else { "the most that fits" };
            return Ok(Batch {
                size,
                reason: format!("{why} on {device} with offload {}", planned.mode()),
            });
        }
    }
    Ok(Batch {
        size: 1,
        reason: format!("more do not fit on {device} with offload {}", single.mode()),
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::super::TorchDevice;
    use super::super::offload::{Decision, Offload, StageNeed};
    use super::*;

    /// The batch that is chosen on a device with `free` bytes, if the weights take 100 bytes and
    /// each picture takes 10.
    fn chosen(id: TorchId, free: Option<u64>) -> u64 {
        let device = TorchDevice {
            position: 0,
            id,
            name: "device".to_owned(),
            total_bytes: free,
            free_bytes: free,
            compute_capability: None,
            rocm: false,
            problem: None,
        };
        let plan = |batch| {
            let denoiser = StageNeed {
                weight_bytes: 60,
                largest_layer_bytes: 10,
                activation_bytes: 10 * batch,
            };
            let decoder = StageNeed { weight_bytes: 40, ..StageNeed::default() };
            let decision = Decision::of(Offload::Auto, &device, &[denoiser, decoder], Some(0));
            Ok::<_, Infallible>(PlacementPlan { devices: vec![decision], stages: Vec::new() })
        };
        automatic(id, plan).unwrap().size
    }

    #[test]
    fn the_most_that_fits_within_the_range() {
        let card = |free| chosen(TorchId::Cuda(0), Some(free));
        assert_eq!(card(180), 8);
        assert_eq!(card(1000), 8);
        assert_eq!(card(179), 7);
        assert_eq!(chosen(TorchId::Cpu, Some(1000)), 4);
        assert_eq!(chosen(TorchId::Mps, Some(135)), 3);
    }

    #[test]
    fn fewer_where_the_least_of_the_range_does_not_fit() {
        assert_eq!(chosen(TorchId::Cuda(0), Some(120)), 2);
        assert_eq!(chosen(TorchId::Cuda(0), Some(110)), 1);
        assert_eq!(chosen(TorchId::Cpu, Some(10)), 1, "not even one fits");
    }

    #[test]
    fn a_larger_batch_costs_no_offload() {
        // One picture leaves every stage resident; eight would fit with one stage at a time.
        assert_eq!(chosen(TorchId::Cuda(0), Some(145)), 4);
    }

    #[test]
    fn the_least_of_the_range_where_nothing_is_known() {
        assert_eq!(
            [TorchId::Cuda(0), TorchId::Mps, TorchId::Cpu].map(|id| chosen(id, None)),
            [4, 2, 1]
        );
    }
}
