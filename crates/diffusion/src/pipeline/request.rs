//! What does a user ask a pipeline for?
//!
//! The request has the same fields on the command line, in a JSON file and in the library.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use preheat_cache::LARGEST_SIDE_PX;
use preheat_io::input;
use serde::{Deserialize, Serialize};

use super::error::PipelineError;
use super::prompt_syntax::PromptSyntax;
use super::upscale::{LatentUpscale, upscale};

/// A request for pictures. Every field has a default; the default prompt is the empty text. In
/// JSON, unknown fields are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextToImage {
    /// The model's folder. It is used if the request comes from a file. A pipeline that is already
    /// open has its model and ignores this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// What the pictures should show.
    pub prompt: String,
    /// What the pictures should not show. `None`, which is `null` in JSON, is not the same as the
    /// empty prompt: most models of Stable Diffusion XL take zeros if there is no negative prompt
    /// (`force_zeros_for_empty_prompt`).
    pub negative_prompt: Option<String>,
    /// What the second text encoder of Stable Diffusion XL reads; `None` or the empty text for the
    /// same as the first. Other models have one text encoder, and refuse it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_2: Option<String>,
    /// The same for the negative prompt. As in diffusers, it has no effect if zeros take the place
    /// of a negative prompt that is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt_2: Option<String>,
    /// How the texts of all prompts are read.
    #[serde(skip_serializing_if = "PromptSyntax::is_plain")]
    pub prompt_syntax: PromptSyntax,
    /// How many chunks of tokens the denoiser reads, which shapes its graph; `None` for as many as
    /// the prompts need. A larger number must be a multiple of that. The prompts are then repeated,
    /// which changes the pictures only by rounding, so that one graph serves prompts of several
    /// lengths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_chunks: Option<u64>,
    /// The width in pixels; `None` for the model's default.
    pub width: Option<u64>,
    /// The height in pixels; `None` for the model's default.
    pub height: Option<u64>,
    /// Denoising steps.
    #[serde(alias = "num_inference_steps")]
    pub steps: u64,
    /// The scale of classifier-free guidance; a scale of 1 or less runs the unguided graph, which
    /// takes half the time.
    #[serde(alias = "guidance_scale")]
    pub cfg_scale: f64,
    /// The scheduler's name; `None` for the model's own.
    pub scheduler: Option<String>,
    /// How much of the noise that a step of DDIM or TCD takes away is added again: from 0 to 1.
    /// diffusers' pipelines have the argument, and the same default of 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub eta: f64,
    /// Timesteps to visit, the noisiest first, in the place of a number of steps; empty for those
    /// of the scheduler. The schedulers whose classes in diffusers take them do so here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timesteps: Vec<u32>,
    /// Noise levels in the place of a number of steps: one for each step, the noisiest first, and
    /// the one that is left at the end; empty for those of the scheduler. Euler takes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sigmas: Vec<f64>,
    /// The seed of the first picture; the next pictures of a batch have the seeds after it. `None`
    /// for a random seed.
    pub seed: Option<u64>,
    /// The picture that the run begins with, a PNG file. Its own size, each side rounded down to a
    /// multiple of 8 px, is the size of the request if this has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
    /// Which part of the picture is made anew: a PNG file of the size of `image`, white where the
    /// picture changes.
    #[serde(alias = "mask_image", skip_serializing_if = "Option::is_none")]
    pub mask: Option<PathBuf>,
    /// How much of the picture is made anew, above 0 and up to 1: this share of the steps is run.
    /// `None` for 0.8, or with a mask for 1, the defaults of diffusers' pipelines for Stable
    /// Diffusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// A second pass at a larger size, which begins with the enlarged latents of the first.
    #[serde(deserialize_with = "upscale", skip_serializing_if = "Option::is_none")]
    pub upscale_latents: Option<LatentUpscale>,
    /// Whether a warmup also makes the stages ready with which a run begins with a picture and
    /// keeps a part of it. A request with an `image` has those that it needs in any case.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub image_to_image: bool,
    /// How many pictures are made at once.
    #[serde(alias = "batch", alias = "num_images_per_prompt")]
    pub batch_size: u64,
    /// How many of the last layers of the text encoder are left out, counted as in diffusers: 0 for
    /// none.
    pub clip_skip: u64,
    /// The LoRA files that change the model's weights for this request, in the order in which they
    /// are applied. In JSON, each may also be a text such as `"style.safetensors:0.8"`.
    #[serde(alias = "lora", skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<Lora>,
    /// A warmup before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpu_warmup: Option<WarmupBlock>,
}

