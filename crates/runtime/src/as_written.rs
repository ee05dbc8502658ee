//! Can a program run here as it is written?
//!
//! A plugin compiles for as many devices as the compile options say, even if the program declares
//! another number. A program that waits for the host would wait forever, because preheat never
//! answers it. preheat hands tensors over row-major, so a program with another layout cannot run.
//! All these programs are refused before anything is looked up, so that they cannot hit an entry
//! that an older release stored. For hardware that is not here, a program is only compiled, and
//! only the numbers of devices are checked.

use preheat_cache::{CompileOptions, NamedDevices, Program, Requirements, RequirementsError};

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
        "the program waits for the host in the middle of its work (`{0}`), and preheat never answers"
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

/// Where a program would run, with the facts that the program's declarations are checked against.
pub(super) enum Place<'a> {
    /// On the one device of that name.
    Device(&'a str),
    /// On hardware of that name, with that number of devices, for which it is only compiled.
    Target(&'a str, u64),
}

/// Refuses a program that would run differently at `place` from what the program declares.
pub(super) fn check(
    program: &Program,
    options: &CompileOptions,
    place: &Place<'_>,
) -> Result<(), NotAsWritten> {
    let wanted = program.requirements().map_err(Clone::clone)?;
    let boxed = || Box::new(wanted.clone());
    if let Some(named) = wanted.named.filter(|named| named.at_least > wanted.devices()) {
        return Err(NotAsWritten::Undeclared { wanted: boxed(), named });
    }
    if (options.num_replicas, options.num_partitions) != (wanted.replicas, wanted.partitions) {
        let (replicas, partitions) = (options.num_replicas, options.num_partitions);
        return Err(NotAsWritten::OtherOptions { wanted: boxed(), replicas, partitions });
    }
    let device = match *place {
        Place::Target(target, devices) if wanted.devices() > devices => {
            let target = target.to_owned();
            return Err(NotAsWritten::TooFewDevices { wanted: boxed(), target, devices });
        }
        Place::Target(..) => return Ok(()),
        Place::Device(device) => device,
    };
    if wanted.devices() > 1 {
        let device = device.to_owned();
        return Err(NotAsWritten::SeveralDevices { wanted: boxed(), device });
    }
    if let Some(operation) = wanted.host_transfer {
        return Err(NotAsWritten::HostTransfer(operation));
    }
    match &wanted.layout {
        Some(layout) => Err(NotAsWritten::Layout(layout.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use preheat_cache::ProgramFormat;

    use super::*;

    fn program(attributes: &str) -> Program {
        let text = format!(
            "module @m {attributes} {{ func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> \
             {{ return %x : tensor<2xf32> }} }}"
        );
        Program::new(ProgramFormat::Mlir, text.into_bytes())
    }

    #[test]
    fn a_program_for_several_devices_runs_where_there_are_as_many() {
        let two =
            program("attributes {mhlo.num_partitions = 2 : i32, mhlo.num_replicas = 1 : i32}");
        let options = CompileOptions { num_partitions: 2, ..CompileOptions::default() };
        let at = |place| check(&two, &options, &place);
        assert_eq!(at(Place::Target("tpu:v5e:1x2", 2)), Ok(()));
        let few = at(Place::Target("tpu:v5e:1x1", 1)).unwrap_err();
        assert!(matches!(few, NotAsWritten::TooFewDevices { devices: 1, .. }), "{few}");
        let here = at(Place::Device("xla-cpu")).unwrap_err();
        assert!(matches!(here, NotAsWritten::SeveralDevices { .. }), "{here}");
        let alone = check(&two, &CompileOptions::default(), &Place::Target("tpu:v5e:1x2", 2));
        assert!(matches!(alone, Err(NotAsWritten::OtherOptions { .. })), "{alone:?}");
        let one = check(&program(""), &CompileOptions::default(), &Place::Device("xla-cpu"));
        assert_eq!(one, Ok(()));
    }
}
