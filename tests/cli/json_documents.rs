//! Does each document that `--json` prints match the schema in docs/schema? The tests compare them
//! name by name.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::Lab;
use support::lab::{DOUBLE, Preheat, Ran, SQUARE};
use support::schema::{differences, schema};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The schema, and the names of the documents that were compared with it.
struct Checked {
    schema: Value,
    names: BTreeSet<&'static str>,
}

impl Checked {
    fn new() -> Self {
        Self { schema: schema(), names: BTreeSet::new() }
    }

    /// Compares what a command printed with one document of the schema, and returns the document.
    #[track_caller]
    fn is(&mut self, name: &'static str, ran: &Ran) -> Value {
        let document = ran.json();
        let found = differences(&self.schema, name, &document);
        assert!(found.is_empty(), "{name}: {found:#?}");
        self.names.insert(name);
        document
    }
}

fn of_frameworks(lab: &Lab, checked: &mut Checked) {
    let packages = lab.path("venv/lib/python3.12/site-packages/jax-0.10.2.dist-info");
    std::fs::create_dir_all(packages).unwrap();
    let doctor = json(lab, "doctor --report report.json").env("VIRTUAL_ENV", lab.path("venv"));
    let found = checked.is("doctor", &doctor.run().done());
    assert_eq!(found["frameworks"][0]["version"], "0.10.2");
    let plugin = lab.file("libpreheat_pjrt.so", "");
    let env = json(lab, "--device xla-cpu env").env("PREHEAT_PJRT_PLUGIN", plugin);
    assert!(checked.is("env", &env.run().done())["JAX_PLATFORMS"].is_string());
}

