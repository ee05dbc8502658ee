//! Which of the real plugin's handles belong to which entry of the store?

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use preheat_cache::GraphKey;

use crate::kept::OptimizedProgram;

/// The facts that are remembered about an executable.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) key: GraphKey,
    /// Its optimised program, if it is kept.
    pub(crate) optimized: Option<OptimizedProgram>,
    /// Whether it was loaded from a store. The plugin may be unable to serialise such an executable
    /// again.
    pub(crate) is_served: bool,
}

/// The facts about executables, by the address of their handles. Handles of executables and of
/// loaded executables are in one table, because no two live handles have the same address.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    known: HashMap<usize, Arc<Known>>,
}

/// Locks and returns the process's table of handles.
pub(crate) fn handles() -> MutexGuard<'static, Handles> {
    static HANDLES: LazyLock<Mutex<Handles>> = LazyLock::new(Mutex::default);
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handles {
    /// Remembers a handle.
    pub(crate) fn remember<T>(&mut self, handle: *const T, known: Arc<Known>) {
        if !handle.is_null() {
            self.known.insert(handle as usize, known);
        }
    }

    /// Remembers another handle of a known executable.
    pub(crate) fn alias<T, U>(&mut self, handle: *const T, of: *const U) {
        if let Some(known) = self.find(of) {
            self.remember(handle, known);
        }
    }

    /// The facts about the executable behind a handle.
    pub(crate) fn find<T>(&self, handle: *const T) -> Option<Arc<Known>> {
        self.known.get(&(handle as usize)).cloned()
    }

    /// Removes a handle that is about to be freed, because another handle may soon get the same
    /// address.
    pub(crate) fn forget<T>(&mut self, handle: *const T) {
        self.known.remove(&(handle as usize));
    }
}
