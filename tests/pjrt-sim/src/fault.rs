//! Where something goes wrong, when, and how.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use preheat_pjrt::sys::ErrorCode;

use crate::forward::Raised;
use crate::log::{Event, Log, Outcome};

/// A call that a fault can strike; named as in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `PJRT_Plugin_Initialize`.
    Initialize,
    /// `PJRT_Client_Create`.
    Client,
    /// `PJRT_TopologyDescription_Create`.
    Topology,
    /// `PJRT_Client_Compile` and `PJRT_Compile`.
    Compile,
    /// `PJRT_Executable_Serialize`.
    Serialize,
    /// `PJRT_Executable_DeserializeAndLoad`.
    Deserialize,
    /// `PJRT_LoadedExecutable_Execute`.
    Execute,
    /// A transfer to the device.
    HostToDevice,
    /// A transfer from the device.
    DeviceToHost,
}

impl Place {
    /// Every place.
    pub const ALL: [Self; 9] = [
        Self::Initialize,
        Self::Client,
        Self::Topology,
        Self::Compile,
        Self::Serialize,
        Self::Deserialize,
        Self::Execute,
        Self::HostToDevice,
        Self::DeviceToHost,
    ];

    /// As variables and the log spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Client => "client",
            Self::Topology => "topology",
            Self::Compile => "compile",
            Self::Serialize => "serialize",
            Self::Deserialize => "deserialize",
            Self::Execute => "execute",
            Self::HostToDevice => "host_to_device",
            Self::DeviceToHost => "device_to_host",
        }
    }

    /// Whether the log says that such a call began, and not only how it ended: so for those that
    /// take long enough to be killed in.
    fn announced(self) -> bool {
        matches!(self, Self::Client | Self::Compile | Self::Serialize | Self::Deserialize)
    }
}

/// Which calls at a place are meant. Calls are counted from 1 over the log file, whichever process
/// makes them; where there is no log, over the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Each.
    Each,
    /// One of them.
    Nth(u64),
    /// This one and each after it.
    From(u64),
}

impl When {
    fn meets(self, ordinal: u64) -> bool {
        match self {
            Self::Each => true,
            Self::Nth(n) => ordinal == n,
            Self::From(n) => ordinal >= n,
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The call takes longer.
    Delay(Duration),
    /// The call returns an error with the code that the environment names.
    Fail,
    /// The call returns an error of code `RESOURCE_EXHAUSTED`.
    OutOfMemory,
    /// The real plugin is given damaged bytes.
    Corrupt,
    /// The call never returns.
    Hang,
    /// The process aborts.
    Crash,
    /// The process ends with exit status 1, as XLA does at an unknown flag.
    Exit,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Which calls.
    pub place: Place,
    /// Which of them.
    pub when: When,
    /// What happens.
    pub kind: Kind,
}

/// The faults of this process, and the log that every call under them goes into.
#[derive(Debug)]
pub struct Stage {
    /// Every fault.
    pub rules: Vec<Rule>,
    /// The code that [`Kind::Fail`] raises.
    pub error_code: ErrorCode,
    /// Where it is written down.
    pub log: Log,
}

impl Stage {
    /// Does `work` at `place`: writes to the log that it began (where that matters) and how it
    /// ended, and lets the faults strike. `work` is told whether to corrupt; `event` describes the
    /// call, once with what came of it.
    pub fn perform<T>(
        &self,
        place: Place,
        event: impl Fn(Option<&T>) -> Event,
        work: impl FnOnce(bool) -> Result<T, Raised>,
    ) -> Result<T, Raised> {
        let begun = Instant::now();
        let faults = self.enter(place, || event(None), begun);
        let injected = faults.as_ref().is_err();
        let done = faults.and_then(work);
        let outcome = match &done {
            Ok(_) => Outcome::Ok,
            Err(raised) => {
                let (code, message) = raised.describe();
                Outcome::Error { code: code.0, message, injected }
            }
        };
        self.log.write(event(done.as_ref().ok()), outcome, begun.elapsed());
        done
    }

    /// Lets the faults strike; says whether to corrupt.
    fn enter(
        &self,
        place: Place,
        event: impl Fn() -> Event,
        begun: Instant,
    ) -> Result<bool, Raised> {
        let rules: Vec<&Rule> = self.rules.iter().filter(|rule| rule.place == place).collect();
        if rules.is_empty() && !place.announced() {
            return Ok(false);
        }
        let counted = rules.iter().any(|rule| rule.when != When::Each);
        let ordinal = self.log.announce(place, event(), counted);
        let mut corrupt = false;
        let mut struck: Vec<Kind> =
            rules.iter().filter(|rule| rule.when.meets(ordinal)).map(|rule| rule.kind).collect();
        // A delay comes before whatever else happens.
        struck.sort_by_key(|kind| !matches!(kind, Kind::Delay(_)));
        for kind in struck {
            let last_word = |outcome| self.log.write(event(), outcome, begun.elapsed());
            match kind {
                Kind::Delay(delay) => thread::sleep(delay),
                Kind::Corrupt => corrupt = true,
                Kind::Fail => {
                    let message =
                        format!("pjrt-sim: told to fail {} number {ordinal}", place.name());
                    return Err(Raised::ours(self.error_code, message));
                }
                Kind::OutOfMemory => {
                    let message = format!(
                        "pjrt-sim: told to be out of memory at {} number {ordinal}",
                        place.name()
                    );
                    return Err(Raised::ours(ErrorCode::RESOURCE_EXHAUSTED, message));
                }
                Kind::Hang => {
                    last_word(Outcome::Hanging);
                    loop {
                        thread::sleep(Duration::from_hours(1));
                    }
                }
                Kind::Crash => {
                    last_word(Outcome::Crashing);
                    last_words(place, ordinal);
                    std::process::abort();
                }
                Kind::Exit => {
                    last_word(Outcome::Exiting);
                    let _ = writeln!(
                        std::io::stderr(),
                        "pjrt-sim: told to exit at {} number {ordinal}",
                        place.name()
                    );
                    std::process::exit(1);
                }
            }
        }
        Ok(corrupt)
    }
}

/// What absl writes of a failed check: the reason, and then more stack frames than anyone reads.
fn last_words(place: Place, ordinal: u64) {
    let mut stderr = std::io::stderr();
    let _ = writeln!(
        stderr,
        "F0000 00:00:1700000000.000001 1 sim.cc:1] Check failed: told to crash {} number {ordinal}",
        place.name()
    );
    let _ = writeln!(stderr, "*** Check failure stack trace: ***");
    for frame in 0..40 {
        let _ = writeln!(stderr, "    @     0x7f00000000{frame:02}  (unknown)");
    }
}
