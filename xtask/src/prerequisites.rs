//! Does the machine have the tools that a task needs? Everything that is missing is named at once,
//! before the task starts.

use crate::command::{Failure, Outcome, command, output, succeeds};

/// A tool that a task needs, and that must already be on the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Rustfmt,
    Clippy,
    CargoDeny,
    CCompiler,
    CxxCompiler,
    Make,
    Python,
    Pip,
    Venv,
}

/// What a build of the binary and an installation of plugins need.
pub const BUILD: &[Tool] = &[Tool::CCompiler, Tool::Make, Tool::Python, Tool::Pip];
/// What the tests need.
pub const TEST: &[Tool] = &[
    Tool::Rustfmt,
    Tool::Clippy,
    Tool::CargoDeny,
    Tool::CCompiler,
    Tool::Make,
    Tool::Python,
    Tool::Pip,
];
/// What the feature `xla-rs` and its set-up need.
pub const XLA_RS: &[Tool] =
    &[Tool::CCompiler, Tool::CxxCompiler, Tool::Make, Tool::Python, Tool::Pip];
/// What the torch library and its set-up need.
pub const TORCH: &[Tool] = XLA_RS;
/// What the Python package needs.
pub const PYTHON: &[Tool] =
    &[Tool::Clippy, Tool::CCompiler, Tool::Make, Tool::Python, Tool::Pip, Tool::Venv];
/// What the tests of remotes with real servers need.
pub const REMOTE: &[Tool] = &[Tool::Clippy, Tool::CCompiler, Tool::Python, Tool::Pip, Tool::Venv];
/// What the benches that compare preheat with other programs need.
pub const PEERS: &[Tool] = &[Tool::CCompiler, Tool::Make, Tool::Python, Tool::Pip, Tool::Venv];

/// Whether this process belongs to root, who can run programs as any other user.
pub fn is_root() -> bool {
    output(&mut command("id", ["-u"])).is_ok_and(|uid| uid.trim() == "0")
}

impl Tool {
    fn is_there(self) -> bool {
        let words: &[&str] = match self {
            Self::Rustfmt => &["cargo", "fmt", "--version"],
            Self::Clippy => &["cargo", "clippy", "--version"],
            Self::CargoDeny => &["cargo", "deny", "--version"],
            Self::CCompiler => &["cc", "--version"],
            Self::CxxCompiler => &["c++", "--version"],
            Self::Make => &["make", "--version"],
            Self::Python => &["python3", "--version"],
            Self::Pip => &["python3", "-m", "pip", "--version"],
            Self::Venv => &["python3", "-c", "import venv, ensurepip"],
        };
        succeeds(&mut command(words[0], &words[1..]))
    }

    /// A text that says what is missing, what it is needed for, and how to get it.
    fn advice(self) -> &'static str {
        match self {
            Self::Rustfmt => "rustfmt (format check): `rustup component add rustfmt`",
            Self::Clippy => "clippy (lints): `rustup component add clippy`",
            Self::CargoDeny => {
                "cargo-deny (licences of dependencies): `cargo install --locked cargo-deny`"
            }
            Self::CCompiler => {
                "cc, a C compiler (allocator, zstd, layout test): `apt install build-essential`, `dnf install gcc`, \
                 `xcode-select --install`"
            }
            Self::CxxCompiler => {
                "c++, a C++17 compiler (the xla crate, the torch library): `apt install build-essential`, `dnf install gcc-c++`"
            }
            Self::Make => {
                "make (allocator): `apt install build-essential`, `dnf install make`, `xcode-select --install`"
            }
            Self::Python => {
                "python3 (its pip downloads the plugins): `apt install python3`, or https://www.python.org"
            }
            Self::Pip => {
                "pip for python3 (downloads the plugins): `apt install python3-pip`, `python3 -m ensurepip --user`"
            }
            Self::Venv => {
                "venv for python3 (makes virtual environments for tests and benches): `apt install python3-venv`"
            }
        }
    }
}

/// Fails if any of `tools` is missing. The error says for each missing tool how to get it.
pub fn check(tools: &[Tool]) -> Outcome {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let no_python = missing.contains(&Tool::Python);
    let follows = |tool: &Tool| no_python && *tool == Tool::Venv;
    let lines: Vec<String> = missing
        .iter()
        .filter(|tool| !follows(tool))
        .map(|tool| format!("  - {}", tool.advice()))
        .collect();
    Err(Failure::new(format!("missing on this machine:\n{}", lines.join("\n"))))
}
