//! What does the child process do? It reads one job, gives one answer, and ends.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use preheat_cache::Program;
use preheat_io::result_file;
use preheat_pjrt::{Plugin, Topology, compile_ahead};

use super::job::{self, Answer, Job, PluginFile, Task, Wanted};
use super::{refused, trial};
use crate::backend::environment::Facts;
use crate::backend::xla;

/// The environment variable that tells a process that it is a child. Its value is the folder for
/// the answer.
pub(super) const VARIABLE: &str = "PREHEAT_COMPILER_CHILD";

/// The exit status of a child that could not read its job or write its answer (`EX_IOERR` of
/// sysexits.h). The plugin is not the cause.
pub(super) const NOT_ANSWERED: i32 = 74;

/// Whether this program becomes a child when it is started as one.
static SERVES: AtomicBool = AtomicBool::new(false);

pub(super) fn this_program_serves() -> bool {
    SERVES.load(Ordering::Relaxed)
}

/// Allows this program to be started again as the process that compiles a graph ahead of time.
///
/// A program that compiles for hardware that is not here
/// ([`Builder::target`](crate::Builder::target)) calls this first thing in `main`. In a process
/// that was started to compile, this function compiles and then ends the process. In any other
/// process it returns at once.
pub fn serve_compiler() {
    SERVES.store(true, Ordering::Relaxed);
    let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    let status = match serve(&folder) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            NOT_ANSWERED
        }
    };
    // The answer is complete, so whatever the plugin would do at the end of its process does not
    // matter any more.
    std::process::exit(status);
}

fn serve(folder: &Path) -> io::Result<()> {
    std::fs::write(job::started(folder), [])?;
    let (job, input) = Job::read(&mut io::stdin())?;
    end_with_the_parent(folder.to_owned())?;
    let answer = work(&job, input, folder)?;
    result_file::write_whole(&job::answer(folder), &serde_json::to_vec(&answer)?)
}

/// Ends this process when the parent ends. The parent keeps its end of standard input open for as
/// long as it wants the answer. When that end closes, this process removes what it wrote and exits,
/// even in the middle of a compile.
fn end_with_the_parent(folder: PathBuf) -> io::Result<()> {
    let watch = move || {
        let mut byte = [0];
        while matches!(io::stdin().read(&mut byte), Err(error) if error.kind() == io::ErrorKind::Interrupted)
        {
        }
        job::remove_folder(&folder);
        std::process::exit(1);
    };
    std::thread::Builder::new().name("preheat-parent".to_owned()).spawn(watch).map(drop)
}

fn work(job: &Job, input: Vec<u8>, folder: &Path) -> io::Result<Answer> {
    match &job.task {
        Task::Describe { topology } => {
            of_topology(&job.plugin, topology, |_, facts| Ok(Answer::Described(facts)))
        }
        Task::Compile(wanted) => of_topology(&job.plugin, &wanted.topology, |topology, facts| {
            if wanted.facts.are_alike(&facts) {
                compile(&topology, wanted, input, folder)
            } else {
                Ok(Answer::Replaced)
            }
        }),
        Task::Try(subject) => trial::serve(&job.plugin, subject, &input),
    }
}

/// Reads the topology of this name and its description, and returns what `answer` makes of them.
fn of_topology(
    plugin: &PluginFile,
    topology: &str,
    answer: impl FnOnce(Topology, Facts) -> io::Result<Answer>,
) -> io::Result<Answer> {
    let loaded = Plugin::open(&plugin.path).and_then(|plugin| {
        let topology = Topology::create(&plugin, topology, &[])?;
        let facts = Facts::read(&topology)?;
        Ok((topology, facts))
    });
    match loaded {
        Err(error) => Ok(refused(error.code(), &error)),
        Ok(_) if plugin.was_replaced() => Ok(Answer::Replaced),
        Ok((topology, facts)) => answer(topology, facts),
    }
}

fn compile(
    topology: &Topology,
    wanted: &Wanted,
    program: Vec<u8>,
    folder: &Path,
) -> io::Result<Answer> {
    let program = Program::new(wanted.format, program);
    let began = Instant::now();
    let compiled = xla::encode_options(&program, &wanted.options).and_then(|options| {
        let executable = compile_ahead(topology, xla::as_pjrt(&program)?, &options, None)?;
        let seconds = began.elapsed().as_secs_f64();
        let payload = executable.serialize()?;
        let answer = Answer::Compiled {
            interface: xla::interface(&executable),
            abi_version: xla::abi_version(&executable),
            measurements: xla::measurements(&executable, seconds),
        };
        Ok((payload, answer))
    });
    match compiled {
        Ok((payload, answer)) => {
            std::fs::write(job::payload(folder), &*payload)?;
            Ok(answer)
        }
        Err(error) => Ok(refused(error.code(), &error)),
    }
}