impl Default for TextToImage {
    fn default() -> Self {
        Self {
            model: None,
            prompt: String::new(),
            negative_prompt: None,
            prompt_2: None,
            negative_prompt_2: None,
            prompt_syntax: PromptSyntax::Plain,
            prompt_chunks: None,
            width: None,
            height: None,
            steps: Self::DEFAULT_STEPS,
            cfg_scale: Self::DEFAULT_CFG_SCALE,
            scheduler: None,
            eta: 0.0,
            timesteps: Vec::new(),
            sigmas: Vec::new(),
            seed: None,
            image: None,
            mask: None,
            strength: None,
            upscale_latents: None,
            image_to_image: false,
            batch_size: 1,
            clip_skip: 0,
            loras: Vec::new(),
            tpu_warmup: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// A LoRA file, and how strongly it is applied.
///
/// As a text it is `FILE` or `FILE:WEIGHT`. If a number follows the last colon, and a name precedes
/// it, the number is the weight. Otherwise the whole text is the file's name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lora {
    /// The file, in the safetensors format.
    pub path: PathBuf,
    /// How strongly it is applied: 1 as it was trained, 0 not at all, and a negative weight in the
    /// opposite direction. With 0, a DoRA still sets the norms of the rows.
    pub weight: f64,
}

impl Lora {
    /// A LoRA that is applied as it was trained.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), weight: 1.0 }
    }
}

impl From<&OsStr> for Lora {
    fn from(text: &OsStr) -> Self {
        // A name that is not UTF-8 is kept as it is, and has no weight.
        let weighted = text.to_str().and_then(|text| text.rsplit_once(':'));
        match weighted.and_then(|(path, weight)| Some((path, weight.trim().parse().ok()?))) {
            Some((path, weight)) if !path.is_empty() => Self { path: path.into(), weight },
            _ => Self::new(text),
        }
    }
}

impl<'de> Deserialize<'de> for Lora {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            path: PathBuf,
            #[serde(default = "whole")]
            weight: f64,
        }
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "a LoRA is \"FILE\", \"FILE:WEIGHT\" or {\"path\": FILE, \"weight\": X}"
        )]
        enum Forms {
            Text(String),
            Object(Fields),
        }
        fn whole() -> f64 {
            1.0
        }
        Ok(match Forms::deserialize(deserializer)? {
            Forms::Text(text) => Self::from(OsStr::new(&text)),
            Forms::Object(Fields { path, weight }) => Self { path, weight },
        })
    }
}

/// The `tpu_warmup` block of a request: a size and a batch to compile for before the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmupBlock {
    /// Whether the warmup is done.
    pub enabled: bool,
    /// The size in pixels, `[width, height]`; `None` for the request's own. As JSON: `[768, 512]`,
    /// `"768x512"`, or `512` for a square.
    #[serde(deserialize_with = "resolution")]
    pub target_resolution: Option<[u64; 2]>,
    /// How many pictures are made at once; `None` for the request's own number.
    pub batch_size: Option<u64>,
}

impl Default for WarmupBlock {
    fn default() -> Self {
        Self { enabled: true, target_resolution: None, batch_size: None }
    }
}

impl TextToImage {
    /// The number of steps if a request gives none.
    pub const DEFAULT_STEPS: u64 = 20;
    /// The guidance scale if a request gives none: that of diffusers' `StableDiffusionPipeline`.
    pub const DEFAULT_CFG_SCALE: f64 = 7.5;
    /// The strength of a request with an image and no mask, if it gives none.
    pub const DEFAULT_STRENGTH: f64 = 0.8;
    /// The largest number of chunks of tokens.
    pub(crate) const MOST_PROMPT_CHUNKS: u64 = 64;
    /// The smallest side of a picture: one latent.
    const SMALLEST_SIDE_PX: u64 = 8;
    /// The largest batch.
    const MOST_PICTURES: u64 = 1 << 16;
    /// The size of the largest request file that is read. A request takes a kilobyte plus the
    /// length of its prompts.
    const MOST_FILE_BYTES: u64 = 16 << 20;

