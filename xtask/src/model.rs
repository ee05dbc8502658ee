//! Which model do the pipeline's benches run? Most run a model with the shape of Stable Diffusion
//! 1.5 and random weights, unless a flag names another folder.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use serde_json::Value;

use crate::command::{Failure, Outcome, cargo, root, run as run_command};
use crate::preheat::Preheat;

/// A size in pixels, such as `512x512`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sides = text
            .split_once('x')
            .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
        let (width, height) = sides.ok_or_else(|| "a size is written as 512x512".to_owned())?;
        Ok(Self { width, height })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)
    }
}

/// A model folder.
pub struct Model {
    folder: PathBuf,
}

impl Model {
    /// The folder that a flag names, or else a model below the target folder, which is made once
    /// and takes 4 GB.
    pub fn given_or_made(given: Option<&Path>) -> Outcome<Self> {
        if let Some(given) = given {
            let folder =
                given.canonicalize().map_err(Failure::context(given.display().to_string()))?;
            return Ok(Self { folder });
        }
        Self::made("sd15")
    }

    /// A model with random weights, below the target folder. It is made at the first call. `shape`
    /// is `sd15`, whose model takes 4 GB, `sd21` or `sdxl`.
    pub fn made(shape: &str) -> Outcome<Self> {
        let folder = root().join("target/bench").join(shape);
        if !folder.exists() {
            // The model is written to a folder beside its final place, and moved there when it is
            // complete.
            let partial = root().join("target/bench/partial").join(shape);
            let _ = std::fs::remove_dir_all(&partial);
            let mut make =
                cargo(["run", "--quiet", "--release", "--example", "random_model", "--", shape]);
            run_command(make.arg(&partial))?;
            // Without this, the system would write the model's gigabytes to the disk while runs are
            // timed.
            run_command(&mut Command::new("sync"))?;
            std::fs::rename(&partial, &folder)
                .map_err(Failure::context(format!("cannot make {}", folder.display())))?;
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The command `preheat run` for this model on XLA:CPU, guided, with the picture in `out`.
    pub fn run(
        &self,
        preheat: &Preheat,
        cache: &Path,
        size: Size,
        steps: u32,
        out: &Path,
    ) -> Command {
        let mut run = preheat.command(["--device", "xla-cpu", "--cache-dir"]);
        run.arg(cache).args(["--quiet", "--json", "run", "--model"]).arg(&self.folder);
        run.args([
            "--prompt",
            "a photograph of a cat",
            "--seed",
            "1",
            "--cfg-scale",
            "7.5",
            "--scheduler",
            "euler",
        ]);
        run.args(["--width", &size.width.to_string(), "--height", &size.height.to_string()]);
        run.args(["--steps", &steps.to_string(), "--output"]).arg(out.join("out.png"));
        run
    }
}

/// The weights that the stages read, as `FILE:OFFSET:LENGTH`, with neighbours merged. Weights that
/// only a VAE's encoder reads are left out.
pub fn byte_ranges(model: &Model) -> Outcome<Vec<String>> {
    let files =
        ["text_encoder/model", "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model"];
    let mut all = Vec::new();
    for file in files {
        let path = model.folder.join(file).with_extension("safetensors");
        let failed = || Failure::context(format!("cannot read {}", path.display()));
        let mut reader = std::fs::File::open(&path).map_err(failed())?;
        let mut length = [0; 8];
        reader.read_exact(&mut length).map_err(failed())?;
        let length = u64::from_le_bytes(length);
        let mut header = Vec::new();
        reader.take(length).read_to_end(&mut header).map_err(failed())?;
        let header: Value = serde_json::from_slice(&header)
            .map_err(Failure::context(format!("cannot read {}", path.display())))?;
        let tensors = header.as_object().into_iter().flatten();
        let read = tensors.filter(|(name, _)| {
            !["__metadata__", "encoder.", "quant_conv."]
                .iter()
                .any(|unread| name.starts_with(unread))
        });
        let mut ranges: Vec<[u64; 2]> = read
            .filter_map(|(_, tensor)| {
                let offsets = &tensor["data_offsets"];
                Some([offsets[0].as_u64()?, offsets[1].as_u64()?])
            })
            .collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let follows = last[1] == next[0];
            if follows {
                last[1] = next[1];
            }
            follows
        });
        let data = 8 + length;
        all.extend(
            ranges
                .iter()
                .map(|[begin, end]| format!("{}:{}:{}", path.display(), data + begin, end - begin)),
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn a_size_is_read_and_written_alike() {
        assert_eq!("768x1024".parse::<Size>().unwrap().to_string(), "768x1024");
        assert!("768".parse::<Size>().is_err());
    }
}
