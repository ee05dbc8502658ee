//! How long does it take to compile for a TPU that this machine does not have? `cargo xtask bench
//! ahead` measures each stage, and JAX's denoiser of the same shape for the same topology.
//!
//! Each compile runs only once: a compile takes minutes, and repeated compiles differ by less than
//! preheat and JAX do. Both sides use the same libtpu.

use std::path::Path;

use serde_json::Value;

use crate::bench_process::measured;
use crate::command::{Failure, Outcome, command, root, run as run_command};
use crate::figure::Figure;
use crate::model::Model;
use crate::peers::{self, Peers};
use crate::preheat::{Preheat, json, number, stages};
use crate::{machine, table};

const TARGET: &str = "tpu:v5e:1x1";

/// The variables that libtpu needs on a machine without a TPU; preheat sets the same for its own
/// processes.
const SURROUNDINGS: [(&str, &str); 7] = [
    ("ALLOW_MULTIPLE_LIBTPU_LOAD", "1"),
    ("TPU_SKIP_MDS_QUERY", "1"),
    ("TPU_ACCELERATOR_TYPE", "v5litepod-1"),
    ("TPU_WORKER_HOSTNAMES", "localhost"),
    ("TPU_MIN_LOG_LEVEL", "3"),
    ("TPU_STDERR_LOG_LEVEL", "3"),
    ("TPU_LOG_DIR", "disabled"),
];

pub fn run(
    model: Option<&Path>,
    preheat: Option<&Path>,
    size: Option<String>,
) -> Outcome<Vec<Figure>> {
    let preheat = Preheat::given_or_built(preheat)?;
    run_command(&mut preheat.command(["plugins", "install", "tpu"]))?;
    println!("{}", machine::description());
    let work = tempfile::tempdir().map_err(Failure::context("no temporary folder"))?;
    let cache = work.path().join("cache");
    let mut rows = Vec::new();
    if let Some(model) = model {
        rows.extend(warmed(
            &preheat,
            &cache,
            &Model::given_or_made(Some(model))?,
            size.as_deref(),
        )?);
    } else {
        let demo = Model::given_or_made(Some(&root().join("examples/demo-model")))?;
        rows.extend(warmed(&preheat, &cache, &demo, None)?);
        let size = size.unwrap_or_else(|| "512x512".to_owned());
        rows.extend(warmed(&preheat, &cache, &Model::given_or_made(None)?, Some(&size))?);
        rows.push(jax(&preheat, &size)?);
    }
    println!("\nguided, bf16, batch 1, for {TARGET}: each compiled once, in a process of its own");
    table::print(
        ["model", "size", "stage", "compile s", "peak GB", "executable MB", "stored MB"],
        &rows.iter().map(Row::cells).collect::<Vec<_>>(),
    );
    Ok(rows.iter().map(Row::figure).collect())
}

/// The time, memory and bytes of one stage's compile, in preheat or in JAX.
struct Row {
    model: String,
    size: String,
    stage: String,
    compile_seconds: f64,
    peak_bytes: f64,
    executable_bytes: f64,
    /// The bytes that preheat keeps on disk for the stage.
    stored_bytes: Option<f64>,
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let megabytes = |bytes: f64| format!("{:.1}", bytes / 1e6);
        [
            self.model.clone(),
            self.size.clone(),
            self.stage.clone(),
            format!("{:.1}", self.compile_seconds),
            format!("{:.2}", self.peak_bytes / 1e9),
            megabytes(self.executable_bytes),
            self.stored_bytes.map_or_else(String::new, megabytes),
        ]
    }

    fn figure(&self) -> Figure {
        let name = format!("{} at {}, {}: compile", self.model, self.size, self.stage);
        Figure::of(name, self.compile_seconds, "s", None)
    }
}

/// Compiles every stage on an empty cache, and returns a row for each.
fn warmed(preheat: &Preheat, cache: &Path, model: &Model, size: Option<&str>) -> Outcome<Vec<Row>> {
    let with_cache = |words: &[&str]| {
        let mut command = preheat.command(["--json", "--quiet", "--cache-dir"]);
        command.arg(cache).args(words);
        command
    };
    let mut warm = with_cache(&["warmup", "--aot", TARGET, "--jobs", "1", "--model"]);
    warm.arg(model.folder());
    if let Some(size) = size {
        warm.args(["--resolutions", size]);
    }
    let done = measured(&mut warm)?.result;
    let [width, height] = [0, 1].map(|side| done["padded_size"][side].as_u64().unwrap_or_default());
    stages(&done)?
        .iter()
        .map(|stage| row(&with_cache, model, &format!("{width}x{height}"), stage))
        .collect()
}

fn row(
    with_cache: &dyn Fn(&[&str]) -> std::process::Command,
    model: &Model,
    size: &str,
    stage: &Value,
) -> Outcome<Row> {
    if stage["source"] != "compiled" {
        return Err(Failure::new(format!("the stage should have been compiled:\n{stage:#}")));
    }
    let key = stage["graph_key"].as_str().unwrap_or_default();
    let record = json(&mut with_cache(&["cache", "show", key]))?;
    Ok(Row {
        model: model.name(),
        size: size.to_owned(),
        stage: stage["stage"].as_str().unwrap_or_default().to_owned(),
        compile_seconds: number(stage, "/compile_seconds")?,
        peak_bytes: number(stage, "/compile_peak_bytes")?,
        executable_bytes: number(&record, "/object/payload_bytes")?,
        stored_bytes: Some(number(&record, "/object/stored_bytes")?),
    })
}

/// The denoiser of Stable Diffusion 1.5 in JAX, without guidance and scheduler, for a batch of two,
/// which is what a guided step computes for one picture.
fn jax(preheat: &Preheat, size: &str) -> Outcome<Row> {
    let sides: Vec<u32> =
        size.split('x').filter_map(|side| side.parse().ok()).map(|side: u32| side / 8).collect();
    let [width, height] = sides[..] else { return Err(Failure::new(format!("{size} is no size"))) };
    let mut compile =
        command(peers::python(Peers::WarmStart)?, [root().join("benches/peers/jax_unet.py")]);
    compile.arg("--config").arg(root().join("benches/peers/configs/unet_sd15.json"));
    compile.args([
        "--batch",
        "2",
        "--dtype",
        "bfloat16",
        "--ahead",
        TARGET.trim_start_matches("tpu:"),
    ]);
    compile.args(["--height", &height.to_string(), "--width", &width.to_string()]);
    compile
        .env("TPU_LIBRARY_PATH", preheat.plugin("tpu")?)
        .env("JAX_PLATFORMS", "cpu")
        .envs(SURROUNDINGS);
    let done = measured(&mut compile)?.result;
    Ok(Row {
        model: "sd15, JAX".to_owned(),
        size: size.to_owned(),
        stage: "denoiser".to_owned(),
        compile_seconds: number(&done, "/compile_seconds")?,
        peak_bytes: number(&done, "/peak_bytes")?,
        executable_bytes: number(&done, "/executable_bytes")?,
        stored_bytes: None,
    })
}
