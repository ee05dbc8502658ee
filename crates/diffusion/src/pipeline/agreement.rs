//! How well do two devices agree about the same request?
//!
//! The final latents and the pictures of two runs are compared; nothing is run here.

use serde::Serialize;

/// How well two runs of one request agree. Serialised as JSON, an infinite number is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// The largest difference between the final latents, divided by the largest value of the
    /// reference's latents. It is infinite if either run has a number that is not finite.
    pub largest_difference: f64,
    /// The peak signal-to-noise ratio of the pictures in decibels. For a batch, it is the ratio of
    /// the worst picture. It is infinite if all pictures are the same.
    pub psnr_db: f64,
}

impl Agreement {
    /// Compares the latents and pictures of a run with those of a reference. If the latents differ
    /// in length, their difference is infinite; if the pictures differ in number or size, their
    /// ratio is 0.
    pub fn of(latents: [&[f32]; 2], pictures: [&[Vec<u8>]; 2]) -> Self {
        let [have, wanted] = pictures;
        let psnr_db = if have.len() == wanted.len() {
            have.iter()
                .zip(wanted)
                .map(|(have, wanted)| psnr_db(have, wanted))
                .fold(f64::INFINITY, f64::min)
        } else {
            0.0
        };
        Self { largest_difference: largest_difference(latents[0], latents[1]), psnr_db }
    }

    /// Whether the pictures reach `least_psnr_db` and the latents are finite numbers.
    pub fn is_within(&self, least_psnr_db: f64) -> bool {
        self.psnr_db >= least_psnr_db && self.largest_difference.is_finite()
    }
}

fn largest_difference(have: &[f32], wanted: &[f32]) -> f64 {
    let is_finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    if have.len() != wanted.len() || !is_finite(have) || !is_finite(wanted) {
        return f64::INFINITY;
    }
    let scale = wanted.iter().map(|value| f64::from(value.abs())).fold(0.0, f64::max);
    let differences =
        have.iter().zip(wanted).map(|(have, wanted)| (f64::from(*have) - f64::from(*wanted)).abs());
    match differences.fold(0.0, f64::max) {
        0.0 => 0.0,
        difference => difference / scale,
    }
}

fn psnr_db(have: &[u8], wanted: &[u8]) -> f64 {
    if have.len() != wanted.len() {
        return 0.0;
    }
    let squares: u64 = have
        .iter()
        .zip(wanted)
        .map(|(have, wanted)| u64::from(have.abs_diff(*wanted)).pow(2))
        .sum();
    if squares == 0 {
        return f64::INFINITY;
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes of a picture")]
    let mean = squares as f64 / wanted.len() as f64;
    10.0 * (255.0 * 255.0 / mean).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(latents: [&[f32]; 2], pictures: [&[u8]; 2]) -> Agreement {
        Agreement::of(latents, [&[pictures[0].to_vec()], &[pictures[1].to_vec()]])
    }

    #[test]
    fn the_same_twice_agrees_without_end() {
        let same = agreement([&[1.0, -2.0], &[1.0, -2.0]], [&[1, 2, 3], &[1, 2, 3]]);
        assert_eq!(same, Agreement { largest_difference: 0.0, psnr_db: f64::INFINITY });
        assert!(same.is_within(1000.0));
    }

    #[test]
    fn differences_are_shares_of_the_references_scale_and_decibels_those_of_the_literature() {
        let near = agreement([&[1.0, -4.1], &[1.0, -4.0]], [&[0, 0, 0, 10], &[0, 0, 0, 0]]);
        assert!((near.largest_difference - 0.025).abs() < 1e-6, "{near:?}");
        // A mean square error of 25 in eight bits: 20 log10(255 / 5).
        assert!((near.psnr_db - 34.151).abs() < 1e-3, "{near:?}");
        assert!(near.is_within(34.0) && !near.is_within(35.0));
    }

    #[test]
    fn numbers_that_are_none_agree_with_nothing_however_alike_the_pictures_are() {
        let black = agreement([&[f32::NAN], &[f32::NAN]], [&[0, 0, 0], &[0, 0, 0]]);
        assert!(black.largest_difference.is_infinite() && !black.is_within(0.0));
        let zeros = agreement([&[1.0], &[0.0]], [&[0], &[0]]);
        assert!(!zeros.is_within(0.0), "{zeros:?}");
    }

    #[test]
    fn the_worst_picture_of_a_batch_counts() {
        let (same, other) = (vec![0, 0], vec![0, 255]);
        let pictures = [&[same.clone(), other][..], &[same.clone(), same][..]];
        let batch = Agreement::of([&[1.0], &[1.0]], pictures);
        assert!((batch.psnr_db - 3.0103).abs() < 1e-3, "{batch:?}");
        assert!(Agreement::of([&[1.0], &[1.0]], [&[], pictures[1]]).psnr_db < 1.0);
    }
}
