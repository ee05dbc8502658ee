//! What is behind this library's table? The real plugin, and the store in front of it. Both are
//! opened once in a process.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use preheat_cache::PluginBuild;
use preheat_environment::Identity;
use preheat_pjrt::forward::{Incoming, Override, Raised, Real};
use preheat_pjrt::sys::{ErrorCode, GetPjrtApi, PluginInitializeArgs};
use preheat_pjrt::{PjrtError, Plugin};

use crate::caching::Caching;
use crate::events::Events;
use crate::real::Search;
use crate::settings::Settings;
use crate::store::Stores;

/// The real plugin of this process, and the cache in front of it.
#[derive(Debug)]
pub(crate) struct Wrapped {
    pub(crate) real: &'static Real,
    pub(crate) path: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) events: Events,
    /// The real plugin with safe types, and the flags that it read. This is set when the framework
    /// has initialised the plugin.
    opened: OnceLock<Result<Opened, String>>,
    pub(crate) stores: Option<Stores>,
}

/// The real plugin after it was initialised.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) plugin: Plugin,
    pub(crate) identity: Identity,
}

/// What this process wraps, or why it wraps nothing.
static WRAPPED: OnceLock<Result<Wrapped, String>> = OnceLock::new();

/// Finds out what this process wraps. `own` is the entry point of this library, which must not wrap
/// itself.
pub(crate) fn open(own: GetPjrtApi) -> &'static Result<Wrapped, String> {
    WRAPPED.get_or_init(|| Wrapped::make(own))
}

/// What this process wraps.
pub(crate) fn wrapped() -> Result<&'static Wrapped, Raised> {
    let refused = |why: &str| Raised::ours(ErrorCode::FAILED_PRECONDITION, why);
    let opened = WRAPPED.get().ok_or_else(|| refused("GetPjrtApi was not called"))?;
    opened.as_ref().map_err(|why| refused(why))
}

impl Wrapped {
    fn make(own: GetPjrtApi) -> Result<Self, String> {
        let path = Search::of_this_process().find()?;
        let real = Real::open(&path, Some(own)).map_err(|error| error.to_string())?;
        let settings = Settings::read(&|name| std::env::var_os(name))?;
        let events = Events::new(settings.log.clone());
        let stores = settings.store.clone().and_then(|store| {
            Stores::open(store, &settings.fallbacks)
                .map_err(|error| events.store_failed("opening the cache", &error))
                .ok()
        });
        Ok(Self { real, path, settings, events, opened: OnceLock::new(), stores })
    }

    /// The real plugin with safe types; the error says why nothing can be cached.
    pub(crate) fn opened(&self) -> Result<&Opened, &str> {
        self.opened
            .get_or_init(|| self.open().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }

    /// Initialises the real plugin. Its flags are recorded at the same time, because the plugin
    /// reads them only once.
    fn open(&self) -> Result<Opened, OpenError> {
        let notes = self.stores.as_ref().map(Stores::main);
        let build = PluginBuild::of(&self.path, notes)?;
        let identity = Identity::now(build.to_string())?;
        Ok(Opened { plugin: Plugin::open(Path::new(&self.path))?, identity })
    }
}

/// Why nothing can be cached.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Build(#[from] preheat_cache::PluginBuildError),
    #[error(transparent)]
    Flags(#[from] preheat_environment::FlagsUnreadable),
    #[error(transparent)]
    Plugin(#[from] PjrtError),
}

impl Override<Caching> for PluginInitializeArgs {
    fn serve(mut call: Incoming<'_, Self>) -> Result<(), Raised> {
        let wrapped = wrapped()?;
        // Opening the real plugin with the safe types initialises it. If this fails, nothing is
        // cached, and the call is forwarded: the real plugin then decides whether this is an error.
        match wrapped.opened() {
            Ok(_) => Ok(()),
            Err(_) => call.forward(),
        }
    }
}
