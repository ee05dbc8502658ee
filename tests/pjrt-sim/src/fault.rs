//! Which calls fail on purpose, when, and how?

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use preheat_pjrt::sys::ErrorCode;

use crate::forward::Raised;
use crate::log::{Event, Log, Outcome};

/// A call that a fault can strike.
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

    /// The name that variables and the log use.
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

    /// Whether the log has a line for the start of such a call even if no fault is set for it. It
    /// has one if the call takes long enough for a process to be killed while the call runs.
    fn announced(self) -> bool {
        matches!(self, Self::Client | Self::Compile | Self::Serialize | Self::Deserialize)
    }
}

/// Which calls at a place a fault strikes. Calls are counted from 1 over the log file, over all
/// processes that write to it; if there is no log, each process counts its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Each call.
    Each,
    /// This call only.
    Nth(u64),
    /// This call and each later one.
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

/// What a fault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The call takes longer.
    Delay(Duration),
    /// The call returns an error with the code that `PJRT_SIM_ERROR_CODE` names.
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
    /// The place of the calls.
    pub place: Place,
    /// Which calls at that place.
    pub when: When,
    /// What happens to them.
    pub kind: Kind,
}

/// The faults of this process, and the log that records every call that they can strike.
#[derive(Debug)]
pub struct Stage {
    /// Every fault.
    pub rules: Vec<Rule>,
    /// The code that [`Kind::Fail`] raises.
    pub error_code: ErrorCode,
    /// Where calls are recorded.
    pub log: Log,
}

impl Stage {
    /// Runs `work` at `place`, and applies the faults. Writes to the log how the call ended and,
    /// for some calls, that it began. The argument of `work` says whether to damage its bytes.
    /// `event` makes the event of the log; its argument is the result, once the call succeeded.
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

    /// Applies the faults, and returns whether to damage the bytes.
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
        // A delay is applied before any other fault.
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

/// Writes what absl writes for a failed check: the reason, and then a long stack trace.
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
