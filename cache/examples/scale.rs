//! How does the store's speed change with the number of its entries? Run this program with
//! `cargo xtask bench scale`, or with
//! `cargo run --release -p preheat-cache --example scale -- [ENTRIES ...]`.
//!
//! The entries are small and made up: a program of about 550 bytes and machine code of a kilobyte.
//! There are ten models with three stages; each stage of a model has the same number of entries,
//! with one signature each. The entries are written below `TMPDIR` if it is set, otherwise to
//! memory if there is `/dev/shm`. On a disk, writing 100,000 entries takes ten minutes, most of
//! which is spent in fsync.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that people run: it prints its figures, and a panic shows what failed"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use preheat_cache::{
    CompileOptions, Digest, Environment, GraphKey, GraphRecord, KeyInputs, Program, ProgramFormat,
    RecordedSignature, Removal, Signature, Store, StoreOptions, WantedEntry,
    create_execution_signature,
};
use preheat_tensor::Dtype;

/// How many entries are stored with one transaction.
const BATCH: u64 = 1000;
/// How many entries are evicted.
const EVICTED: usize = 1000;
const STAGES: [&str; 3] = ["text_encoder", "denoiser", "vae_decoder"];

/// One figure: what was measured, in which unit, the target at 100,000 entries, and the value at
/// each size.
struct Row {
    what: &'static str,
    unit: &'static str,
    target: Option<f64>,
    values: Vec<f64>,
}

fn main() {
    let sizes: Vec<u64> = std::env::args().skip(1).map(|size| size.parse().unwrap()).collect();
    let sizes = if sizes.is_empty() { vec![1_000, 100_000] } else { sizes };
    let mut rows: Vec<Row> = Vec::new();
    for size in &sizes {
        for (row, (what, unit, target, value)) in measure(*size).into_iter().enumerate() {
            if rows.len() <= row {
                rows.push(Row { what, unit, target, values: Vec::new() });
            }
            rows[row].values.push(value);
        }
    }
    write_figures(&sizes, &rows);
    print!("{:<52}", "");
    for size in &sizes {
        print!("{size:>12}");
    }
    println!("{:>12}{:>10}", "target", "grows");
    for row in rows {
        print!("{:<52}", row.what);
        for value in &row.values {
            print!("{value:>9.3} {}", row.unit);
        }
        let target =
            row.target.map_or_else(String::new, |target| format!("< {target} {}", row.unit));
        let grows = row.values.last().unwrap() / row.values[0].max(f64::MIN_POSITIVE);
        println!("{target:>12}{grows:>8.1} x");
    }
}

/// Writes the figures of the largest store as JSON into the file that the variable
/// `PREHEAT_BENCH_FIGURES` names. `cargo xtask bench` sets it.
fn write_figures(sizes: &[u64], rows: &[Row]) {
    let Some(file) = std::env::var_os("PREHEAT_BENCH_FIGURES") else { return };
    let Some((at, size)) = sizes.iter().enumerate().max_by_key(|(_, size)| **size) else { return };
    let figures = rows.iter().map(|row| {
        let name = format!("{size} entries: {}", row.what);
        serde_json::json!({
            "name": name, "value": row.values[at], "unit": row.unit, "at_most": row.target,
        })
    });
    let figures: serde_json::Value = figures.collect();
    std::fs::write(file, figures.to_string()).unwrap();
}

/// What was measured, its unit, its target and its value.
type Figure = (&'static str, &'static str, Option<f64>, f64);

