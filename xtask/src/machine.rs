//! On which machine were the figures of a bench measured?

use crate::command::{command, succeeds};

/// One line: processor, cores, memory, system, commit, date.
pub fn description() -> String {
    let cores = std::thread::available_parallelism()
        .map_or_else(|_| "?".to_owned(), |cores| cores.to_string());
    let processor = field("/proc/cpuinfo", "model name")
        .or_else(|| line("sysctl", &["-n", "machdep.cpu.brand_string"]))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .or_else(|| {
            line("sysctl", &["-n", "hw.memsize"])?.parse::<u64>().ok().map(|bytes| bytes / 1024)
        })
        .map_or_else(
            || "unknown memory".to_owned(),
            |kibibytes| format!("{} GiB", (kibibytes + (1 << 19)) >> 20),
        );
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let commit =
        line("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = if succeeds(&mut command("git", ["diff", "--quiet", "HEAD"])) {
        ""
    } else {
        " with changes"
    };
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC");
    format!("{processor}, {cores} cores, {memory}, {system}; commit {commit}{changed}; {date}")
}

/// The value of the line `name: value` in a file of the kernel.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn line(program: &str, arguments: &[&str]) -> Option<String> {
    let output =
        command(program, arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
