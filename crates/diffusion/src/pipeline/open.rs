//! How does a model become a pipeline?
//!
//! Its folder or file is read without a device, so that a program can read the model and open the
//! device at the same time.

use std::path::Path;

use preheat_runtime::Runtime;

use super::builder::PipelineBuilder;
use super::error::PipelineError;
use super::handle::Pipeline;
use super::made::Warmed;
use super::model::Model;
use super::request::TextToImage;

impl Pipeline {
    /// The settings that a pipeline can be opened with.
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }

    /// Opens a model folder, or a model in a single file, with all settings at their defaults.
    ///
    /// # Errors
    /// The same as those of [`PipelineBuilder::open`].
    pub fn open(runtime: &Runtime, folder: impl AsRef<Path>) -> Result<Self, PipelineError> {
        Self::builder().open(runtime, folder)
    }
}

impl PipelineBuilder {
    /// Reads a model folder or a model in a single file: configs, tokenizers and the headers of the
    /// weights, not their values. No device is needed yet.
    ///
    /// # Errors
    /// If the folder or file is not a model that can be run, or if a file or folder in the settings
    /// does not fit the model. An error in a tokenizer is returned later, by the first request that
    /// needs the tokenizer.
    pub fn read(self, folder: impl AsRef<Path>) -> Result<ReadModel, PipelineError> {
        let model = Model::open(folder.as_ref(), &self)?;
        Ok(ReadModel { model, settings: self })
    }

    /// Reads a model folder or a model in a single file, to run it on the device of `runtime`.
    ///
    /// # Errors
    /// The same as those of [`Self::read`].
    pub fn open(
        self,
        runtime: &Runtime,
        folder: impl AsRef<Path>,
    ) -> Result<Pipeline, PipelineError> {
        Ok(self.read(folder)?.on(runtime))
    }

    /// Opens a model folder, or a model in a single file, and warms the model for `request`.
    /// Returns the pipeline, ready to run the request, and the warmup's report.
    ///
    /// # Errors
    /// The same as those of [`Self::read`] and [`Pipeline::warmup`].
    pub fn open_warm(
        self,
        runtime: &Runtime,
        folder: impl AsRef<Path>,
        request: &TextToImage,
    ) -> Result<(Pipeline, Warmed), PipelineError> {
        let pipeline = self.open(runtime, folder)?;
        let warmed = pipeline.warmup(request, false)?;
        Ok((pipeline, warmed))
    }
}

/// The pipelines whose requests are served, too: they begin with a picture.
const PICTURE_PIPELINES: [&str; 4] = [
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
];

/// A model that was read, but has no device yet.
#[derive(Debug)]
pub struct ReadModel {
    model: Model,
    settings: PipelineBuilder,
}

impl ReadModel {
    /// Makes a pipeline that runs the model on the device of `runtime`. Nothing is loaded onto the
    /// device yet.
    pub fn on(self, runtime: &Runtime) -> Pipeline {
        for remark in &self.model.remarks {
            runtime.warn(remark.clone());
        }
        let folder = &self.model.folder;
        let begins_with_a_picture = |class: &&str| PICTURE_PIPELINES.contains(class);
        let other = folder.other_pipeline().filter(|class| !begins_with_a_picture(class));
        if let Some(other) = other {
            runtime.warn(format!(
                "{}: `_class_name` is {other}, but preheat runs text-to-image, as {} does it",
                folder.index().display(),
                folder.family().class()
            ));
        }
        Pipeline::of(runtime, self.model, &self.settings)
    }
}