fn measure(size: u64) -> Vec<Figure> {
    let memory = Path::new("/dev/shm");
    let folder = match std::env::var_os("TMPDIR") {
        None if memory.is_dir() => tempfile::tempdir_in(memory).unwrap(),
        _ => tempfile::tempdir().unwrap(),
    };
    let open = || Store::open(StoreOptions::new(folder.path())).unwrap();
    let environment = Arc::new(Environment { platform: "cpu".into(), ..Environment::default() });
    let began = Instant::now();
    for first in (0..size).step_by(usize::try_from(BATCH).unwrap()) {
        let graphs: Vec<_> =
            (first..size.min(first + BATCH)).map(|number| graph(number, &environment)).collect();
        open()
            .put_all(
                graphs.iter().map(|(record, program, code)| (record, program, code.as_slice())),
            )
            .unwrap();
    }
    let stored = began.elapsed().as_secs_f64() * 1e3 / as_float(size);
    let grown_bytes = bytes_below(&open().layout().graphs());
    // An import, a rewarm, a prune and a repair do this at their end.
    let rewriting = timed(|| open().tidy().unwrap());
    let index_bytes = bytes_below(&open().layout().graphs());
    let looking = timed(|| open().tidy().unwrap());
    let numbers = || (0..51).map(|round| round * 7919 % size);
    let first = timed(|| drop(open().statistics().unwrap()));
    let statistics =
        median(numbers().map(|_| timed(|| assert_eq!(open().statistics().unwrap().entries, size))));
    let stage = |number| {
        let signature = signature(number);
        (signature.projection_key, signature.signature.digest())
    };
    let one = median(numbers().map(|number| {
        let stage = [stage(number)];
        timed(|| assert!(open().resolve(&stage).unwrap()[0].is_some()))
    }));
    let stages: Vec<_> = (0..1000).map(|number| stage(number * 7919 % size)).collect();
    let thousand = timed(|| assert!(open().resolve(&stages).unwrap().iter().all(Option::is_some)));
    let by_signature = median(numbers().map(|number| {
        let digest = signature(number).signature.digest();
        timed(|| assert!(!open().records_of_signature(&digest).unwrap().is_empty()))
    }));
    let asked: Signature = signature(3).signature;
    let newer = Environment { plugin_build: "gnu:newer".into(), ..(*environment).clone() };
    let options = CompileOptions::default();
    let wanted = WantedEntry {
        program: None,
        stage: "denoiser",
        signature: Some(&asked),
        projection: None,
        environment: &newer,
        options: &options,
    };
    let nearest =
        median((0..11).map(|_| timed(|| assert!(open().nearest(&wanted).unwrap().is_some()))));
    let verifying = timed(|| assert_eq!(open().verify(false, |_| true).unwrap().findings, []));
    let evicted = EVICTED.min(usize::try_from(size).unwrap());
    let keys: Vec<GraphKey> =
        open().records_beginning("", evicted).unwrap().iter().map(|r| r.graph_key).collect();
    let evicting = timed(|| {
        let removals = open().remove_all(&keys).unwrap();
        assert!(removals.iter().all(|removal| matches!(removal, Removal::Removed { .. })));
    });
    vec![
        ("storing an entry, a thousand at a time", "ms", None, stored),
        ("the index on disk, while it grows", "MB", None, as_float(grown_bytes) / 1e6),
        ("rewriting the index at the end of bulk work", "ms", None, rewriting),
        ("the index on disk, after bulk work", "MB", Some(150.0), as_float(index_bytes) / 1e6),
        ("the end of bulk work, if the index needs no rewriting", "ms", None, looking),
        ("open, and cache stats, for the first time", "ms", None, first),
        ("open, and cache stats", "ms", Some(50.0), statistics),
        ("open, and look up one projection", "ms", Some(50.0), one),
        ("open, and look up one signature's records", "ms", Some(50.0), by_signature),
        ("look up a signature, once open", "ms", Some(1.0), (thousand - one).max(0.0) / 999.0),
        ("open, and find the nearest entry", "ms", None, nearest),
        ("verify, for each entry", "ms", None, verifying / as_float(size)),
        ("evict 1,000 entries", "ms", Some(2000.0), evicting),
    ]
}

/// The length of all files in a folder.
fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let bytes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => bytes_below(&entry.path()),
        metadata => metadata.len(),
    });
    bytes.sum()
}

fn graph(number: u64, environment: &Arc<Environment>) -> (GraphRecord, Program, Vec<u8>) {
    let text = format!("module @m {{ func.func @main() {{ x = {number} {} }} }}", "y ".repeat(250));
    let program = Program::new(ProgramFormat::Mlir, text.into_bytes());
    let inputs = KeyInputs {
        program,
        options: CompileOptions::default(),
        environment: Arc::clone(environment),
    };
    let stage = STAGES[usize::try_from(number % 3).unwrap()];
    let mut record = GraphRecord::new(stage, "cpu", &inputs);
    // The compiles are spread over the last eight weeks.
    record.created -= Duration::from_secs(number * 48_271 % (8 * 7 * 24 * 3600));
    record.measurements.compile_seconds = 1.0 + as_float(number % 100);
    record.add_signature(signature(number));
    let mut code = vec![0; 1024];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut code);
    (record, inputs.program, code)
}

fn signature(number: u64) -> RecordedSignature {
    let model = format!("model-{}", number % 10);
    let steps = number / 10 + 1;
    RecordedSignature {
        signature: create_execution_signature(
            model,
            [1, 4, 64, 64],
            1,
            7.5,
            "euler",
            steps,
            Dtype::Float32,
        )
        .unwrap(),
        projection_key: Digest::of(&number.to_le_bytes()),
        projection: None,
        first_used: jiff::Timestamp::now(),
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1e3
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn as_float(number: u64) -> f64 {
    number as f64
}
