//! How much work does a compiler put into a graph before its first run?
//!
//! For the `UNet` of Stable Diffusion 1.5, libtpu takes 130 seconds at its default and 17 at its
//! lowest level (docs/tpu.md). A request can ask for a lower effort than the default. A warm
//! executable of that effort or of a higher one then serves it.
//!
//! A request can also ask for [`EffortChoice::Tiered`], which gives a first picture soon and fast
//! pictures later. A lower effort is compiled first. The full effort is then compiled in the
//! background (`upgrade/`).
//!
//! An effort is a set of compile options, so it is a part of every key. This table has the options
//! of each platform:
//!
//! | platform | fast | balanced | full |
//! |---|---|---|---|
//! | `tpu` | `optimization_level` O0 | `optimization_level` O1 | the compiler's default |
//! | `cpu` | level 0 of LLVM, no expensive passes | as full | the compiler's default |
//! | any other | as full | as full | the compiler's default |
//!
//! A tiered request begins with `balanced`. A platform has options for `balanced` only if they
//! save at least a fifth of the compile time and the first picture comes sooner with them. On
//! XLA:CPU there are none, so `balanced` is `full` and no request is tiered there. `fast` would not
//! help: it saves two fifths of the compile time, but its steps take almost three times as long
//! (the demo model, docs/tpu.md). The first picture would come later.
//!
//! A request that names no effort is tiered, because somebody waits for it. What is warmed ahead
//! has the full effort, because nobody waits.
//!
//! `optimization_level` is the field of that name in XLA's `ExecutableBuildOptionsProto`
//! (`xla/pjrt/proto/compile_options.proto`); JAX sets it by `jax_optimization_level`. The others
//! are fields of XLA's debug options. CUDA is not in the table because no option was measured to
//! save compile time there.

use std::fmt;
use std::str::FromStr;

use preheat_cache::{CompileOptions, GraphRecord, OptionValue};
use serde::{Deserialize, Serialize};

/// The compile option that stands for XLA's `optimization_level`. It is not one of the debug
/// options, and is passed to the plugin in a separate field.
pub(crate) const OPTIMIZATION_LEVEL: &str = "optimization_level";

/// How much work the compiler puts into a graph. A lower effort compiles sooner, and its code may
/// run slower. Efforts are ordered: the highest is [`CompileEffort::Full`].
///
/// ```
/// use preheat_runtime::CompileEffort;
///
/// assert!(CompileEffort::Fast < CompileEffort::Full);
/// assert_eq!("balanced".parse(), Ok(CompileEffort::Balanced));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum CompileEffort {
    /// The least work that gives correct code.
    Fast,
    /// Less work than the compiler's default.
    Balanced,
    /// The compiler's default.
    #[default]
    Full,
}

impl CompileEffort {
    /// Every effort, the highest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Balanced, Self::Fast];

    /// Its name: `fast`, `balanced` or `full`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Full => "full",
        }
    }

    /// The options that ask a platform's compiler for this effort.
    fn options(self, platform: &str) -> Vec<(&'static str, OptionValue)> {
        let level = |level: &str| vec![(OPTIMIZATION_LEVEL, OptionValue::Text(level.to_owned()))];
        match (platform, self) {
            ("tpu", Self::Fast) => level("O0"),
            ("tpu", Self::Balanced) => level("O1"),
            ("cpu", Self::Fast) => vec![
                ("xla_backend_optimization_level", OptionValue::Int(0)),
                ("xla_llvm_disable_expensive_passes", OptionValue::Bool(true)),
            ],
            _ => Vec::new(),
        }
    }

    /// Whether this effort differs from the full one on a platform.
    pub fn is_told_apart(self, platform: &str) -> bool {
        !self.options(platform).is_empty()
    }

    /// The options of the full effort: `changed` without the options that its own effort added.
    pub(crate) fn full_options(changed: &CompileOptions, platform: &str) -> CompileOptions {
        let mut options = changed.clone();
        for (name, _) in Self::of(changed, platform).options(platform) {
            options.overrides.remove(name);
        }
        options
    }

    /// The effort that these options select on a platform.
    pub fn of(options: &CompileOptions, platform: &str) -> Self {
        let asked_for = |effort: &Self| {
            let wanted = effort.options(platform);
            !wanted.is_empty()
                && wanted.iter().all(|(name, value)| options.overrides.get(*name) == Some(value))
        };
        Self::ALL.into_iter().find(asked_for).unwrap_or(Self::Full)
    }

    /// The effort of a graph in the cache.
    pub fn of_record(record: &GraphRecord) -> Self {
        Self::of(&record.options, &record.environment.platform)
    }

    /// The options of each effort that serves a request for this one on a platform: the highest
    /// first, and this one last. `own` are the request's own options, which override those of an
    /// effort.
    pub(crate) fn tiers(self, own: &CompileOptions, platform: &str) -> Vec<CompileOptions> {
        let mut tiers: Vec<CompileOptions> = Vec::new();
        for effort in Self::ALL.into_iter().filter(|effort| *effort >= self) {
            let mut options = own.clone();
            for (name, value) in effort.options(platform) {
                options.overrides.entry(name.to_owned()).or_insert(value);
            }
            if !tiers.contains(&options) {
                tiers.push(options);
            }
        }
        tiers
    }
}

