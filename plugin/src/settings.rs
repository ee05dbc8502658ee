//! Which settings did the user choose for the cache? They are in the environment variables of a
//! framework's process.

use std::ffi::OsString;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use preheat_cache::{StoreOptions, Trust};

/// The user's settings for the cache.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The store; `None` if nothing is to be cached.
    pub(crate) store: Option<StoreOptions>,
    /// Stores that are only read, and only if the main store misses.
    pub(crate) fallbacks: Vec<PathBuf>,
    /// Whether it is an error if no store has a program that can be cached.
    pub(crate) require_warm: bool,
    /// The file for events.
    pub(crate) log: Option<PathBuf>,
}

impl Settings {
    /// Reads the variables with `env`. The error names a variable that cannot be understood.
    pub(crate) fn read(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let switch = |name: &str| match set(name) {
            None => Ok(false),
            Some(value) => match value.to_str() {
                Some("1" | "true" | "on" | "yes") => Ok(true),
                Some("0" | "false" | "off" | "no") => Ok(false),
                _ => Err(format!("{name} is {}: set it to 1 or 0", value.display())),
            },
        };
        let is_off = set("PREHEAT_PLUGIN").is_some_and(|value| value == "off");
        let platform = || Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("preheat"));
        let dir = set("PREHEAT_CACHE_DIR").map(PathBuf::from).or_else(platform);
        let max_bytes = match set("PREHEAT_CACHE_MAX_BYTES") {
            None => StoreOptions::DEFAULT_MAX_BYTES,
            Some(value) => {
                value.to_str().and_then(|value| value.parse().ok()).ok_or_else(|| {
                    format!(
                        "PREHEAT_CACHE_MAX_BYTES is {}: set it to a number of bytes",
                        value.display()
                    )
                })?
            }
        };
        let trust = if switch("PREHEAT_CACHE_SHARED")? { Trust::Shared } else { Trust::Private };
        let read_only = switch("PREHEAT_CACHE_READ_ONLY")?;
        let options = |dir| StoreOptions { dir, read_only, trust, max_bytes };
        Ok(Self {
            store: dir.filter(|_| !is_off).map(options),
            fallbacks: set("PREHEAT_CACHE_FALLBACKS")
                .map(|paths| std::env::split_paths(&paths).collect())
                .unwrap_or_default(),
            require_warm: switch("PREHEAT_REQUIRE_WARM")?,
            log: set("PREHEAT_PLUGIN_LOG").map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn each_variable_is_followed() {
        let settings = read(&[
            ("PREHEAT_CACHE_DIR", "/c"),
            ("PREHEAT_CACHE_MAX_BYTES", "1000"),
            ("PREHEAT_CACHE_READ_ONLY", "1"),
            ("PREHEAT_CACHE_SHARED", "1"),
            ("PREHEAT_CACHE_FALLBACKS", "/a:/b"),
            ("PREHEAT_REQUIRE_WARM", "true"),
            ("PREHEAT_PLUGIN_LOG", "/log"),
        ])
        .unwrap();
        let store = settings.store.unwrap();
        assert_eq!((store.dir, store.max_bytes), (PathBuf::from("/c"), 1000));
        assert!(store.read_only && settings.require_warm);
        assert_eq!(store.trust, Trust::Shared);
        assert_eq!(settings.fallbacks, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(settings.log, Some(PathBuf::from("/log")));
        assert!(
            read(&[("PREHEAT_CACHE_DIR", "/c"), ("PREHEAT_PLUGIN", "off")])
                .unwrap()
                .store
                .is_none()
        );
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (name, value) in
            [("PREHEAT_CACHE_MAX_BYTES", "10GiB"), ("PREHEAT_REQUIRE_WARM", "perhaps")]
        {
            assert!(read(&[(name, value)]).unwrap_err().starts_with(name));
        }
    }
}
