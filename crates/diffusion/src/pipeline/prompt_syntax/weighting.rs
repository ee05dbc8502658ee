//! What does a weight do to the hidden states of its token?
//!
//! Both programs change what the text encoder returned, token by token, so the encoder's executable
//! is the same for every weight. The numbers are few (77 x 768 for a chunk of Stable Diffusion
//! 1.5), so they are computed on the host in f32: a graph would have to be compiled once more for
//! each device, and would save less time than its first execution takes.

/// Multiplies each token by its weight, and then multiplies everything so that the mean of the
/// chunk is as it was (`EmphasisOriginal` in `modules/sd_emphasis.py` of the AUTOMATIC1111 web UI).
/// `hidden` is `[tokens, features]`.
pub(super) fn with_the_mean_restored(hidden: &mut [f32], weights: &[f32]) {
    let before = mean(hidden);
    for (token, weight) in tokens(hidden, weights.len()).zip(weights) {
        for value in token {
            *value *= weight;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "hidden states are f32")]
    let factor = (before / mean(hidden)) as f32;
    for value in hidden {
        *value *= factor;
    }
}

/// Moves each token away from the same token of the empty prompt: `empty + weight * (hidden -
/// empty)` (`encode_token_weights` in `comfy/sd1_clip.py` of ComfyUI). `hidden` and `empty` are
/// `[tokens, features]`.
pub(super) fn away_from_the_empty_prompt(hidden: &mut [f32], empty: &[f32], weights: &[f32]) {
    let features = hidden.len() / weights.len().max(1);
    let of_empty = empty.chunks_exact(features.max(1));
    for ((token, empty), weight) in tokens(hidden, weights.len()).zip(of_empty).zip(weights) {
        if weight.to_bits() == 1.0_f32.to_bits() {
            continue;
        }
        for (value, empty) in token.iter_mut().zip(empty) {
            *value = (*value - empty) * weight + empty;
        }
    }
}

fn tokens(hidden: &mut [f32], tokens: usize) -> std::slice::ChunksExactMut<'_, f32> {
    let features = hidden.len() / tokens.max(1);
    hidden.chunks_exact_mut(features.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand values")]
fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(have: &[f32], want: &[f32]) {
        let near = have.iter().zip(want).all(|(have, want)| (have - want).abs() < 1e-6);
        assert!(near && have.len() == want.len(), "{have:?} {want:?}");
    }

    #[test]
    fn the_mean_of_a_chunk_stays() {
        let mut hidden = [1.0, 2.0, 3.0, 4.0];
        with_the_mean_restored(&mut hidden, &[2.0, 1.0]);
        // 2, 4, 3, 4 have the mean 3.25 in place of 2.5.
        let factor = 2.5 / 3.25;
        assert_near(&hidden, &[2.0 * factor, 4.0 * factor, 3.0 * factor, 4.0 * factor]);
    }

    #[test]
    fn a_weight_moves_a_token_away_from_the_empty_prompt() {
        let mut hidden = [1.0, 2.0, 3.0, 4.0];
        away_from_the_empty_prompt(&mut hidden, &[0.5, 2.5, 7.0, 7.0], &[2.0, 1.0]);
        assert_near(&hidden, &[1.5, 1.5, 3.0, 4.0]);
    }

    #[test]
    fn the_weight_one_changes_no_bit() {
        let hidden = [0.1, -0.7, 3.3, 1e-8];
        let mut own = hidden;
        with_the_mean_restored(&mut own, &[1.0, 1.0]);
        away_from_the_empty_prompt(&mut own, &[9.0; 4], &[1.0, 1.0]);
        assert_eq!(own.map(f32::to_bits), hidden.map(f32::to_bits));
    }
}
