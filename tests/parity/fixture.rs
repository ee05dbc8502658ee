//! Which model is tested, and what does diffusers compute with it? A fixture holds one of the small
//! models.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use preheat::Runtime;
use preheat_diffusion::models::ModelFolder;
use preheat_diffusion::pipeline::noise::Generator;
use preheat_runtime::CompileEffort;
use preheat_runtime::device;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use crate::support::{random_model, repository, xla_cpu_plugin};

/// A model with its weights, in a folder that is removed with the fixture.
pub struct Fixture {
    pub name: &'static str,
    pub folder: PathBuf,
    pub model: ModelFolder,
    runtime: OnceLock<Runtime>,
    fast_runtime: OnceLock<Runtime>,
    pub cases: Vec<Case>,
    expected: Vec<u8>,
    _temp: tempfile::TempDir,
}

/// An entry of `cases.json`. A field with any other name fails the test, so no argument is ignored.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub tensor: String,
    pub seed: Option<OneOrMany<u64>>,
    pub timestep: Option<f32>,
    pub batch: Option<u64>,
    pub height: Option<u64>,
    pub width: Option<u64>,
    pub prompt: Option<OneOrMany<String>>,
    pub negative_prompt: Option<String>,
    pub guidance_scale: Option<f64>,
    pub num_inference_steps: Option<u64>,
    pub scheduler: Option<String>,
    pub clip_skip: Option<u64>,
    pub prompt_2: Option<String>,
    pub negative_prompt_2: Option<String>,
    // These are the arguments of cases that no request can express.
    num_images_per_prompt: Option<u64>,
    guidance_rescale: Option<f64>,
    original_size: Option<[u64; 2]>,
    crops_coords_top_left: Option<[u64; 2]>,
    target_size: Option<[u64; 2]>,
    // The scheduler's settings as diffusers resolved them. They are for people who read the file.
    #[serde(rename = "resolved_scheduler")]
    _resolved_scheduler: Option<serde_json::Value>,
}

