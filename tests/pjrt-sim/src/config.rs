//! What do the environment variables tell the plugin to do? This file parses them; the crate's
//! documentation lists them in a table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use preheat_pjrt::sys::ErrorCode;

use crate::fault::{Kind, Place, Rule, When};

/// The beginning of every variable's name.
pub const PREFIX: &str = "PJRT_SIM_";

/// A variable whose value is invalid, or an unknown variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?}: {reason}")]
pub struct ConfigError {
    /// The variable's whole name.
    pub variable: String,
    /// Its value; empty if the variable is required and was not set.
    pub value: String,
    /// What is wrong with the value.
    pub reason: String,
}

/// The changes that the environment makes to the platform's description of itself. Each field
/// changes one fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `PJRT_SIM_PLATFORM_NAME`
    pub platform_name: Option<String>,
    /// `PJRT_SIM_PLATFORM_VERSION`
    pub platform_version: Option<String>,
    /// `PJRT_SIM_DEVICE_KIND`
    pub device_kind: Option<String>,
    /// `PJRT_SIM_BOUNDS`: chips along x, y and z.
    pub bounds: Option<[u8; 3]>,
    /// `PJRT_SIM_CORES`: devices per chip.
    pub cores: Option<u8>,
    /// `PJRT_SIM_TOPOLOGY_BYTES`
    pub topology_bytes: Option<Vec<u8>>,
    /// `PJRT_SIM_HOST_FEATURES`, in the form of LLVM: `+avx2`.
    pub host_features: Option<Vec<String>>,
    /// `PJRT_SIM_MEMORY_LIMIT`, in bytes.
    pub memory_limit: Option<i64>,
}

/// The whole environment, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// `PJRT_SIM_PLUGIN`
    pub plugin: PathBuf,
    /// `PJRT_SIM_LOG`
    pub log: Option<PathBuf>,
    /// `PJRT_SIM_POSE`, without its leading `tpu:`.
    pub pose: Option<String>,
    /// The changes to the platform's description of itself.
    pub overrides: Overrides,
    /// `PJRT_SIM_ABI_VERSION`
    pub abi_version: Option<String>,
    /// `PJRT_SIM_ABI_TAKES`
    pub abi_takes: Option<Vec<String>>,
    /// Every fault, in the order of the variables.
    pub rules: Vec<Rule>,
    /// `PJRT_SIM_ERROR_CODE`: the code of the errors that `PJRT_SIM_FAIL` raises.
    pub error_code: Option<u32>,
    /// `PJRT_SIM_API_VERSION`
    pub api_version: Option<(i32, i32)>,
    /// `PJRT_SIM_TABLE_END`
    pub table_end: Option<String>,
    /// `PJRT_SIM_ABSENT`
    pub absent: Vec<String>,
    /// `PJRT_SIM_UNIMPLEMENTED`
    pub unimplemented: Vec<String>,
}

impl Config {
    /// Reads the variables that start with [`PREFIX`] and ignores all others.
    pub fn read(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut variables: Vec<_> = environment
            .into_iter()
            .filter_map(|(name, value)| {
                Some((name.to_str()?.strip_prefix(PREFIX)?.to_owned(), value))
            })
            .collect();
        variables.sort();
        for (name, value) in variables {
            let fail = |reason: String| ConfigError {
                variable: format!("{PREFIX}{name}"),
                value: value.to_string_lossy().into_owned(),
                reason,
            };
            match name.as_str() {
                "PLUGIN" => config.plugin = PathBuf::from(&value),
                "LOG" => config.log = Some(PathBuf::from(&value)),
                _ => {
                    let text =
                        value.to_str().ok_or_else(|| fail("is not valid UTF-8".to_owned()))?;
                    config.take(&name, text).map_err(fail)?;
                }
            }
        }
        if config.plugin.as_os_str().is_empty() {
            return Err(ConfigError {
                variable: format!("{PREFIX}PLUGIN"),
                value: String::new(),
                reason: "must name the real plugin's file".to_owned(),
            });
        }
        config.check_needs()?;
        Ok(config)
    }

