//! Which model is in a single file, and where does it keep each component?
//!
//! Most releases that people pass on are a single safetensors file. Its tensors have the names of
//! the program that the model was trained with. `recognise.rs` finds the family of a file from the
//! names and shapes of its tensors, and says what other files are. `carried.rs` has the configs of
//! the public releases, since a file has none. `prediction.rs` finds out what the model predicts.
//! `parts.rs` finds each component's tensors in the file, and the tensors that belong to no
//! component. `open.rs` opens a file, and refuses pickles and GGUF files.
//!
//! All of this reads only the header of a file and a few small tensors.

mod carried;
mod error;
mod open;
mod parts;
mod prediction;
mod recognise;
#[cfg(test)]
mod tests;

pub use error::SingleFileError;
pub(crate) use parts::{hidden_size, not_for, text_encoder_alone, vae_alone};
pub(crate) use prediction::Predicts;
pub use recognise::Release;

use std::path::Path;

use crate::models::{Component, Configs, Family, ModelFolder};
use crate::weights::{Checkpoint, OneFile};

/// A model in a single file whose header was read.
#[derive(Debug)]
pub struct SingleFile {
    file: OneFile,
    /// The prefix of the names of the UNet's tensors.
    unet: &'static str,
}

impl SingleFile {
    /// Opens a file, and makes sure that it has a UNet.
    ///
    /// # Errors
    /// If it is not a safetensors file, or does not hold a model that can be run.
    pub fn open(path: &Path) -> Result<Self, SingleFileError> {
        let file = open::open(path)?;
        let unet = recognise::unet(&file)?;
        Ok(Self { file, unet })
    }

    /// The public release whose configs fit the file.
    ///
    /// # Errors
    /// If no release fits.
    pub fn release(&self) -> Result<Release, SingleFileError> {
        recognise::release(&self.file, self.unet)
    }

    /// Checks that the file is of the family that the configs are for.
    pub(crate) fn check_family(
        &self,
        family: Family,
        configs: &Path,
    ) -> Result<(), SingleFileError> {
        let found = recognise::family(&self.file, self.unet);
        if found == family {
            return Ok(());
        }
        Err(SingleFileError::OtherFamily {
            path: self.file.path().to_owned(),
            found: found.class(),
            configs: configs.to_owned(),
            family: family.class(),
        })
    }

    /// The configs of the public release that fits the file.
    pub(crate) fn configs(&self, predicts: Predicts) -> Result<Configs, SingleFileError> {
        carried::configs(self.release()?, predicts)
    }

    /// What the model predicts, if the file shows it.
    pub(crate) fn predicts(&self) -> Option<Predicts> {
        prediction::of(&self.file, self.unet, self.release().ok())
    }

    /// The weights of a component.
    ///
    /// # Errors
    /// If the file has no such component, or a tensor of it is damaged.
    pub(crate) fn checkpoint(
        &self,
        component: Component,
        model: &ModelFolder,
    ) -> Result<Checkpoint, SingleFileError> {
        parts::checkpoint(&self.file, component, model, self.unet)
    }

    /// A remark about tensors that the model does not read, apart from those that releases usually
    /// have beside the model. `None` if there are no such tensors.
    pub(crate) fn unread(&self, model: &ModelFolder) -> Option<String> {
        parts::unread(&self.file, model, self.unet)
    }
}
