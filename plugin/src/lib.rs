//! How do programs that do not link preheat use its cache? They load this plugin in place of their
//! own: it wraps the real PJRT plugin and answers compiles from a preheat store.
//!
//! The table that [`GetPjrtApi`] returns is a copy of every byte of the real plugin's table, and
//! every client, device, buffer and executable is the real plugin's. A few functions are replaced
//! (`answers.rs`, `compile.rs`, `execute.rs`, `lifetime.rs`, `wrapped.rs`). A compile that may not
//! be cacheable is forwarded, and the log says why. No panic crosses the C interface.
//!
//! # The environment
//!
//! | variable | value |
//! |---|---|
//! | `PREHEAT_REAL_PLUGIN` | the plugin to wrap; without it, it is looked for (`real.rs`) |
//! | `PREHEAT_DEVICE` | which plugin to look for: `tpu`, `xla-cpu` or `xla-cuda` |
//! | `PREHEAT_CACHE_DIR` | the store's folder; without it, `preheat` in the user's cache folder |
//! | `PREHEAT_CACHE_MAX_BYTES` | how many bytes the store may take |
//! | `PREHEAT_CACHE_READ_ONLY` | `1`: the store is never written |
//! | `PREHEAT_CACHE_SHARED` | `1`: the store is shared with the group of its folder |
//! | `PREHEAT_CACHE_FALLBACKS` | other stores, separated by colons, that are only read |
//! | `PREHEAT_REQUIRE_WARM` | `1`: a program that can be cached, but is in no store, is an error |
//! | `PREHEAT_PLUGIN_LOG` | a file to which a line of JSON is added for each compile |
//! | `PREHEAT_PLUGIN` | `off`: nothing is cached |

mod answers;
mod at_exit;
mod caching;
mod compile;
mod events;
mod execute;
mod handles;
mod kept;
mod keys;
mod lifetime;
mod real;
mod refused;
mod settings;
mod store;
mod wrapped;

use preheat_pjrt::sys::{self, PluginInitializeArgs};
use std::sync::LazyLock;

use crate::caching::Table;

/// The entry point of a PJRT plugin.
#[expect(unsafe_code, reason = "a plugin is found by this symbol")]
// SAFETY: no other symbol of the library has this name.
#[unsafe(no_mangle)]
pub extern "C" fn GetPjrtApi() -> *const sys::Api {
    // A panic must not cross into C. Without a table, the framework reports that there is no
    // plugin.
    std::panic::catch_unwind(table).unwrap_or(std::ptr::null())
}

/// The table of this process. If there is no real plugin, the table's `PJRT_Plugin_Initialize`
/// returns an error that says why.
fn table() -> *const sys::Api {
    static TABLE: LazyLock<usize> = LazyLock::new(|| {
        let wrapped = wrapped::open(GetPjrtApi).as_ref();
        let mut table = Table::new(wrapped.ok().map(|wrapped| wrapped.real));
        table.set::<PluginInitializeArgs>();
        if let Ok(wrapped) = wrapped {
            execute::install(&mut table);
            if wrapped.stores.is_some() {
                compile::install(&mut table);
                lifetime::install(&mut table);
                answers::install(&mut table);
            }
        }
        table.leak() as usize
    });
    *TABLE as *const sys::Api
}
