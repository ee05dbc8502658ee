//! XLA, through a PJRT plugin: describes the environment, compiles, and loads what was compiled.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use preheat_cache::{
    CompileOptions, Environment, Flags, Host, Interface, KeyInputs, Measurements, OptionValue, Program, ProgramFormat,
    TensorSpec, schedulable_cpus,
};
use prost::Message;

use super::{BackendError, slim};
use crate::device::XlaDevice;
use crate::pjrt::hlo::TensorType;
use crate::pjrt::{self, Client, Device, PjrtError, Plugin, Topology, Value, options};

/// A client of one plugin, and the environment that its executables fit.
#[derive(Debug)]
pub(crate) struct XlaBackend {
    pub(crate) name: XlaDevice,
    pub(crate) client: Client,
    /// What runs here: the first device that this process may use.
    pub(crate) device: Device,
    pub(crate) environment: Arc<Environment>,
}

/// An executable as bytes.
pub(crate) enum Payload {
    /// As the plugin wrote it.
    Whole(pjrt::SerializedExecutable),
    /// Without what only the compiler needed.
    Slimmed(Vec<u8>),
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(payload) => payload,
            Self::Slimmed(payload) => payload,
        }
    }
}

/// An executable fresh from the compiler.
pub(crate) struct Compiled {
    pub(crate) loaded: pjrt::LoadedExecutable,
    /// The executable as bytes, where the plugin can give them.
    pub(crate) payload: Result<Payload, PjrtError>,
    pub(crate) interface: Option<Interface>,
    pub(crate) measurements: Measurements,
}

impl XlaBackend {
    /// Loads the plugin at `path` and creates a client. `build` names the plugin's build, for the environment; it is
    /// asked once per process and plugin.
    pub(crate) fn open(
        name: XlaDevice,
        path: &Path,
        build: impl FnOnce() -> Result<String, BackendError>,
    ) -> Result<Self, BackendError> {
        let unusable = |cause| BackendError::Plugin { device: name, path: path.to_owned(), cause };
        let (plugin, identity) = load_identified(path, build, unusable)?;
        let client = Client::create(&plugin, &[]).map_err(unusable)?;
        let no_device = || BackendError::NoDevice { device: name, path: path.to_owned() };
        let device = client.addressable_devices().map_err(unusable)?.into_iter().next().ok_or_else(no_device)?;
        let environment = Arc::new(environment(&client, &device, identity).map_err(unusable)?);
        Ok(Self { name, client, device, environment })
    }

    /// The device by what its platform calls itself: for a plugin that was named without saying what it is for.
    pub(crate) fn named_by_platform(mut self) -> Self {
        self.name = match self.environment.platform.as_str() {
            "tpu" => XlaDevice::Tpu,
            "cuda" | "gpu" | "rocm" => XlaDevice::XlaCuda,
            _ => XlaDevice::XlaCpu,
        };
        self
    }

    /// Memory that could still be had on the device, in bytes; on the CPU, what the system has left for programs.
    pub(crate) fn free_memory_bytes(&self) -> Option<u64> {
        if self.environment.platform == "cpu" {
            return available_host_bytes();
        }
        let stats = self.device.memory_stats().ok().flatten()?;
        u64::try_from(stats.bytes_limit? - stats.bytes_in_use).ok()
    }

    /// Loads an executable from the bytes that a compile for this environment gave.
    pub(crate) fn load(&self, payload: &[u8]) -> Result<pjrt::LoadedExecutable, PjrtError> {
        self.client.deserialize_and_load(payload, None)
    }
}

/// Compiles `inputs` with `client`. It is given what the key covers and nothing else, so what it makes cannot depend on
/// anything that the key does not name. (The plugin itself reads `XLA_FLAGS` and `LIBTPU_INIT_ARGS`: they are in the
/// environment's key.)
pub(crate) fn compile(client: &Client, inputs: &KeyInputs) -> Result<Compiled, PjrtError> {
    let options = encode_options(&inputs.options)?;
    let began = Instant::now();
    let loaded = client.compile(as_pjrt(&inputs.program), &options)?;
    let compile_seconds = began.elapsed().as_secs_f64();
    let executable = loaded.executable();
    let optimized = executable.optimized_program().ok();
    let payload = executable.serialize().map(|whole| slimmed(whole, inputs));
    Ok(Compiled {
        interface: optimized.as_ref().and_then(interface),
        measurements: Measurements {
            compile_seconds,
            compile_peak_bytes: peak_resident_bytes(),
            load_seconds: None,
            cost: executable.cost_analysis().ok().flatten().map(numbers).unwrap_or_default(),
            memory_bytes: memory_bytes(executable),
            program_counts: optimized.as_ref().map(program_counts).unwrap_or_default(),
        },
        payload,
        loaded,
    })
}

