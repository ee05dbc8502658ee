//! Which type marks the overrides of this plugin?

use preheat_pjrt::forward;

/// The marker type for which this plugin implements [`forward::Override`].
#[derive(Debug)]
pub(crate) enum Caching {}

/// The table of this plugin.
pub(crate) type Table = forward::Table<Caching>;
