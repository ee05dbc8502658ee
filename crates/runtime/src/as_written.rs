//! Can a program run here as it is written?
//!
//! A plugin compiles for as many devices as its options say, whatever the program says. A program
//! that waits for the host would wait forever, because no host answers it. A program that would run
//! differently from what it declares is therefore refused before anything is looked up, so that no
//! entry of an older store answers for it.

use preheat_cache::{CompileOptions, NamedDevices, Program, Requirements, RequirementsError};

use super::Inner;
use super::error::Error;
use crate::backend::Backend;

/// Why a program would not run as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAsWritten {
    /// What the program requires could not be read.
    #[error(transparent)]
    Requirements(#[from] RequirementsError),
    /// The program is for several devices, and this device runs programs for one.
    #[error("the program is written for {}, and {device} runs programs for one device", declared(.wanted))]
    SeveralDevices {
        /// What the program requires.
        wanted: Box<Requirements>,
        /// The device that would run it.
        device: String,
    },
    /// The program is for more devices than the target has.
    #[error("the program is written for {}, and {target} has {devices}", declared(.wanted))]
    TooFewDevices {
        /// What the program requires.
        wanted: Box<Requirements>,
        /// The target.
        target: String,
        /// The number of the target's devices.
        devices: u64,
    },
    /// The program names more devices than it declares.
    #[error(
        "the program declares {}, and {} in it names {}{}",
        declared(.wanted), named.by, if named.at_least > 2 { "" } else { "at least " }, named.at_least
    )]
    Undeclared {
        /// What the program declares.
        wanted: Box<Requirements>,
        /// The devices that it names.
        named: NamedDevices,
    },
    /// The compile options and the program disagree.
    #[error("the program is written for {}, and the compile options say {replicas} x {partitions}", declared(.wanted))]
    OtherOptions {
        /// What the program requires.
        wanted: Box<Requirements>,
        /// `num_replicas` of the options.
        replicas: u32,
        /// `num_partitions` of the options.
        partitions: u32,
    },
    /// The program waits for the host while it runs.
    #[error(
        "the program waits for the host in the middle of its work (`{0}`), and nothing would answer"
    )]
    HostTransfer(&'static str),
    /// The program takes or returns tensors in another order than row-major.
    #[error(
        "an input or an output of the program has the layout {0:?}, and tensors are handed over row-major"
    )]
    Layout(String),
}

fn declared(wanted: &Requirements) -> String {
    let plural =
        |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (replicas, partitions) = (wanted.replicas.into(), wanted.partitions.into());
    let devices = plural(wanted.devices(), "device");
    match (replicas, partitions) {
        (1, 1) => devices,
        _ => format!(
            "{devices} ({} of {})",
            plural(replicas, "replica"),
            plural(partitions, "partition")
        ),
    }
}

impl Inner {
    /// Refuses a program that this device would run differently from what the program declares.
    pub(super) fn check_as_written(
        &self,
        stage: &str,
        program: &Program,
        options: &CompileOptions,
    ) -> Result<(), Error> {
        self.as_written(program, options)
            .map_err(|cause| Error::NotAsWritten { stage: stage.to_owned(), cause })
    }

    fn as_written(&self, program: &Program, options: &CompileOptions) -> Result<(), NotAsWritten> {
        let wanted = program.requirements().map_err(Clone::clone)?;
        let boxed = || Box::new(wanted.clone());
        if let Some(named) = wanted.named.filter(|named| named.at_least > wanted.devices()) {
            return Err(NotAsWritten::Undeclared { wanted: boxed(), named });
        }
        if (options.num_replicas, options.num_partitions) != (wanted.replicas, wanted.partitions) {
            let (replicas, partitions) = (options.num_replicas, options.num_partitions);
            return Err(NotAsWritten::OtherOptions { wanted: boxed(), replicas, partitions });
        }
        match &self.backend {
            Backend::Ahead(ahead) => {
                let devices = ahead.environment.topology.core_count;
                if wanted.devices() > devices {
                    let target = ahead.target.to_string();
                    return Err(NotAsWritten::TooFewDevices { wanted: boxed(), target, devices });
                }
            }
            Backend::Here(here) => {
                if wanted.devices() > 1 {
                    return Err(NotAsWritten::SeveralDevices {
                        wanted: boxed(),
                        device: here.name().to_string(),
                    });
                }
                if let Some(operation) = wanted.host_transfer {
                    return Err(NotAsWritten::HostTransfer(operation));
                }
                if let Some(layout) = &wanted.layout {
                    return Err(NotAsWritten::Layout(layout.clone()));
                }
            }
        }
        Ok(())
    }
}
