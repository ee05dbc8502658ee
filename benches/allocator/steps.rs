//! How much memory does a process hold while it loads an executable and runs 200 steps?
//!
//! The arguments are the cache's folder and a program. The bench prints one JSON line. Its first
//! run on a folder compiles the program.

use std::time::Instant;

use preheat::{Dtype, Program, Runtime, Source, create_execution_signature};
use preheat_runtime::DeviceTensor;
use preheat_runtime::device::{self, DeviceName};

const STEPS: usize = 200;

pub fn run() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (Some(cache_dir), Some(program)) = (arguments.next(), arguments.next()) else {
        eprintln!("needs a cache folder and a program; `cargo xtask bench allocator` passes them");
        return;
    };
    let at_start = resident_bytes("VmRSS");
    let began = Instant::now();
    let request =
        device::DeviceRequest { device: DeviceName::XlaCpu, ..device::DeviceRequest::default() };
    let runtime = Runtime::builder().device(request).cache_dir(cache_dir).build().unwrap();
    let program = Program::sniff(std::fs::read(program).unwrap()).unwrap();
    let signature =
        create_execution_signature("unet", [2, 4, 32, 32], 2, 1.0, "euler", 1, Dtype::Float32)
            .unwrap();
    let executable = runtime.get_or_compile(&signature, &program).unwrap();
    let load_seconds = began.elapsed().as_secs_f64();
    let loaded = resident_bytes("VmRSS");
    let zeros = executable.zeros().unwrap();
    let inputs: Vec<DeviceTensor> =
        zeros.iter().map(|zero| executable.to_device(zero).unwrap()).collect();
    let mut seconds: Vec<f64> = (0..STEPS)
        .map(|_| {
            let began = Instant::now();
            executable.run_to_host(&inputs).unwrap();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let (at_end, peak) = (resident_bytes("VmRSS"), resident_bytes("VmHWM"));
    let hit = executable.report().source == Source::Disk;
    println!(
        "{{\"hit\":{hit},\"load_seconds\":{load_seconds:.6},\"seconds_per_step\":{:.6},\"start_bytes\":{at_start},\
         \"loaded_bytes\":{loaded},\"end_bytes\":{at_end},\"peak_bytes\":{peak}}}",
        seconds[STEPS / 2]
    );
}

/// The resident size of this process, now (`VmRSS`) or at its largest (`VmHWM`); 0 if there is no
/// /proc.
fn resident_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
