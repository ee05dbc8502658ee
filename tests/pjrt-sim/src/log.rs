//! What did the plugin do in all processes of a test? The plugin writes each event as a line of
//! JSON, and tests read these lines.
//!
//! A line is appended by one write, so any number of processes may share a file. Some calls are
//! written twice: when they start, and when they have ended. These are the calls that take long
//! enough for a process to be killed in them (creating a client, compiling, serialising,
//! deserialising), and the calls at a place for which a fault is set.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::fault::Place;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The process that wrote it.
    pub pid: u32,
    /// The number of this line among the lines of its process, from 1.
    pub sequence: u64,
    /// When it was written, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// How it ended, or that it began.
    pub outcome: Outcome,
    /// How long it has taken so far, delays included.
    pub milliseconds: f64,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call began. Another line says how it ended; there is none if the process was killed.
    Started,
    /// The call returned no error.
    Ok,
    /// The call returned an error.
    Error {
        /// A value of `PJRT_Error_Code`.
        code: u32,
        /// The message that the caller read.
        message: String,
        /// Whether a fault raised it, instead of the real plugin.
        injected: bool,
    },
    /// A fault makes the call hang from here on.
    Hanging,
    /// A fault aborts the process next.
    Crashing,
    /// A fault ends the process next.
    Exiting,
}

/// The kind of work whose completion an event reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The end of an execution.
    Execute,
    /// The end of a transfer to the device.
    HostToDevice,
    /// The end of a transfer from the device.
    DeviceToHost,
    /// A buffer's data became available.
    BufferReady,
    /// Anything else.
    Other,
}

/// What happened. Digests are blake3, in hexadecimal. An executable and its loaded form have the
/// same number; each process counts from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plugin was initialised.
    Initialize,
    /// A client was created.
    Client {
        /// How many devices it has.
        devices: usize,
    },
    /// A topology was requested by its name.
    Topology {
        /// The name as given.
        name: String,
    },
    /// A program was compiled.
    Compile {
        /// `mlir` or `hlo`.
        format: String,
        /// Digest of the program's bytes as given.
        program_blake3: String,
        /// The number of those bytes.
        program_bytes: usize,
        /// Digest of the serialised compile options as given.
        options_blake3: String,
        /// Whether there was no client: a compile ahead of time.
        client_less: bool,
        /// The executable that resulted.
        executable: Option<u64>,
    },
    /// An executable was serialised.
    Serialize {
        /// The executable.
        executable: Option<u64>,
        /// Digest of the bytes that were returned.
        blake3: Option<String>,
        /// The number of those bytes.
        bytes: usize,
    },
    /// An executable was deserialised and loaded.
    Deserialize {
        /// Digest of the bytes given, before any fault damages them.
        blake3: String,
        /// The number of those bytes.
        bytes: usize,
        /// The executable that resulted.
        executable: Option<u64>,
    },
    /// A runtime was asked whether it accepts an executable, by their ABI versions.
    Takes {
        /// The runtime's version.
        runtime: String,
        /// The executable's version.
        executable: String,
        /// Whether it accepts the executable.
        taken: bool,
    },
    /// An executable was enqueued.
    Execute {
        /// The executable.
        executable: Option<u64>,
        /// Arguments per device.
        arguments: usize,
        /// The number of devices.
        devices: usize,
    },
    /// A loaded executable was freed or deleted.
    Unload {
        /// The executable.
        executable: Option<u64>,
    },
    /// A buffer was filled from the host.
    HostToDevice {
        /// Bytes on the device.
        bytes: usize,
    },
    /// A buffer was read by the host.
    DeviceToHost {
        /// Bytes on the host.
        bytes: usize,
    },
    /// The host blocked until an event was ready.
    Await {
        /// The kind of work that the event reports on.
        of: Origin,
    },
    /// The host asked whether an event was ready.
    Poll {
        /// The kind of work that the event reports on.
        of: Origin,
        /// Whether it was ready.
        ready: bool,
    },
}

/// The log of this process. Without a file, it writes nothing and only counts calls.
#[derive(Debug)]
pub struct Log {
    file: Option<(PathBuf, Mutex<File>)>,
    sequence: AtomicU64,
    announced: Mutex<HashMap<Place, u64>>,
}

impl Log {
    /// Opens `path` for appending, and creates it if it does not exist.
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let file = match path {
            None => None,
            Some(path) => {
                let file = OpenOptions::new().append(true).create(true).open(path)?;
                Some((path.to_owned(), Mutex::new(file)))
            }
        };
        Ok(Self { file, sequence: AtomicU64::new(0), announced: Mutex::default() })
    }

    /// Writes a line. A line that cannot be written is lost, because no caller could do anything
    /// about it.
    pub fn write(&self, event: Event, outcome: Outcome, elapsed: Duration) {
        self.append(event, outcome, elapsed);
    }

    /// Writes a line and returns the position in the file where it ends.
    fn append(&self, event: Event, outcome: Outcome, elapsed: Duration) -> Option<u64> {
        let (_, file) = self.file.as_ref()?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let entry = Entry {
            pid: std::process::id(),
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed) + 1,
            unix_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
            event,
            outcome,
            milliseconds: elapsed.as_secs_f64() * 1e3,
        };
        let mut line = serde_json::to_vec(&entry).ok()?;
        line.push(b'\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).ok()?;
        // After an append the file's position is the end of what this process appended, even when
        // others write too.
        file.stream_position().ok()
    }

    /// Writes that a call began, and returns its number among the calls at its place, from 1.
    /// Counts the calls of this process, or, if `over_file`, of all processes that write to the
    /// file.
    ///
    /// The order of the lines in the file determines the numbers, so processes that write at the
    /// same time get different numbers.
    pub fn announce(&self, place: Place, event: Event, over_file: bool) -> u64 {
        let here = {
            let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
            let count = announced.entry(place).or_insert(0);
            *count += 1;
            *count
        };
        let end = self.append(event, Outcome::Started, Duration::ZERO);
        end.filter(|_| over_file).and_then(|end| self.announced_until(place, end)).unwrap_or(here)
    }

    fn announced_until(&self, place: Place, end: u64) -> Option<u64> {
        let mut text = Vec::new();
        File::open(&self.file.as_ref()?.0).ok()?.take(end).read_to_end(&mut text).ok()?;
        u64::try_from(parse(&text).ok()?.count(place, |outcome| *outcome == Outcome::Started)).ok()
    }
}

