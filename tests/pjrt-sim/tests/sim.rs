//! Does the plugin in front of XLA:CPU pose, fail and log as its environment says? It runs in child
//! processes, because it reads its environment once per process.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use pjrt_sim::{
    Count, Entry, Event, Origin, Outcome, Place, Sim, When, copy_as_other_build, library_path, log,
    pose,
};
use preheat_pjrt::sys::ErrorCode;
use preheat_pjrt::{
    Client, ExecutableAbiVersion, ExecuteOptions, LoadedExecutable, PjrtError, PjrtExecutable,
    PjrtProgram, PjrtTopology, PjrtValue, Plugin, compile_ahead, options,
};
use preheat_tensor::Dtype;

const PROGRAM: &[u8] = b"module { func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %y = stablehlo.add %x, %x : tensor<2xf32>
  return %y : tensor<2xf32>
} }";

/// The environment variable that tells a child what to do, step by step.
const STEPS: &str = "SIM_TEST_STEPS";

/// Not a test: the code that the children of the tests run.
#[test]
#[ignore = "runs in the children of the other tests"]
fn child() {
    let Ok(steps) = env::var(STEPS) else { return };
    let mut driver = Driver::default();
    for step in steps.split('\n') {
        match driver.step(step) {
            Ok(said) => println!("\n{step} => {said}"),
            Err(error) => {
                println!("\n{step} => error {:?}: {error}", error.code());
                return;
            }
        }
    }
}

#[derive(Default)]
struct Driver {
    plugin: Option<Plugin>,
    client: Option<Client>,
    topology: Option<PjrtTopology>,
    loaded: Option<LoadedExecutable>,
    ahead: Option<PjrtExecutable>,
}

impl Driver {
    fn step(&mut self, step: &str) -> Result<String, PjrtError> {
        let (verb, subject) = step.split_once(' ').unwrap_or((step, ""));
        let options = options::encode(&options::BuildOptions::default(), std::iter::empty())?;
        if self.plugin.is_none() {
            let plugin = env::var_os("SIM_TEST_PLUGIN")
                .map_or_else(|| library_path().unwrap(), PathBuf::from);
            self.plugin = Some(Plugin::open(&plugin)?);
        }
        let plugin = self.plugin.as_ref().unwrap();
        if !["open", "topology", "ahead", "serialize"].contains(&verb) && self.client.is_none() {
            self.client = Some(Client::create(plugin, &[])?);
        }
        let client = self.client.as_ref();
        match verb {
            "open" => {}
            "topology" => {
                let topology = PjrtTopology::create(plugin, subject, &[])?;
                let said = format!("{} devices", topology.device_descriptions()?.len());
                self.topology = Some(topology);
                return Ok(said);
            }
            "ahead" => {
                self.ahead = Some(compile_ahead(
                    self.topology.as_ref().unwrap(),
                    PjrtProgram::mlir(PROGRAM),
                    &options,
                    None,
                )?);
            }
            "ahead-of-client" => {
                let topology = client.unwrap().topology()?;
                self.ahead =
                    Some(compile_ahead(&topology, PjrtProgram::mlir(PROGRAM), &options, None)?);
            }
            "compile" => {
                self.loaded = Some(client.unwrap().compile(PjrtProgram::mlir(PROGRAM), &options)?);
            }
            "serialize" => {
                let executable = self
                    .ahead
                    .as_ref()
                    .unwrap_or_else(|| self.loaded.as_ref().unwrap().executable());
                fs::write(subject, &*executable.serialize()?).unwrap();
            }
            "load" => {
                self.loaded =
                    Some(client.unwrap().deserialize_and_load(&fs::read(subject).unwrap(), None)?);
            }
            "runtime-version" => {
                let version =
                    client.unwrap().abi_version()?.map(|version| version.to_bytes()).transpose()?;
                return Ok(format!(
                    "{:?}",
                    version.map(|version| String::from_utf8(version).unwrap())
                ));
            }
            "executable-version" => {
                let version = self.ahead.as_ref().unwrap().abi_version()?.unwrap().to_bytes()?;
                fs::write(subject, &version).unwrap();
                return Ok(String::from_utf8(version).unwrap());
            }
            "takes" => {
                let version =
                    ExecutableAbiVersion::from_bytes(plugin, &fs::read(subject).unwrap())?.unwrap();
                let runtime = client.unwrap().abi_version()?.unwrap();
                assert!(runtime.takes_as(&runtime).is_err_and(|error| error.is_unimplemented()));
                return Ok(format!("{:?}", runtime.takes(&version)?));
            }
            "run" => return self.run(),
            "describe" => return describe(client.unwrap()),
            "memory" => return Ok(format!("{:?}", client.unwrap().devices()?[0].memory_stats()?)),
            _ => panic!("no such step: {step}"),
        }
        Ok("done".to_owned())
    }