    /// A request for this prompt, with everything else at its default.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..Self::default() }
    }

    /// The same request with one more LoRA file, which is applied after those that it has.
    #[must_use]
    pub fn with_lora(mut self, path: impl Into<PathBuf>, weight: f64) -> Self {
        self.loras.push(Lora { path: path.into(), weight });
        self
    }

    /// Reads a request file.
    ///
    /// # Errors
    /// If the file cannot be read, is not a JSON object, or has a field with an unknown name or a
    /// value of the wrong type.
    pub fn read(path: &Path) -> Result<Self, PipelineError> {
        let text = input::text(path, Self::MOST_FILE_BYTES)
            .map_err(|cause| PipelineError::ReadRequest { path: path.to_owned(), cause })?;
        let parsed = if text.trim_start().starts_with('[') {
            // serde would also accept a list, and take its elements as the fields in their order.
            Err(serde::de::Error::custom("a request is an object, {\"prompt\": ...}"))
        } else {
            serde_json::from_str(&text)
        };
        parsed.map_err(|cause: serde_json::Error| {
            let line =
                text.lines().nth(cause.line().saturating_sub(1)).unwrap_or_default().to_owned();
            PipelineError::RequestFile { path: path.to_owned(), line, cause }
        })
    }

    /// How many steps the pictures take: `steps`, or as many as timesteps or sigmas are given for.
    pub fn steps_taken(&self) -> u64 {
        match (self.timesteps.len(), self.sigmas.len()) {
            (0, 0) => self.steps,
            (0, sigmas) => (sigmas as u64).saturating_sub(1),
            (timesteps, _) => timesteps as u64,
        }
    }

    /// The strength of a request that begins with a picture: `strength`, or the default.
    pub fn strength_taken(&self) -> f64 {
        self.strength.unwrap_or(if self.mask.is_some() { 1.0 } else { Self::DEFAULT_STRENGTH })
    }

    /// Whether the run begins with a picture, or is to be made ready for one.
    pub fn begins_with_a_picture(&self) -> bool {
        self.image.is_some() || self.image_to_image
    }

    /// The request that the `tpu_warmup` block asks to warm, if there is such a block and it is
    /// enabled.
    pub fn to_warm(&self) -> Option<Self> {
        let block = self.tpu_warmup.as_ref().filter(|block| block.enabled)?;
        let (width, height) = match block.target_resolution {
            Some([width, height]) => (Some(width), Some(height)),
            None => (self.width, self.height),
        };
        let batch_size = block.batch_size.unwrap_or(self.batch_size);
        Some(Self { width, height, batch_size, tpu_warmup: None, ..self.clone() })
    }

    /// Refuses a request that no model could serve. `own` is the size at which the model makes
    /// pictures by default. Returns the size in pixels.
    pub(crate) fn check(&self, own: [u64; 2]) -> Result<[u64; 2], PipelineError> {
        let size = [self.width.unwrap_or(own[0]), self.height.unwrap_or(own[1])];
        for (field, side) in [("width", size[0]), ("height", size[1])] {
            if side < Self::SMALLEST_SIDE_PX {
                let least = Self::SMALLEST_SIDE_PX;
                return Err(PipelineError::request(
                    field,
                    side,
                    format!("a picture is at least {least} px each way"),
                ));
            }
            if side > LARGEST_SIDE_PX {
                let why = format!("a picture is at most {LARGEST_SIDE_PX} px each way");
                return Err(PipelineError::request(field, side, why));
            }
        }
        if self.batch_size == 0 {
            return Err(PipelineError::request(
                "batch_size",
                0,
                "at least 1 picture is wanted".to_owned(),
            ));
        }
        if self.batch_size > Self::MOST_PICTURES {
            let why = format!("at most {} pictures are made at once", Self::MOST_PICTURES);
            return Err(PipelineError::request("batch_size", self.batch_size, why));
        }
        let most = Self::MOST_PROMPT_CHUNKS;
        if let Some(chunks) = self.prompt_chunks.filter(|chunks| !(1..=most).contains(chunks)) {
            let why = format!("a prompt has from 1 to {most} chunks");
            return Err(PipelineError::request("prompt_chunks", chunks, why));
        }
        if self.steps == 0 {
            return Err(PipelineError::request("steps", 0, "at least 1 step is wanted".to_owned()));
        }
        if !self.timesteps.is_empty() && !self.sigmas.is_empty() {
            let why = "the timesteps are given as well: give one of the two".to_owned();
            return Err(PipelineError::request("sigmas", format!("{:?}", self.sigmas), why));
        }
        self.check_strength()?;
        self.check_upscale()?;
        #[expect(clippy::cast_possible_truncation, reason = "weights are changed in f32")]
        if let Some(lora) = self.loras.iter().find(|lora| !(lora.weight as f32).is_finite()) {
            let why = format!("the weight of {} must be a finite number", lora.path.display());
            return Err(PipelineError::request("lora", lora.weight, why));
        }
        #[expect(clippy::cast_possible_truncation, reason = "the graph takes an f32")]
        if !(self.cfg_scale as f32).is_finite() {
            return Err(PipelineError::request(
                "cfg_scale",
                self.cfg_scale,
                "a finite number is wanted".to_owned(),
            ));
        }
        Ok(size)
    }

    /// Refuses a second pass that is out of range, or of a run that begins with a picture.
    fn check_upscale(&self) -> Result<(), PipelineError> {
        let Some(upscale) = self.upscale_latents else { return Ok(()) };
        upscale.check()?;
        match &self.image {
            Some(image) => {
                let why = "a run with upscale_latents begins with noise: leave the image out";
                Err(PipelineError::request("image", image.display(), why.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// Refuses a mask or a strength that has no picture, and a strength that is no share.
    fn check_strength(&self) -> Result<(), PipelineError> {
        let no_image = || "give the image, too, with which the run begins".to_owned();
        if self.image.is_none() {
            return match (&self.mask, self.strength) {
                (Some(mask), _) => Err(PipelineError::request("mask", mask.display(), no_image())),
                (None, Some(strength)) => {
                    Err(PipelineError::request("strength", strength, no_image()))
                }
                (None, None) => Ok(()),
            };
        }
        let is_share = |strength: &f64| *strength > 0.0 && *strength <= 1.0;
        match self.strength.filter(|strength| !is_share(strength)) {
            Some(strength) => {
                let why = "give a number above 0 and up to 1".to_owned();
                Err(PipelineError::request("strength", strength, why))
            }
            None => Ok(()),
        }
    }
}

/// Reads a resolution in any of the forms that JSON may have.
fn resolution<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<[u64; 2]>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "a resolution is [width, height], \"WIDTHxHEIGHT\" or one number for a square"
    )]
    enum Forms {
        Sides([u64; 2]),
        Square(u64),
        Text(String),
    }
    Ok(match Option::<Forms>::deserialize(deserializer)? {
        None => None,
        Some(Forms::Sides(sides)) => Some(sides),
        Some(Forms::Square(side)) => Some([side, side]),
        Some(Forms::Text(text)) => Some(parse_resolution(&text).map_err(serde::de::Error::custom)?),
    })
}

/// The text is not a resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no resolution: 768x512 is one, width first, and 512 is a square")]
pub struct ParseResolutionError(String);

/// Reads `768x512`, or `512` for a square: width and height in pixels.
///
/// # Errors
/// If the text is neither.
pub fn parse_resolution(text: &str) -> Result<[u64; 2], ParseResolutionError> {
    let side =
        |side: &str| side.trim().parse::<u64>().map_err(|_| ParseResolutionError(text.to_owned()));
    match text.split_once(['x', 'X']) {
        Some((width, height)) => Ok([side(width)?, side(height)?]),
        None => side(text).map(|side| [side, side]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<TextToImage, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_in_a_file_is_the_same_number_as_on_the_command_line() {
        for text in ["90.28571428571429", "0.30000000000000004", "-9223372036857458708"] {
            let request = parse(&format!("{{\"cfg_scale\":{text}}}")).unwrap();
            assert_eq!(
                request.cfg_scale.to_bits(),
                text.parse::<f64>().unwrap().to_bits(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_request_reads_the_names_of_the_api_and_of_diffusers() {
        let ours =
            parse(r#"{"prompt":"p","steps":5,"cfg_scale":3,"batch_size":2,"width":640}"#).unwrap();
        let theirs = parse(
            r#"{"prompt":"p","num_inference_steps":5,"guidance_scale":3.0,"batch":2,"width":640}"#,
        )
        .unwrap();
        assert_eq!(ours, theirs);
        assert_eq!((ours.steps, ours.batch_size, ours.width, ours.height), (5, 2, Some(640), None));
        assert_eq!(parse("{}").unwrap(), TextToImage::default());
        let negative = |json: &str| parse(json).unwrap().negative_prompt;
        assert_eq!(negative(r#"{"negative_prompt": null}"#), None);
        assert_eq!(negative(r#"{"negative_prompt": ""}"#).as_deref(), Some(""));
    }

    #[test]
    fn a_request_says_how_its_prompts_are_read_only_if_it_was_told() {
        let parsed = parse(
            r#"{"prompt": "(a:1.2)", "prompt_2": "b", "negative_prompt_2": "c",
                "prompt_syntax": "a1111", "prompt_chunks": 2}"#,
        );
        let request = parsed.unwrap();
        assert_eq!((request.prompt_syntax, request.prompt_chunks), (PromptSyntax::A1111, Some(2)));
        let seconds = [&request.prompt_2, &request.negative_prompt_2].map(Option::as_deref);
        assert_eq!(seconds, [Some("b"), Some("c")]);
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(parse(&json).unwrap(), request);
        let json = serde_json::to_string(&TextToImage::new("p")).unwrap();
        assert!(!json.contains("prompt_"), "{json}");
        let error = parse(r#"{"prompt_syntax": "compel"}"#).unwrap_err();
        assert!(error.contains("unknown variant `compel`, expected one of `plain`"), "{error}");
        for chunks in [0, 65] {
            let request = TextToImage { prompt_chunks: Some(chunks), ..TextToImage::default() };
            let error = request.check([64, 64]).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("prompt_chunks is {chunks}: a prompt has from 1 to 64 chunks")
            );
        }
    }

    #[test]
    fn a_mask_and_a_strength_need_an_image_and_a_strength_is_a_share() {
        let check = |json: &str| {
            let checked = parse(json).unwrap().check([64, 64]);
            checked.map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(check(r#"{"image": "a.png", "mask": "b.png", "strength": 1}"#), Ok(()));
        let why = "give the image, too, with which the run begins";
        assert_eq!(check(r#"{"mask": "b.png"}"#), Err(format!("mask is b.png: {why}")));
        assert_eq!(check(r#"{"strength": 0.5}"#), Err(format!("strength is 0.5: {why}")));
        for strength in ["0", "-0.5", "1.01"] {
            let told = check(&format!(r#"{{"image": "a.png", "strength": {strength}}}"#));
            let said = format!("strength is {strength}: give a number above 0 and up to 1");
            assert_eq!(told, Err(said));
        }
        let nan = TextToImage {
            image: Some("a.png".into()),
            strength: Some(f64::NAN),
            ..TextToImage::default()
        };
        assert!(nan.check([64, 64]).is_err());
        let parsed = parse(r#"{"image": "a.png", "mask_image": "b.png"}"#).unwrap();
        assert_eq!(parsed.strength_taken().to_bits(), 1.0_f64.to_bits());
        let json = serde_json::to_string(&TextToImage::new("p")).unwrap();
        assert!(!json.contains("image") && !json.contains("strength"), "{json}");
    }

    #[test]
    fn a_lora_has_a_weight_behind_its_last_colon_or_in_a_field() {
        let lora = |path: &str, weight| Lora { path: path.into(), weight };
        let parsed = parse(
            r#"{"loras": ["a.safetensors", "b:c:0.5", "x:y", {"path": "d:2", "weight": -1},
                {"path": "e"}]}"#,
        );
        let all = [
            lora("a.safetensors", 1.0),
            lora("b:c", 0.5),
            lora("x:y", 1.0),
            lora("d:2", -1.0),
            lora("e", 1.0),
        ];
        assert_eq!(parsed.unwrap().loras, all);
        assert_eq!(parse(r#"{"lora": ["a:1e-1"]}"#).unwrap().loras, [lora("a", 0.1)]);
        assert_eq!(Lora::from(OsStr::new(":0.5")), lora(":0.5", 1.0), "a file needs a name");
        let error = parse(r#"{"loras": [7]}"#).unwrap_err();
        assert!(error.contains("a LoRA is \"FILE\", \"FILE:WEIGHT\" or"), "{error}");
        let json = serde_json::to_string(&TextToImage::new("p")).unwrap();
        assert!(!json.contains("lora"), "{json}");
        let request = TextToImage { loras: vec![lora("a", 0.25)], ..TextToImage::new("p") };
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<TextToImage>(&json).unwrap(), request);
    }

    #[test]
    fn the_warmup_block_takes_a_resolution_in_each_form() {
        for form in ["[768, 512]", "\"768x512\""] {
            let json = format!(
                r#"{{"prompt":"p","batch_size":3,"tpu_warmup":{{"target_resolution":{form}}}}}"#
            );
            let warm = parse(&json).unwrap().to_warm().unwrap();
            assert_eq!((warm.width, warm.height, warm.batch_size), (Some(768), Some(512), 3));
        }
        let square =
            parse(r#"{"tpu_warmup":{"enabled":true,"target_resolution":512,"batch_size":4}}"#)
                .unwrap();
        let warm = square.to_warm().unwrap();
        assert_eq!((warm.width, warm.height, warm.batch_size), (Some(512), Some(512), 4));
        assert_eq!(parse(r#"{"tpu_warmup":{"enabled":false}}"#).unwrap().to_warm(), None);
        assert_eq!(parse("{}").unwrap().to_warm(), None);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let error = parse(r#"{"prompt":"p","stepz":5}"#).unwrap_err();
        assert!(error.contains("unknown field `stepz`") && error.contains("`steps`"), "{error}");
        let error = parse(r#"{"steps":"many"}"#).unwrap_err();
        assert!(error.contains("invalid type: string \"many\""), "{error}");
        let error = parse(r#"{"tpu_warmup":{"target_resolution":"big"}}"#).unwrap_err();
        assert!(error.contains("\"big\" is no resolution: 768x512 is one"), "{error}");
    }

    #[test]
    fn what_no_model_could_make_is_refused_by_name() {
        let refused = |change: fn(&mut TextToImage)| {
            let mut request = TextToImage::new("p");
            change(&mut request);
            request.check([512, 512]).unwrap_err().to_string()
        };
        assert_eq!(
            refused(|r| r.width = Some(0)),
            "width is 0: a picture is at least 8 px each way"
        );
        assert_eq!(
            refused(|r| r.height = Some(7)),
            "height is 7: a picture is at least 8 px each way"
        );
        assert_eq!(
            refused(|r| r.width = Some(1 << 40)),
            "width is 1099511627776: a picture is at most 65536 px each way"
        );
        assert_eq!(refused(|r| r.batch_size = 0), "batch_size is 0: at least 1 picture is wanted");
        assert_eq!(
            refused(|r| r.batch_size = 1 << 40),
            "batch_size is 1099511627776: at most 65536 pictures are made at once"
        );
        assert_eq!(refused(|r| r.steps = 0), "steps is 0: at least 1 step is wanted");
        assert_eq!(
            refused(|r| (r.timesteps, r.sigmas) = (vec![9], vec![1.0, 0.0])),
            "sigmas is [1.0, 0.0]: the timesteps are given as well: give one of the two"
        );
        assert_eq!(
            refused(|r| r.cfg_scale = f64::NAN),
            "cfg_scale is NaN: a finite number is wanted"
        );
        assert_eq!(
            refused(|r| r.loras = vec![Lora { path: "a".into(), weight: f64::INFINITY }]),
            "lora is inf: the weight of a must be a finite number"
        );
        assert_eq!(TextToImage::new("p").check([512, 768]).unwrap(), [512, 768]);
    }
}