impl Event {
    /// The place at which a fault can strike this event; `None` if no fault can.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Initialize => Some(Place::Initialize),
            Self::Client { .. } => Some(Place::Client),
            Self::Topology { .. } => Some(Place::Topology),
            Self::Compile { .. } => Some(Place::Compile),
            Self::Serialize { .. } => Some(Place::Serialize),
            Self::Deserialize { .. } => Some(Place::Deserialize),
            Self::Execute { .. } => Some(Place::Execute),
            Self::HostToDevice { .. } => Some(Place::HostToDevice),
            Self::DeviceToHost { .. } => Some(Place::DeviceToHost),
            Self::Takes { .. } | Self::Unload { .. } | Self::Await { .. } | Self::Poll { .. } => {
                None
            }
        }
    }
}

/// Reads a whole log. A file that does not exist counts as empty. The last line is skipped if a
/// kill cut it short; a broken line elsewhere is an error.
pub fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    parse(&text)
}

fn parse(text: &[u8]) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if !line.ends_with(b"\n") => {}
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(entries)
}

/// Counts in a log.
pub trait Count {
    /// The entries.
    fn entries(&self) -> &[Entry];

    /// How many calls at `place` ended with an outcome that `pick` accepts.
    fn count(&self, place: Place, pick: impl Fn(&Outcome) -> bool) -> usize {
        let at = self.entries().iter().filter(|entry| entry.event.place() == Some(place));
        at.filter(|entry| pick(&entry.outcome)).count()
    }

    /// How many compiles began, however they ended.
    fn compiles_started(&self) -> usize {
        self.count(Place::Compile, |outcome| *outcome == Outcome::Started)
    }

    /// How many compiles succeeded.
    fn compiles(&self) -> usize {
        self.count(Place::Compile, |outcome| *outcome == Outcome::Ok)
    }

    /// How many deserialisations began, which is how often bytes reached the plugin.
    fn deserializes_started(&self) -> usize {
        self.count(Place::Deserialize, |outcome| *outcome == Outcome::Started)
    }

    /// How many deserialisations succeeded.
    fn deserializes(&self) -> usize {
        self.count(Place::Deserialize, |outcome| *outcome == Outcome::Ok)
    }

    /// How many serialisations succeeded.
    fn serializes(&self) -> usize {
        self.count(Place::Serialize, |outcome| *outcome == Outcome::Ok)
    }

    /// How many executions were enqueued.
    fn executes(&self) -> usize {
        self.count(Place::Execute, |outcome| *outcome == Outcome::Ok)
    }

    /// How often the host blocked on an event of this origin.
    fn awaits(&self, origin: Origin) -> usize {
        self.entries().iter().filter(|entry| entry.event == Event::Await { of: origin }).count()
    }

    /// The digests of the bytes that all deserialisations were given.
    fn deserialized_digests(&self) -> Vec<&str> {
        let started = self.entries().iter().filter(|entry| entry.outcome == Outcome::Started);
        let digests = started.filter_map(|entry| match &entry.event {
            Event::Deserialize { blake3, .. } => Some(blake3.as_str()),
            _ => None,
        });
        digests.collect()
    }
}

impl Count for [Entry] {
    fn entries(&self) -> &[Entry] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let entry = Entry {
            pid: 7,
            sequence: 1,
            unix_ms: 1_795_000_000_000,
            event: Event::Topology { name: "v5e:1x1".to_owned() },
            outcome: Outcome::Error { code: 3, message: "no".to_owned(), injected: true },
            milliseconds: 0.25,
        };
        let line = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            line,
            r#"{"pid":7,"sequence":1,"unix_ms":1795000000000,"event":"topology","name":"v5e:1x1","outcome":{"error":{"code":3,"message":"no","injected":true}},"milliseconds":0.25}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&line).unwrap(), entry);
    }

    #[test]
    fn calls_are_counted_over_all_who_write_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let event = || Event::Topology { name: String::new() };
        let (one, other) = (Log::open(Some(&path)).unwrap(), Log::open(Some(&path)).unwrap());
        assert_eq!(one.announce(Place::Topology, event(), true), 1);
        assert_eq!(other.announce(Place::Topology, event(), true), 2);
        one.write(event(), Outcome::Ok, Duration::ZERO);
        assert_eq!(one.announce(Place::Topology, event(), true), 3);
        assert_eq!(
            read(&path).unwrap().count(Place::Topology, |outcome| *outcome == Outcome::Started),
            3
        );
        assert_eq!(Log::open(None).unwrap().announce(Place::Topology, event(), true), 1);
    }

    #[test]
    fn a_line_cut_short_at_the_end_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        Log::open(Some(&path)).unwrap().write(Event::Initialize, Outcome::Ok, Duration::ZERO);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"pid\":1").unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        assert_eq!(read(&folder.path().join("none")).unwrap(), []);
    }
}