/// What is kept of an executable: less, where this plugin build is known to run the same without the rest.
///
/// `PREHEAT_SLIM=0` keeps it whole. That is in no key: both forms compute the same, and either serves who asked for the other.
fn slimmed(whole: pjrt::SerializedExecutable, KeyInputs { environment, options, .. }: &KeyInputs) -> Payload {
    // What runs on several devices was not tried.
    let on_one_device = options.num_replicas == 1 && options.num_partitions == 1;
    let proven = environment.platform == "cpu" && slim::is_proven(&environment.plugin_build);
    if !proven || !on_one_device || !slim::is_wanted() {
        return Payload::Whole(whole);
    }
    match slim::slim(&whole) {
        Ok(slimmed) => {
            tracing::debug!(whole_bytes = whole.len(), slimmed_bytes = slimmed.len(), "slimmed an executable");
            Payload::Slimmed(slimmed)
        }
        Err(error) => {
            tracing::debug!(%error, "an executable is kept as the plugin wrote it");
            Payload::Whole(whole)
        }
    }
}

fn as_pjrt(program: &Program) -> pjrt::Program<'_> {
    match program.format() {
        ProgramFormat::Mlir => pjrt::Program::mlir(program.bytes()),
        ProgramFormat::Hlo => pjrt::Program::hlo(program.bytes()),
    }
}

fn encode_options(given: &CompileOptions) -> Result<Vec<u8>, PjrtError> {
    let overrides = given.overrides.iter().map(|(name, value)| {
        let value = match value {
            OptionValue::Bool(value) => options::OptionOverride::Bool(*value),
            OptionValue::Int(value) => options::OptionOverride::Int(*value),
            OptionValue::Float(value) => options::OptionOverride::Float(*value),
            OptionValue::Text(value) => options::OptionOverride::Text(value.clone()),
        };
        (name.as_str(), value)
    });
    options::encode(
        given.num_replicas,
        given.num_partitions,
        given.use_spmd_partitioning,
        &given.device_assignment,
        overrides,
    )
}

/// The inputs and outputs as the optimised program has them; `None` where it is in a form that cannot be read.
fn interface(optimized: &pjrt::OptimizedProgram) -> Option<Interface> {
    let shape = pjrt::hlo::program_shape(optimized).ok()?;
    let specs = |types: &[TensorType]| types.iter().map(spec).collect();
    Some(Interface { inputs: specs(&shape.parameters), outputs: specs(&shape.results) })
}

fn spec(kind: &TensorType) -> TensorSpec {
    TensorSpec { dtype: kind.element_type.name().to_owned(), dims: kind.dimensions.clone() }
}

/// The types that a record's interface names; `None` where one of them is unknown to this release.
pub(crate) fn types(specs: &[TensorSpec]) -> Option<Vec<TensorType>> {
    let one =
        |spec: &TensorSpec| Some(TensorType { element_type: spec.dtype.parse().ok()?, dimensions: spec.dims.clone() });
    specs.iter().map(one).collect()
}

fn numbers(values: BTreeMap<String, Value>) -> BTreeMap<String, f64> {
    values.into_iter().filter_map(|(name, value)| Some((name, number(&value)?))).collect()
}

fn number(value: &Value) -> Option<f64> {
    match value {
        // JSON has no other.
        Value::Float(value) if value.is_finite() => Some((*value).into()),
        #[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53")]
        Value::Int(value) => Some(*value as f64),
        _ => None,
    }
}

fn program_counts(optimized: &pjrt::OptimizedProgram) -> BTreeMap<String, u64> {
    let Ok(counts) = pjrt::hlo::program_counts(optimized) else { return BTreeMap::new() };
    [("instructions", counts.instructions), ("fusions", counts.fusions)]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn memory_bytes(executable: &pjrt::Executable) -> BTreeMap<String, u64> {
    let Ok(Some(stats)) = executable.compiled_memory_stats() else { return BTreeMap::new() };
    [
        ("generated_code", stats.generated_code_bytes),
        ("arguments", stats.argument_bytes),
        ("outputs", stats.output_bytes),
        ("aliases", stats.alias_bytes),
        ("temporaries", stats.temporary_bytes),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), u64::try_from(bytes).unwrap_or(0)))
    .collect()
}

/// The largest resident size that this process ever had; Linux tells it as `VmHWM`.
fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Memory that programs can have before the system has to swap; Linux tells it as `MemAvailable`.
fn available_host_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What decides how a plugin compiles that is fixed once it is loaded: its file, and the flags that it read then.
#[derive(Debug, Clone)]
struct Identity {
    plugin_build: String,
    xla_flags: Flags,
    libtpu_init_args: Flags,
}

/// The plugins that this process has loaded. A library stays loaded, and XLA reads its flags once; so what was true when it was
/// loaded is what the environment must say of it, whatever became of the file and the variables since.
static LOADED: Mutex<BTreeMap<PathBuf, Identity>> = Mutex::new(BTreeMap::new());