    fn take(&mut self, name: &str, text: &str) -> Result<(), String> {
        let overrides = &mut self.overrides;
        match name {
            "POSE" => self.pose = Some(pose(text)?),
            "PLATFORM_NAME" => overrides.platform_name = Some(text.to_owned()),
            "PLATFORM_VERSION" => overrides.platform_version = Some(text.to_owned()),
            "DEVICE_KIND" => overrides.device_kind = Some(text.to_owned()),
            "BOUNDS" => {
                overrides.bounds =
                    Some(bounds(text).ok_or("must be chips along x, y and z, such as 2x2x1")?);
            }
            "CORES" => overrides.cores = Some(positive(text)?),
            "TOPOLOGY_BYTES" => {
                overrides.topology_bytes =
                    Some(from_hex(text).ok_or("must be pairs of hexadecimal digits")?);
            }
            "HOST_FEATURES" => {
                overrides.host_features = Some(list(text).map(str::to_owned).collect());
            }
            "MEMORY_LIMIT" => overrides.memory_limit = Some(positive(text)?),
            "ABI_VERSION" if text.trim().is_empty() => return Err("must be a text".to_owned()),
            "ABI_VERSION" => self.abi_version = Some(text.to_owned()),
            "ABI_TAKES" => {
                self.abi_takes =
                    Some(list(text).filter(|item| *item != "none").map(str::to_owned).collect());
            }
            "FAIL" => self.add_rules(text, Kind::Fail)?,
            "OUT_OF_MEMORY" => self.add_rules(text, Kind::OutOfMemory)?,
            "HANG" => self.add_rules(text, Kind::Hang)?,
            "CRASH" => self.add_rules(text, Kind::Crash)?,
            "EXIT" => self.add_rules(text, Kind::Exit)?,
            "CORRUPT" => {
                self.add_rules(text, Kind::Corrupt)?;
                if self
                    .rules
                    .iter()
                    .any(|rule| rule.kind == Kind::Corrupt && rule.place != Place::Deserialize)
                {
                    return Err("only the bytes of a deserialisation can be damaged".to_owned());
                }
            }
            "DELAY" => self.add_delays(text)?,
            "ERROR_CODE" => self.error_code = Some(error_code(text)?),
            "API_VERSION" => {
                let version = text
                    .split_once('.')
                    .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
                self.api_version = Some(version.ok_or("must be major and minor, such as 0.81")?);
            }
            "TABLE_END" => self.table_end = Some(text.to_owned()),
            "ABSENT" => self.absent = list(text).map(str::to_owned).collect(),
            "UNIMPLEMENTED" => self.unimplemented = list(text).map(str::to_owned).collect(),
            _ => return Err("there is no such variable".to_owned()),
        }
        Ok(())
    }

    fn add_rules(&mut self, text: &str, kind: Kind) -> Result<(), String> {
        for item in list(text) {
            let (place, when) = occasion(item)?;
            self.rules.push(Rule { place, when, kind });
        }
        Ok(())
    }

    fn add_delays(&mut self, text: &str) -> Result<(), String> {
        for item in list(text) {
            let (place, milliseconds) = item.split_once('=').ok_or("must be PLACE=MILLISECONDS")?;
            let (place, when) = occasion(place)?;
            let delay = milliseconds
                .parse()
                .map_err(|_| format!("`{milliseconds}` is not a number of milliseconds"))?;
            self.rules.push(Rule { place, when, kind: Kind::Delay(Duration::from_millis(delay)) });
        }
        Ok(())
    }

