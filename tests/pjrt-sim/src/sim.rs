//! How does a test find this plugin's file and set its environment? [`Sim`] makes the variables, so
//! that no test has to spell them.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, io};

use preheat_pjrt::sys::ErrorCode;

use crate::config::{PREFIX, to_hex};
use crate::fault::{Place, When};

/// Name of the plugin's file.
pub const LIBRARY: &str = if cfg!(target_os = "macos") {
    "libpjrt_sim.dylib"
} else if cfg!(windows) {
    "pjrt_sim.dll"
} else {
    "libpjrt_sim.so"
};

/// The plugin's file, as cargo built it with the running test, bench or example.
///
/// Cargo builds the cdylib with every target that depends on this crate. It puts the file, without
/// a hash in its name, into the folder `deps` of the profile. A test or a bench lies in the same
/// folder, an example in the folder `examples` beside it.
pub fn library_path() -> io::Result<PathBuf> {
    let executable = env::current_exe()?;
    let folders = executable.ancestors().skip(1).take(3);
    let mut candidates =
        folders.flat_map(|folder| [folder.join(LIBRARY), folder.join("deps").join(LIBRARY)]);
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| {
        let reason = format!(
            "no {LIBRARY} beside {}: pjrt-sim must be among the dev-dependencies",
            executable.display()
        );
        io::Error::new(io::ErrorKind::NotFound, reason)
    })
}

/// Copies the plugin to `to` as another build: with different content, and with a different build
/// id if the plugin has one.
pub fn copy_as_other_build(to: &Path) -> io::Result<()> {
    let mut library = std::fs::read(library_path()?)?;
    // An ELF note: the sizes of name and content, type 3 (build id), and the name "GNU".
    let note = library.windows(16).position(|bytes| {
        bytes[..4] == [4, 0, 0, 0]
            && bytes[5..12] == [0, 0, 0, 3, 0, 0, 0]
            && bytes[12..] == *b"GNU\0"
    });
    if let Some(byte) = note.and_then(|note| library.get_mut(note + 16)) {
        *byte ^= 0xff;
    }
    library.extend_from_slice(b"another build");
    std::fs::write(to, library)
}

/// What a child process's plugin is to do; [`Sim::envs`] gives its environment.
///
/// ```
/// use pjrt_sim::{Place, Sim, When};
/// let sim = Sim::new("/path/to/xla_cpu_pjrt.so").log("/tmp/log").pose("v5e:1x1").fail(Place::Compile, When::Nth(2));
/// assert!(sim.envs().contains(&("PJRT_SIM_FAIL".into(), "compile@2".into())));
/// ```
#[derive(Debug, Clone)]
pub struct Sim {
    variables: Vec<(String, String)>,
}

impl Sim {
    /// A plugin that only forwards to the real plugin at this path.
    pub fn new(real_plugin: impl AsRef<Path>) -> Self {
        Self { variables: Vec::new() }.set("PLUGIN", &real_plugin.as_ref().to_string_lossy())
    }

    /// Logs to this file.
    #[must_use]
    pub fn log(self, file: impl AsRef<Path>) -> Self {
        self.set("LOG", &file.as_ref().to_string_lossy())
    }

    /// Poses as this TPU topology, such as `v5e:1x1`.
    #[must_use]
    pub fn pose(self, topology: &str) -> Self {
        self.set("POSE", &format!("tpu:{topology}"))
    }

    /// Changes the platform's name.
    #[must_use]
    pub fn platform_name(self, name: &str) -> Self {
        self.set("PLATFORM_NAME", name)
    }

    /// Changes the platform's version.
    #[must_use]
    pub fn platform_version(self, version: &str) -> Self {
        self.set("PLATFORM_VERSION", version)
    }

    /// Changes the kind of all devices.
    #[must_use]
    pub fn device_kind(self, kind: &str) -> Self {
        self.set("DEVICE_KIND", kind)
    }

    /// Changes the number of chips along x, y and z. Needs a pose.
    #[must_use]
    pub fn bounds(self, [x, y, z]: [u8; 3]) -> Self {
        self.set("BOUNDS", &format!("{x}x{y}x{z}"))
    }

    /// Changes the number of devices per chip. Needs a pose.
    #[must_use]
    pub fn cores(self, cores: u8) -> Self {
        self.set("CORES", &cores.to_string())
    }

    /// Changes the serialised topology.
    #[must_use]
    pub fn topology_bytes(self, bytes: &[u8]) -> Self {
        self.set("TOPOLOGY_BYTES", &to_hex(bytes))
    }

    /// Changes the host features in XLA:CPU's serialised topology, such as `+avx2`. Cannot be used
    /// with a pose.
    #[must_use]
    pub fn host_features(self, features: &[&str]) -> Self {
        self.set("HOST_FEATURES", &features.join(","))
    }

    /// Changes the memory of a device, in bytes. Needs a pose.
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Self {
        self.set("MEMORY_LIMIT", &bytes.to_string())
    }

    /// Offers the `AbiVersion` extension. The runtime and what it compiles have this version.
    #[must_use]
    pub fn abi_version(self, version: &str) -> Self {
        self.set("ABI_VERSION", version)
    }

