//! What should a warmup of several sizes and models warm?
//!
//! A manifest is a TOML file. It lists models, and for each model the targets, sizes, batches and
//! precisions:
//!
//! ```toml
//! [[model]]
//! folder = "stable-diffusion-v1-5"     # without it: the demo model
//! targets = ["tpu:v5e:1x1"]            # without it: the device that is here
//! sizes = ["512x512", "768x512"]       # width first
//! batches = [1, 2]                     # without it: 1
//! guided = [true, false]               # without it: true
//! negative_prompt = [true, false]      # without it: false
//! prompt_chunks = [1, 2]               # without it: 1
//! image_to_image = true                # without it: false
//! precision = "bf16"                   # without it: auto
//! compile_effort = "fast"              # without it: the effort of the caller (default: full)
//! ```
//!
//! A table stands for every combination of its sizes, batches, guidance, negative prompts and
//! chunks, on each of its targets. A folder is looked up relative to the working directory of the
//! process.

mod parse;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

use preheat_runtime::EffortChoice;
use preheat_runtime::device::Target;

use super::Shape;
use crate::pipeline::{Precision, Precisions, TextToImage};

/// Everything that a manifest lists.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Manifest {
    /// Its tables, in the order of the file.
    pub models: Vec<ManifestModel>,
}

/// One `[[model]]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestModel {
    /// The model's folder; `None` for the demo model.
    pub folder: Option<PathBuf>,
    /// Which weights are read if the folder has several variants, such as `fp16`.
    pub variant: Option<String>,
    /// The hardware; empty for the device that is here.
    pub targets: Vec<Target>,
    /// The sizes in pixels, `[width, height]`. A manifest that was read has at least one.
    pub sizes: Vec<[u64; 2]>,
    /// How many pictures are made at once.
    pub batches: Vec<u64>,
    /// With guidance, without, or both.
    pub guided: Vec<bool>,
    /// With a negative prompt, without, or both. A negative prompt changes a graph only if `guided`
    /// is true and `clip_skip` is above 0.
    pub negative_prompt: Vec<bool>,
    /// How many chunks of tokens the denoiser reads of each prompt. A prompt of up to 75 tokens has
    /// one.
    pub prompt_chunks: Vec<u64>,
    /// Whether runs that begin with a picture, or keep a part of one, are warmed, too.
    pub image_to_image: bool,
    /// How many of the last layers of the text encoder are left out.
    pub clip_skip: u64,
    /// Which dtype each stage computes in.
    pub precisions: Precisions,
    /// How much work the compiler does; `None` if the table says nothing.
    pub compile_effort: Option<EffortChoice>,
}

impl Default for ManifestModel {
    fn default() -> Self {
        Self {
            folder: None,
            variant: None,
            targets: Vec::new(),
            sizes: Vec::new(),
            batches: vec![1],
            guided: vec![true],
            negative_prompt: vec![false],
            prompt_chunks: vec![1],
            image_to_image: false,
            clip_skip: 0,
            precisions: Precisions::default(),
            compile_effort: None,
        }
    }
}

impl Manifest {
    /// Tables for `shapes` of one model. Sizes with the same batches, guidance, negative prompt,
    /// chunks and skipped layers share a table. All other fields are taken from `model`.
    pub fn of_shapes(model: &ManifestModel, shapes: &[Shape]) -> Self {
        /// A number of skipped layers, guidance, a negative prompt, a number of chunks, whether
        /// runs begin with a picture, a size.
        type Kind = (u64, bool, bool, u64, bool, [u64; 2]);
        let mut batches: BTreeMap<Kind, Vec<u64>> = BTreeMap::new();
        for shape in shapes {
            let (negative, chunks) = (shape.negative_prompt, shape.prompt_chunks);
            let image = shape.image_to_image;
            let kind = (shape.clip_skip, !shape.guided, negative, chunks, image, shape.size);
            let of_size = batches.entry(kind).or_default();
            if !of_size.contains(&shape.batch_size) {
                of_size.push(shape.batch_size);
            }
        }
        let mut models: Vec<ManifestModel> = Vec::new();
        for ((clip_skip, unguided, negative, chunks, image_to_image, size), mut batches) in batches
        {
            batches.sort_unstable();
            let (guided, negative_prompt) = (vec![!unguided], vec![negative]);
            let table = ManifestModel {
                sizes: vec![size],
                batches,
                guided,
                negative_prompt,
                prompt_chunks: vec![chunks],
                image_to_image,
                clip_skip,
                ..model.clone()
            };
            let kind = |table: &ManifestModel| {
                let chunks = table.prompt_chunks.clone();
                let image = table.image_to_image;
                (table.clip_skip, table.kinds(), chunks, image, table.batches.clone())
            };
            let alike = |other: &&mut ManifestModel| kind(other) == kind(&table);
            match models.iter_mut().find(alike) {
                Some(other) => other.sizes.push(size),
                None => models.push(table),
            }
        }
        Self { models }
    }
}