    /// Refuses a variable that is set without another one that it needs, because it would have no
    /// effect.
    fn check_needs(&self) -> Result<(), ConfigError> {
        let overrides = &self.overrides;
        let needing = [
            ("BOUNDS", overrides.bounds.is_some()),
            ("CORES", overrides.cores.is_some()),
            ("MEMORY_LIMIT", overrides.memory_limit.is_some()),
        ];
        let refuse = |name: &str, reason: &str| {
            Err(ConfigError {
                variable: format!("{PREFIX}{name}"),
                value: "(set)".to_owned(),
                reason: reason.to_owned(),
            })
        };
        if self.abi_takes.is_some() && self.abi_version.is_none() {
            return refuse("ABI_TAKES", "needs PJRT_SIM_ABI_VERSION");
        }
        match (&self.pose, needing.iter().find(|(_, set)| *set)) {
            (None, Some((name, _))) => refuse(name, "needs PJRT_SIM_POSE"),
            (Some(_), _) if overrides.host_features.is_some() => {
                refuse("HOST_FEATURES", "a posed TPU has no host features")
            }
            _ => Ok(()),
        }
    }
}

/// The parts of a list, separated by commas.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn pose(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("tpu:").ok_or("must be tpu:TOPOLOGY, such as tpu:v5e:1x1")?;
    crate::pose::find(name).map(|_| name.to_owned()).ok_or_else(|| crate::pose::unknown(name))
}

/// Parses `2x4` or `2x2x1`; a missing number is 1.
fn bounds(text: &str) -> Option<[u8; 3]> {
    let mut bounds = [1; 3];
    let parts: Vec<&str> = text.split('x').collect();
    if parts.len() > bounds.len() {
        return None;
    }
    for (bound, part) in bounds.iter_mut().zip(parts) {
        // The serialised topology holds each number in one byte.
        *bound = part.parse().ok().filter(|chips| (1..128).contains(chips))?;
    }
    Some(bounds)
}

fn positive<T: std::str::FromStr + PartialOrd + From<u8>>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= T::from(1))
        .ok_or_else(|| "must be a positive number".to_owned())
}

/// Parses `compile`, `compile@2` or `compile@2+`.
fn occasion(text: &str) -> Result<(Place, When), String> {
    let (place, when) = match text.split_once('@') {
        None => (text, When::Each),
        Some((place, number)) => {
            let (digits, from) = match number.strip_suffix('+') {
                Some(digits) => (digits, true),
                None => (number, false),
            };
            let number = positive(digits)
                .map_err(|_| format!("`@{number}` must be @N or @N+, counted from 1"))?;
            (place, if from { When::From(number) } else { When::Nth(number) })
        }
    };
    let known = || Place::ALL.iter().map(|place| place.name()).collect::<Vec<_>>().join(", ");
    let place = Place::ALL.into_iter().find(|known| known.name() == place);
    place
        .map(|place| (place, when))
        .ok_or_else(|| format!("`{text}` starts with none of {}", known()))
}

/// A code of the PJRT C API, by number or by name.
fn error_code(text: &str) -> Result<u32, String> {
    const NAMES: [(&str, ErrorCode); 16] = [
        ("CANCELLED", ErrorCode::CANCELLED),
        ("UNKNOWN", ErrorCode::UNKNOWN),
        ("INVALID_ARGUMENT", ErrorCode::INVALID_ARGUMENT),
        ("DEADLINE_EXCEEDED", ErrorCode::DEADLINE_EXCEEDED),
        ("NOT_FOUND", ErrorCode::NOT_FOUND),
        ("ALREADY_EXISTS", ErrorCode::ALREADY_EXISTS),
        ("PERMISSION_DENIED", ErrorCode::PERMISSION_DENIED),
        ("RESOURCE_EXHAUSTED", ErrorCode::RESOURCE_EXHAUSTED),
        ("FAILED_PRECONDITION", ErrorCode::FAILED_PRECONDITION),
        ("ABORTED", ErrorCode::ABORTED),
        ("OUT_OF_RANGE", ErrorCode::OUT_OF_RANGE),
        ("UNIMPLEMENTED", ErrorCode::UNIMPLEMENTED),
        ("INTERNAL", ErrorCode::INTERNAL),
        ("UNAVAILABLE", ErrorCode::UNAVAILABLE),
        ("DATA_LOSS", ErrorCode::DATA_LOSS),
        ("UNAUTHENTICATED", ErrorCode::UNAUTHENTICATED),
    ];
    if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(code.0);
    }
    positive(text).map_err(|_| {
        "must be a code of PJRT_Error_Code, by number or by a name such as INTERNAL".to_owned()
    })
}

