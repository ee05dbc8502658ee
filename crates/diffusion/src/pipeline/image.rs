//! How is a picture stored so that it can be made again?
//!
//! A picture has eight bits a channel, and its PNG file contains the settings that it was made
//! from.

use std::path::{Path, PathBuf};

use preheat_io::result_file::write_whole;
use serde::Serialize;

use super::error::PipelineError;
use super::prompt_syntax::PromptSyntax;
use super::upscale::{LatentInterpolation, LatentUpscale};
use crate::lora::AppliedLora;

/// A picture and the settings that it was made from. The serialised form has no pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row from the top.
    #[serde(skip)]
    pub rgb: Vec<u8>,
    /// The settings that it was made from.
    pub settings: Settings,
}

/// The settings that a picture was made from. With the same pipeline, they make it again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Settings {
    /// What the picture should show.
    pub prompt: String,
    /// What the picture should not show, if the request said so.
    pub negative_prompt: Option<String>,
    /// What the second text encoder read, if the request said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_2: Option<String>,
    /// What the second text encoder read of the negative prompt, if the request said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt_2: Option<String>,
    /// How the prompts were read.
    #[serde(skip_serializing_if = "PromptSyntax::is_plain")]
    pub prompt_syntax: PromptSyntax,
    /// How many chunks of tokens the denoiser read of each prompt.
    #[serde(skip_serializing_if = "is_one")]
    pub prompt_chunks: u64,
    /// The seed of this picture: in a batch, the request's seed plus the picture's position.
    pub seed: u64,
    /// Denoising steps.
    pub steps: u64,
    /// The scale of classifier-free guidance.
    pub cfg_scale: f64,
    /// The scheduler.
    pub scheduler: String,
    /// How much noise the scheduler added again, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// The timesteps that the request gave in the place of a number of steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timesteps: Vec<u32>,
    /// The sigmas that the request gave in the place of a number of steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sigmas: Vec<f64>,
    /// The picture that the run began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// The mask of what was made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<PathBuf>,
    /// How much of the picture was made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// The first pass, whose latents were enlarged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upscaled: Option<Upscaled>,
    /// The size of the picture in pixels, `[width, height]`.
    pub size: [u64; 2],
    /// The size at which it was computed, before it was cropped, in pixels `[width, height]`.
    pub padded_size: [u64; 2],
    /// How many of the last layers of the text encoder were left out.
    pub clip_skip: u64,
    /// The model.
    pub model_id: String,
    /// The dtype of the denoiser.
    pub dtype: String,
    /// The LoRAs that changed the model's weights, in the order in which they were applied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<AppliedLora>,
}

/// A first pass at a smaller size, and how its latents were enlarged for the second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Upscaled {
    /// The size of the first pass in pixels, `[width, height]`.
    pub from: [u64; 2],
    /// How the latents were enlarged, and how much was made anew.
    #[serde(flatten)]
    pub by: LatentUpscale,
}

impl Upscaled {
    /// In the form that the AUTOMATIC1111 web UI introduced.
    fn parameters(self) -> String {
        let upscaler = match self.by.mode {
            LatentInterpolation::Bilinear => "Latent",
            LatentInterpolation::Nearest => "Latent (nearest)",
        };
        format!(", Hires upscale: {}, Hires upscaler: {upscaler}", self.by.factor)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

impl Picture {
    /// Cuts a picture of `size` (`[width, height]`) out of `values`, beginning at `origin`.
    /// `values` are planes of red, green and blue of `padded` pixels, with numbers from 0 to 1.
    pub(super) fn cropped(
        values: &[f32],
        padded: [u64; 2],
        origin: [u64; 2],
        size: [u64; 2],
        settings: Settings,
    ) -> Self {
        let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (stride, plane) = (at(padded[0]), at(padded[0] * padded[1]));
        let mut rgb = Vec::with_capacity(at(size[0] * size[1] * 3));
        for y in at(origin[1])..at(origin[1] + size[1]) {
            for x in at(origin[0])..at(origin[0] + size[0]) {
                rgb.extend(
                    (0..3).map(|channel| eight_bits(values[channel * plane + y * stride + x])),
                );
            }
        }
        let [width, height] = size.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        Self { width, height, rgb, settings }
    }

    /// The picture as a PNG file. It has two text chunks: `parameters`, in the form that other
    /// tools read, and `preheat`, with the settings as JSON.
    ///
    /// # Errors
    /// If the picture is larger than the PNG format allows.
    pub fn to_png(&self) -> Result<Vec<u8>, PipelineError> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes).map_err(PipelineError::Encode)?;
        Ok(bytes)
    }

    /// Writes the picture as a PNG file, which appears complete or not at all.
    ///
    /// # Errors
    /// If the picture cannot be encoded, or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), PipelineError> {
        write_whole(path, &self.to_png()?)
            .map_err(|cause| PipelineError::Save { path: path.to_owned(), cause })
    }

    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.add_itxt_chunk("parameters".to_owned(), self.settings.parameters())?;
        let json = serde_json::to_string(&self.settings).unwrap_or_default();
        encoder.add_itxt_chunk("preheat".to_owned(), json)?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()
    }
}

