//! How fast is the denoising loop, and how much memory does it take, if the host waits for the
//! device after every N steps (`--tpu-sync-steps`)? This process holds a model and runs the loop on
//! request.
//!
//! Arguments: the cache's folder, a model's folder, width and height in pixels, steps, and after
//! how many steps the host waits; 0 means never. Once everything is loaded, the program prints one
//! JSON line. For each line on standard input it then runs the loop, and prints its time and by how
//! much its peak memory exceeded what the process held before.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints its figures"
)]

use std::io::BufRead as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use preheat::Runtime;
use preheat_diffusion::pipeline::{Pipeline, TextToImage};
use preheat_runtime::device::{self, DeviceName};
use preheat_runtime::progress::{Event, EventKind, Progress};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Reads the peak memory of the process when the last step is done, before pictures are decoded.
#[derive(Default)]
struct Peak(AtomicU64);

impl Progress for Peak {
    fn event(&self, event: Event) {
        if let EventKind::Step { done, total } = event.kind
            && done == total
        {
            self.0.store(resident_bytes("VmHWM:"), Ordering::SeqCst);
        }
    }
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [cache_dir, model, numbers @ ..] = &arguments[..] else {
        eprintln!("this bench needs six arguments; `cargo xtask bench pipeline-sync` passes them");
        return;
    };
    let numbers: Vec<u64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
    let [width, height, steps, every] = numbers[..] else {
        panic!("four numbers are expected: width, height, steps, and after how many steps to wait")
    };
    let peak = Arc::new(Peak::default());
    let request =
        device::DeviceRequest { device: DeviceName::XlaCpu, ..device::DeviceRequest::default() };
    let builder = Runtime::builder().device(request).cache_dir(cache_dir).progress(peak.clone());
    let runtime = builder.sync_steps(usize::try_from(every).unwrap()).build().unwrap();
    let pipeline = Pipeline::open(&runtime, model).unwrap();
    let request = TextToImage {
        width: Some(width),
        height: Some(height),
        steps,
        scheduler: Some("euler".to_owned()),
        seed: Some(1),
        ..TextToImage::new("a photograph of a cat")
    };
    // The first run loads everything and encodes the prompts.
    pipeline.run(&TextToImage { steps: 2, ..request.clone() }).unwrap();
    println!("{{\"ready\":true}}");
    for _ in std::io::stdin().lock().lines() {
        // This resets the peak memory that the kernel counts for the process (proc(5)).
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = resident_bytes("VmRSS:");
        let times = pipeline.run(&request).unwrap().steps;
        let held = peak.0.load(Ordering::SeqCst).saturating_sub(before);
        println!(
            "{{\"seconds_per_step\":{:.6},\"p99_seconds\":{:.6},\"held_bytes\":{held},\"resident_bytes\":{before}}}",
            times.mean_seconds, times.p99_seconds
        );
    }
    // Freeing gigabytes piece by piece is slow; the end of the process does it at once.
    std::process::exit(0);
}

/// The value of one line of /proc/self/status, converted to bytes.
fn resident_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