/// Bytes from pairs of hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16)
                .ok()
        })
        .collect()
}

/// Pairs of hexadecimal digits from bytes.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let plugin = [("PJRT_SIM_PLUGIN", "/a/plugin.so")];
        Config::read(
            plugin
                .iter()
                .chain(variables)
                .map(|(name, value)| (OsString::from(name), OsString::from(value))),
        )
    }

    #[test]
    fn reads_every_variable() {
        let config = read(&[
            ("PJRT_SIM_LOG", "/a/log"),
            ("PJRT_SIM_POSE", "tpu:v5e:1x1"),
            ("PJRT_SIM_BOUNDS", "2x4"),
            ("PJRT_SIM_TOPOLOGY_BYTES", "00ff"),
            ("PJRT_SIM_FAIL", "compile@2, execute@3+"),
            ("PJRT_SIM_CORRUPT", "deserialize"),
            ("PJRT_SIM_DELAY", "compile=250"),
            ("PJRT_SIM_ERROR_CODE", "UNAVAILABLE"),
            ("PJRT_SIM_API_VERSION", "1.3"),
            ("PJRT_SIM_ABI_VERSION", "163"),
            ("PJRT_SIM_ABI_TAKES", "162, 163"),
            ("HOME", "/home/nobody"),
        ])
        .unwrap();
        assert_eq!(config.pose.as_deref(), Some("v5e:1x1"));
        assert_eq!(config.overrides.bounds, Some([2, 4, 1]));
        assert_eq!(config.overrides.topology_bytes, Some(vec![0, 255]));
        let rule = |place, when, kind| Rule { place, when, kind };
        assert_eq!(
            config.rules,
            [
                rule(Place::Deserialize, When::Each, Kind::Corrupt),
                rule(Place::Compile, When::Each, Kind::Delay(Duration::from_millis(250))),
                rule(Place::Compile, When::Nth(2), Kind::Fail),
                rule(Place::Execute, When::From(3), Kind::Fail),
            ]
        );
        assert_eq!(config.error_code, Some(14));
        assert_eq!(config.api_version, Some((1, 3)));
        assert_eq!(config.abi_version.as_deref(), Some("163"));
        assert_eq!(config.abi_takes, Some(vec!["162".to_owned(), "163".to_owned()]));
    }

    #[test]
    fn a_bad_value_is_named_with_its_variable() {
        for (variable, value) in [
            ("PJRT_SIM_POSE", "gpu"),
            ("PJRT_SIM_POSE", "tpu:v99:1x1"),
            ("PJRT_SIM_BOUNDS", "2x"),
            ("PJRT_SIM_BOUNDS", "2x2x1"),
            ("PJRT_SIM_FAIL", "lunch"),
            ("PJRT_SIM_FAIL", "compile@0"),
            ("PJRT_SIM_CORRUPT", "compile"),
            ("PJRT_SIM_DELAY", "compile"),
            ("PJRT_SIM_ERROR_CODE", "0"),
            ("PJRT_SIM_API_VERSION", "1"),
            ("PJRT_SIM_ABI_VERSION", ""),
            ("PJRT_SIM_ABI_TAKES", "163"),
            ("PJRT_SIM_TOPOLOGY_BYTES", "0"),
            ("PJRT_SIM_COMPILE_DELAY", "1"),
        ] {
            let error = read(&[(variable, value)]).expect_err(variable);
            assert_eq!(error.variable, variable);
            assert!(error.to_string().contains(variable), "{error}");
        }
    }

    #[test]
    fn the_plugin_must_be_named() {
        let error = Config::read([]).expect_err("nothing is set");
        assert_eq!(error.variable, "PJRT_SIM_PLUGIN");
    }
}