/// Installs a plugin from a wheel that has nothing but a file with the library's name.
fn of_plugins(lab: &Lab, checked: &mut Checked) {
    let wheel = lab.path("xla_cpu_pjrt-0.0.9-py3-none-any.whl");
    let mut writer = ZipWriter::new(std::fs::File::create(&wheel).unwrap());
    let library = "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so";
    writer.start_file(library, SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap();
    let install = || {
        let words = json(lab, "plugins install xla-cpu==0.0.9 --wheel").arg(&wheel);
        words.env("PREHEAT_DATA_DIR", lab.path("data")).run().done()
    };
    for already_installed in [false, true] {
        let installed = checked.is("plugins_install", &install());
        assert_eq!(installed["already_installed"], already_installed);
    }
    let list = json(lab, "plugins list").env("PREHEAT_DATA_DIR", lab.path("data"));
    let list = checked.is("plugins_list", &list.env_remove("PREHEAT_XLA_CPU_PLUGIN").run().done());
    assert_eq!(list[0]["places"][0]["version"], "0.0.9");
}

fn json(lab: &Lab, words: &str) -> Preheat {
    lab.bare().words("--json").words(words)
}

#[test]
fn every_document_matches_the_schema() {
    let mut checked = Checked::new();
    let lab = Lab::new();
    of_requests(&lab, &mut checked);
    of_the_cache(&lab, &mut checked);
    of_evidence(&lab, &mut checked);
    of_devices(&lab, &mut checked);
    of_frameworks(&lab, &mut checked);
    of_plugins(&lab, &mut checked);
    let documents = checked.schema["anyOf"].as_array().unwrap().iter();
    let all: BTreeSet<&str> =
        documents.map(|one| one["$ref"].as_str().unwrap().trim_start_matches("#/$defs/")).collect();
    // tests/cli/devices_bench.rs compares these, because they take long.
    let elsewhere = BTreeSet::from(["devices_tune", "devices_bench"]);
    let missing: Vec<_> = all.difference(&checked.names).collect();
    assert_eq!(missing, elsewhere.iter().collect::<Vec<_>>());
}

fn of_requests(lab: &Lab, checked: &mut Checked) {
    let program = lab.file("double.mlir", DOUBLE);
    let sim = lab.sim();
    let run = |words: &str| lab.preheat(&sim).words("--json").words(words).arg(&program);
    checked.is("run", &run("program compile").run().done());
    checked.is("run", &run("--tpu-debug-metrics program run").run().done());
    checked.is("run", &run("warmup --program").run().done());
    checked.is("lookup", &run("lookup --program").run().done());
    let cold = lab.file("square.mlir", SQUARE);
    let miss = lab.preheat(&sim).words("--json lookup --program").arg(cold).run().ended(3);
    checked.is("lookup", &miss);
    let model = |words: &str| lab.quick(&sim).words("--json").words(words);
    checked.is("run", &model("warmup --width 64 --height 64").run().done());
    checked.is("run", &model("warmup --resolutions 64x64,128x64").run().done());
    let target = "--compile-effort tiered warmup --program";
    checked.is("run", &lab.preheat(&sim).words("--json").words(target).arg(&program).run().done());
    checked.is("warmup_finish", &model("warmup --finish").run().done());
    let log = lab.path("requests.jsonl");
    let output = lab.path("out.png");
    let run = model("run --prompt 7 --width 60 --height 64 --steps 2 --output").arg(output);
    let ran = checked.is("run", &run.arg("--log-requests").arg(log).run().done());
    assert_eq!(ran["padded_size"], json!([64, 64]));
}

fn of_the_cache(lab: &Lab, checked: &mut Checked) {
    checked.is("cache_stats", &json(lab, "cache stats").run().done());
    let list = checked.is("cache_list", &json(lab, "cache list").run().done());
    let key = list[0]["graph_key"].as_str().unwrap();
    let signature = list[0]["signature_digests"][0].as_str().unwrap();
    for entry in list.as_array().unwrap() {
        let key = entry["graph_key"].as_str().unwrap();
        checked.is("cache_show", &json(lab, "cache show").arg(key).run().done());
    }
    checked.is("cache_show_program", &json(lab, "cache show --program").arg(key).run().done());
    checked.is("cache_info", &json(lab, "cache info").run().done());
    checked.is("cache_pin", &json(lab, "cache pin").arg(key).run().done());
    checked.is("cache_pin", &json(lab, "cache unpin --signature").arg(signature).run().done());
    checked.is("cache_verify", &json(lab, "cache verify").run().done());
    let exported = lab.path("export");
    checked.is("cache_export", &json(lab, "cache export").arg(&exported).run().done());
    checked.is("cache_import", &json(lab, "cache import --trust").arg(&exported).run().done());
    let remote = lab.path("remote");
    std::fs::create_dir(&remote).unwrap();
    let remote = format!("file://{}", remote.display());
    let on_remote = |words: &str| json(lab, "--cache-remote").arg(&remote).words(words);
    let pushed = checked.is("cache_push", &on_remote("cache push").run().done());
    assert!(pushed["remotes"][0]["objects"].as_u64() > Some(0), "{pushed}");
    checked.is("cache_pull", &on_remote("cache pull").run().done());
    let stats = checked.is("cache_stats", &json(lab, "cache stats").run().done());
    assert!(stats["remotes"][&remote]["uploaded"].as_u64() > Some(0), "{stats}");
    let elsewhere = on_remote("lookup --remote --program").arg(lab.path("double.mlir"));
    let elsewhere = elsewhere.env("PREHEAT_CACHE_DIR", lab.path("elsewhere"));
    let sim = lab.sim();
    let elsewhere = elsewhere.env("PREHEAT_XLA_CPU_PLUGIN", support::lab::library());
    let elsewhere =
        sim.envs().into_iter().fold(elsewhere, |run, (name, value)| run.env(name.as_ref(), value));
    let found = checked.is("lookup", &elsewhere.run().done());
    assert_eq!(found["stages"][0]["remote"], remote);
    let plugin = support::xla_cpu_plugin();
    checked.is("cache_rewarm", &json(lab, "cache rewarm --plugin").arg(plugin).run().done());
    checked.is("cache_prune", &json(lab, "cache prune --max-size 1kB --dry-run").run().done());
}

fn of_evidence(lab: &Lab, checked: &mut Checked) {
    let log = lab.path("requests.jsonl");
    let sim = lab.sim();
    let more = r#"{"model":"demo-model","width":256,"height":128}"#;
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{text}{more}\nno request\n")).unwrap();
    let ask = |words: &str| lab.quick(&sim).words("--json").words(words).arg(&log);
    checked.is("audit", &ask("audit --requests").run());
    let manifest = lab.path("warm.toml");
    let plan = ask("plan --budget 1h,1GiB --requests").arg("--output").arg(&manifest).run().done();
    checked.is("plan", &plan);
    let warmup = lab.quick(&sim).words("--json warmup --manifest").arg(&manifest);
    checked.is("warmup_of_manifest", &warmup.run().done());
    checked.is("cache_clear", &json(lab, "cache clear --yes").run().done());
    checked.is("cache_stats", &json(lab, "cache zero-stats").run().done());
}

fn of_devices(lab: &Lab, checked: &mut Checked) {
    checked.is("devices", &json(lab, "devices").run().done());
    checked.is("plugins_list", &json(lab, "plugins list").run().done());
}

#[test]
fn a_name_that_is_not_in_the_schema_is_found_and_so_is_a_wrong_type() {
    let schema = Checked::new().schema;
    let hits =
        json!({"exact": 1, "equivalent": -1, "graph": "1", "memory": 0, "disk": 0, "new": 0});
    assert_eq!(
        differences(&schema, "hits", &hits),
        [
            "hits.equivalent is -1, and minimum is 0",
            "hits.graph is \"1\", and type is \"integer\"",
            "hits.new is not in the schema",
            "hits.fallback is missing",
            "hits.remote is missing",
        ]
    );
}
