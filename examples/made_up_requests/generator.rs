//! Which requests might a service for pictures get? These are made up; nobody sent them.
//!
//! | what | how it is drawn |
//! |---|---|
//! | size | 70 in 100 a popular one, by [`POPULAR`]; 20 a popular one, each side of which is made up to 96 px longer or shorter, in steps of 8; 10 any sides from 384 to 1280 px |
//! | batch | 1, 2, 3, 4 or 8 with weights 68, 14, 2, 14 and 2 |
//! | guidance | 88 in 100 a scale from 3 to 12 in halves, otherwise 1, which means no guidance |
//! | steps | 4, 8, 20, 25, 28, 30 or 50 with weights 6, 6, 40, 16, 10, 16 and 6 |
//! | when | one every 1 to 17 seconds from the first of November 2026 on |
//!
//! The weights are invented: they say what is plausible, not what was measured.

use jiff::{SignedDuration, Timestamp};
use preheat_diffusion::evidence::LoggedRequest;

/// The popular sizes, each with its share of the requests for popular sizes, in per cent.
pub const POPULAR: [([u64; 2], u64); 14] = [
    ([512, 512], 22),
    ([512, 768], 14),
    ([768, 512], 9),
    ([1024, 1024], 12),
    ([768, 768], 7),
    ([832, 1216], 7),
    ([1216, 832], 5),
    ([640, 960], 4),
    ([960, 640], 3),
    ([896, 1152], 5),
    ([1152, 896], 4),
    ([768, 1024], 4),
    ([576, 1024], 2),
    ([1024, 576], 2),
];

/// The same requests in every run. Each side is divided by `divisor`.
pub fn requests(count: usize, divisor: u64) -> Vec<LoggedRequest> {
    let mut numbers = Numbers(0x5EED);
    let mut when: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        let [width, height] = size(&mut numbers).map(|side| side / divisor);
        let seconds = i64::try_from(1 + numbers.below(17)).unwrap_or(1);
        when = when.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(when);
        let half_scales = u32::try_from(numbers.below(19)).unwrap_or(0);
        made.push(LoggedRequest {
            timestamp: Some(when),
            width: Some(width),
            height: Some(height),
            batch_size: numbers.one_of(&[(1, 68), (2, 14), (3, 2), (4, 14), (8, 2)]),
            cfg_scale: if numbers.below(100) < 88 {
                3.0 + f64::from(half_scales) / 2.0
            } else {
                1.0
            },
            steps: numbers.one_of(&[
                (4, 6),
                (8, 6),
                (20, 40),
                (25, 16),
                (28, 10),
                (30, 16),
                (50, 6),
            ]),
            ..LoggedRequest::default()
        });
    }
    made
}

fn size(numbers: &mut Numbers) -> [u64; 2] {
    match numbers.below(100) {
        0..70 => numbers.one_of(&POPULAR),
        70..90 => numbers.one_of(&POPULAR).map(|side| side - 96 + 8 * numbers.below(25)),
        _ => [0; 2].map(|_| 384 + numbers.below(897)),
    }
}

/// Numbers that look random and are the same in every run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    /// Draws one of these values; its weight says how often.
    fn one_of<T: Copy>(&mut self, weighted: &[(T, u64)]) -> T {
        let mut at = self.below(weighted.iter().map(|(_, weight)| weight).sum());
        for (value, weight) in weighted {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *value,
            }
        }
        weighted[0].0
    }
}
