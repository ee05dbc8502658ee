//! Which picture does a request begin with, and which part of it is made anew?
//!
//! Both files are PNG files. They are brought to the size of the request as diffusers'
//! `VaeImageProcessor` does it, and then to the computed size by repeating the last column and the
//! last row, since the computed picture is cropped at its top left corner.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use png::{ColorType, Decoder, Limits, Transformations};
use preheat_cache::LARGEST_SIDE_PX;
use preheat_io::input;

use super::error::PipelineError;
use super::request::TextToImage;
use super::resample::resample;
use crate::models::LATENT_PX;

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 28;
/// The largest number of pixels: 8192x8192.
const MOST_PIXELS: u64 = 1 << 26;

/// The picture that a request begins with, and its mask, at the size that the request asks for. A
/// clone shares the pixels.
#[derive(Debug, Clone)]
pub(super) struct GivenPicture {
    pub(super) image: Arc<Pixels>,
    /// White where the picture is made anew.
    mask: Option<Arc<Pixels>>,
}

/// A picture of eight bits a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pixels {
    /// Width and height.
    size: [usize; 2],
    /// Red, green and blue of each pixel, row by row from the top.
    rgb: Vec<u8>,
}

impl GivenPicture {
    /// Reads the files of a request, if it has any. `size` is the size that the request asks for,
    /// in pixels `[width, height]`.
    ///
    /// # Errors
    /// If a file cannot be read or is not a PNG file, or the mask has another size than the
    /// picture.
    pub(super) fn of(request: &TextToImage, size: [u64; 2]) -> Result<Option<Self>, PipelineError> {
        let Some(path) = &request.image else { return Ok(None) };
        let image = Pixels::read("image", path)?;
        let mask = request.mask.as_ref().map(|path| (path, Pixels::read("mask", path)));
        let mask = match mask {
            None => None,
            Some((path, mask)) => Some(mask.and_then(|mask| mask.like(&image, path))?),
        };
        let to = size.map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        let resized = |pixels: Pixels| Arc::new(pixels.resized(to));
        Ok(Some(Self { image: resized(image), mask: mask.map(resized) }))
    }

    /// The size that a request has if it names none: that of its picture, each side rounded down to
    /// whole latents. `None` for a request without a picture.
    ///
    /// # Errors
    /// If the file cannot be read or is not a PNG file.
    pub(super) fn size(request: &TextToImage) -> Result<Option<[u64; 2]>, PipelineError> {
        if request.width.is_some() && request.height.is_some() {
            return Ok(None);
        }
        let Some(path) = &request.image else { return Ok(None) };
        let bytes = read("image", path)?;
        let reader = decoder("image", path, &bytes)?;
        let (width, height) = reader.info().size();
        Ok(Some([width, height].map(|side| u64::from(side) / LATENT_PX * LATENT_PX)))
    }

    /// For each pixel of the computed picture whether it is made anew; `None` without a mask.
    /// diffusers makes those anew that are at least half white.
    pub(super) fn made_anew(&self, padded: [usize; 2]) -> Option<Vec<bool>> {
        /// Half of the way from black to white.
        const HALF: u32 = 128;
        let mask = self.mask.as_ref()?.padded(padded);
        Some(mask.rgb.as_chunks().0.iter().map(|pixel| luminance(*pixel) >= HALF).collect())
    }
}

/// How bright a pixel is, from 0 to 255, by the weights of ITU-R BT.601 as Pillow rounds them.
fn luminance([red, green, blue]: [u8; 3]) -> u32 {
    let weighed = u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471;
    (weighed + 0x8000) >> 16
}

impl Pixels {
    fn read(which: &'static str, path: &Path) -> Result<Self, PipelineError> {
        let bytes = read(which, path)?;
        let mut reader = decoder(which, path, &bytes)?;
        let wrong = |why: String| PipelineError::NoPng { which, path: path.to_owned(), why };
        let broken = |error: png::DecodingError| wrong(format!("it is damaged: {error}"));
        let [width, height] = {
            let (width, height) = reader.info().size();
            [width, height].map(|side| usize::try_from(side).unwrap_or(usize::MAX))
        };
        let bytes = reader.output_buffer_size().ok_or_else(|| wrong(too_large()))?;
        let mut values = vec![0; bytes];
        let frame = reader.next_frame(&mut values).map_err(broken)?;
        values.truncate(frame.buffer_size());
        let rgb = match frame.color_type {
            ColorType::Rgb | ColorType::Indexed => values,
            ColorType::Rgba => colours::<4>(&values, |[r, g, b, _]| [r, g, b]),
            ColorType::Grayscale => colours::<1>(&values, |[grey]| [grey; 3]),
            ColorType::GrayscaleAlpha => colours::<2>(&values, |[grey, _]| [grey; 3]),
        };
        if rgb.len() != width * height * 3 {
            return Err(wrong("its pixels are stored in a form that is not read".to_owned()));
        }
        Ok(Self { size: [width, height], rgb })
    }

