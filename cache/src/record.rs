//! What is known of one compiled graph? A graph record holds everything except the machine code, so
//! that the graph can be compiled again from its record and its program.

use std::collections::BTreeMap;

use jiff::Timestamp;
use preheat_tensor::{Dtype, TensorType};
use serde::{Deserialize, Serialize, Serializer};

use crate::environment::{Environment, hex};
use crate::hash::Digest;
use crate::key::{GraphKey, KeyInputs, RecordedProjection};
use crate::options::CompileOptions;
use crate::program::ProgramFormat;
use crate::signature::Signature;

/// The version of the record's JSON. Fields may be added without a new version, since readers skip
/// fields that they do not know. A new field that is part of the graph key needs a new version: an
/// older reader would compute the key without this field.
pub(crate) const RECORD_VERSION: u32 = 1;
/// The version of a record that has the options of a framework, which are part of the key.
pub(crate) const FRAMEWORK_RECORD_VERSION: u32 = 2;

/// How many signatures one record keeps; the oldest are dropped first.
const SIGNATURES_KEPT: usize = 64;

/// All that is known of one compiled graph except its machine code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GraphRecord {
    /// The version of this JSON.
    pub version: u32,
    /// The key of the executable.
    pub graph_key: GraphKey,
    /// Which graph of a model it is: `denoiser`, `vae_decoder`, ...
    pub stage: String,
    /// The device it was compiled for, by the name of the command line: `tpu`, `xla-cpu`, ...
    pub device: String,
    /// The program that was compiled.
    pub program: ProgramInfo,
    /// How it was compiled.
    pub options: CompileOptions,
    /// The plugin and the devices that it was compiled for.
    pub environment: Environment,
    /// Inputs and outputs, if they are known.
    #[serde(default)]
    pub interface: Option<Interface>,
    /// The version of the machine code's binary interface as the plugin writes it, if the plugin
    /// has one. With this version, another build of the plugin can decide whether it accepts the
    /// machine code.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "hex")]
    pub abi_version: Option<Vec<u8>>,
    /// The plugin build that compiled the graph, if the environment names another build. This is
    /// the case after an upgrade of the plugin whose newer build accepts the machine code
    /// unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiled_by: Option<String>,
    /// The requests that led to this graph, oldest first.
    #[serde(default, serialize_with = "valid_signatures")]
    pub signatures: Vec<RecordedSignature>,
    /// What compiling and loading took in time and memory.
    #[serde(default)]
    pub measurements: Measurements,
    /// How often it was used.
    #[serde(default)]
    pub statistics: RecordStatistics,
    /// When it was compiled.
    pub created: Timestamp,
    /// Whether the entry is exempt from eviction.
    #[serde(default)]
    pub pinned: bool,
    /// The machine code, once it is stored.
    #[serde(default)]
    pub object: Option<ObjectInfo>,
}

/// The program of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProgramInfo {
    /// Its format.
    pub format: ProgramFormat,
    /// Its normalised digest.
    pub digest: Digest,
    /// Its length.
    pub bytes: u64,
}

/// The type of one input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// The element type's name.
    pub dtype: String,
    /// The dimensions, outermost first.
    pub dims: Vec<u64>,
}

impl TensorSpec {
    /// The type as this release knows it; `None` if the element type is one of a later release.
    pub fn kind(&self) -> Option<TensorType> {
        Some(TensorType::new(Dtype::from_stablehlo(&self.dtype)?, self.dims.clone()))
    }
}

impl From<&TensorType> for TensorSpec {
    fn from(kind: &TensorType) -> Self {
        Self { dtype: kind.dtype.stablehlo().to_owned(), dims: kind.dims.clone() }
    }
}

impl std::fmt::Display for TensorSpec {
    /// Writes the type as StableHLO spells it inside `tensor<>`: `2x3xf32`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for dim in &self.dims {
            write!(formatter, "{dim}x")?;
        }
        formatter.write_str(&self.dtype)
    }
}

