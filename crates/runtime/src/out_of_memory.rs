//! Which figures explain that a device has too little memory?
//!
//! The figures are the memory that was needed, the memory that the device has, and the memory that
//! was freed before the work failed.

use std::fmt;

use preheat_cache::Measurements;

use crate::backend::DeviceFault;

/// The device memory that an executable takes, in bytes: by the compiler's own figures, or for a
/// device of libtorch by an estimate that leaves out the arguments and the outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// The machine code, or its serialised length if the plugin does not report its size.
    pub code: u64,
    /// The arguments, including a model's weights.
    pub arguments: u64,
    /// The outputs, without those that reuse the memory of donated arguments.
    pub outputs: u64,
    /// Memory for intermediate results.
    pub temporaries: u64,
}

impl Footprint {
    pub(super) fn of(measured: &Measurements, payload_bytes: u64) -> Self {
        let figure = |name: &str| measured.memory_bytes.get(name).copied().unwrap_or(0);
        Self {
            code: Some(figure("generated_code"))
                .filter(|&bytes| bytes > 0)
                .unwrap_or(payload_bytes),
            arguments: figure("arguments"),
            outputs: figure("outputs").saturating_sub(figure("aliases")),
            temporaries: figure("temporaries"),
        }
    }

    /// The sum of all figures: the memory that a device must have for one execution.
    pub fn total(&self) -> u64 {
        self.code.saturating_add(self.arguments).saturating_add(self.of_execution())
    }

    /// The memory that an execution allocates when the code and the arguments are already there.
    pub fn of_execution(&self) -> u64 {
        self.outputs.saturating_add(self.temporaries)
    }
}

/// The things that were not in use and were dropped to make room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The number of executables in memory.
    pub executables: u64,
    /// The number of stages whose weights were on the device.
    pub weights: u64,
    /// The bytes of both.
    pub bytes: u64,
}

impl Dropped {
    pub(super) fn executable(bytes: u64) -> Self {
        Self { executables: 1, weights: 0, bytes }
    }

    /// The weights of one stage.
    pub fn weights(bytes: u64) -> Self {
        Self { executables: 0, weights: 1, bytes }
    }
}

impl std::ops::AddAssign for Dropped {
    fn add_assign(&mut self, other: Self) {
        self.executables += other.executables;
        self.weights += other.weights;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("everything that is left is in use");
        }
        let of =
            |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let executables = of(self.executables, "executable");
        let weights = format!("the weights of {}", of(self.weights, "stage"));
        let what = match (self.executables, self.weights) {
            (_, 0) => executables,
            (0, _) => weights,
            _ => format!("{executables} and {weights}"),
        };
        let was = if (self.executables, self.weights) == (1, 0) { "was" } else { "were" };
        write!(f, "{what} ({}) {was} dropped for it", human(self.bytes))
    }
}

/// The device does not have the memory for something, even if everything that is not in use is
/// dropped.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {}; {}{}", needed(*.needed_bytes, .footprint.as_ref()), there(*.free_bytes, *.total_bytes), self.done())]
pub struct OutOfMemory {
    /// The failed work, and its stage.
    pub doing: String,
    /// The memory that the work needed at once, in bytes; `None` if it is not known.
    pub needed_bytes: Option<u64>,
    /// The figures of the executable that was being loaded or run, if there was one.
    pub footprint: Option<Footprint>,
    /// The memory that was free at the end, in bytes, as the device or the system reports it.
    pub free_bytes: Option<u64>,
    /// All of the device's memory, used or not.
    pub total_bytes: Option<u64>,
    /// The things that had been dropped to make room.
    pub dropped: Dropped,
    /// The error of the plugin or the torch library. `None` if neither was called, because the
    /// figures already showed that there is too little memory.
    #[source]
    pub cause: Option<DeviceFault>,
}

