//! Are request logs, audits and plans right? The tests use the binary over the test plugin, and ten
//! thousand made-up requests.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

#[path = "../../examples/made_up_requests/generator.rs"]
mod generator;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pjrt_sim::Event;
use preheat::CompileEffort;
use preheat_diffusion::evidence::costs::guess;
use preheat_diffusion::evidence::planner::{
    Budget, Candidate, Cost, GraphCost, Problem, Wanted, joins,
};
use preheat_diffusion::evidence::{
    LogWriter, LoggedRequest, Manifest, ManifestModel, RequestLog, Shape,
};
use serde_json::{Value, json};
use support::demo::{copy_folder, demo_model};
use support::lab::library;
use support::random_model::{self, Weights};
use support::{Lab, Preheat, Ran};

/// A test environment (`Lab`) in whose cache the demo model is warm at 64x64 with guidance.
fn warm_lab() -> Lab {
    static WARM: OnceLock<PathBuf> = OnceLock::new();
    let warm = WARM.get_or_init(|| {
        let lab = Lab::new();
        lab.quick(&lab.sim()).words("warmup --model").arg(demo_model()).run().done();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence-warm");
        // Files that another run of these tests left are removed.
        let _ = std::fs::remove_dir_all(&folder);
        copy_folder(&lab.cache(), &folder);
        folder
    });
    let lab = Lab::new();
    copy_folder(warm, &lab.cache());
    lab
}

/// `preheat` with these words on the demo model. Every compile fails.
fn command(lab: &Lab, words: &str) -> Preheat {
    lab.quick(&lab.no_compiles()).words(words).arg("--model").arg(demo_model())
}

fn audit(lab: &Lab, words: &str, log: &Path) -> Ran {
    command(lab, "--json audit").arg("--requests").arg(log).words(words).run()
}

fn lines(requests: &[Value]) -> String {
    let each: Vec<String> = requests.iter().map(Value::to_string).collect();
    each.join("\n") + "\n"
}

#[test]
fn a_run_appends_its_request_without_its_prompts() {
    let lab = warm_lab();
    let run = || {
        command(
            &lab,
            "run --log-requests log.jsonl --steps 2 --prompt seven --negative-prompt blurry --width 60 --height 64",
        )
    };
    // Both runs append to the same file at the same time.
    let (one, other) =
        (run().arg("--output").arg("1.png").start(), run().arg("--output").arg("2.png").start());
    one.wait().done();
    other.wait().done();
    // A request that is refused because it is not warm is logged, too. A request that fails for
    // another reason is not.
    run().words("--require-warm --batch 2").run().ended(3);
    run().words("--clip-skip 99").run().ended(2);
    let text = std::fs::read_to_string(lab.path("log.jsonl")).unwrap();
    assert!(!text.contains("seven") && !text.contains("blurry"), "{text}");
    let log = RequestLog::read(&lab.path("log.jsonl")).unwrap();
    assert_eq!((log.requests.len(), log.damaged.len()), (3, 0), "{text}");
    for (_, request) in &log.requests[..2] {
        assert_eq!(
            (request.width, request.height, request.padded_size),
            (Some(60), Some(64), Some([64, 64]))
        );
        assert_eq!(
            (request.model_id.as_deref(), request.warm, request.steps),
            (Some("demo-model"), Some(true), 2)
        );
        assert!(
            request.seconds > Some(0.0)
                && request.seconds_per_step > Some(0.0)
                && request.timestamp.is_some()
        );
    }
    let refused = &log.requests[2].1;
    assert_eq!((refused.warm, refused.seconds, refused.batch_size), (Some(false), None, 2));
    // The audit uses the store that served the requests: it can serve two of the three.
    let audited = audit(&lab, "", &lab.path("log.jsonl")).ended(3).json();
    assert_eq!(
        (&audited["requests"], &audited["hits"], &audited["pixel_seconds"]["from_log"]),
        (&3.into(), &2.into(), &true.into())
    );
    // A log that cannot be written is refused before anything is done.
    let nowhere = command(&lab, "run --prompt p --log-requests nowhere/log.jsonl").run().ended(1);
    nowhere.says(&["error: writing the request log nowhere/log.jsonl failed: No such file"]);
}

