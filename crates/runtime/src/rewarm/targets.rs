//! For which targets does the cache hold graphs, and how are all of these targets rewarmed?

use std::collections::BTreeSet;

use preheat_pjrt::ErrorCode;

use super::{Rewarm, Rewarmed};
use crate::backend::{AheadError, BackendError};
use crate::builder::RuntimeBuilder;
use crate::device::{DeviceName, Target, XlaDevice};
use crate::error::Error;
use crate::target_of;

/// The target that the plugin has to describe if the cache holds graphs of no target. This shows
/// whether the plugin can describe topologies at all. No client of libtpu is opened to find this
/// out, because that takes minutes on a machine without a TPU.
const ANY_TARGET: &str = "tpu:v5e:1x1";

/// The result of rewarming one target.
#[derive(Debug)]
#[non_exhaustive]
pub struct RewarmedTarget {
    /// The hardware, as `preheat cache list` names it.
    pub target: String,
    /// The target's graphs, or why none of them could be compiled.
    pub graphs: Result<Vec<Rewarmed>, Error>,
}

impl RuntimeBuilder {
    /// Rewarms the graphs that the cache holds for other plugin builds or other hardware, as
    /// [`Runtime::rewarm`](crate::Runtime::rewarm) does.
    ///
    /// With a [target](Self::target), the graphs of any hardware of the target's platform are made
    /// warm for that target. Without one, every target is rewarmed for which the cache holds graphs
    /// and for which the plugin can compile.
    ///
    /// The plugin compiles ahead of time if it can, so no device has to be here. If it cannot, or
    /// if the [device](Self::device) is set to `tpu` or `xla-cuda`, the plugin compiles for the
    /// device that is here.
    ///
    /// # Errors
    /// If the cache or the plugin cannot be used, or the caller asked to stop.
    pub fn rewarm(&self, how: &Rewarm) -> Result<Vec<RewarmedTarget>, Error> {
        if let Some(target) = self.asked_target() {
            let how = Rewarm { from_other_hardware: true, ..how.clone() };
            return Ok(vec![RewarmedTarget {
                target: target.to_string(),
                graphs: Ok(self.rewarm_for(target, &how)?),
            }]);
        }
        if matches!(self.asked_device(), DeviceName::Tpu | DeviceName::XlaCuda) {
            return self.rewarm_here(how);
        }
        let mut records = self.open_cache()?.records()?;
        records.retain(|record| how.wants(record));
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let targets: BTreeSet<Target> =
            records.iter().filter_map(|record| target_of(record).parse().ok()).collect();
        if targets.is_empty() {
            let any = ANY_TARGET.parse().map(|target| self.clone().target(target).build());
            let makes_none = matches!(any, Ok(Err(error)) if makes_no_topologies(&error));
            return if makes_none || !self.has_plugin() {
                self.rewarm_here(how)
            } else {
                Ok(Vec::new())
            };
        }
        let mut done = Vec::new();
        for target in targets {
            match self.rewarm_for(&target, how) {
                Err(error) if done.is_empty() && makes_no_topologies(&error) => {
                    return self.rewarm_here(how);
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                graphs => done.push((target, graphs)),
            }
        }
        // This plugin cannot compile graphs for the devices of other plugins, so these targets are
        // left out.
        let own: BTreeSet<XlaDevice> = done
            .iter()
            .filter(|(_, graphs)| graphs.is_ok())
            .map(|(target, _)| target.device())
            .collect();
        done.retain(|(target, _)| own.is_empty() || own.contains(&target.device()));
        let told =
            |(target, graphs): (Target, _)| RewarmedTarget { target: target.to_string(), graphs };
        Ok(done.into_iter().map(told).collect())
    }

    fn rewarm_for(&self, target: &Target, how: &Rewarm) -> Result<Vec<Rewarmed>, Error> {
        self.clone().target(target.clone()).build()?.rewarm(how)
    }

    fn rewarm_here(&self, how: &Rewarm) -> Result<Vec<RewarmedTarget>, Error> {
        let runtime = self.clone().build()?;
        let graphs = Ok(runtime.rewarm(how)?);
        Ok(vec![RewarmedTarget { target: runtime.device().selected.clone(), graphs }])
    }
}

/// Whether the plugin can compile only for the device that is here, as XLA:CPU does.
fn makes_no_topologies(error: &Error) -> bool {
    let Error::Backend(BackendError::Target { cause: AheadError::Plugin { code, .. }, .. }) = error
    else {
        return false;
    };
    *code == Some(ErrorCode::Unimplemented)
}