impl Case {
    /// Whether this case has arguments for which a request has no field.
    pub fn has_more_than_a_request(&self) -> bool {
        self.num_images_per_prompt.is_some()
            || self.guidance_rescale.is_some()
            || [self.original_size, self.crops_coords_top_left, self.target_size]
                .iter()
                .any(Option::is_some)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: Clone> OneOrMany<T> {
    pub fn to_vec(&self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// A tensor that diffusers computed.
pub struct Expected {
    pub dims: Vec<usize>,
    pub values: Vec<f32>,
}

impl Expected {
    /// The values of one element of the batch.
    pub fn row(&self, row: usize) -> &[f32] {
        let each = self.values.len() / self.dims[0];
        &self.values[row * each..][..each]
    }
}

impl Fixture {
    pub fn new(name: &'static str) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = random_model::write_small(name, temp.path()).unwrap();
        let path = repository(&format!("tests/fixtures/models/{name}/expected.safetensors"));
        Self {
            name,
            model: ModelFolder::open(&folder).unwrap(),
            folder,
            runtime: OnceLock::new(),
            fast_runtime: OnceLock::new(),
            cases: Self::cases_of(name),
            expected: std::fs::read(path).unwrap(),
            _temp: temp,
        }
    }

    /// A runtime on XLA:CPU whose compiler works as it does by default. The first call builds it.
    pub fn runtime(&self) -> &Runtime {
        self.runtime.get_or_init(|| Self::build_runtime(CompileEffort::Full))
    }

    /// A runtime on XLA:CPU whose compiler saves time. The first call builds it.
    pub fn fast_runtime(&self) -> &Runtime {
        self.fast_runtime.get_or_init(|| Self::build_runtime(CompileEffort::Fast))
    }

    fn build_runtime(effort: CompileEffort) -> Runtime {
        let device = device::DeviceRequest {
            device: device::DeviceName::XlaCpu,
            ..device::DeviceRequest::default()
        };
        let builder = Runtime::builder().device(device).plugin(xla_cpu_plugin());
        builder.compile_effort(effort).cache_dir(cache_dir(effort)).build().unwrap()
    }

    pub fn cases_of(name: &str) -> Vec<Case> {
        let path = repository(&format!("tests/fixtures/models/{name}/cases.json"));
        // Python writes infinities, which occur in the schedulers' settings, in a way that is not
        // JSON.
        let text = std::fs::read_to_string(path).unwrap().replace("-Infinity", "null");
        serde_json::from_str(&text).unwrap()
    }

    /// The tensor that diffusers computed. If it consists of bytes, they are numbers from 0 to 255.
    pub fn expected(&self, tensor: &str) -> Expected {
        let file = SafeTensors::deserialize(&self.expected).unwrap();
        let tensor = file.tensor(tensor).unwrap_or_else(|error| panic!("{tensor}: {error}"));
        let values = match tensor.dtype() {
            Dtype::U8 => tensor.data().iter().map(|&byte| byte.into()).collect(),
            Dtype::F32 => tensor
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
                .collect(),
            other => panic!("{other:?}"),
        };
        Expected { dims: tensor.shape().to_vec(), values }
    }

    /// Cases whose tensor begins with `prefix`.
    pub fn cases<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Case> {
        self.cases.iter().filter(move |case| case.tensor.starts_with(prefix))
    }

    /// The names of all expected tensors.
    pub fn tensors(&self) -> Vec<String> {
        SafeTensors::deserialize(&self.expected)
            .unwrap()
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
}

/// The folder of the cache of all fixtures in this process for one effort. It is empty when the
/// process begins, so that the tests run what today's compiler makes. Each effort has its own,
/// because the cache of both would serve a request for the fast effort with a full executable.
fn cache_dir(effort: CompileEffort) -> PathBuf {
    static CACHES: OnceLock<PathBuf> = OnceLock::new();
    let caches = CACHES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parity-caches");
        // Remove what an earlier run of these tests left.
        let _ = std::fs::remove_dir_all(&folder);
        folder
    });
    caches.join(effort.name())
}

/// The largest absolute difference, as a share of the largest absolute value of `want`.
pub fn error(have: &[f32], want: &[f32]) -> f64 {
    assert_eq!(have.len(), want.len());
    let largest = want.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    have.iter().zip(want).fold(0.0, |most: f64, (have, want)| {
        let difference = f64::from((have - want).abs()) / f64::from(largest);
        // A NaN counts as an infinite difference.
        most.max(if difference.is_nan() { f64::INFINITY } else { difference })
    })
}

/// The errors of one part of a model, with a limit for the worst one.
pub struct Worst {
    title: String,
    limit: f64,
    compared: Vec<(f64, String)>,
}

impl Worst {
    pub fn new(fixture: &Fixture, part: &str, limit: f64) -> Self {
        Self { title: format!("{:10} {part:14}", fixture.name), limit, compared: Vec::new() }
    }

    pub fn add(&mut self, tensor: &str, error: f64) {
        self.compared.push((error, tensor.to_owned()));
    }

    /// The names of the tensors that were compared, sorted.
    pub fn tensors(&self) -> Vec<String> {
        let mut tensors: Vec<_> = self.compared.iter().map(|(_, tensor)| tensor.clone()).collect();
        tensors.sort();
        tensors
    }

    /// Prints the largest error, and fails with a list of all errors above the limit.
    #[track_caller]
    pub fn check(mut self) {
        self.compared.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (error, tensor) = self.compared.first().expect("something was compared");
        println!(
            "parity {} {error:.1e} at most, in {tensor} of {}",
            self.title,
            self.compared.len()
        );
        let wrong: Vec<_> = self.compared.iter().filter(|(error, _)| *error > self.limit).collect();
        assert!(wrong.is_empty(), "{}: above {:e}: {wrong:?}", self.title, self.limit);
    }
}

/// `torch.randn` from a fresh generator.
pub fn noise(seed: u64, dims: &[u64]) -> Vec<f32> {
    Generator::new(seed).normal(dims.iter().product::<u64>().try_into().unwrap())
}