    /// Doubles (1, 2) on the first device.
    fn run(&self) -> Result<String, PjrtError> {
        let client = self.client.as_ref().unwrap();
        let bytes: Vec<u8> = [1f32, 2.].into_iter().flat_map(f32::to_le_bytes).collect();
        let device = &client.addressable_devices()?[0];
        let argument = client.buffer_from_host(device, Dtype::Float32, &[2], &bytes)?;
        let results =
            self.loaded.as_ref().unwrap().execute(&[&argument], ExecuteOptions::default())?;
        results[0].ready()?.wait()?;
        let bytes = results[0].to_host()?;
        let numbers: Vec<f32> = bytes
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        Ok(format!("{numbers:?}"))
    }
}

/// Everything that tells one platform from another, in one line.
fn describe(client: &Client) -> Result<String, PjrtError> {
    let topology = client.topology()?;
    let mut said = BTreeMap::new();
    said.insert("name", client.platform_name()?);
    said.insert("version", client.platform_version()?);
    assert_eq!(said["name"], topology.platform_name()?);
    assert_eq!(said["version"], topology.platform_version()?);
    said.insert("bytes", pjrt_sim::config::to_hex(&topology.serialize()?));
    said.insert("attributes", format!("{:?}", topology.attributes()?));
    let mut devices = topology.device_descriptions()?;
    devices.sort_by_key(|device| device.id);
    let mut kinds: Vec<_> = devices.iter().map(|device| device.kind.clone()).collect();
    kinds.dedup();
    said.insert("kinds", kinds.join(","));
    let live = client.devices()?;
    assert_eq!(live.len(), devices.len());
    for (live, device) in live.iter().zip(&devices) {
        let live = live.description()?;
        assert_eq!(
            (&live.attributes, &live.debug_string),
            (&device.attributes, &device.debug_string)
        );
    }
    let places = devices.iter().map(|device| {
        let coords = device.attributes.get("coords").cloned().unwrap_or(PjrtValue::Int(-1));
        let core = device.attributes.get("core_on_chip").cloned().unwrap_or(PjrtValue::Int(-1));
        format!("{}:{coords:?}/{core:?}", device.id)
    });
    said.insert("devices", places.collect::<Vec<_>>().join(" "));
    Ok(serde_json::to_string(&said).unwrap())
}

/// The XLA:CPU plugin that `cargo xtask setup` installs.
fn real_plugin() -> PathBuf {
    let data = env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.unwrap_or_else(|| {
        PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".local/share")
    });
    let installed = data.join("preheat/plugins/xla-cpu/0.0.1/xla_cpu_pjrt.so");
    let plugin = env::var_os("PREHEAT_XLA_CPU_PLUGIN").map_or(installed, PathBuf::from);
    assert!(plugin.is_file(), "no XLA:CPU plugin at {}: run cargo xtask setup", plugin.display());
    plugin
}

