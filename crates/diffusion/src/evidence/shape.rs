//! Which parts of a request shape its graphs?

use serde::Serialize;

use crate::pipeline::TextToImage;

/// The parts of a request that shape its graphs, besides the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Shape {
    /// The computed size in pixels, `[width, height]`.
    pub size: [u64; 2],
    /// How many pictures are made at once.
    pub batch_size: u64,
    /// Whether there is guidance, which doubles the denoiser's batch.
    pub guided: bool,
    /// How many of the last layers of the text encoder are left out.
    pub clip_skip: u64,
    /// Whether there is a negative prompt that needs its own graph. This is possible only if layers
    /// are left out.
    pub negative_prompt: bool,
    /// How many chunks of tokens the denoiser reads of each prompt.
    pub prompt_chunks: u64,
    /// Whether the run begins with a picture, or keeps a part of one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub image_to_image: bool,
}

impl Shape {
    /// A placeholder for any prompt: the words of a prompt shape no graph.
    pub const ANY_PROMPT: &str = "-";

    /// A request of this shape.
    pub fn to_request(self) -> TextToImage {
        TextToImage {
            width: Some(self.size[0]),
            height: Some(self.size[1]),
            batch_size: self.batch_size,
            cfg_scale: if self.guided { TextToImage::DEFAULT_CFG_SCALE } else { 1.0 },
            clip_skip: self.clip_skip,
            negative_prompt: self.negative_prompt.then(|| Self::ANY_PROMPT.to_owned()),
            prompt_chunks: several(self.prompt_chunks),
            image_to_image: self.image_to_image,
            ..TextToImage::default()
        }
    }

    /// The number of chunks that a request for these prompts has in a request file.
    pub(super) fn prompt_chunks_of(request: &TextToImage) -> u64 {
        request.prompt_chunks.unwrap_or(1)
    }

    /// Pixels of one picture.
    pub fn pixels(self) -> u64 {
        self.size[0].saturating_mul(self.size[1])
    }

    /// Whether a request of this shape can be served at the size of `other`: it fits into that
    /// size, and everything else is the same.
    pub fn fits(self, other: Self) -> bool {
        Self { size: other.size, ..self } == other
            && (0..2).all(|side| self.size[side] <= other.size[side])
    }
}

/// A number of chunks as a request has it: one chunk is what every plain prompt has.
pub(super) fn several(prompt_chunks: u64) -> Option<u64> {
    (prompt_chunks != 1).then_some(prompt_chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_fits_a_larger_one_of_its_kind() {
        let shape = Shape {
            size: [512, 768],
            batch_size: 1,
            guided: true,
            clip_skip: 0,
            negative_prompt: false,
            prompt_chunks: 1,
            image_to_image: false,
        };
        assert!(shape.fits(shape) && shape.fits(Shape { size: [512, 832], ..shape }));
        assert!(!shape.fits(Shape { size: [768, 512], ..shape }));
        assert!(!shape.fits(Shape { size: [768, 768], batch_size: 2, ..shape }));
        assert!(!shape.fits(Shape { size: [768, 768], guided: false, ..shape }));
        assert!(!shape.fits(Shape { prompt_chunks: 2, ..shape }));
        assert!(!shape.fits(Shape { image_to_image: true, ..shape }));
        assert!(Shape { image_to_image: true, ..shape }.to_request().image_to_image);
        let request = Shape { prompt_chunks: 2, ..shape }.to_request();
        assert_eq!(request.prompt_chunks, Some(2));
        let request = shape.to_request();
        assert_eq!(request.prompt_chunks, None);
        assert_eq!((request.width, request.height), (Some(512), Some(768)));
    }
}
