//! What does the child process do? It reads one job, gives one answer, and ends.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use preheat_cache::Program;
use preheat_io::result_file;
use preheat_pjrt::{PjrtError, PjrtTopology, PjrtValue, Plugin, compile_ahead};

use super::ended::NOT_ANSWERED;
use super::job::{self, Answer, Job, PluginFile, Task, Wanted};
use super::{flags, here, refused, trial};
use crate::backend::xla;
use preheat_environment::Facts;

/// The environment variable that tells a process that it is a child. Its value is the folder for
/// the answer.
pub(super) const VARIABLE: &str = "PREHEAT_COMPILER_CHILD";

/// Whether this program becomes a child when it is started as one.
static SERVES: AtomicBool = AtomicBool::new(false);

/// Whether this program called [`serve_compiler`], so that it can be started again as a child.
pub(crate) fn this_program_serves() -> bool {
    SERVES.load(Ordering::Relaxed)
}

/// Allows this program to be started again as a child process that compiles a graph, or that tries
/// an executable which may end its process.
///
/// A program that calls this first in `main` compiles in child processes, so that no compiler can
/// end it. A program that compiles for hardware that is not here
/// ([`RuntimeBuilder::target`](crate::RuntimeBuilder::target)) must call it. In
/// such a child process, this function does the child's work and then ends the process. In any
/// other process it returns at once.
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
    // The answer is complete, so it does not matter what the plugin does at the end of its process.
    std::process::exit(status);
}

fn serve(folder: &Path) -> io::Result<()> {
    std::fs::write(job::started(folder), [])?;
    // If the job is not whole, the parent has ended.
    let job = Job::read(&mut io::stdin()).inspect_err(|_| job::remove_folder(folder));
    let (job, input) = job?;
    end_with_the_parent(folder.to_owned())?;
    let answer = work(&job, input, folder)?;
    result_file::write_whole(&job::answer(folder), &serde_json::to_vec(&answer)?)
}

/// Ends this process when the parent ends. The parent keeps its end of standard input open for as
/// long as it waits for the answer. When that end closes, this process removes what it wrote and
/// exits, even in the middle of a compile.
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
        Task::Compile(wanted) => {
            if wanted.in_background {
                make_way();
            }
            of_topology(&job.plugin, &wanted.topology, |topology, facts| {
                if wanted.facts.are_alike(&facts) {
                    compile(&topology, wanted, input, folder)
                } else {
                    Ok(Answer::Replaced)
                }
            })
        }
        Task::CompileHere(wanted) => here::serve(&job.plugin, wanted, input, folder),
        Task::ReadFlags { creates_client } => Ok(flags::serve(&job.plugin, *creates_client)),
        Task::Try(subject) => trial::serve(&job.plugin, subject, &input),
    }
}

/// The least priority that a process can have, as `nice` counts.
#[cfg(unix)]
const LEAST_PRIORITY: i32 = 19;

/// Gives this process the lowest priority. Threads that are started later inherit it.
#[cfg(unix)]
fn make_way() {
    // If the system refuses, the compile runs at the same priority as any other process.
    let _ = rustix::process::nice(LEAST_PRIORITY);
}

/// On systems where the priority cannot be set, the compile runs like any other process.
#[cfg(not(unix))]
fn make_way() {}

/// Reads the topology of this name and its description, and returns what `answer` returns for them.
fn of_topology(
    plugin: &PluginFile,
    topology: &str,
    answer: impl FnOnce(PjrtTopology, Facts) -> io::Result<Answer>,
) -> io::Result<Answer> {
    let loaded = Plugin::open(&plugin.path).and_then(|plugin| {
        let topology = create_topology(&plugin, topology)?;
        let facts = Facts::read(&topology)?;
        Ok((topology, facts))
    });
    match loaded {
        Err(error) => Ok(refused(error.code(), &error)),
        Ok(_) if plugin.was_replaced() => Ok(Answer::Replaced),
        Ok((topology, facts)) => answer(topology, facts),
    }
}

/// Makes the topology of this name. Releases of libtpu before 0.0.50 take a name such as `v5e:1x1`
/// for a part of a larger host, and refuse it unless they are told that the host has no more chips.
fn create_topology(plugin: &Plugin, name: &str) -> Result<PjrtTopology, PjrtError> {
    PjrtTopology::create(plugin, name, &[]).or_else(|error| {
        let Some(chips) = chips_of_a_small_host(name) else { return Err(error) };
        let one_host = ("chips_per_host_bounds", PjrtValue::IntList(chips));
        PjrtTopology::create(plugin, name, &[one_host]).map_err(|_| error)
    })
}

/// How many chips a topology has along each of its three axes, such as 1, 2 and 1 for `v5e:1x2`, if
/// it has fewer than the four of the host that libtpu assumes.
fn chips_of_a_small_host(name: &str) -> Option<Vec<i64>> {
    let (_, shape) = name.split_once(':')?;
    let mut chips: Vec<i64> =
        shape.split('x').map(|length| length.parse().ok()).collect::<Option<_>>()?;
    chips.resize(chips.len().max(3), 1);
    let is_small = chips.iter().try_fold(1_i64, |all, &axis| all.checked_mul(axis))? < 4;
    (is_small && chips.iter().all(|&axis| axis > 0)).then_some(chips)
}

fn compile(
    topology: &PjrtTopology,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topology_of_fewer_than_four_chips_is_a_host_of_its_own() {
        for (name, chips) in [
            ("v5e:1x1", Some(vec![1, 1, 1])),
            ("v5e:1x2", Some(vec![1, 2, 1])),
            ("v4:1x1x1", Some(vec![1, 1, 1])),
            ("v5e:2x2", None),
            ("v5e:7x9x3", None),
            ("v5e:0x1", None),
            ("v5e:-1x-1", None),
            ("v5e:9999999999x9999999999", None),
            ("v5e", None),
            ("v5e:2xtwo", None),
            ("v5e:", None),
        ] {
            assert_eq!(chips_of_a_small_host(name), chips, "{name}");
        }
    }
}