    /// Sets the versions that the runtime accepts, in place of its own. Needs [`Sim::abi_version`].
    #[must_use]
    pub fn abi_takes(self, versions: &[&str]) -> Self {
        self.set(
            "ABI_TAKES",
            if versions.is_empty() { "none".to_owned() } else { versions.join(",") }.as_str(),
        )
    }

    /// Makes these calls take longer.
    #[must_use]
    pub fn delay(self, place: Place, when: When, delay: Duration) -> Self {
        let item = format!("{}={}", occasion(place, when), delay.as_millis());
        self.add("DELAY", &item)
    }

    /// Makes every compile take longer.
    #[must_use]
    pub fn compile_delay(self, delay: Duration) -> Self {
        self.delay(Place::Compile, When::Each, delay)
    }

    /// Makes these calls return an error.
    #[must_use]
    pub fn fail(self, place: Place, when: When) -> Self {
        self.add("FAIL", &occasion(place, when))
    }

    /// Makes these compiles return an error.
    #[must_use]
    pub fn fail_compile(self, when: When) -> Self {
        self.fail(Place::Compile, when)
    }

    /// Sets the code of the errors that [`Sim::fail`] causes.
    #[must_use]
    pub fn error_code(self, code: ErrorCode) -> Self {
        self.set("ERROR_CODE", &code.0.to_string())
    }

    /// Makes these calls return an error of code `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn out_of_memory(self, place: Place, when: When) -> Self {
        self.add("OUT_OF_MEMORY", &occasion(place, when))
    }

    /// Damages the bytes of these deserialisations before the real plugin receives them.
    #[must_use]
    pub fn corrupt_deserialize(self, when: When) -> Self {
        self.add("CORRUPT", &occasion(Place::Deserialize, when))
    }

    /// Makes these calls never return.
    #[must_use]
    pub fn hang(self, place: Place, when: When) -> Self {
        self.add("HANG", &occasion(place, when))
    }

    /// Aborts the process at these calls.
    #[must_use]
    pub fn crash(self, place: Place, when: When) -> Self {
        self.add("CRASH", &occasion(place, when))
    }

    /// Ends the process with exit status 1 at these calls.
    #[must_use]
    pub fn exit(self, place: Place, when: When) -> Self {
        self.add("EXIT", &occasion(place, when))
    }

    /// Makes the plugin claim another version of the PJRT C API.
    #[must_use]
    pub fn api_version(self, major: i32, minor: i32) -> Self {
        self.set("API_VERSION", &format!("{major}.{minor}"))
    }

    /// Ends the table after this function, such as `PJRT_Compile`.
    #[must_use]
    pub fn table_end(self, function: &str) -> Self {
        self.set("TABLE_END", function)
    }

    /// Leaves a null pointer in the place of this function.
    #[must_use]
    pub fn absent(self, function: &str) -> Self {
        self.add("ABSENT", function)
    }

    /// Makes this function return an error of code `UNIMPLEMENTED`.
    #[must_use]
    pub fn unimplemented(self, function: &str) -> Self {
        self.add("UNIMPLEMENTED", function)
    }

    /// Makes executables impossible to serialise.
    #[must_use]
    pub fn no_serialize(self) -> Self {
        self.unimplemented("PJRT_Executable_Serialize")
    }

    /// The environment variables for a child process.
    pub fn envs(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    /// Whether a variable of the surrounding environment belongs to this plugin. A test may have to
    /// remove such a variable from the environment of a child.
    pub fn owns(variable: &OsStr) -> bool {
        variable.to_str().is_some_and(|name| name.starts_with(PREFIX))
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        let name = format!("{PREFIX}{name}");
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn add(mut self, name: &str, item: &str) -> Self {
        let name = format!("{PREFIX}{name}");
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, list)) => {
                list.push(',');
                list.push_str(item);
            }
            None => self.variables.push((name, item.to_owned())),
        }
        self
    }
}

fn occasion(place: Place, when: When) -> String {
    let mut text = place.name().to_owned();
    let _ = match when {
        When::Each => Ok(()),
        When::Nth(n) => write!(text, "@{n}"),
        When::From(n) => write!(text, "@{n}+"),
    };
    text
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::Config;
    use crate::fault::{Kind, Rule};

    #[test]
    fn what_is_built_is_what_is_read() {
        let sim = Sim::new("/a/plugin.so")
            .pose("v5e:2x2")
            .bounds([2, 1, 1])
            .fail_compile(When::Nth(1))
            .fail(Place::Execute, When::From(2))
            .compile_delay(Duration::from_secs(2))
            .error_code(ErrorCode::UNAVAILABLE)
            .api_version(1, 0);
        let config = Config::read(
            sim.envs().into_iter().map(|(name, value)| (OsString::from(name), value.into())),
        )
        .unwrap();
        assert_eq!(config.plugin, Path::new("/a/plugin.so"));
        assert_eq!(config.overrides.bounds, Some([2, 1, 1]));
        let rule = |place, when, kind| Rule { place, when, kind };
        let delay = Kind::Delay(Duration::from_secs(2));
        assert_eq!(
            config.rules,
            [
                rule(Place::Compile, When::Each, delay),
                rule(Place::Compile, When::Nth(1), Kind::Fail),
                rule(Place::Execute, When::From(2), Kind::Fail),
            ]
        );
    }
}