fn load_identified(
    path: &Path,
    build: impl FnOnce() -> Result<String, BackendError>,
    unusable: impl Fn(PjrtError) -> BackendError,
) -> Result<(Plugin, Identity), BackendError> {
    // Held over the loading, so that no other thread loads it unidentified; a panic under the lock leaves the table whole.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = path.canonicalize().ok().and_then(|path| loaded.get(&path).cloned());
    if let Some(identity) = known {
        return Ok((Plugin::open(path).map_err(unusable)?, identity));
    }
    let before = file_state(path);
    let identity = Identity {
        plugin_build: build()?,
        xla_flags: Flags::from_xla_flags(&variable("XLA_FLAGS")?)
            .map_err(|error| BackendError::Flags { variable: "XLA_FLAGS", why: error.to_string() })?,
        libtpu_init_args: Flags::parse(&variable("LIBTPU_INIT_ARGS")?),
    };
    let plugin = Plugin::open(path).map_err(unusable)?;
    if file_state(path) != before {
        return Err(BackendError::Replaced { path: path.to_owned() });
    }
    loaded.insert(plugin.path().to_owned(), identity.clone());
    Ok((plugin, identity))
}

/// What changes when a file is replaced; `None` where it cannot be asked.
fn file_state(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn variable(variable: &'static str) -> Result<String, BackendError> {
    match std::env::var(variable) {
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => Ok(String::new()),
        Err(error) => Err(BackendError::Flags { variable, why: error.to_string() }),
    }
}

fn environment(client: &Client, device: &Device, identity: Identity) -> Result<Environment, PjrtError> {
    let topology = client.topology()?;
    let raw = topology.serialize()?;
    let platform = client.platform_name()?;
    let host =
        (platform == "cpu").then(|| Host { features: host_features(&raw), schedulable_cpus: schedulable_cpus() });
    Ok(Environment {
        plugin_build: identity.plugin_build,
        platform_version: client.platform_version()?,
        device_kind: device.kind()?,
        topology: canonical_topology(&topology)?,
        device_assignment: Vec::new(),
        xla_flags: identity.xla_flags,
        libtpu_init_args: identity.libtpu_init_args,
        host,
        raw_topology: Some(raw),
        platform,
    })
}

/// The topology as a client and a compile without one agree on it: kind, bounds, number of cores.
///
/// The bounds come from the devices' coordinates, where they have any; a TPU's chips lie in a grid, and each has one core
/// or more. Devices without coordinates lie in a row.
fn canonical_topology(topology: &Topology) -> Result<preheat_cache::Topology, PjrtError> {
    let devices = topology.device_descriptions()?;
    let kind = devices.first().map(|device| device.kind.clone()).unwrap_or_default();
    let mut bounds: Vec<u64> = Vec::new();
    for device in &devices {
        let Some(Value::IntList(coordinates)) = device.attributes.get("coords") else { continue };
        bounds.resize(bounds.len().max(coordinates.len()), 0);
        for (bound, coordinate) in bounds.iter_mut().zip(coordinates) {
            *bound = (*bound).max(u64::try_from(*coordinate).unwrap_or(0) + 1);
        }
    }
    let core_count = devices.len() as u64;
    if bounds.is_empty() {
        bounds.push(core_count);
    }
    Ok(preheat_cache::Topology { kind, bounds, core_count })
}

/// The one field that is read of `xla.CpuTopologyProto` (`xla/pjrt/proto/pjrt_c_api` and its neighbours): the host's
/// features as LLVM names them, `+` for those it has and `-` for those it lacks.
#[derive(Clone, PartialEq, Message)]
struct CpuTopology {
    #[prost(string, repeated, tag = "4")]
    machine_attributes: Vec<String>,
}

/// XLA:CPU's executables hold instructions for the host's features, which its serialised topology lists. Where a release
/// writes it in another form, the whole of it stands for the features: that can only miss, never hit wrongly.
fn host_features(raw_topology: &[u8]) -> Vec<String> {
    let mut features = match CpuTopology::decode(raw_topology) {
        Ok(topology) if !topology.machine_attributes.is_empty() => topology.machine_attributes,
        _ => vec![format!("topology:{}", preheat_cache::Digest::of(raw_topology))],
    };
    features.sort_unstable();
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_sorted_and_an_unknown_form_stands_for_itself() {
        let topology = CpuTopology { machine_attributes: vec!["+avx2".into(), "+adx".into()] };
        assert_eq!(host_features(&topology.encode_to_vec()), ["+adx", "+avx2"]);
        let unknown = host_features(b"\x0a\x03abc");
        assert_eq!(unknown.len(), 1);
        assert!(unknown[0].starts_with("topology:"));
        assert_ne!(unknown, host_features(b"\x0a\x03abd"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_is_told_in_bytes() {
        assert!(peak_resident_bytes().unwrap() > 1 << 20);
    }
}