/// Which effort a request asks for. A [`CompileEffort`] converts into it.
///
/// ```
/// use preheat_runtime::{CompileEffort, EffortChoice};
///
/// assert_eq!(EffortChoice::from(CompileEffort::Fast), EffortChoice::Only(CompileEffort::Fast));
/// assert_eq!("tiered".parse(), Ok(EffortChoice::Tiered));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EffortChoice {
    /// This effort. A warm executable of a higher effort serves the request, too.
    Only(CompileEffort),
    /// Any effort. A warm executable of any effort serves the request. If there is none, the graph
    /// is compiled with a lower effort. The full executable is then compiled in the background, and
    /// serves later requests.
    ///
    /// If no lower effort is worth it on the platform, or if there is no cache that can be written,
    /// the graph is compiled with the full effort at once.
    Tiered,
}

impl EffortChoice {
    /// The effort of the first compile of a tiered request, if no times were measured before.
    const FIRST: CompileEffort = CompileEffort::Balanced;

    /// The effort of a request that names none. Somebody waits for a request, so it is tiered. A
    /// warmup compiles ahead with the full effort: nobody waits for it, and its executables may
    /// serve for weeks.
    pub(crate) fn if_none_is_named(is_warmup: bool) -> Self {
        if is_warmup { Self::Only(CompileEffort::Full) } else { Self::Tiered }
    }

    /// Whether only executables of the full effort serve a request on a platform.
    pub(crate) fn is_full_on(self, platform: &str) -> bool {
        self.first_on(platform) == CompileEffort::Full && !self.is_tiered_on(platform)
    }

    /// Whether a request is served by a lower effort first and by the full one later, on a
    /// platform.
    pub fn is_tiered_on(self, platform: &str) -> bool {
        self == Self::Tiered && Self::FIRST.is_told_apart(platform)
    }

    /// The effort with which a graph is compiled first on a platform.
    pub fn first_on(self, platform: &str) -> CompileEffort {
        match self {
            Self::Only(effort) => effort,
            Self::Tiered if self.is_tiered_on(platform) => Self::FIRST,
            Self::Tiered => CompileEffort::Full,
        }
    }

    /// The options of each effort that serves a request on a platform, the highest first, and the
    /// position of those options with which the graph is compiled if no effort is warm. `own` are
    /// the request's own options.
    pub(crate) fn tiers(
        self,
        own: &CompileOptions,
        platform: &str,
    ) -> (Vec<CompileOptions>, usize) {
        let first = self.first_on(platform);
        let lowest = if self.is_tiered_on(platform) { CompileEffort::Fast } else { first };
        let position = first.tiers(own, platform).len() - 1;
        (lowest.tiers(own, platform), position)
    }
}

impl From<CompileEffort> for EffortChoice {
    fn from(effort: CompileEffort) -> Self {
        Self::Only(effort)
    }
}

impl fmt::Display for EffortChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(effort) => effort.fmt(f),
            Self::Tiered => f.pad("tiered"),
        }
    }
}

impl FromStr for EffortChoice {
    type Err = ParseEffortError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word.eq_ignore_ascii_case("tiered") {
            return Ok(Self::Tiered);
        }
        word.parse().map(Self::Only)
    }
}

impl fmt::Display for CompileEffort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no effort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no compile effort: choose fast, balanced, full or tiered")]
pub struct ParseEffortError {
    word: String,
}