/// The types of an executable's inputs and outputs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Interface {
    /// The inputs in order.
    pub inputs: Vec<TensorSpec>,
    /// The outputs in order.
    pub outputs: Vec<TensorSpec>,
}

/// A request that led to a graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedSignature {
    /// The exact request.
    pub signature: Signature,
    /// The key of its projection, under which level 1 finds the graph.
    pub projection_key: Digest,
    /// The parts that the projection key was made of; records of earlier releases lack them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<RecordedProjection>,
    /// When it was first made.
    pub first_used: Timestamp,
}

/// What was measured of a graph.
///
/// JSON can express neither infinities nor NaN. So a time that is not finite is written as 0 or
/// null, and a cost that is not finite is left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Measurements {
    /// The time the compile took.
    #[serde(serialize_with = "finite_or_zero")]
    pub compile_seconds: f64,
    /// The most memory that the compile held.
    pub compile_peak_bytes: Option<u64>,
    /// The time of the last load.
    pub load_seconds: Option<f64>,
    /// The plugin's cost analysis, by its names.
    #[serde(serialize_with = "finite_figures")]
    pub cost: BTreeMap<String, f64>,
    /// The plugin's memory figures, in bytes, by their names.
    pub memory_bytes: BTreeMap<String, u64>,
    /// Counts of what the compiler made of the program, such as `instructions` and `fusions`. They
    /// are taken when the graph is compiled, because the stored machine code may lack a part that
    /// no load needs.
    pub program_counts: BTreeMap<String, u64>,
}

/// The longest plausible time of a compile or a load: a hundred days.
const MOST_SECONDS: f64 = 100.0 * 24.0 * 3600.0;
/// The largest plausible count or size of one graph: 2^50, which is a pebibyte for a size.
const MOST_COUNTED: u64 = 1 << 50;
/// The largest plausible figure of a plugin's cost analysis.
const MOST_COST: f64 = 1e24;

impl Measurements {
    /// The same measurements without implausible figures, since a record may come from anyone.
    pub(crate) fn plausible(mut self) -> Self {
        let takes = |seconds: f64| (0.0..=MOST_SECONDS).contains(&seconds);
        self.compile_seconds = if takes(self.compile_seconds) { self.compile_seconds } else { 0.0 };
        self.load_seconds = self.load_seconds.filter(|seconds| takes(*seconds));
        self.compile_peak_bytes = self.compile_peak_bytes.filter(|bytes| *bytes <= MOST_COUNTED);
        // A plugin reports a negative cost if it does not know the cost.
        self.cost.retain(|_, cost| cost.abs() <= MOST_COST);
        self.memory_bytes.retain(|_, bytes| *bytes <= MOST_COUNTED);
        self.program_counts.retain(|_, count| *count <= MOST_COUNTED);
        self
    }
}

/// How often a graph was used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RecordStatistics {
    /// Uses for which nothing had to be compiled: loads, and uses of an executable in memory.
    pub hits: u64,
    /// When it was last loaded, found in memory, compiled or imported.
    pub last_used: Option<Timestamp>,
}

/// The machine code of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its length, uncompressed.
    pub payload_bytes: u64,
    /// Its blake3 hash.
    pub payload_digest: Digest,
    /// The length of the object file.
    pub stored_bytes: u64,
}

impl ObjectInfo {
    /// What is known of a payload that is not stored yet.
    pub(crate) fn of(payload: &[u8]) -> Self {
        Self {
            payload_bytes: payload.len() as u64,
            payload_digest: Digest::of(payload),
            stored_bytes: 0,
        }
    }
}

/// Writes only the signatures that a reader could read back.
fn valid_signatures<S: Serializer>(
    signatures: &[RecordedSignature],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(signatures.iter().filter(|one| one.signature.cfg_scale.is_finite()))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn finite_or_zero<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(if value.is_finite() { *value } else { 0.0 })
}

fn finite_figures<S: Serializer>(
    figures: &BTreeMap<String, f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(figures.iter().filter(|(_, value)| value.is_finite()))
}