    /// The mask of `image`, which must have its size.
    fn like(self, image: &Self, path: &Path) -> Result<Self, PipelineError> {
        if self.size == image.size {
            return Ok(self);
        }
        let ([width, height], [its_width, its_height]) = (image.size, self.size);
        let why = format!(
            "it has {its_width}x{its_height} px, and the image has {width}x{height} px: both must \
             have the same size"
        );
        Err(PipelineError::request("mask", path.display(), why))
    }

    fn resized(self, to: [usize; 2]) -> Self {
        if self.size == to {
            self
        } else {
            Self { rgb: resample(&self.rgb, self.size, to), size: to }
        }
    }

    /// The same picture at a size that is at least as large, at the top left corner.
    pub(super) fn padded(&self, to: [usize; 2]) -> Self {
        let [width, height] = self.size;
        let row = |y: usize| &self.rgb[3 * width * y.min(height - 1)..][..3 * width];
        let pixel = |(y, x): (usize, usize)| &row(y)[3 * x.min(width - 1)..][..3];
        let at = (0..to[1]).flat_map(|y| (0..to[0]).map(move |x| (y, x)));
        Self { size: to, rgb: at.flat_map(pixel).copied().collect() }
    }

    /// The numbers that a VAE encodes, from -1 for black to 1: planes of red, green and blue.
    /// Pixels for which `is_masked` is true are 0.
    pub(super) fn planes(&self, is_masked: Option<&[bool]>) -> Vec<f32> {
        let value = |channel: usize, (at, pixel): (usize, &[u8; 3])| {
            let is_masked = is_masked.and_then(|masked| masked.get(at)).copied().unwrap_or(false);
            if is_masked { 0.0 } else { 2.0 * (f32::from(pixel[channel]) / 255.0) - 1.0 }
        };
        let pixels = || self.rgb.as_chunks().0.iter().enumerate();
        (0..3).flat_map(|channel| pixels().map(move |pixel| value(channel, pixel))).collect()
    }
}

fn read(which: &'static str, path: &Path) -> Result<Vec<u8>, PipelineError> {
    input::small(path, MOST_BYTES).map_err(|cause| PipelineError::ReadPicture {
        which,
        path: path.to_owned(),
        cause,
    })
}

/// Reads the header of a PNG file, and refuses one that is too large.
fn decoder<'b>(
    which: &'static str,
    path: &Path,
    bytes: &'b [u8],
) -> Result<png::Reader<Cursor<&'b [u8]>>, PipelineError> {
    let wrong = |why: String| PipelineError::NoPng { which, path: path.to_owned(), why };
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let kind = kind_of(bytes).map_or_else(
            || "it is no picture".to_owned(),
            |kind| format!("it is a {kind} file: convert it to PNG first"),
        );
        return Err(wrong(kind));
    }
    let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: most });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let reader = decoder.read_info().map_err(|error| wrong(format!("it is damaged: {error}")))?;
    let (width, height) = reader.info().size();
    let [width, height] = [width, height].map(u64::from);
    let is_long = width.max(height) > LARGEST_SIDE_PX;
    if is_long || width.saturating_mul(height) > MOST_PIXELS {
        return Err(wrong(format!("{width}x{height} px are too many: {}", too_large())));
    }
    Ok(reader)
}

fn too_large() -> String {
    format!("a picture to begin with has at most {MOST_PIXELS} pixels")
}

/// What a file that is not a PNG file may be, by its first bytes.
fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let is_riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Some("JPEG"),
        _ if is_riff => Some("WebP"),
        [b'G', b'I', b'F', b'8', ..] => Some("GIF"),
        [b'B', b'M', ..] => Some("BMP"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some("TIFF"),
        _ if bytes.get(4..8) == Some(b"ftyp") => Some("AVIF or HEIF"),
        _ => None,
    }
}

fn colours<const N: usize>(values: &[u8], colour: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    values.as_chunks::<N>().0.iter().flat_map(|pixel| colour(*pixel)).collect()
}

#[cfg(test)]
mod tests;