impl FromStr for CompileEffort {
    type Err = ParseEffortError;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let named = |effort: &Self| effort.name().eq_ignore_ascii_case(word);
        let found = Self::ALL.into_iter().find(named);
        found.ok_or_else(|| ParseEffortError { word: word.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(options: &CompileOptions) -> Vec<&str> {
        options.overrides.keys().map(String::as_str).collect()
    }

    #[test]
    fn the_full_effort_leaves_options_and_so_keys_as_they_are() {
        let own = CompileOptions::default();
        for platform in ["tpu", "cpu", "cuda", "torch-cpu"] {
            assert_eq!(CompileEffort::Full.tiers(&own, platform), std::slice::from_ref(&own));
            assert_eq!(CompileEffort::of(&own, platform), CompileEffort::Full);
        }
    }

    #[test]
    fn a_lower_effort_is_served_by_each_higher_one_first() {
        let own = CompileOptions::default();
        let with_levels = CompileEffort::Fast.tiers(&own, "tpu");
        let efforts: Vec<_> =
            with_levels.iter().map(|options| CompileEffort::of(options, "tpu").name()).collect();
        assert_eq!(efforts, ["full", "balanced", "fast"]);
        assert_eq!(overrides(&with_levels[2]), [OPTIMIZATION_LEVEL]);
        let plain = CompileEffort::Fast.tiers(&own, "cpu");
        assert_eq!(plain.len(), 2, "balanced is full there");
        assert_eq!(CompileEffort::of(&plain[1], "cpu"), CompileEffort::Fast);
        assert_eq!(CompileEffort::Fast.tiers(&own, "cuda"), [own]);
    }

    #[test]
    fn options_of_the_request_s_own_win() {
        let level = ("xla_backend_optimization_level".to_owned(), OptionValue::Int(2));
        let own = CompileOptions { overrides: [level].into(), ..CompileOptions::default() };
        let tiers = CompileEffort::Fast.tiers(&own, "cpu");
        assert!(tiers.iter().all(|tier| tier.overrides["xla_backend_optimization_level"]
            == OptionValue::Int(2)));
    }

    #[test]
    fn words_are_read_and_others_refused_in_words() {
        for effort in CompileEffort::ALL {
            assert_eq!(effort.to_string().parse(), Ok(effort));
        }
        for choice in [EffortChoice::Tiered, CompileEffort::Fast.into()] {
            assert_eq!(choice.to_string().to_uppercase().parse(), Ok(choice));
        }
        let error = "quick".parse::<EffortChoice>().unwrap_err().to_string();
        assert_eq!(error, "\"quick\" is no compile effort: choose fast, balanced, full or tiered");
    }

    #[test]
    fn tiered_takes_what_is_warm_and_compiles_the_middle_one_where_that_saves_time() {
        let own = CompileOptions::default();
        let (tiers, position) = EffortChoice::Tiered.tiers(&own, "tpu");
        assert_eq!(tiers, CompileEffort::Fast.tiers(&own, "tpu"));
        assert_eq!(CompileEffort::of(&tiers[position], "tpu"), CompileEffort::Balanced);
        for platform in ["cpu", "cuda", "torch-cpu"] {
            let tiers = EffortChoice::Tiered.tiers(&own, platform);
            let full = EffortChoice::from(CompileEffort::Full);
            assert_eq!(tiers, full.tiers(&own, platform), "{platform}");
        }
    }

    #[test]
    fn who_waits_gets_a_first_tier_and_what_is_warmed_ahead_is_full() {
        let waits = EffortChoice::if_none_is_named(false);
        let ahead = EffortChoice::if_none_is_named(true);
        assert!(!waits.is_full_on("tpu") && ahead.is_full_on("tpu"));
        for platform in ["cpu", "cuda", "torch-cpu"] {
            assert!(waits.is_full_on(platform) && ahead.is_full_on(platform), "{platform}");
        }
        assert!(!EffortChoice::from(CompileEffort::Fast).is_full_on("cpu"));
    }

    #[test]
    fn the_full_options_are_found_again_from_those_of_any_effort() {
        let kept = ("xla_other".to_owned(), OptionValue::Bool(true));
        let own = CompileOptions { overrides: [kept].into(), ..CompileOptions::default() };
        for platform in ["tpu", "cpu", "cuda"] {
            for options in CompileEffort::Fast.tiers(&own, platform) {
                assert_eq!(CompileEffort::full_options(&options, platform), own);
            }
        }
    }
}