fn version_of(options: &CompileOptions) -> u32 {
    if options.framework.is_some() { FRAMEWORK_RECORD_VERSION } else { RECORD_VERSION }
}

impl GraphRecord {
    /// A record of a compile of `inputs`, with nothing measured, used or stored yet.
    pub fn new(stage: impl Into<String>, device: impl Into<String>, inputs: &KeyInputs) -> Self {
        Self {
            version: version_of(&inputs.options),
            graph_key: inputs.graph_key(),
            stage: stage.into(),
            device: device.into(),
            program: ProgramInfo {
                format: inputs.program.format(),
                digest: inputs.program.digest(),
                bytes: inputs.program.bytes().len() as u64,
            },
            options: inputs.options.clone(),
            environment: (*inputs.environment).clone(),
            interface: None,
            abi_version: None,
            compiled_by: None,
            signatures: Vec::new(),
            measurements: Measurements::default(),
            statistics: RecordStatistics::default(),
            created: Timestamp::now(),
            pinned: false,
            object: None,
        }
    }

    /// The graph key, computed again from what the record says was compiled. `None` if the version
    /// of the record is not the one that this release writes, since the key may then have more
    /// inputs.
    pub(crate) fn key_of_inputs(&self) -> Option<GraphKey> {
        let key = || GraphKey::of(&self.program.digest, &self.options, &self.environment);
        (self.version == version_of(&self.options)).then(key)
    }

    /// Whether level 1 may return this graph for a stage. Level 1 does not know the program of the
    /// request, so it cannot compare programs. It compares the stage, the options and the
    /// environment in the record with those of the request. If they differ, the projection key led
    /// to a wrong graph.
    ///
    /// `environment_digest` is [`Environment::digest`]. Two stages that lower to the same program
    /// share a record, which names the stage that was compiled first. The other stage's graph is
    /// lowered, and its executable is found by the graph key.
    pub fn answers(
        &self,
        stage: &str,
        options: &CompileOptions,
        environment_digest: &Digest,
    ) -> bool {
        self.stage == stage
            && self.options.digest() == options.digest()
            && self.environment.digest() == *environment_digest
    }

    /// Adds a request unless the record has it already, and drops the oldest ones if there are too
    /// many. Returns whether the request was new.
    pub fn add_signature(&mut self, added: RecordedSignature) -> bool {
        let known = |one: &RecordedSignature| {
            one.projection_key == added.projection_key && one.signature == added.signature
        };
        if self.signatures.iter().any(known) {
            return false;
        }
        self.signatures.push(added);
        self.drop_oldest_signatures();
        true
    }

    /// Drops the oldest requests if the record has more than it may keep.
    pub(crate) fn drop_oldest_signatures(&mut self) {
        self.signatures.drain(..self.signatures.len().saturating_sub(SIGNATURES_KEPT));
    }
}

#[cfg(test)]
mod tests {
    use preheat_tensor::Dtype;

    use super::*;
    use crate::signature::create_execution_signature;

