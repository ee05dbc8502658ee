//! How do tests run the demo model through the binary, and read the pictures that it wrote?

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use pjrt_sim::{Entry, Event, Outcome, Sim};
use serde_json::Value;

use super::lab::{Lab, Preheat};

/// Makes XLA compile in half the time. The code is slower, and its results are as exact.
const QUICK: (&str, &str) = ("XLA_FLAGS", "--xla_backend_optimization_level=0");

/// The demo model's folder.
pub fn demo_model() -> PathBuf {
    super::repository("examples/demo-model")
}

impl Lab {
    /// `preheat` with the test plugin as xla-cpu, and with quick compiles.
    pub fn quick(&self, sim: &Sim) -> Preheat {
        self.preheat(sim).env(QUICK.0, QUICK.1)
    }

    /// `preheat` with the test plugin as tpu, and with quick compiles.
    pub fn quick_tpu(&self, sim: &Sim) -> Preheat {
        self.preheat_tpu(sim).env(QUICK.0, QUICK.1)
    }
}

/// Copies a folder and everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// How often the denoiser was executed. It is the executable that takes the most arguments.
pub fn denoiser_runs(log: &[Entry]) -> usize {
    let arguments = log.iter().filter(|entry| entry.outcome == Outcome::Ok).filter_map(|entry| {
        match entry.event {
            Event::Execute { arguments, .. } => Some(arguments),
            _ => None,
        }
    });
    let arguments: Vec<usize> = arguments.collect();
    arguments.iter().filter(|count| Some(*count) == arguments.iter().max()).count()
}

/// A picture that was read from its file.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// Red, green and blue, row by row.
    pub rgb: Vec<u8>,
    /// The text with the parameters, which other tools read.
    pub parameters: String,
    /// The settings.
    pub settings: Value,
}

impl Picture {
    pub fn read(path: &Path) -> Self {
        let mut reader =
            png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut rgb).unwrap();
        let info = reader.info();
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let text = |key: &str| {
            let chunk = info.utf8_text.iter().find(|chunk| chunk.keyword == key);
            chunk
                .unwrap_or_else(|| panic!("{} has no chunk {key}", path.display()))
                .get_text()
                .unwrap()
        };
        let settings = serde_json::from_str(&text("preheat")).unwrap();
        Self {
            width: info.width,
            height: info.height,
            rgb,
            parameters: text("parameters"),
            settings,
        }
    }

    /// Red, green and blue of the pixels in the top left corner of size `width` times `height`.
    pub fn corner(&self, width: u32, height: u32) -> Vec<u8> {
        let bytes = |pixels: u32| usize::try_from(pixels * 3).unwrap();
        let rows = self.rgb.chunks_exact(bytes(self.width)).take(usize::try_from(height).unwrap());
        rows.flat_map(|row| &row[..bytes(width)]).copied().collect()
    }

    /// How similar two pictures of the same size are, in decibels; infinite if they are equal.
    pub fn psnr(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let squares =
            self.rgb.iter().zip(&other.rgb).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let mean = squares.sum::<f64>() / self.rgb.len() as f64;
        10.0 * (255.0 * 255.0 / mean).log10()
    }
}