impl ManifestModel {
    /// Each combination of guidance and negative prompt that the table stands for. If a negative
    /// prompt shapes no graph, the combinations with and without one count as the same.
    pub fn kinds(&self) -> Vec<(bool, bool)> {
        let mut kinds = Vec::new();
        for guided in &self.guided {
            for negative in &self.negative_prompt {
                let kind = (*guided, *negative && *guided && self.clip_skip > 0);
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds
    }

    /// A request for each combination of size, batch, guidance, negative prompt and chunks.
    pub fn requests(&self) -> Vec<TextToImage> {
        let mut requests = Vec::new();
        for &size in &self.sizes {
            for &batch_size in &self.batches {
                for (guided, negative_prompt) in self.kinds() {
                    for &prompt_chunks in &self.prompt_chunks {
                        let clip_skip = self.clip_skip;
                        let shape = Shape {
                            size,
                            batch_size,
                            guided,
                            clip_skip,
                            negative_prompt,
                            prompt_chunks,
                            image_to_image: self.image_to_image,
                        };
                        requests
                            .push(TextToImage { model: self.folder.clone(), ..shape.to_request() });
                    }
                }
            }
        }
        requests
    }
}

/// The manifest as a file. Fields at their default are left out, except sizes, batches and
/// guidance.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, model) in self.models.iter().enumerate() {
            if at > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{model}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ManifestModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[model]]")?;
        if let Some(folder) = &self.folder {
            writeln!(f, "folder = {}", quoted(&folder.to_string_lossy()))?;
        }
        if let Some(variant) = &self.variant {
            writeln!(f, "variant = {}", quoted(variant))?;
        }
        if !self.targets.is_empty() {
            writeln!(
                f,
                "targets = {}",
                list(self.targets.iter().map(|target| quoted(&target.to_string())))
            )?;
        }
        writeln!(
            f,
            "sizes = {}",
            list(self.sizes.iter().map(|[width, height]| format!("\"{width}x{height}\"")))
        )?;
        writeln!(f, "batches = {}", list(self.batches.iter().map(u64::to_string)))?;
        writeln!(f, "guided = {}", list(self.guided.iter().map(bool::to_string)))?;
        if self.negative_prompt != [false] {
            writeln!(
                f,
                "negative_prompt = {}",
                list(self.negative_prompt.iter().map(bool::to_string))
            )?;
        }
        if self.prompt_chunks != [1] {
            let chunks = self.prompt_chunks.iter().map(u64::to_string);
            writeln!(f, "prompt_chunks = {}", list(chunks))?;
        }
        if self.image_to_image {
            writeln!(f, "image_to_image = true")?;
        }
        if self.clip_skip > 0 {
            writeln!(f, "clip_skip = {}", self.clip_skip)?;
        }
        if let Some(effort) = self.compile_effort {
            writeln!(f, "compile_effort = \"{effort}\"")?;
        }
        if self.precisions.all != Precision::Auto {
            writeln!(f, "precision = \"{}\"", self.precisions.all)?;
        }
        let own = [
            ("text_encoder_precision", self.precisions.text_encoder),
            ("denoiser_precision", self.precisions.denoiser),
            ("vae_precision", self.precisions.vae),
        ];
        for (field, precision) in own {
            if let Some(precision) = precision {
                writeln!(f, "{field} = \"{precision}\"")?;
            }
        }
        if !self.precisions.autocast {
            writeln!(f, "autocast = false")?;
        }
        Ok(())
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // Writing to a string cannot fail.
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