impl OutOfMemory {
    /// What was tried to make room.
    fn done(&self) -> String {
        match self.needed_bytes.zip(self.total_bytes) {
            Some((needed, total)) if needed > total => {
                "it would not fit even if nothing else were on the device".to_owned()
            }
            _ => self.dropped.to_string(),
        }
    }
}

fn needed(needed_bytes: Option<u64>, footprint: Option<&Footprint>) -> String {
    let needed = match needed_bytes {
        Some(bytes) => format!("out of memory, {} needed", human(bytes)),
        None => "out of memory".to_owned(),
    };
    let Some(Footprint { code, arguments, outputs, temporaries }) = footprint.copied() else {
        return needed;
    };
    let [code, arguments, outputs, temporaries] =
        [code, arguments, outputs, temporaries].map(human);
    format!(
        "{needed} (code {code}, arguments {arguments}, outputs {outputs}, temporaries {temporaries})"
    )
}

fn there(free_bytes: Option<u64>, total_bytes: Option<u64>) -> String {
    match (free_bytes, total_bytes) {
        (Some(free), Some(total)) => format!("{} of {} are free; ", human(free), human(total)),
        (Some(free), None) => format!("{} are free; ", human(free)),
        _ => String::new(),
    }
}

/// A number of bytes in a form for people.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub fn human(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    match bytes {
        0..0x400 => format!("{bytes} B"),
        0x400..0x10_0000 => format!("{:.1} KiB", mebibytes * 1024.0),
        0x10_0000..0x4000_0000 => format!("{mebibytes:.1} MiB"),
        _ => format!("{:.1} GiB", mebibytes / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_is_what_the_compiler_says_and_counts_donated_memory_once() {
        let figures = [
            ("generated_code", 5),
            ("arguments", 100),
            ("outputs", 30),
            ("aliases", 20),
            ("temporaries", 7),
        ];
        let memory_bytes = figures.map(|(name, bytes)| (name.to_owned(), bytes)).into();
        let measured = Measurements { memory_bytes, ..Measurements::default() };
        let footprint = Footprint::of(&measured, 1000);
        assert_eq!(footprint, Footprint { code: 5, arguments: 100, outputs: 10, temporaries: 7 });
        assert_eq!((footprint.of_execution(), footprint.total()), (17, 122));
        // XLA:CPU does not report the size of its code.
        assert_eq!(
            Footprint::of(&Measurements::default(), 1000),
            Footprint { code: 1000, ..Footprint::default() }
        );
    }

    #[test]
    fn the_error_has_every_figure() {
        let mut dropped = Dropped::default();
        let error = |dropped: Dropped, footprint: Option<Footprint>| OutOfMemory {
            doing: "stage `denoiser`: running it".to_owned(),
            needed_bytes: Some(3 << 30),
            footprint,
            free_bytes: Some(1 << 20),
            total_bytes: Some(16 << 30),
            dropped,
            cause: None,
        };
        assert_eq!(
            error(dropped, None).to_string(),
            "stage `denoiser`: running it: out of memory, 3.0 GiB needed; 1.0 MiB of 16.0 GiB are free; \
             everything that is left is in use"
        );
        dropped += Dropped::executable(512);
        assert_eq!(dropped.to_string(), "1 executable (512 B) was dropped for it");
        dropped += Dropped::executable(512);
        dropped += Dropped::weights(2 << 20);
        assert_eq!(
            dropped.to_string(),
            "2 executables and the weights of 1 stage (2.0 MiB) were dropped for it"
        );
        let footprint =
            Footprint { code: 1 << 20, arguments: 2 << 20, outputs: 3 << 20, temporaries: 4 << 20 };
        let said = error(dropped, Some(footprint)).to_string();
        let figures = "(code 1.0 MiB, arguments 2.0 MiB, outputs 3.0 MiB, temporaries 4.0 MiB)";
        assert!(said.contains(figures) && said.contains("were dropped"), "{said}");
    }
}
