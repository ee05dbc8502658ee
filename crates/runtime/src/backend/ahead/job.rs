//! What is a child asked to do, and what does it answer?

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use preheat_cache::{CompileOptions, Interface, Measurements, ProgramFormat, TensorSpec};
use serde::{Deserialize, Serialize};

use super::here::WantedHere;
use crate::backend::file_state;
use preheat_environment::Facts;

/// The largest length of a job without its input. The length is checked although the job comes from
/// a parent of the same build.
const JOB_LIMIT_BYTES: u64 = 16 << 20;

/// The plugin's file, as it was when its build was identified.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PluginFile {
    pub(super) path: PathBuf,
    /// The length and the time of the last change.
    state: Option<(u64, SystemTime)>,
}

impl PluginFile {
    pub(super) fn now(path: &Path) -> Self {
        Self { path: path.to_owned(), state: file_state(path) }
    }

    pub(super) fn was_replaced(&self) -> bool {
        self.state != file_state(&self.path)
    }
}

/// One job for one child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) plugin: PluginFile,
    pub(super) task: Task,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Describe the topology of this name.
    Describe { topology: String },
    /// Compile the program that follows the job.
    Compile(Box<Wanted>),
    /// Compile the program that follows the job for the device that the plugin has here.
    CompileHere(Box<WantedHere>),
    /// Load the plugin, which reads its flags then.
    ReadFlags {
        /// Whether to create a client, too: some plugins read their flags only then.
        creates_client: bool,
    },
    /// Load the executable that follows the job, and run it.
    Try(Subject),
}

/// What is to be compiled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The topology's name.
    pub(super) topology: String,
    pub(super) format: ProgramFormat,
    pub(super) program_bytes: usize,
    pub(super) options: CompileOptions,
    /// The description of the topology that the key was made from.
    pub(super) facts: Facts,
    /// Whether nobody waits for the executable.
    pub(super) in_background: bool,
}

/// An executable that is to be tried.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) payload_bytes: usize,
    /// The inputs that it takes. If they are not known, the executable is only loaded, not run.
    pub(super) inputs: Option<Vec<TensorSpec>>,
}

/// What a child answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Described(Facts),
    /// The executable lies beside the answer.
    Compiled {
        interface: Option<Interface>,
        abi_version: Option<Vec<u8>>,
        measurements: Measurements,
    },
    /// The graph was compiled, but the plugin does not serialise the executable.
    NotSerialised {
        message: String,
    },
    /// The executable was loaded, and run if its inputs are known; or the flags were read.
    Ran,
    /// The plugin refused with an error.
    Refused {
        code: Option<u32>,
        message: String,
    },
    /// The plugin is not the one that the key was made for.
    Replaced,
}

impl Job {
    /// Writes the job with its input, which is a program or an executable: first the length of the
    /// job, then the job as JSON, then the input.
    pub(super) fn write(&self, input: &[u8], to: &mut impl Write) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        to.write_all(&(json.len() as u64).to_le_bytes())?;
        to.write_all(&json)?;
        to.write_all(input)?;
        to.flush()
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn read(from: &mut impl Read) -> io::Result<(Self, Vec<u8>)> {
        let mut length = [0; 8];
        from.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > JOB_LIMIT_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the job is longer than any job can be",
            ));
        }
        let mut json = Vec::new();
        from.by_ref().take(length).read_to_end(&mut json)?;
        let job: Self = serde_json::from_slice(&json)?;
        let input_bytes = match &job.task {
            Task::Describe { .. } | Task::ReadFlags { .. } => 0,
            Task::Compile(wanted) => wanted.program_bytes,
            Task::CompileHere(wanted) => wanted.program_bytes,
            Task::Try(subject) => subject.payload_bytes,
        };
        let mut input = Vec::new();
        from.by_ref().take(input_bytes as u64).read_to_end(&mut input)?;
        if input.len() == input_bytes {
            Ok((job, input))
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

/// The file that a child writes first, so that its parent knows that the started program is a
/// child.
pub(super) fn started(folder: &Path) -> PathBuf {
    folder.join("started")
}

/// The answer's file in its folder. It is written last, so that it exists only when everything else
/// does.
pub(super) fn answer(folder: &Path) -> PathBuf {
    folder.join("answer.json")
}

/// The executable's file in an answer's folder.
pub(super) fn payload(folder: &Path) -> PathBuf {
    folder.join("executable")
}

/// The file that marks an answer's folder as preheat's own. It is made first.
pub(super) fn marker(folder: &Path) -> PathBuf {
    folder.join("OWNED-BY-PREHEAT")
}

/// Removes an answer's folder. Only files that preheat writes there are removed, so a folder that
/// has anything else in it stays, and so does a folder without the marker.
pub(super) fn remove_folder(folder: &Path) {
    let marker = marker(folder);
    if !std::fs::symlink_metadata(&marker).is_ok_and(|found| found.is_file()) {
        return;
    }
    // Each removal fails if the file is not there, or if another process removed it first.
    for path in [started(folder), answer(folder), payload(folder), marker] {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        let task = Task::Describe { topology: "v5e:1x1".to_owned() };
        Job { plugin: PluginFile::now(Path::new("/no/plugin")), task }
    }

    #[test]
    fn a_job_reads_back_and_one_that_is_cut_short_is_none() {
        let mut bytes = Vec::new();
        job().write(&[], &mut bytes).unwrap();
        let (read, input) = Job::read(&mut bytes.as_slice()).unwrap();
        assert!(matches!(&read.task, Task::Describe { topology } if topology == "v5e:1x1"));
        assert!(input.is_empty());
        for length in 0..bytes.len() {
            assert!(Job::read(&mut &bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_job_of_any_length_is_not_believed() {
        let bytes = u64::MAX.to_le_bytes();
        assert!(Job::read(&mut bytes.as_slice()).is_err());
    }
}