impl Settings {
    /// The settings in the form that the AUTOMATIC1111 web UI introduced and many tools read.
    fn parameters(&self) -> String {
        let mut text = self.prompt.clone();
        if let Some(negative) =
            self.negative_prompt.as_deref().filter(|negative| !negative.is_empty())
        {
            text.push_str("\nNegative prompt: ");
            text.push_str(negative);
        }
        let [width, height] = self.size;
        let Self { steps, scheduler, cfg_scale, seed, model_id, .. } = self;
        let skip = if self.clip_skip > 0 {
            format!(", Clip skip: {}", self.clip_skip + 1)
        } else {
            String::new()
        };
        let loras: Vec<String> = self.loras.iter().map(short).collect();
        let loras = if loras.is_empty() {
            String::new()
        } else {
            format!(", LoRAs: \"{}\"", loras.join(", "))
        };
        let eta = self.eta.map(|eta| format!(", Eta: {eta}")).unwrap_or_default();
        let strength = self.strength.map(|strength| format!(", Denoising strength: {strength}"));
        let strength = strength.unwrap_or_default();
        let upscaled = self.upscaled.map(Upscaled::parameters).unwrap_or_default();
        let timesteps = given("Timesteps", &self.timesteps);
        let sigmas = given("Sigmas", &self.sigmas);
        format!(
            "{text}\nSteps: {steps}, Sampler: {scheduler}, CFG scale: {cfg_scale}, Seed: {seed}, \
             Size: {width}x{height}, Model: {model_id}{strength}{upscaled}{skip}{eta}{timesteps}{sigmas}{loras}"
        )
    }
}

/// A list of settings; nothing if it is empty.
fn given(name: &str, numbers: &[impl ToString]) -> String {
    if numbers.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!(", {name}: \"{}\"", numbers.join(", "))
}

/// A LoRA in the list of settings: the file's name without its ending, and the weight.
fn short(lora: &AppliedLora) -> String {
    let name = lora.path.file_stem().unwrap_or(lora.path.as_os_str());
    format!("{}:{}", name.to_string_lossy().replace(['"', '\n'], ""), lora.weight)
}

/// Converts a value as diffusers does: scaled to 255, and rounded to the nearest integer, with ties
/// to even.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub(super) fn eight_bits(value: f32) -> u8 {
    // A NaN becomes 0.
    (value.clamp(0.0, 1.0) * 255.0).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            prompt: "ein Fuchs, größer".to_owned(),
            negative_prompt: Some("blurry".to_owned()),
            prompt_2: None,
            negative_prompt_2: None,
            prompt_syntax: PromptSyntax::Plain,
            prompt_chunks: 1,
            seed: u64::MAX,
            steps: 20,
            cfg_scale: 7.5,
            scheduler: "euler".to_owned(),
            eta: None,
            timesteps: Vec::new(),
            sigmas: Vec::new(),
            image: None,
            mask: None,
            strength: None,
            upscaled: None,
            size: [3, 2],
            padded_size: [64, 64],
            clip_skip: 0,
            model_id: "demo".to_owned(),
            dtype: "float32".to_owned(),
            loras: Vec::new(),
        }
    }

    #[test]
    fn a_crop_takes_its_part_of_each_plane() {
        // Planes of 3x2 pixels, in which the value of a pixel encodes its plane, row and column.
        let value =
            |plane: u8, row: u8, column: u8| f32::from(100 * plane + 10 * row + column) / 255.0;
        let values: Vec<f32> =
            (0..3).flat_map(|plane| (0..6).map(move |at| value(plane, at / 3, at % 3))).collect();
        let picture = Picture::cropped(&values, [3, 2], [1, 0], [2, 2], settings());
        assert_eq!((picture.width, picture.height), (2, 2));
        assert_eq!(picture.rgb, [1, 101, 201, 2, 102, 202, 11, 111, 211, 12, 112, 212]);
    }

    #[test]
    fn numbers_outside_are_clamped_and_halves_go_to_the_even_one() {
        let bytes = [-1.0, 0.0, 0.5 / 255.0, 1.5 / 255.0, 1.0, 7.0, f32::NAN].map(eight_bits);
        assert_eq!(bytes, [0, 0, 0, 2, 255, 255, 0]);
    }

    #[test]
    fn a_png_holds_the_pixels_and_says_how_they_were_made() {
        let picture = Picture {
            width: 2,
            height: 1,
            rgb: vec![1, 2, 3, 250, 251, 252],
            settings: settings(),
        };
        let bytes = picture.to_png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; 6];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, picture.rgb);
        let texts = &reader.info().utf8_text;
        let text =
            |key: &str| texts.iter().find(|text| text.keyword == key).unwrap().get_text().unwrap();
        assert_eq!(
            text("parameters"),
            "ein Fuchs, größer\nNegative prompt: blurry\nSteps: 20, Sampler: euler, CFG scale: 7.5, \
             Seed: 18446744073709551615, Size: 3x2, Model: demo"
        );
        let json: serde_json::Value = serde_json::from_str(&text("preheat")).unwrap();
        assert_eq!(json["seed"], u64::MAX);
        assert_eq!((json.get("prompt_syntax"), json.get("prompt_chunks")), (None, None));
        let begun = Settings { strength: Some(0.6), ..settings() };
        let parameters = begun.parameters();
        assert!(parameters.ends_with(", Denoising strength: 0.6"), "{parameters}");
        let long = Settings { prompt_syntax: PromptSyntax::A1111, prompt_chunks: 2, ..settings() };
        let json = serde_json::to_value(long).unwrap();
        assert_eq!((&json["prompt_syntax"], &json["prompt_chunks"]), (&"a1111".into(), &2.into()));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let picture = Picture { width: 1, height: 1, rgb: vec![0; 3], settings: settings() };
        let error = picture.save(Path::new("/no/such/folder/out.png")).unwrap_err();
        assert_eq!(error.to_string(), "writing /no/such/folder/out.png failed");
    }
}