/// A folder for one test, with its log in it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sim(&self) -> Sim {
        Sim::new(real_plugin()).log(self.path("log"))
    }

    fn log(&self) -> Vec<Entry> {
        log::read(&self.path("log")).unwrap()
    }

    /// Waits until the log has a line with this outcome at this place.
    fn wait_for(&self, outcome: &Outcome, place: Place) -> Entry {
        let begun = Instant::now();
        loop {
            let found = self
                .log()
                .into_iter()
                .find(|entry| entry.outcome == *outcome && entry.event.place() == Some(place));
            if let Some(entry) = found {
                return entry;
            }
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "{outcome:?} of {place:?} never came: {:#?}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[derive(Debug)]
struct Said {
    status: ExitStatus,
    answers: BTreeMap<String, String>,
    all: String,
}

impl Said {
    #[track_caller]
    fn answer(&self, step: &str) -> &str {
        let found = self.answers.iter().find(|(asked, _)| asked.starts_with(step));
        found.map_or_else(
            || panic!("no answer to {step}: {}", self.all),
            |(_, answer)| answer.as_str(),
        )
    }

    #[track_caller]
    fn describes(&self) -> BTreeMap<String, String> {
        serde_json::from_str(self.answer("describe")).unwrap_or_else(|_| panic!("{}", self.all))
    }
}

/// Runs the steps, one per line, in a child, and waits for its end.
fn run(sim: &Sim, steps: &str) -> Said {
    finish(start(sim, steps))
}

fn start(sim: &Sim, steps: &str) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(STEPS, steps).envs(sim.envs()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn finish(child: Child) -> Said {
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let answers = stdout.lines().filter_map(|line| line.split_once(" => "));
    Said {
        status: output.status,
        answers: answers.map(|(step, answer)| (step.to_owned(), answer.to_owned())).collect(),
        all: format!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn abandon(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_forwards_and_logs_what_it_forwarded() {
    let scene = Scene::new();
    let file = scene.path("executable");
    let said =
        run(&scene.sim(), &format!("compile\nrun\nserialize {}\nload {0}\nrun", file.display()));
    assert_eq!(said.answer("run"), "[2.0, 4.0]", "{}", said.all);
    let log = scene.log();
    assert_eq!((log.compiles_started(), log.compiles()), (1, 1));
    assert_eq!(
        (log.serializes(), log.deserializes_started(), log.deserializes(), log.executes()),
        (1, 1, 1, 2)
    );
    let options = options::encode(&options::BuildOptions::default(), std::iter::empty()).unwrap();
    let compile = log.iter().find(|entry| matches!(entry.event, Event::Compile { .. })).unwrap();
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(
        compile.event,
        Event::Compile {
            format: "mlir".to_owned(),
            program_blake3: hash(PROGRAM),
            program_bytes: PROGRAM.len(),
            options_blake3: hash(&options),
            client_less: false,
            executable: None,
        }
    );
    assert_eq!(log.deserialized_digests(), [hash(&fs::read(file).unwrap())]);
    let of_two = |event: Event| {
        log.iter().filter(|entry| entry.event == event && entry.outcome == Outcome::Ok).count()
    };
    assert_eq!(of_two(Event::HostToDevice { bytes: 8 }), 2);
    assert_eq!(of_two(Event::DeviceToHost { bytes: 8 }), 2);
    let execute = |id| Event::Execute { executable: Some(id), arguments: 1, devices: 1 };
    assert_eq!((of_two(execute(1)), of_two(execute(2))), (1, 1));
    assert_eq!(log.awaits(Origin::BufferReady), 2);
    assert!(
        log.windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence && pair[0].pid == pair[1].pid)
    );
}

#[test]
fn compiles_are_delayed_and_a_kill_in_one_shows() {
    let scene = Scene::new();
    let said = run(&scene.sim().compile_delay(Duration::from_millis(300)), "compile");
    assert_eq!(said.answer("compile"), "done", "{}", said.all);
    assert!(scene.wait_for(&Outcome::Ok, Place::Compile).milliseconds >= 300.);
    let scene = Scene::new();
    let child = start(&scene.sim().compile_delay(Duration::from_mins(2)), "compile");
    scene.wait_for(&Outcome::Started, Place::Compile);
    abandon(child);
    assert_eq!((scene.log().compiles_started(), scene.log().compiles()), (1, 0));
}

#[test]
fn a_numbered_compile_fails_whichever_process_makes_it() {
    let scene = Scene::new();
    let sim = scene.sim().fail_compile(When::Nth(2)).error_code(ErrorCode::UNAVAILABLE);
    assert_eq!(run(&sim, "compile").answer("compile"), "done");
    let second = run(&sim, "compile");
    assert!(second.answer("compile").starts_with("error Some(Unavailable)"), "{}", second.all);
    assert_eq!(run(&sim, "compile").answer("compile"), "done");
    assert_eq!((scene.log().compiles_started(), scene.log().compiles()), (3, 2));
    let failed = scene
        .log()
        .into_iter()
        .find(|entry| matches!(entry.outcome, Outcome::Error { .. }))
        .unwrap();
    assert!(
        matches!(failed.outcome, Outcome::Error { code: 14, injected: true, .. }),
        "{failed:?}"
    );
}

#[test]
fn processes_that_compile_at_once_agree_on_which_is_which() {
    let scene = Scene::new();
    let sim = scene.sim().fail_compile(When::Nth(3));
    let children: Vec<Child> = (0..6).map(|_| start(&sim, "compile")).collect();
    let said: Vec<Said> = children.into_iter().map(finish).collect();
    assert_eq!(said.iter().filter(|said| said.answer("compile") == "done").count(), 5, "{said:#?}");
    assert_eq!((scene.log().compiles_started(), scene.log().compiles()), (6, 5));
}

#[test]
fn every_compile_can_fail() {
    let scene = Scene::new();
    for _ in 0..2 {
        let said = run(&scene.sim().fail_compile(When::Each), "compile");
        assert!(said.answer("compile").starts_with("error Some(Internal)"), "{}", said.all);
    }
    assert_eq!((scene.log().compiles_started(), scene.log().compiles()), (2, 0));
}

#[test]
fn memory_runs_out_where_it_is_told_to() {
    for (place, step) in
        [(Place::Compile, "compile"), (Place::Execute, "run"), (Place::HostToDevice, "run")]
    {
        let scene = Scene::new();
        let said = run(&scene.sim().out_of_memory(place, When::Each), "compile\nrun");
        assert!(
            said.answer(step).starts_with("error Some(ResourceExhausted)"),
            "{place:?}: {}",
            said.all
        );
    }
}

#[test]
fn a_deserialise_fails_or_is_given_damaged_bytes_or_hangs() {
    let scene = Scene::new();
    let file = scene.path("executable");
    let steps = format!("load {}\nrun", file.display());
    run(&scene.sim(), &format!("compile\nserialize {}", file.display()));
    assert_eq!(run(&scene.sim(), &steps).answer("run"), "[2.0, 4.0]");

    let failed = run(&scene.sim().fail(Place::Deserialize, When::Nth(2)), &steps);
    assert!(failed.answer("load").starts_with("error Some(Internal)"), "{}", failed.all);

    let corrupted = run(&scene.sim().corrupt_deserialize(When::Each), &steps);
    assert!(corrupted.answer("load").starts_with("error"), "{}", corrupted.all);
    let log = scene.log();
    let last = log.iter().rfind(|entry| entry.event.place() == Some(Place::Deserialize)).unwrap();
    assert!(
        matches!(last.outcome, Outcome::Error { injected: false, .. }),
        "this must be the real plugin's own error: {last:?}"
    );
    let given = blake3::hash(&fs::read(&file).unwrap()).to_hex().to_string();
    assert_eq!(
        log.deserialized_digests(),
        [given.as_str(); 3],
        "the digests are those of the bytes that the caller gave"
    );

    let child = start(&scene.sim().hang(Place::Deserialize, When::Each), &steps);
    scene.wait_for(&Outcome::Hanging, Place::Deserialize);
    abandon(child);
}

#[test]
fn the_log_has_the_last_word_before_a_crash_or_an_exit() {
    for (place, steps) in [
        (Place::Initialize, "open"),
        (Place::Client, "compile"),
        (Place::Compile, "compile"),
        (Place::Deserialize, "load /dev/null"),
        (Place::Execute, "compile\nrun"),
    ] {
        let scene = Scene::new();
        let crashed = run(&scene.sim().crash(place, When::Each), steps);
        assert_eq!(crashed.status.code(), None, "{place:?} ends by a signal: {}", crashed.all);
        assert_eq!(scene.log().last().unwrap().outcome, Outcome::Crashing);
    }
    let scene = Scene::new();
    let ended = run(&scene.sim().exit(Place::Compile, When::Each), "compile");
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(scene.log().last().unwrap().outcome, Outcome::Exiting);
}

#[test]
fn the_table_is_shaped() {
    let scene = Scene::new();
    let file = scene.path("executable");
    let steps = format!("compile\nserialize {}", file.display());
    let said = run(&scene.sim().no_serialize(), &steps);
    assert!(said.answer("serialize").starts_with("error Some(Unimplemented)"), "{}", said.all);
    let said = run(&scene.sim().absent("PJRT_Executable_Serialize"), &steps);
    assert!(said.answer("serialize").contains("PJRT_Executable_Serialize"), "{}", said.all);
    let said = run(&scene.sim().table_end("PJRT_Client_Create"), "compile");
    assert!(said.answer("compile").starts_with("error None"), "{}", said.all);
    let said = run(&scene.sim().api_version(1, 0), "open");
    assert!(said.answer("open").contains("1.0"), "{}", said.all);
    assert_eq!(run(&scene.sim().api_version(0, 90), "open").answer("open"), "done");
}

#[test]
fn what_the_environment_gets_wrong_is_named_by_initialize() {
    let scene = Scene::new();
    for (sim, variable) in [
        (scene.sim().pose("v99:1x1"), "PJRT_SIM_POSE"),
        (scene.sim().absent("PJRT_Lunch"), "PJRT_SIM_ABSENT"),
        (scene.sim().bounds([2, 2, 1]), "PJRT_SIM_BOUNDS"),
        (Sim::new("/nowhere/plugin.so"), "/nowhere/plugin.so"),
        (Sim::new(real_plugin()).log("/nowhere/log"), "PJRT_SIM_LOG"),
    ] {
        let said = run(&sim, "open");
        assert!(said.answer("open").contains(variable), "{variable}: {}", said.all);
    }
}

#[test]
fn a_pose_says_what_libtpu_says() {
    let scene = Scene::new();
    for (name, devices) in [("v5e:1x1", 1), ("v5e:2x2", 4), ("v4:2x2x1", 8), ("v6e:1x1", 1)] {
        let said = run(&scene.sim().pose(name), "describe\nmemory\ncompile\nrun");
        let described = said.describes();
        let captured = pose::find(name).unwrap();
        assert_eq!(described["name"], "tpu");
        assert_eq!(described["version"], captured.platform_version);
        assert_eq!(described["bytes"], captured.serialized);
        assert_eq!(described["kinds"], captured.devices[0].kind);
        assert_eq!(described["devices"].matches(':').count(), devices);
        let limit = captured.devices[0].memory_limit().unwrap();
        assert!(
            said.answer("memory").contains(&format!("bytes_limit: Some({limit})")),
            "{}",
            said.all
        );
        assert_eq!(said.answer("run"), "[2.0, 4.0]");
    }
    let said = run(&scene.sim().pose("v5e:4x4"), "topology v5e:4x4\nahead\ncompile");
    assert_eq!(said.answer("topology"), "16 devices");
    assert_eq!(said.answer("ahead"), "done");
    assert!(said.answer("compile").contains("spans 4 hosts"), "{}", said.all);
}

#[test]
fn what_is_compiled_ahead_loads_in_a_live_client_of_the_same_pose_only() {
    let scene = Scene::new();
    let file = scene.path("executable");
    let said = run(
        &scene.sim().pose("v5e:1x1"),
        &format!("topology v5e:1x1\nahead\nserialize {}\nload {0}\nrun", file.display()),
    );
    assert_eq!(said.answer("run"), "[2.0, 4.0]", "{}", said.all);
    let load = format!("load {}\nrun", file.display());
    assert_eq!(run(&scene.sim().pose("v5e:1x1"), &load).answer("run"), "[2.0, 4.0]");
    for other in [
        scene.sim().pose("v6e:1x1"),
        scene.sim().pose("v5e:2x2"),
        scene.sim().pose("v5e:1x1").platform_version("TFRT TPU v5 lite\nBuilt later"),
    ] {
        let said = run(&other, &load);
        assert!(said.answer("load").starts_with("error Some(FailedPrecondition)"), "{}", said.all);
    }
    let log = scene.log();
    assert_eq!((log.compiles_started(), log.compiles()), (1, 1));
    assert!(log.iter().any(|entry| matches!(
        entry.event,
        Event::Compile { client_less: true, executable: Some(_), .. }
    )));
    let steps = format!("ahead-of-client\nserialize {}\nload {0}\nrun", file.display());
    assert_eq!(run(&scene.sim().pose("v5e:1x1"), &steps).answer("run"), "[2.0, 4.0]");
    let said = run(&scene.sim(), "ahead-of-client");
    assert!(said.answer("ahead-of-client").starts_with("error Some(NotFound)"), "{}", said.all);
    let said = run(&scene.sim().pose("v5e:1x1"), "topology v9:1x1");
    assert!(said.answer("topology").starts_with("error Some(InvalidArgument)"), "{}", said.all);
}

#[test]
fn the_abi_version_decides_which_executables_are_taken() {
    let scene = Scene::new();
    let (file, version) = (scene.path("executable"), scene.path("version"));
    let posed = |name: &str| scene.sim().pose(name);
    assert_eq!(run(&posed("v5e:1x1"), "runtime-version").answer("runtime-version"), "None");
    assert_eq!(
        run(&scene.sim().abi_version("7"), "runtime-version").answer("runtime-version"),
        "Some(\" 7\")"
    );

    let steps =
        "topology v5e:1x1\nahead\nexecutable-version {version}\nserialize {file}\nruntime-version";
    let steps = steps
        .replace("{version}", version.to_str().unwrap())
        .replace("{file}", file.to_str().unwrap());
    let said = run(&posed("v5e:1x1").abi_version("163"), &steps);
    assert_eq!(said.answer("runtime-version"), "Some(\"v5e 163\")", "{}", said.all);
    assert_eq!(said.answer("executable-version"), "v5e 163");

    let steps = format!("takes {}\nload {}\nrun", version.display(), file.display());
    let later = |name: &str| posed(name).platform_version("TFRT TPU v5 lite\nBuilt later");
    for sim in [
        later("v5e:1x1").abi_version("163"),
        later("v5e:1x1").abi_version("164").abi_takes(&["163", "164"]),
        later("v5e:1x1").cores(2).abi_version("163"),
        posed("v5e:2x2").abi_version("163"),
    ] {
        let said = run(&sim, &steps);
        assert_eq!(said.answer("takes"), "Compatible", "{}", said.all);
        assert_eq!(said.answer("run"), "[2.0, 4.0]", "{}", said.all);
    }
    for sim in [
        later("v5e:1x1").abi_version("164"),
        posed("v5e:1x1").abi_version("163").abi_takes(&[]),
        posed("v6e:1x1").abi_version("163"),
    ] {
        let said = run(&sim, &steps);
        assert!(said.answer("takes").starts_with("Incompatible"), "{}", said.all);
        assert!(said.answer("load").starts_with("error Some(FailedPrecondition)"), "{}", said.all);
    }
    let taken = scene
        .log()
        .iter()
        .filter(|entry| matches!(entry.event, Event::Takes { taken: true, .. }))
        .count();
    assert_eq!(taken, 4);
}

#[test]
fn one_thing_of_a_platform_changes_at_a_time() {
    let scene = Scene::new();
    let posed = || scene.sim().pose("v5e:1x1");
    let plain = run(&posed(), "describe").describes();
    for (sim, changed) in [
        (posed().platform_version("TFRT TPU v5 lite, another build"), &["version"][..]),
        (posed().device_kind("TPU v5 heavy"), &["kinds"]),
        (posed().platform_name("gpu"), &["name"]),
        (posed().topology_bytes(b"other"), &["bytes"]),
        (posed().cores(2), &["devices"]),
        (posed().bounds([2, 1, 1]), &["bytes", "devices"]),
        (posed().memory_limit(1 << 30), &["attributes"]),
    ] {
        assert_eq!(differences(&plain, &run(&sim, "describe").describes()), changed, "{sim:?}");
    }
    let plain = run(&scene.sim(), "describe").describes();
    for (sim, changed) in [
        (scene.sim(), &[][..]),
        (scene.sim().host_features(&["+avx2"]), &["bytes"]),
        (scene.sim().platform_version("cpu 2"), &["version"]),
        (scene.sim().device_kind("another cpu"), &["kinds"]),
    ] {
        let said = run(&sim, "describe\ncompile\nrun");
        assert_eq!(differences(&plain, &said.describes()), changed, "{sim:?}");
        assert_eq!(said.answer("run"), "[2.0, 4.0]");
    }
}

fn differences<'a>(
    one: &'a BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Vec<&'a str> {
    one.iter()
        .filter(|(name, value)| other[*name] != **value)
        .map(|(name, _)| name.as_str())
        .collect()
}

#[test]
fn a_copy_is_another_build_that_works() {
    let scene = Scene::new();
    let copy = scene.path("copy.so");
    copy_as_other_build(&copy).unwrap();
    assert_ne!(build_id(&copy), build_id(&library_path().unwrap()));
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(STEPS, "compile\nrun")
        .envs(scene.sim().envs());
    let output = command.env("SIM_TEST_PLUGIN", &copy).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("run => [2.0, 4.0]"), "{output:?}");
}

/// The content of the first note named GNU of type 3; the whole file's hash if there is none.
fn build_id(library: &Path) -> Vec<u8> {
    let bytes = fs::read(library).unwrap();
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    match bytes.windows(note.len()).position(|window| window == note) {
        Some(at) => bytes[at + note.len()..][..20].to_vec(),
        None => blake3::hash(&bytes).as_bytes().to_vec(),
    }
}