#[test]
fn lines_of_many_writers_stay_whole() {
    let lab = Lab::new();
    let path = lab.path("log.jsonl");
    std::thread::scope(|scope| {
        for width in 1..=8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..100 {
                    // The log is opened again, as another process would do.
                    let request =
                        LoggedRequest { width: Some(width * 64), ..LoggedRequest::default() };
                    LogWriter::open(path).unwrap().append(&request).unwrap();
                }
            });
        }
    });
    let log = RequestLog::read(&path).unwrap();
    assert_eq!((log.requests.len(), log.damaged.len()), (800, 0));
}

#[test]
fn an_audit_says_what_hits_what_is_missing_and_what_it_costs() {
    let lab = warm_lab();
    let log = lab.file(
        "log.jsonl",
        lines(&[
            json!({"width": 64, "height": 64, "steps": 30, "cfg_scale": 3}),
            json!({"model_id": "demo-model", "width": 50, "height": 60, "scheduler": "ddim"}),
            json!({"width": 128, "height": 64, "model": "models/demo-model"}),
            json!({"width": 64, "height": 64, "batch_size": 2}),
            json!({"width": 64, "height": 64, "batch_size": 2}),
            json!({"width": 64, "height": 64, "model_id": "an\u{1b}[2Jother"}),
            json!({"width": 64, "height": 64, "clip_skip": 99}),
            json!({}),
        ]) + "{\"width\": 64, \"hei",
    );
    let audited = audit(&lab, "", &log).ended(3).json();
    assert_eq!(
        (&audited["verdict"], &audited["model_id"]),
        (&"partial".into(), &"demo-model".into())
    );
    assert_eq!(
        (&audited["requests"], &audited["hits"], &audited["hit_rate"]),
        (&6.into(), &3.into(), &0.5.into())
    );
    let missing: Vec<(&Value, &Value, &Value)> = audited["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["size"], &one["requests"], &one["stages"]))
        .collect();
    // The shape with the most requests comes first. One text encoder serves all shapes, and one VAE
    // serves every batch of its size.
    assert_eq!(
        missing,
        [
            (&json!([64, 64]), &json!(2), &json!(["denoiser"])),
            (&json!([128, 64]), &json!(1), &json!(["denoiser", "vae_decoder"]))
        ]
    );
    assert_eq!((&audited["graphs_at_risk"], &audited["bases"]["alike"]), (&3.into(), &3.into()));
    let seconds = |field: &str| audited[field].as_f64().unwrap();
    let of = |at: usize| audited["missing"][at]["compile_seconds"].as_f64().unwrap();
    assert!((seconds("compile_seconds_at_risk") - of(0) - of(1)).abs() < 1e-6, "{audited}");
    assert!(
        (seconds("compile_seconds_if_each_waited") - 2.0 * of(0) - of(1)).abs() < 1e-6,
        "{audited}"
    );
    assert_eq!(audited["other_models"], json!({"an\\u{1b}[2Jother": 1}));
    assert_eq!(
        (&audited["refused"][0]["line"], &audited["refused"][0]["requests"]),
        (&7.into(), &1.into())
    );
    assert_eq!(audited["damaged_lines"][0]["line"], 9);
    let shown = command(&lab, "audit").arg("--requests").arg(&log).run().ended(3).stdout;
    for said in [
        "50.0 % hit: 3",
        "left out: 1 requests of an\\u{1b}[2Jother",
        "left out: line 9:",
        "128x64",
        "at risk: ",
    ] {
        assert!(shown.contains(said), "no {said:?} in {shown}");
    }
    // 56x64 is cold. At 64x64, an eighth of the area would be padding.
    let narrow = lab.file("narrow.jsonl", lines(&[json!({"width": 56, "height": 64})]));
    let snapping = |percent: u64| {
        let words = format!("--tpu-shape-padding-multiple 8 --snap-to-warm {percent}");
        audit(&lab, &words, &narrow)
    };
    assert_eq!(snapping(12).ended(3).json()["snapped"], 0);
    let snapped = snapping(13).done().json();
    assert_eq!((&snapped["verdict"], &snapped["snapped"]), (&"hit".into(), &1.into()));
    assert!(snapped["expected"]["padding_seconds"].as_f64().unwrap() > 0.0, "{snapped}");
    let warm = lab
        .file("warm.jsonl", lines(&[json!({"width": 64, "height": 64}), json!({"cfg_scale": 5})]));
    let audited = audit(&lab, "", &warm).done().silent().json();
    assert_eq!(
        (&audited["verdict"], &audited["compile_seconds_at_risk"]),
        (&"hit".into(), &0.0.into())
    );
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn an_audit_of_three_thousand_sizes_builds_no_graph() {
    let lab = warm_lab();
    let sizes: Vec<Value> = (0..3000_u64)
        .map(|index| json!({"width": 64 * (1 + index % 55), "height": 64 * (1 + index / 55)}))
        .collect();
    let log = lab.file("sizes.jsonl", lines(&sizes));
    // The requests need one text encoder, and a denoiser and a decoder for each size. Level 1 finds
    // the graphs of the first size; the other graphs were never compiled.
    let ran =
        audit(&lab, "-vv", &log).ended(3).says(&["looked up requests=3000 graphs=6001 built=0"]);
    let audited = ran.json();
    assert_eq!(
        (&audited["shapes"], &audited["hits"], &audited["graphs_at_risk"]),
        (&3000.into(), &1.into(), &5998.into())
    );
    // Without level 1, the graphs of the one recorded size are built, and no others.
    let ran = audit(&lab, "-vv --cache-read-only", &log).ended(3).says(&["graphs=6001 built=3"]);
    assert_eq!(ran.json()["hits"], 1);
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn what_is_no_log_and_no_budget_is_refused_in_words() {
    let lab = Lab::new();
    let empty = lab.file("empty.jsonl", "\n\n");
    let picture = lab.file("picture.png", b"\x89PNG\r\n\x1a\n\0\0");
    let other =
        lab.file("other.jsonl", lines(&[json!({"model_id": "sdxl", "width": 64, "height": 64})]));
    let refused = lab.file("refused.jsonl", lines(&[json!({"clip_skip": 99})]));
    for (log, said) in [
        (&lab.path("none.jsonl"), "error: reading the request log none.jsonl failed: No such file"),
        (&empty, "error: the request log empty.jsonl is empty"),
        (
            &picture,
            "error: picture.png is no request log: none of its 3 lines is a request; line 1: it is no JSON object",
        ),
        (
            &other,
            "error: the request log has no request of demo-model: it has sdxl (1)\nhint: --model names",
        ),
        (
            &refused,
            "error: demo-model can serve none of the requests in the log; line 1: clip_skip is 99: this model's",
        ),
    ] {
        for words in ["audit", "plan --budget 2h"] {
            let ran = command(&lab, words).arg("--requests").arg(log.file_name().unwrap()).run();
            ran.ended(1).says(&[said]);
        }
    }
    let log = lab.file("log.jsonl", lines(&[json!({"width": 64, "height": 64})]));
    let plan = |budget: &str| {
        command(&lab, "plan").arg("--requests").arg(&log).arg("--budget").arg(budget).run()
    };
    for budget in ["nonsense", "0h", "2h,0GiB", "2h,2h", "20", "two hours", ""] {
        plan(budget).ended(2).says(&["for '--budget <TIME,SIZE>'", "a budget"]);
    }
    plan("1s").ended(2).says(&[
        "error: the budget holds no shape that is worth warming: the one that is compiled fastest takes 9.0 s",
    ]);
    command(&lab, "plan --requests log.jsonl").run().ended(2).says(&["--budget"]);
    command(&lab, "audit --requests log.jsonl --target v5e")
        .run()
        .ended(2)
        .says(&["`v5e` is not a target"]);
    command(&lab, "plan --budget 1h --requests log.jsonl --output nowhere/warm.toml")
        .run()
        .ended(1)
        .says(&["error: writing the manifest to nowhere/warm.toml failed: there is no folder"]);
    assert_eq!(lab.compiles(), 0);
}

/// A plan for ten thousand requests for pictures of Stable Diffusion's sizes, with the compile
/// times of a v5e.
struct Service {
    problem: Problem,
    places: BTreeMap<Shape, usize>,
}

impl Service {
    /// Sizes are padded to 128 px, and up to 30 per cent of the computed area may be padding.
    fn new(budget: Budget) -> Self {
        let mut wanted: BTreeMap<Shape, (u64, f64)> = BTreeMap::new();
        for request in generator::requests(10_000, 1) {
            let side = |side: Option<u64>| side.unwrap().next_multiple_of(128);
            let guided = request.cfg_scale > 1.0;
            let shape = Shape {
                size: [side(request.width), side(request.height)],
                batch_size: request.batch_size,
                guided,
                clip_skip: 0,
                negative_prompt: false,
                prompt_chunks: 1,
                image_to_image: false,
            };
            let of_shape = wanted.entry(shape).or_default();
            of_shape.0 += 1;
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let passes = (request.steps * request.batch_size) as f64;
            of_shape.1 += passes * if guided { 2.0 } else { 1.0 };
        }
        let counts: Vec<(Shape, u64)> =
            wanted.iter().map(|(shape, (requests, _))| (*shape, *requests)).collect();
        let kinds: BTreeSet<Shape> =
            wanted.keys().map(|shape| Shape { size: [0, 0], ..*shape }).collect();
        let mut shapes: BTreeSet<Shape> =
            wanted.keys().copied().chain(joins(&counts, 30.0, 64)).collect();
        shapes.extend(
            PRESETS.iter().flat_map(|size| kinds.iter().map(|kind| Shape { size: *size, ..*kind })),
        );
        let cost = |stage: &str| {
            let guess = guess(stage, "tpu:v5e:1x1", CompileEffort::Full);
            GraphCost {
                compile_seconds: guess.compile_seconds,
                warming_seconds: guess.compile_seconds,
                stored_bytes: guess.stored_bytes,
                is_there: false,
            }
        };
        let (mut graphs, mut decoders) = (vec![cost("text_encoder")], BTreeMap::new());
        let mut candidates = Vec::new();
        for shape in &shapes {
            let decoder = *decoders.entry(shape.size).or_insert_with(|| {
                graphs.push(cost("vae_decoder"));
                graphs.len() - 1
            });
            graphs.push(cost("denoiser"));
            candidates
                .push(Candidate { shape: *shape, graphs: vec![0, graphs.len() - 1, decoder] });
        }
        let places: BTreeMap<Shape, usize> =
            shapes.iter().enumerate().map(|(at, shape)| (*shape, at)).collect();
        let wanted = wanted.iter().map(|(shape, (requests, passes))| Wanted {
            candidate: places[shape],
            requests: *requests,
            passes: *passes,
        });
        let problem = Problem {
            graphs,
            candidates,
            wanted: wanted.collect(),
            seconds_per_pixel_pass: 4e-8,
            most_waste_percent: Some(30.0),
            requests_per_store: 2000.0,
            budget,
        };
        Self { problem, places }
    }

    /// The least cost that any of these lists of sizes reaches within the budget. Each size is
    /// warmed for the most frequent kinds of requests. Every number of kinds is tried, and the best
    /// result counts.
    fn best_of_lists(&self, lists: &[Vec<[u64; 2]>]) -> f64 {
        let mut kinds: BTreeMap<Shape, u64> = BTreeMap::new();
        for wanted in &self.problem.wanted {
            let kind = Shape { size: [0, 0], ..self.problem.candidates[wanted.candidate].shape };
            *kinds.entry(kind).or_default() += wanted.requests;
        }
        let mut kinds: Vec<(u64, Shape)> =
            kinds.into_iter().map(|(kind, requests)| (requests, kind)).collect();
        kinds.sort_by_key(|(requests, _)| std::cmp::Reverse(*requests));
        let mut sets = Vec::new();
        for list in lists {
            let mut chosen = Vec::new();
            for (_, kind) in &kinds {
                let shapes = list.iter().map(|size| Shape { size: *size, ..*kind });
                chosen.extend(shapes.filter_map(|shape| self.places.get(&shape).copied()));
                sets.push(chosen.clone());
            }
        }
        let evaluated = self.problem.evaluate_each(&sets).into_iter();
        let fitting = evaluated.filter(|(_, spent)| self.problem.budget.covers(*spent));
        fitting.map(|(cost, _)| cost.total_seconds()).fold(f64::INFINITY, f64::min)
    }

    /// Sizes, ordered by the number of their requests, the most frequent first.
    fn sizes(&self) -> Vec<[u64; 2]> {
        let mut requests: BTreeMap<[u64; 2], u64> = BTreeMap::new();
        for wanted in &self.problem.wanted {
            *requests.entry(self.problem.candidates[wanted.candidate].shape.size).or_default() +=
                wanted.requests;
        }
        let mut sizes: Vec<([u64; 2], u64)> = requests.into_iter().collect();
        sizes.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
        sizes.into_iter().map(|(size, _)| size).collect()
    }

    /// How many of the most frequent shapes fit, at most `most`, and the cost of a plan with them.
    fn most_wanted(&self, most: usize) -> (usize, f64) {
        let mut wanted: Vec<&Wanted> = self.problem.wanted.iter().collect();
        wanted.sort_by_key(|wanted| std::cmp::Reverse(wanted.requests));
        let mut chosen = Vec::new();
        for wanted in wanted.into_iter().take(most) {
            chosen.push(wanted.candidate);
            if !self.problem.budget.covers(self.problem.evaluate(&chosen).1) {
                chosen.pop();
                break;
            }
        }
        (chosen.len(), self.problem.evaluate(&chosen).0.total_seconds())
    }
}

/// The sizes of `preheat warmup --preset sd15` and `sdxl`, padded to 128 px.
const PRESETS: [[u64; 2]; 11] = [
    [512, 512],
    [512, 768],
    [768, 512],
    [768, 768],
    [1024, 1024],
    [1152, 896],
    [896, 1152],
    [1280, 896],
    [896, 1280],
    [1408, 768],
    [768, 1408],
];

/// Every list of `count` out of `all` sizes.
fn subsets(all: &[[u64; 2]], count: usize) -> Vec<Vec<[u64; 2]>> {
    let fitting =
        (0..1_u32 << all.len()).filter(|bits| bits.count_ones() as usize == count.min(all.len()));
    fitting
        .map(|bits| (0..all.len()).filter(|at| bits >> at & 1 == 1).map(|at| all[at]).collect())
        .collect()
}

#[test]
fn a_plan_for_ten_thousand_requests_beats_every_fixed_list_of_as_many_sizes() {
    for (minutes, gibibytes) in [(20_u32, 20), (60, 20), (600, 1)] {
        let budget = Budget {
            compile_seconds: Some(f64::from(minutes) * 60.0),
            stored_bytes: Some(gibibytes << 30),
        };
        let service = Service::new(budget);
        let choice = service.problem.choose();
        assert!(budget.covers(choice.spent), "{:?}", choice.spent);
        let sizes: BTreeSet<[u64; 2]> =
            choice.chosen.iter().map(|at| service.problem.candidates[*at].shape.size).collect();
        let plan = choice.cost.total_seconds();
        let nothing = service.problem.evaluate(&[]).0.total_seconds();
        let most =
            service.best_of_lists(&[service.sizes().into_iter().take(sizes.len()).collect()]);
        let preset = service.best_of_lists(&subsets(&PRESETS, sizes.len()));
        let (shapes, wanted) = service.most_wanted(choice.chosen.len());
        println!(
            "{minutes} min, {gibibytes} GiB: {} shapes of {} sizes; plan {plan:.0} s, nothing {nothing:.0} s, the {} sizes wanted most \
             {most:.0} s, the best presets {preset:.0} s, the {shapes} shapes wanted most {wanted:.0} s",
            choice.chosen.len(),
            sizes.len(),
            sizes.len()
        );
        assert!(plan < most && plan < preset && plan < wanted && plan < nothing);
        let Cost { compile_wait_seconds, padding_seconds, .. } = choice.cost;
        assert!(compile_wait_seconds >= 0.0 && padding_seconds >= 0.0);
    }
}

#[test]
fn an_audit_over_the_planned_store_says_what_the_plan_foretold() {
    let lab = Lab::new();
    std::fs::create_dir(lab.cache()).unwrap();
    // Every side is a twelfth of the original, so that the demo model is fast enough for a test.
    let requests = generator::requests(10_000, 12);
    let log = lab.file(
        "log.jsonl",
        requests.iter().map(|one| serde_json::to_string(one).unwrap() + "\n").collect::<String>(),
    );
    let words = "--json plan --budget 25s,1GiB --requests-per-store 200 --output warm.toml";
    let plan = command(&lab, words).arg("--requests").arg(&log).run().done().silent().json();
    let number = |value: &Value| value.as_u64().unwrap();
    assert!(plan["spent"]["compile_seconds"].as_f64().unwrap() <= 25.0);
    assert_eq!((&plan["target"], &plan["bases"]["measured"]), (&"xla-cpu".into(), &0.into()));
    assert_eq!(number(&plan["served"]) + number(&plan["cold"]), 10_000);
    assert_eq!(lab.compiles(), 0, "a plan compiles nothing");

    let manifest = Manifest::read(&lab.path("warm.toml")).unwrap();
    let planned: Vec<_> = manifest.models.iter().flat_map(ManifestModel::requests).collect();
    assert_eq!(planned.len(), plan["shapes"].as_array().unwrap().len());
    let warmed =
        lab.quick(&lab.sim()).words("--json warmup --manifest warm.toml").run().done().json();
    let tables: usize = manifest.models.iter().map(|model| model.guided.len()).sum();
    assert_eq!(warmed["tables"].as_array().unwrap().len(), tables);
    let (_, compiles) =
        lab.counting(|| lab.quick(&lab.sim()).words("warmup --manifest warm.toml").run().done());
    assert_eq!(compiles, 0, "a second warmup compiles nothing");
    let audited = audit(&lab, "--requests-per-store 200", &log).ended(3).json();
    assert_eq!((&audited["requests"], &audited["damaged_lines"]), (&10_000.into(), &json!([])));
    assert_eq!(audited["hits"], plan["served"], "the plan predicted it");
    // A second plan counts warm sizes as free, and serves at least as many requests.
    let again = command(&lab, words).arg("--requests").arg(&log).run().done().json();
    assert!(number(&again["served"]) >= number(&plan["served"]));

    // For comparison, another store is warmed for the same number of sizes from the list for Stable
    // Diffusion 1.5, with one picture per request.
    let other = Lab::new();
    let sizes: BTreeSet<_> =
        planned.iter().map(|request| (request.width, request.height)).collect();
    let list = [[64, 64], [64, 128], [128, 64], [128, 128]];
    let list =
        list.into_iter().take(sizes.len()).map(|[width, height]| format!("{width}x{height}"));
    let resolutions = list.collect::<Vec<_>>().join(",");
    let warmup = other.quick(&other.sim()).words("warmup --resolutions").arg(resolutions);
    warmup.arg("--model").arg(demo_model()).run().done();
    let of_list = audit(&other, "--requests-per-store 200", &log).ended(3).json();
    println!(
        "the plan's store serves {} of 10000, the list's {}",
        audited["hits"], of_list["hits"]
    );
    assert!(number(&audited["hits"]) > number(&of_list["hits"]), "{of_list}");
}

#[test]
fn a_manifest_is_warmed_for_hardware_that_is_not_here() {
    let lab = Lab::new();
    std::fs::create_dir(lab.cache()).unwrap();
    let over_a_pose = |words: &str| {
        let preheat = lab.quick(&lab.sim().pose("v5e:1x1")).env("PREHEAT_TPU_PLUGIN", library());
        preheat.words(words)
    };
    let log = json!({"width": 64, "height": 64, "cfg_scale": 1});
    lab.file("log.jsonl", lines(&[log]));
    let model = demo_model();
    let plan = over_a_pose(
        "--json plan --requests log.jsonl --budget 1h --target tpu:v5e:1x1 --output warm.toml --model",
    );
    let plan = plan.arg(&model).run().done().silent().json();
    assert_eq!((&plan["target"], &plan["bases"]["guessed"]), (&"tpu:v5e:1x1".into(), &3.into()));
    assert_eq!(plan["spent"]["compile_seconds"], 225.0);
    // Whoever waits gets the first tier, which takes 28 seconds where the full effort takes 130.
    let efforts = json!({"waiting": "balanced", "warming": ["full"]});
    assert_eq!(plan["efforts"], efforts);
    let tiered = over_a_pose(
        "--json --compile-effort tiered plan --requests log.jsonl --budget 1h \
         --target tpu:v5e:1x1 --output tiered.toml --model",
    );
    let tiered = tiered.arg(&model).run().done().json();
    let near = |value: &Value, wanted: f64| (value.as_f64().unwrap() - wanted).abs() < 0.01;
    let both = 225.0 * (1.0 + 28.0 / 130.0);
    assert!(near(&tiered["spent"]["compile_seconds"], both), "{tiered}");
    assert_eq!(tiered["efforts"]["warming"], json!(["balanced", "full"]));
    let manifest = std::fs::read_to_string(lab.path("tiered.toml")).unwrap();
    assert!(manifest.contains("compile_effort = \"tiered\""), "{manifest}");
    let audit = || {
        let audit = over_a_pose("--json audit --requests log.jsonl --target tpu:v5e:1x1 --model")
            .arg(&model);
        audit.run()
    };
    let cold = audit().ended(3).json();
    assert!(near(&cold["compile_seconds_at_risk"], 225.0 * 28.0 / 130.0), "{cold}");
    // Executables of a lower effort serve, and are counted as such.
    over_a_pose("--compile-effort balanced warmup --manifest warm.toml").run().done();
    assert_eq!(lab.compiles(), 3);
    let lower = audit().done().json();
    let (served, graphs) =
        (&lower["at_lower_effort"]["requests"], &lower["at_lower_effort"]["graphs"]);
    assert_eq!((&lower["verdict"], served, graphs), (&"hit".into(), &1.into(), &3.into()));
    assert!(lower["at_lower_effort"]["full_compile_seconds"].as_f64() > Some(0.0), "{lower}");
    let said = over_a_pose("audit --requests log.jsonl --target tpu:v5e:1x1 --model").arg(&model);
    let said = said.run().done().stdout;
    assert!(said.contains("1 of them by executables of a lower compile effort"), "{said}");
    let warmed = over_a_pose("--json warmup --manifest warm.toml").run().done().json();
    assert_eq!(warmed["tables"][0]["device"]["selected"], "tpu:v5e:1x1");
    assert_eq!(lab.compiles(), 6);
    let audited = audit().done().json();
    assert_eq!((&audited["verdict"], &audited["bases"]["measured"]), (&"hit".into(), &3.into()));
    assert_eq!(audited["at_lower_effort"]["graphs"], 0);
    // Nothing is warm for the device of this machine, which has no first tier.
    let here = command(&lab, "--json audit --requests log.jsonl").run().ended(3).json();
    assert_eq!(here["efforts"], json!({"waiting": "full", "warming": ["full"]}));
    assert_eq!(lab.compiles(), 6);
}

#[test]
fn a_manifest_that_is_wrong_is_told_before_anything_is_compiled() {
    let lab = Lab::new();
    lab.file("wrong.toml", "[[model]]\nsizes = [\"64x64\"]\nbatches = [0]\n");
    lab.file(
        "elsewhere.toml",
        "[[model]]\nsizes = [\"64x64\"]\n\n[[model]]\nfolder = \"none\"\nsizes = [\"64x64\"]\n",
    );
    let warmup = |words: &str| lab.quick(&lab.sim()).words("warmup --manifest").words(words).run();
    warmup("wrong.toml")
        .ended(2)
        .says(&["error: wrong.toml, line 3: batches: 0 is not allowed: give numbers of"]);
    warmup("none.toml")
        .ended(1)
        .says(&["error: reading the manifest none.toml failed: No such file"]);
    warmup("elsewhere.toml").ended(1).says(&["none"]);
    warmup("wrong.toml --batch 2").ended(2).says(&["--manifest", "--batch"]);
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_plan_for_negative_prompts_warms_the_graph_that_is_their_own() {
    let lab = Lab::new();
    // As in Stable Diffusion XL, a missing negative prompt is replaced by zeros, which need no
    // encoder.
    random_model::write(
        random_model::Shape::Small("sdxl"),
        &lab.path("xl"),
        Weights::default(),
        |_, _, _| {},
    )
    .unwrap();
    let log = json!({"width": 64, "height": 64, "clip_skip": 1, "has_negative_prompt": true});
    lab.file("log.jsonl", lines(&[log]));
    let preheat = |words: &str| lab.quick(&lab.sim()).words(words);
    preheat("plan --model xl --requests log.jsonl --budget 1h --output warm.toml").run().done();
    let manifest = std::fs::read_to_string(lab.path("warm.toml")).unwrap();
    assert!(manifest.contains("negative_prompt = [true]"), "{manifest}");
    preheat("warmup --manifest warm.toml").run().done();
    let audited = preheat("--json audit --model xl --requests log.jsonl").run().done().json();
    assert_eq!(audited["verdict"], "hit");
}

#[test]
fn a_cache_that_is_only_read_is_evidence_too() {
    let lab = warm_lab();
    let own = lab.file("own.jsonl", lines(&[json!({"width": 64, "height": 64})]));
    let larger =
        lab.file("larger.jsonl", lines(&[json!({"width": 64, "height": 64, "batch_size": 2})]));
    let fallback = format!("--cache-dir elsewhere --cache-fallback {}", lab.cache().display());
    for words in ["--cache-read-only", &fallback] {
        assert_eq!(audit(&lab, words, &own).done().json()["verdict"], "hit");
        // The compile times that the store recorded are used, too.
        let audited = audit(&lab, words, &larger).ended(3).json();
        assert_eq!(audited["bases"], json!({"measured": 2, "alike": 1, "guessed": 0}), "{words}");
        // 56x64 is cold. 64x64 would serve it, although no request asks for that size.
        let narrow = lab.file("narrow.jsonl", lines(&[json!({"width": 56, "height": 64})]));
        let snapping = format!("{words} --tpu-shape-padding-multiple 8 --snap-to-warm 13");
        assert_eq!(audit(&lab, &snapping, &narrow).done().json()["snapped"], 1, "{words}");
        let plan = command(&lab, "--json plan --budget 1h")
            .words(words)
            .arg("--requests")
            .arg(&larger)
            .run()
            .done();
        assert_eq!(plan.json()["bases"]["measured"], 2, "{words}");
    }
    assert_eq!(lab.compiles(), 0);
}

#[test]
fn a_table_that_fails_keeps_no_other_from_being_warmed_and_each_gives_its_memory_up() {
    let lab = Lab::new();
    let table = |rest: &str| {
        format!("[[model]]\nfolder = {:?}\nsizes = [\"64x64\"]\n{rest}\n", demo_model())
    };
    lab.file("warm.toml", table("clip_skip = 99") + &table("guided = [true, false]"));
    let warmup =
        || lab.quick(&lab.sim()).words("--json warmup --manifest warm.toml").run().ended(1);
    let warmed = warmup().says(&[
        "error: 1 of 3 warmups of the manifest failed, the others are done: clip_skip is 99",
    ]);
    let tables = warmed.json()["tables"].as_array().unwrap().clone();
    assert_eq!(tables.len(), 3);
    let error = tables[0]["error"].as_str().unwrap();
    assert!(error.starts_with("clip_skip is 99") && tables[0]["guided"] == true, "{}", tables[0]);
    for table in &tables[1..] {
        assert!(
            table["error"].is_null() && !table["stages"].as_array().unwrap().is_empty(),
            "{table}"
        );
    }
    // Each warmup had a runtime of its own, which frees its executables before the next one starts.
    let of =
        |wanted: fn(&Event) -> bool| lab.log().iter().filter(|entry| wanted(&entry.event)).count();
    let made = of(|event| {
        matches!(
            event,
            Event::Compile { executable: Some(_), .. }
                | Event::Deserialize { executable: Some(_), .. }
        )
    });
    assert_eq!((made, of(|event| matches!(event, Event::Unload { .. }))), (6, 6));
    let shown = lab.quick(&lab.sim()).words("warmup --manifest warm.toml").run().ended(1).stdout;
    assert!(
        shown.contains("failed: clip_skip is 99") && shown.contains("without guidance"),
        "{shown}"
    );
}
