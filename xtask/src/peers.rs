//! With what do the benches compare preheat? With C programs, which are compiled here, and with
//! Python programs, which run in virtual environments.

use std::path::{Path, PathBuf};

use crate::command::{Failure, Outcome, command, root, run as run_command};

/// The sides of a bench that are written in Python.
#[derive(Clone, Copy)]
pub enum Peers {
    /// JAX and pypjrt.
    WarmStart,
    /// `PyTorch` and diffusers.
    Torch,
}

impl Peers {
    /// The list of packages, and the environment that holds them.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::WarmStart => ("benches/peers/requirements.txt", "bench-venv"),
            Self::Torch => ("benches/peers/requirements-torch.txt", "bench-torch-venv"),
        }
    }
}

/// The Python of a virtual environment with the peers' packages. It is made once per user, and
/// again when the list of packages changes.
pub fn python(peers: Peers) -> Outcome<PathBuf> {
    let (requirements, name) = peers.names();
    let requirements = root().join(requirements);
    let wanted = std::fs::read_to_string(&requirements)
        .map_err(Failure::context(format!("cannot read {}", requirements.display())))?;
    let folder = data_dir()?.join(name);
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed-requirements.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run_command(command("python3", ["-m", "venv", "--clear"]).arg(&folder))?;
    run_command(
        command(&python, ["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
    )?;
    // This is written last, so that an interrupted install is repeated.
    std::fs::write(&stamp, wanted)
        .map_err(Failure::context(format!("cannot write {}", stamp.display())))?;
    Ok(python)
}

/// Compiles the floor, the C program that only loads, against the header that was installed with
/// the plugin.
pub fn floor(plugin: &Path, work: &Path) -> Outcome<PathBuf> {
    let header_folder = plugin.with_file_name("include");
    if !header_folder.join("pjrt_c_api.h").is_file() {
        let plugin = plugin.display();
        return Err(Failure::new(format!(
            "{plugin} has no include/pjrt_c_api.h beside it, which the floor is compiled against: unset \
             PREHEAT_XLA_CPU_PLUGIN, so that the installed plugin is measured"
        )));
    }
    c_program("floor", &header_folder, work)
}

/// Compiles the program that only reads bytes.
pub fn read_bytes(work: &Path) -> Outcome<PathBuf> {
    c_program("read_bytes", &root(), work)
}

fn c_program(name: &str, header_folder: &Path, work: &Path) -> Outcome<PathBuf> {
    let program = work.join(name);
    let mut compile = command("cc", ["-O2", "-pthread", "-I"]);
    compile
        .arg(header_folder)
        .arg(format!("benches/peers/{name}.c"))
        .arg("-o")
        .arg(&program)
        .arg("-ldl");
    run_command(&mut compile)?;
    Ok(program)
}

/// The user's data folder, as `preheat` itself chooses it.
fn data_dir() -> Outcome<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    set("PREHEAT_DATA_DIR")
        .or_else(|| Some(user()?.join("preheat")))
        .ok_or_else(|| Failure::new("no data folder is known: set HOME or PREHEAT_DATA_DIR"))
}