    fn signature(steps: u64) -> RecordedSignature {
        let signature =
            create_execution_signature("m", [1], 1, 7.0, "euler", steps, Dtype::Float32).unwrap();
        let projection_key = Digest::of(b"projection");
        RecordedSignature {
            signature,
            projection_key,
            projection: None,
            first_used: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn signatures_are_bounded_and_each_stands_once() {
        let inputs = crate::key::tests::inputs();
        let mut record = GraphRecord::new("denoiser", "xla-cpu", &inputs);
        assert!(record.add_signature(signature(1)));
        let later = RecordedSignature { first_used: Timestamp::now(), ..signature(1) };
        assert!(!record.add_signature(later));
        for steps in 2..200 {
            assert!(record.add_signature(signature(steps)));
        }
        assert_eq!(record.signatures.len(), SIGNATURES_KEPT);
        assert_eq!(record.signatures[0].signature.steps, 200 - SIGNATURES_KEPT as u64);
    }

    #[test]
    fn a_record_answers_for_its_own_stage_options_and_environment() {
        let inputs = crate::key::tests::inputs();
        let record = GraphRecord::new("denoiser", "xla-cpu", &inputs);
        let environment = inputs.environment.digest();
        assert!(record.answers("denoiser", &inputs.options, &environment));
        assert!(!record.answers("vae_decoder", &inputs.options, &environment));
        let options = CompileOptions { num_replicas: 2, ..CompileOptions::default() };
        assert!(!record.answers("denoiser", &options, &environment));
        let newer =
            Environment { plugin_build: "gnu:newer".into(), ..(*inputs.environment).clone() };
        assert!(!record.answers("denoiser", &inputs.options, &newer.digest()));
    }

    #[test]
    fn numbers_that_json_lacks_are_left_out() {
        let mut record = GraphRecord::new("denoiser", "xla-cpu", &crate::key::tests::inputs());
        record.add_signature(signature(1));
        let mut expected = record.clone();
        expected.measurements.cost.insert("flops".into(), 1.5);
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut record = expected.clone();
            record.measurements.compile_seconds = odd;
            record.measurements.load_seconds = Some(odd);
            record.measurements.cost.insert("bytes accessed".into(), odd);
            let mut unread = signature(2);
            unread.signature.cfg_scale = odd;
            record.add_signature(unread);
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<GraphRecord>(&json).unwrap(), expected);
        }
    }

    #[test]
    fn figures_that_no_measurement_gives_are_left_out() {
        let named = |value: f64| BTreeMap::from([("flops".to_owned(), value)]);
        let counted = |value: u64| BTreeMap::from([("temp".to_owned(), value)]);
        let right = Measurements {
            compile_seconds: 149.5,
            compile_peak_bytes: Some(5 << 30),
            load_seconds: Some(0.4),
            cost: named(-1.0),
            memory_bytes: counted(8 << 30),
            program_counts: counted(70_000),
        };
        assert_eq!(right.clone().plausible(), right);
        for odd in [-1e308, 1e308, -0.1] {
            let forged = Measurements {
                compile_seconds: odd,
                compile_peak_bytes: Some(u64::MAX),
                load_seconds: Some(odd),
                cost: named(odd * 1e100),
                memory_bytes: counted(u64::MAX),
                program_counts: counted(u64::MAX),
            };
            let plausible = forged.plausible();
            assert!(plausible.cost.values().all(|cost| cost.abs() < 1e30));
            assert_eq!(
                Measurements { cost: BTreeMap::new(), ..plausible },
                Measurements::default()
            );
        }
    }

    #[test]
    fn json_reads_back_and_what_is_unknown_is_skipped() {
        let mut record = GraphRecord::new("denoiser", "xla-cpu", &crate::key::tests::inputs());
        record.add_signature(signature(1));
        let mut json = serde_json::to_value(&record).unwrap();
        assert_eq!(serde_json::from_value::<GraphRecord>(json.clone()).unwrap(), record);
        for later in ["abi_version", "compiled_by", "projection"] {
            assert!(
                !json.to_string().contains(&format!("{later:?}")),
                "earlier releases, which did not know {later}, wrote the same JSON"
            );
        }
        let builder = crate::key::BuilderId("b".into());
        let projection = RecordedProjection {
            stage: "denoiser".into(),
            signature: Digest::of(b"projected"),
            builder,
        };
        let of_now = GraphRecord {
            abi_version: Some(vec![0x0a, 0xff]),
            compiled_by: Some("gnu:older".into()),
            signatures: vec![RecordedSignature { projection: Some(projection), ..signature(1) }],
            ..record.clone()
        };
        let text = serde_json::to_string(&of_now).unwrap();
        assert!(text.contains("0aff"), "{text}");
        assert_eq!(serde_json::from_str::<GraphRecord>(&text).unwrap(), of_now);
        json["added_later"] = 1.into();
        assert_eq!(serde_json::from_value::<GraphRecord>(json).unwrap(), record);
    }
}
