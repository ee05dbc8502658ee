//! How are graphs compiled and loaded with XLA, through a PJRT plugin?
//!
//! `device.rs` implements the traits of `contract.rs` for such a plugin.

mod device;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use preheat_cache::{
    CompileOptions, Environment, Interface, KeyInputs, Measurements, OptionValue, Program,
    ProgramFormat, TensorSpec,
};
use preheat_environment::{Facts, Identity};
use preheat_pjrt::{Client, Device, PjrtError, PjrtValue, Plugin, options};
use preheat_tensor::TensorType;

use super::contract::{Compiled, Payload};
use super::{BackendError, file_state, slim};
use crate::device::XlaDevice;
use crate::effort::OPTIMIZATION_LEVEL;

/// A client of one plugin, and the environment that its executables fit.
#[derive(Debug)]
pub(crate) struct XlaBackend {
    pub(crate) name: XlaDevice,
    pub(crate) client: Client,
    /// The device that runs the executables: the first one that this process may use.
    pub(crate) device: Device,
    pub(crate) environment: Arc<Environment>,
    /// The environment variables that the plugin read when it was loaded.
    pub(crate) variables: [(&'static str, String); 2],
}

impl XlaBackend {
    /// Loads the plugin at `path` and creates a client. `build` returns the name of the plugin's
    /// build, for the environment. It is called only if this process has not loaded the plugin yet.
    pub(crate) fn open(
        name: XlaDevice,
        path: &Path,
        build: impl FnOnce() -> Result<String, BackendError>,
    ) -> Result<Self, BackendError> {
        let unusable = |cause| BackendError::Plugin { device: name, path: path.to_owned(), cause };
        let (plugin, identity) = load_identified(path, build, unusable)?;
        let client = Client::create(&plugin, &[]).map_err(unusable)?;
        let no_device = || BackendError::NoDevice { device: name, path: path.to_owned() };
        let device = client
            .addressable_devices()
            .map_err(unusable)?
            .into_iter()
            .next()
            .ok_or_else(no_device)?;
        let facts =
            client.topology().and_then(|topology| Facts::read(&topology)).map_err(unusable)?;
        let variables = identity.variables().clone();
        let environment = Arc::new(facts.environment(identity));
        Ok(Self { name, client, device, environment, variables })
    }

    /// Names the device after the platform that the plugin reports. This is for a plugin that the
    /// user named by its file, without a device.
    pub(crate) fn named_by_platform(mut self) -> Self {
        self.name = match self.environment.platform.as_str() {
            "tpu" => XlaDevice::Tpu,
            "cuda" | "gpu" | "rocm" => XlaDevice::XlaCuda,
            _ => XlaDevice::XlaCpu,
        };
        self
    }
}

/// Compiles `inputs` with `client`. This function gets only what the key covers, so its result
/// cannot depend on anything else. The plugin itself reads `XLA_FLAGS` and `LIBTPU_INIT_ARGS`. The
/// environment, which is a part of the key, covers these.
pub(crate) fn compile(
    client: &Client,
    inputs: &KeyInputs,
) -> Result<(preheat_pjrt::LoadedExecutable, Compiled), PjrtError> {
    let options = encode_options(&inputs.program, &inputs.options)?;
    let began = Instant::now();
    let loaded = client.compile(as_pjrt(&inputs.program)?, &options)?;
    let compile_seconds = began.elapsed().as_secs_f64();
    let executable = loaded.executable();
    let compiled = Compiled {
        payload: executable.serialize().map(|whole| slimmed(whole, inputs)).map_err(Into::into),
        interface: interface(executable),
        abi_version: abi_version(executable),
        measurements: measurements(executable, compile_seconds),
    };
    Ok((loaded, compiled))
}

/// The measurements of an executable that was just compiled.
pub(super) fn measurements(
    executable: &preheat_pjrt::PjrtExecutable,
    compile_seconds: f64,
) -> Measurements {
    Measurements {
        compile_seconds,
        compile_peak_bytes: peak_resident_bytes(),
        load_seconds: None,
        cost: executable.cost_analysis().ok().flatten().map(numbers).unwrap_or_default(),
        memory_bytes: memory_bytes(executable),
        program_counts: program_counts(executable),
    }
}

/// The bytes to store of an executable. They are slimmed if this plugin build is known to give the
/// same results without the removed parts.
///
/// `PREHEAT_SLIM=0` keeps the executable whole. The variable is part of no key: both forms compute
/// the same, so a request can be served by either.
fn slimmed(
    whole: preheat_pjrt::SerializedExecutable,
    KeyInputs { environment, options, .. }: &KeyInputs,
) -> Payload {
    // Slimming was not tested on executables for several devices.
    let on_one_device = options.num_replicas == 1 && options.num_partitions == 1;
    let proven = environment.platform == "cpu" && slim::is_proven(&environment.plugin_build);
    // A framework also reads an executable's properties, which a slimmed executable has lost.
    let of_a_framework = options.framework.is_some();
    if !proven || !on_one_device || of_a_framework || !slim::is_wanted() {
        return Box::new(whole);
    }
    match slim::slim(&whole) {
        Ok(slimmed) => {
            tracing::debug!(
                whole_bytes = whole.len(),
                slimmed_bytes = slimmed.len(),
                "slimmed an executable"
            );
            Box::new(slimmed)
        }
        Err(error) => {
            tracing::debug!(%error, "an executable is kept as the plugin wrote it");
            Box::new(whole)
        }
    }
}

pub(super) fn as_pjrt(program: &Program) -> Result<preheat_pjrt::PjrtProgram<'_>, PjrtError> {
    match program.format() {
        ProgramFormat::Mlir => Ok(preheat_pjrt::PjrtProgram::mlir(program.bytes())),
        ProgramFormat::Hlo => Ok(preheat_pjrt::PjrtProgram::hlo(program.bytes())),
        format @ ProgramFormat::Graph => {
            Err(PjrtError::NotForPlugins { format: format.to_string() })
        }
    }
}

/// The compile options for a program. They depend on which partitioner's annotations the program
/// has, which the key covers as a part of the program.
pub(super) fn encode_options(
    program: &Program,
    given: &CompileOptions,
) -> Result<Vec<u8>, PjrtError> {
    if let Some(framework) = &given.framework {
        return Ok(framework.raw().to_vec());
    }
    let uses_shardy = || program.requirements().is_ok_and(|wanted| wanted.uses_shardy);
    let partitioner = given.use_spmd_partitioning.then(|| {
        if uses_shardy() { options::Partitioner::Shardy } else { options::Partitioner::Gspmd }
    });
    let overrides = given.overrides.iter().filter(|(name, _)| *name != OPTIMIZATION_LEVEL);
    let level = given.overrides.get(OPTIMIZATION_LEVEL).map(level).transpose()?;
    let overrides = overrides.map(|(name, value)| {
        let value = match value {
            OptionValue::Bool(value) => options::OptionOverride::Bool(*value),
            OptionValue::Int(value) => options::OptionOverride::Int(*value),
            OptionValue::Float(value) => options::OptionOverride::Float(*value),
            OptionValue::Text(value) => options::OptionOverride::Text(value.clone()),
        };
        (name.as_str(), value)
    });
    let build = options::BuildOptions {
        num_replicas: given.num_replicas,
        num_partitions: given.num_partitions,
        partitioner,
        device_assignment: &given.device_assignment,
        level,
    };
    options::encode(&build, overrides)
}

/// The value of the option that stands for XLA's `optimization_level`.
fn level(value: &OptionValue) -> Result<options::OptimizationLevel, PjrtError> {
    use options::OptimizationLevel::{O0, O1, O2, O3};
    match value {
        OptionValue::Text(name) if name == "O0" => Ok(O0),
        OptionValue::Text(name) if name == "O1" => Ok(O1),
        OptionValue::Text(name) if name == "O2" => Ok(O2),
        OptionValue::Text(name) if name == "O3" => Ok(O3),
        other => {
            let what =
                format!("{OPTIMIZATION_LEVEL} is {other:?}, and O0, O1, O2 and O3 are levels");
            Err(PjrtError::BadOptions { what })
        }
    }
}

/// The executable's ABI version; `None` if the plugin has none or does not return it. The
/// executable is then compiled anew for every build.
pub(super) fn abi_version(executable: &preheat_pjrt::PjrtExecutable) -> Option<Vec<u8>> {
    let version = executable
        .abi_version()
        .and_then(|version| version.map(|version| version.to_bytes()).transpose());
    version
        .inspect_err(|error| tracing::debug!(%error, "the executable's ABI version is not known"))
        .ok()
        .flatten()
}

/// The inputs and outputs of the optimised program; `None` if the plugin does not report them.
pub(super) fn interface(executable: &preheat_pjrt::PjrtExecutable) -> Option<Interface> {
    let shape = executable.program_shape().ok()?;
    let specs = |types: &[TensorType]| types.iter().map(TensorSpec::from).collect();
    Some(Interface { inputs: specs(&shape.parameters), outputs: specs(&shape.results) })
}

/// The types in a record's interface; `None` if one of them is unknown to this release.
pub(crate) fn types(specs: &[TensorSpec]) -> Option<Vec<TensorType>> {
    specs.iter().map(TensorSpec::kind).collect()
}

fn numbers(values: BTreeMap<String, PjrtValue>) -> BTreeMap<String, f64> {
    values.into_iter().filter_map(|(name, value)| Some((name, number(&value)?))).collect()
}

fn number(value: &PjrtValue) -> Option<f64> {
    match value {
        // JSON cannot represent infinities and NaN.
        PjrtValue::Float(value) if value.is_finite() => Some((*value).into()),
        #[expect(clippy::cast_precision_loss, reason = "figures for reading; exact up to 2^53")]
        PjrtValue::Int(value) => Some(*value as f64),
        _ => None,
    }
}

/// The numbers of instructions and of fusions in the optimised program. The map is empty if the
/// plugin does not return the program in a readable form.
fn program_counts(executable: &preheat_pjrt::PjrtExecutable) -> BTreeMap<String, u64> {
    let counts = executable
        .optimized_program()
        .and_then(|program| preheat_pjrt::hlo::program_counts(&program));
    let Ok(counts) = counts else { return BTreeMap::new() };
    [("instructions", counts.instructions), ("fusions", counts.fusions)]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}

fn memory_bytes(executable: &preheat_pjrt::PjrtExecutable) -> BTreeMap<String, u64> {
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

/// The largest resident size of this process so far; Linux reports it as `VmHWM`.
pub(crate) fn peak_resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The plugins that this process has loaded, each with its identity at that time. A library stays
/// loaded, and XLA reads its flags only once. The environment must therefore describe the file and
/// the variables as they were then, even if they have changed since.
static LOADED: Mutex<BTreeMap<PathBuf, Identity>> = Mutex::new(BTreeMap::new());

/// Whether this process has loaded the plugin at `path`.
pub(crate) fn is_loaded(path: &Path) -> bool {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    path.canonicalize().is_ok_and(|path| loaded.contains_key(&path))
}

fn load_identified(
    path: &Path,
    build: impl FnOnce() -> Result<String, BackendError>,
    unusable: impl Fn(PjrtError) -> BackendError,
) -> Result<(Plugin, Identity), BackendError> {
    // The lock is held during the load, so that no other thread loads the plugin without its
    // identity. A panic while the lock is held leaves the table intact.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = path.canonicalize().ok().and_then(|path| loaded.get(&path).cloned());
    if let Some(identity) = known {
        return Ok((Plugin::open(path).map_err(unusable)?, identity));
    }
    let before = file_state(path);
    let identity = Identity::now(build()?)?;
    let plugin = Plugin::open(path).map_err(unusable)?;
    if file_state(path) != before {
        return Err(BackendError::Replaced { path: path.to_owned() });
    }
    loaded.insert(plugin.path().to_owned(), identity.clone());
    Ok((plugin, identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_is_told_in_bytes() {
        assert!(peak_resident_bytes().unwrap() > 1 << 20);
    }
}
