//! How long does the store take on this machine? Run this program with
//! `cargo run --release -p preheat-cache --example measure`.
//!
//! It prints medians, except for `put`, which is measured once. The programs and the machine code
//! are made up: a text of 600 KB that looks like StableHLO, and bytes of which zstd stores about an
//! eighth.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that people run: it prints its figures, and a panic shows what failed"
)]

use std::sync::Arc;
use std::time::Instant;

use preheat_cache::{
    CompileOptions, Counters, Digest, Environment, GraphRecord, KeyInputs, Match, ObjectLookup,
    Program, ProgramFormat, Source, Store, StoreOptions, Use,
};

fn median(mut run: impl FnMut(), rounds: usize) -> f64 {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

fn text(bytes: usize, located: bool) -> String {
    let mut text = String::from("module @jit_step {\n");
    let mut line = 0;
    while text.len() < bytes {
        line += 1;
        let location = if located { format!(" loc(#loc{line})") } else { String::new() };
        text.extend([
            &format!(
                "    %{line} = stablehlo.add %{}, %arg{} : tensor<2x320x64x64xf32>",
                line / 2,
                line % 9
            ),
            location.as_str(),
            "\n",
        ]);
    }
    text + "}\n"
}

fn machine_code(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut code = Vec::with_capacity(bytes);
    while code.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let length = 6 + usize::try_from(state >> 60).unwrap();
        let start = usize::try_from(state >> 40).unwrap() % (code.len() + 1);
        if code.len() < 4096 || (state >> 32).is_multiple_of(8) {
            code.extend((state >> 24).to_le_bytes());
        } else {
            let piece = code[start..(start + 4 * length).min(code.len())].to_vec();
            code.extend(piece);
        }
    }
    code.truncate(bytes);
    code
}

fn main() {
    let environment = Arc::new(Environment { platform: "cpu".into(), ..Environment::default() });
    for located in [false, true] {
        let bytes: Arc<[u8]> = text(600_000, located).into_bytes().into();
        let run = || {
            let program = Program::new(ProgramFormat::Mlir, bytes.clone());
            let inputs = KeyInputs {
                program,
                options: CompileOptions::default(),
                environment: environment.clone(),
            };
            std::hint::black_box(inputs.graph_key());
        };
        println!("graph key of 600 KB, locations {located}: {:.3} ms", median(run, 101));
    }
    let folder = tempfile::tempdir().unwrap();
    let open = || Store::open(StoreOptions::new(folder.path())).unwrap();
    let program = Program::new(ProgramFormat::Mlir, text(600_000, false).into_bytes());
    let inputs = KeyInputs { program, options: CompileOptions::default(), environment };
    for megabytes in [3, 17, 200] {
        let mut record = GraphRecord::new("denoiser", "cpu", &inputs);
        record.graph_key = preheat_cache::GraphKey(Digest::of(&[megabytes]));
        let code = machine_code(usize::from(megabytes) << 20);
        let start = Instant::now();
        let info = open().put(&record, &inputs.program, &code).unwrap();
        let put = start.elapsed().as_secs_f64() * 1e3;
        let load = || {
            let Ok(ObjectLookup::Hit(object)) = open().load(&record.graph_key) else { panic!() };
            std::hint::black_box(object);
        };
        let load = median(load, 11);
        println!(
            "{megabytes} MiB, {:.1} MB stored: put {put:.1} ms, open and load {load:.2} ms",
            as_megabytes(info.stored_bytes)
        );
    }
    let one = Use {
        graph_key: preheat_cache::GraphKey(Digest::of(&[3])),
        device: "cpu".into(),
        matched: Match::Exact,
        source: Source::Disk,
        signature: None,
        load_seconds: None,
        compile_seconds: None,
        times: 1,
    };
    let resolve = || drop(open().resolve(&[(Digest::of(b"a"), Digest::of(b"b"))]).unwrap());
    println!("resolve: {:.2} ms", median(resolve, 51));
    println!(
        "commit: {:.2} ms",
        median(|| open().commit(std::slice::from_ref(&one), &Counters::default()).unwrap(), 51)
    );
    println!("statistics: {:.2} ms", median(|| drop(open().statistics().unwrap()), 51));
}

fn as_megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0
}
