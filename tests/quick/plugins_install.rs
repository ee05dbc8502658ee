//! Are plugins installed and found? The tests install wheels that they make themselves: no test
//! uses the network or the user's data folder.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as the tests do")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use preheat_plugins::{
    FindError, InstallError, InstallProgress, Installer, Member, Origin, Outcome, Pin,
    PluginManifest, PluginName, PluginSearch, Wheel, WheelSource, find, list, pin,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const LIBRARY: &str = "xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so";
const HEADER: &str = "xla_plugins/xla_cpu_pjrt/include/pjrt_c_api.h";
const WHEEL: &str = "xla_cpu_pjrt-0.0.9-py3-none-test.whl";
const LIBRARY_CONTENT: &[u8] = &[0x7f; 300_000];

/// A data folder, a wheel beside it, and the pin that fits the wheel.
struct Fixture {
    root: TempDir,
    sha256: String,
    wheel_bytes: u64,
    members: Vec<Member<'static>>,
}

impl Fixture {
    fn new() -> Self {
        Self::with_members(&[
            (LIBRARY, LIBRARY_CONTENT),
            (HEADER, b"// PJRT"),
            ("xla_plugins/__init__.py", b""),
        ])
    }

    fn with_members(members: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut writer = ZipWriter::new(File::create(root.path().join(WHEEL)).unwrap());
        for (name, content) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
        let members = vec![
            Member {
                member: LIBRARY,
                file: "xla_cpu_pjrt.so",
                bytes: LIBRARY_CONTENT.len() as u64,
            },
            Member { member: HEADER, file: "include/pjrt_c_api.h", bytes: 7 },
        ];
        let mut fixture = Self { root, sha256: String::new(), wheel_bytes: 0, members };
        fixture.pin_what_is_there();
        fixture
    }

    fn pin_what_is_there(&mut self) {
        let content = std::fs::read(self.wheel()).unwrap();
        self.wheel_bytes = content.len() as u64;
        self.sha256.clear();
        for byte in Sha256::digest(content) {
            write!(self.sha256, "{byte:02x}").unwrap();
        }
    }

    fn wheel(&self) -> PathBuf {
        self.root.path().join(WHEEL)
    }

    fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn target(&self) -> PathBuf {
        self.data_dir().join("plugins/xla-cpu/0.0.9")
    }

    fn pin(&self) -> Pin<'_> {
        Pin {
            name: PluginName::XlaCpu,
            wheel: Wheel {
                distribution: "xla-cpu-pjrt",
                version: "0.0.9",
                file: WHEEL,
                sha256: &self.sha256,
                bytes: self.wheel_bytes,
                platform: "test",
                python_version: "3.11",
                abi: None,
            },
            members: &self.members,
            other_platforms: &[],
        }
    }

    fn wheel_installer(&self) -> Installer<'static> {
        Installer { source: WheelSource::Wheel(self.wheel()), ..Installer::new(self.data_dir()) }
    }

    /// An installer whose Python is this shell script. In the script, `$wheel` is the fixture's
    /// wheel, and `$dest` is where pip should put it.
    #[cfg(unix)]
    fn pip_installer(&self, script: &str) -> Installer<'static> {
        use std::os::unix::fs::PermissionsExt as _;
        let python = self.root.path().join("python3");
        let find_dest =
            "for argument; do test \"$last\" = --dest && dest=$argument; last=$argument; done";
        let probe = "test \"$1\" = --probe && exit 0";
        let text = format!(
            "#!/bin/sh\n{probe}\nwheel='{}'\n{find_dest}\n{script}\n",
            self.wheel().display()
        );
        std::fs::write(&python, text).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        // If another test forks at this moment, its child holds the script open for writing until
        // the child has started its program.
        let probe = || std::process::Command::new(&python).arg("--probe").status();
        while probe().is_err_and(|error| error.kind() == std::io::ErrorKind::ExecutableFileBusy) {
            std::thread::yield_now();
        }
        Installer {
            source: WheelSource::Pip { python: python.into() },
            ..Installer::new(self.data_dir())
        }
    }

    fn lookup<'a>(&self, env: &'a dyn Fn(&str) -> Option<OsString>) -> PluginSearch<'a> {
        PluginSearch {
            env,
            explicit: None,
            data_dir: Some(self.data_dir()),
            site_packages: Vec::new(),
        }
    }

    /// Asserts that a failed install left no plugin and nothing half written.
    fn assert_nothing_left(&self) {
        let plugins = self.data_dir().join("plugins");
        let left: Vec<_> = std::fs::read_dir(plugins)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.iter().all(|name| name == ".xla-cpu.lock"), "left over: {left:?}");
    }
}

fn no_env(_: &str) -> Option<OsString> {
    None
}

#[test]
fn a_wheel_is_installed_once_and_found() {
    let fixture = Fixture::new();
    let seen = RefCell::new(Vec::new());
    let progress = |progress| seen.borrow_mut().push(progress);
    let installed = Installer { progress: &progress, ..fixture.wheel_installer() }
        .install(&fixture.pin())
        .unwrap();

    assert!(!installed.already_installed);
    assert_eq!(installed.folder, fixture.target());
    assert_eq!(std::fs::read(&installed.library).unwrap(), LIBRARY_CONTENT);
    assert_eq!(std::fs::read(fixture.target().join("include/pjrt_c_api.h")).unwrap(), b"// PJRT");
    assert!(!fixture.target().join("__init__.py").exists());
    let manifest = PluginManifest::read(&fixture.target()).unwrap();
    assert_eq!(manifest, installed.manifest);
    assert_eq!((manifest.bytes, manifest.wheel.as_str()), (300_007, WHEEL));
    assert_eq!(manifest.files[0].blake3, blake3::hash(LIBRARY_CONTENT).to_hex().to_string());
    let seen = seen.into_inner();
    assert!(matches!(seen.first(), Some(InstallProgress::Verify { .. })), "{seen:?}");
    assert!(seen.iter().any(
        |progress| matches!(progress, InstallProgress::Unpack { file, done_bytes, total_bytes }
        if file == "xla_cpu_pjrt.so" && done_bytes == total_bytes)
    ));

    let found = find(PluginName::XlaCpu, &fixture.lookup(&no_env)).require().unwrap();
    assert_eq!((found.path, found.origin), (installed.library.clone(), Origin::DataFolder));
    assert_eq!((found.version.as_deref(), found.bytes), (Some("0.0.9"), 300_000));

    std::fs::remove_file(fixture.wheel()).unwrap();
    let again = fixture.wheel_installer().install(&fixture.pin()).unwrap();
    assert!(again.already_installed);
    assert_eq!(again.manifest.installed_at, installed.manifest.installed_at);
}

#[test]
fn force_and_damage_install_again() {
    let fixture = Fixture::new();
    let first = fixture.wheel_installer().install(&fixture.pin()).unwrap();
    let forced =
        Installer { force: true, ..fixture.wheel_installer() }.install(&fixture.pin()).unwrap();
    assert!(!forced.already_installed);
    assert!(forced.manifest.installed_at > first.manifest.installed_at);

    File::options().write(true).open(&forced.library).unwrap().set_len(10).unwrap();
    let found = find(PluginName::XlaCpu, &fixture.lookup(&no_env));
    assert!(
        matches!(&found.places[0].outcome, Outcome::Damaged { reason } if reason.contains("300000")),
        "{found:?}"
    );
    assert!(matches!(found.require(), Err(FindError::Nowhere(_))));

    let repaired = fixture.wheel_installer().install(&fixture.pin()).unwrap();
    assert!(!repaired.already_installed);
    assert_eq!(std::fs::read(&repaired.library).unwrap(), LIBRARY_CONTENT);
}

#[test]
fn another_wheel_than_the_pinned_one_is_refused_by_both_digests() {
    let fixture = Fixture::new();
    let expected = "ab".repeat(32);
    let pin = fixture.pin();
    let wheel = Wheel { sha256: &expected, ..pin.wheel };
    let error = fixture.wheel_installer().install(&Pin { wheel, ..pin }).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&expected) && message.contains(&fixture.sha256), "{message}");
    fixture.assert_nothing_left();
}

#[test]
fn what_is_chosen_from_a_wheel_is_unpacked_after_the_same_checks() {
    let fixture = Fixture::new();
    let folder = fixture.root.path().join("chosen");
    std::fs::create_dir(&folder).unwrap();
    let choose = |member: &str| {
        member.strip_prefix("xla_plugins/xla_cpu_pjrt/include/").map(|rest| format!("h/{rest}"))
    };
    let installer = fixture.wheel_installer();
    let wheel = fixture.pin().wheel;

    let expected = "0".repeat(64);
    let refused =
        installer.unpack(&Wheel { sha256: &expected, ..wheel }, &choose, &folder).unwrap_err();
    assert!(matches!(refused, InstallError::WrongDigest { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);

    let files = installer.unpack(&wheel, &choose, &folder).unwrap();
    assert_eq!(
        files.iter().map(|file| (file.file.as_str(), file.bytes)).collect::<Vec<_>>(),
        [("h/pjrt_c_api.h", 7)]
    );
    assert_eq!(std::fs::read(folder.join("h/pjrt_c_api.h")).unwrap(), b"// PJRT");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "the wheel itself is gone");
}

#[test]
fn a_truncated_wheel_is_refused() {
    let mut fixture = Fixture::new();
    let pinned = fixture.wheel_bytes;
    File::options().write(true).open(fixture.wheel()).unwrap().set_len(pinned / 2).unwrap();
    let error = fixture.wheel_installer().install(&fixture.pin()).unwrap_err();
    assert!(
        matches!(error, InstallError::WrongDigest { expected_bytes, found_bytes, .. }
            if (expected_bytes, found_bytes) == (pinned, pinned / 2)),
        "{error}"
    );
    fixture.assert_nothing_left();

    // The pin fits the truncated wheel, so only the zip reader can find the fault.
    fixture.pin_what_is_there();
    let error = fixture.wheel_installer().install(&fixture.pin()).unwrap_err();
    assert!(matches!(error, InstallError::Unreadable { .. }), "{error}");
    fixture.assert_nothing_left();
}

#[test]
fn a_wheel_with_a_member_that_leads_out_is_refused() {
    for member in [
        "../../escaped.so",
        "/tmp/preheat-escaped.so",
        "xla_plugins/../../escaped.so",
        "a\\..\\escaped.so",
    ] {
        let fixture = Fixture::with_members(&[
            (LIBRARY, LIBRARY_CONTENT),
            (HEADER, b"// PJRT"),
            (member, b"escaped"),
        ]);
        let error = fixture.wheel_installer().install(&fixture.pin()).unwrap_err();
        assert!(matches!(&error, InstallError::UnsafeMember { .. }), "{member}: {error}");
        fixture.assert_nothing_left();
        assert!(!Path::new("/tmp/preheat-escaped.so").exists());
        assert!(!fixture.root.path().join("escaped.so").exists());
    }
}

#[test]
fn a_missing_member_and_one_of_another_size_are_named() {
    let fixture = Fixture::with_members(&[(LIBRARY, LIBRARY_CONTENT)]);
    let error = fixture.wheel_installer().install(&fixture.pin()).unwrap_err();
    assert!(
        matches!(&error, InstallError::MissingMember { member, .. } if member == HEADER),
        "{error}"
    );
    fixture.assert_nothing_left();

    for length in [6, 8, 5_000_000] {
        let fixture =
            Fixture::with_members(&[(LIBRARY, LIBRARY_CONTENT), (HEADER, &vec![b'/'; length])]);
        let error = fixture.wheel_installer().install(&fixture.pin()).unwrap_err();
        assert!(
            matches!(&error, InstallError::WrongMemberSize { member, expected_bytes: 7, found_bytes, .. }
                if member == HEADER && *found_bytes <= 8),
            "{error}"
        );
        fixture.assert_nothing_left();
    }
}

#[test]
fn a_wheel_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let installer = Installer {
        source: WheelSource::Wheel("/nowhere/a.whl".into()),
        ..fixture.wheel_installer()
    };
    let message = installer.install(&fixture.pin()).unwrap_err().to_string();
    assert!(message.contains("/nowhere/a.whl"), "{message}");
    fixture.assert_nothing_left();
}

#[test]
fn of_installs_at_once_one_does_the_work() {
    let fixture = Fixture::new();
    let start = std::sync::Barrier::new(4);
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    fixture.wheel_installer().install(&fixture.pin()).unwrap().already_installed
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        outcomes.iter().filter(|already_installed| !**already_installed).count(),
        1,
        "{outcomes:?}"
    );
    assert_eq!(std::fs::read(fixture.target().join("xla_cpu_pjrt.so")).unwrap(), LIBRARY_CONTENT);
}

#[test]
fn a_cancelled_install_leaves_nothing_at_any_moment() {
    let fixture = Fixture::new();
    let asked = Cell::new(0);
    for allowed in 0.. {
        asked.set(0);
        let cancelled = || {
            asked.set(asked.get() + 1);
            asked.get() > allowed
        };
        match (Installer { cancelled: &cancelled, ..fixture.wheel_installer() })
            .install(&fixture.pin())
        {
            Err(InstallError::Cancelled { what }) if what == "xla-cpu" => {
                fixture.assert_nothing_left();
            }
            Err(error) => panic!("{error}"),
            Ok(_) => {
                assert!(allowed > 4, "the cancellation was checked too few times: {allowed}");
                return;
            }
        }
    }
}

#[test]
fn what_a_killed_install_left_goes_with_the_next_one() {
    let fixture = Fixture::new();
    let plugins = fixture.data_dir().join("plugins");
    std::fs::create_dir_all(plugins.join(".staging-xla-cpu-killed/tree")).unwrap();
    std::fs::write(plugins.join(".staging-xla-cpu-killed/tree/xla_cpu_pjrt.so"), "half").unwrap();
    std::fs::create_dir_all(plugins.join(".staging-tpu-running")).unwrap();
    fixture.wheel_installer().install(&fixture.pin()).unwrap();
    assert!(!plugins.join(".staging-xla-cpu-killed").exists());
    assert!(plugins.join(".staging-tpu-running").exists());
}

#[cfg(unix)]
#[test]
fn pip_is_asked_for_the_pinned_wheel_and_watched() {
    let fixture = Fixture::new();
    // Writes 200 bytes of the wheel to pip's temporary folder, waits long enough for the installer
    // to see them, and then delivers the whole wheel.
    let script = "echo \"$@\" > \"$wheel.arguments\"\n\
        head -c 200 \"$wheel\" > \"$TMPDIR/part\"; sleep 0.4; rm \"$TMPDIR/part\"; cp \"$wheel\" \"$dest\"";
    let seen = RefCell::new(Vec::new());
    let progress = |progress| seen.borrow_mut().push(progress);
    let installer = Installer { progress: &progress, ..fixture.pip_installer(script) };
    assert!(!installer.install(&fixture.pin()).unwrap().already_installed);

    let total_bytes = fixture.wheel_bytes;
    for done_bytes in [200, total_bytes] {
        assert!(
            seen.borrow().contains(&InstallProgress::Download {
                done_bytes,
                total_bytes: Some(total_bytes)
            }),
            "{seen:?}"
        );
    }
    let arguments =
        std::fs::read_to_string(fixture.wheel().with_added_extension("arguments")).unwrap();
    for expected in [
        "-I -m pip download",
        "--no-deps",
        "--only-binary=:all:",
        "--platform test",
        "xla-cpu-pjrt==0.0.9",
    ] {
        assert!(arguments.contains(expected), "{arguments}");
    }
    let names: Vec<_> = std::fs::read_dir(fixture.data_dir().join("plugins")).unwrap().collect();
    assert_eq!(names.len(), 2, "the plugin and the lock: {names:?}");
}

#[cfg(unix)]
#[test]
fn what_keeps_pip_from_delivering_is_told_in_words() {
    let fixture = Fixture::new();
    let message = |installer: &Installer<'_>| {
        let message = installer.install(&fixture.pin()).unwrap_err().to_string();
        fixture.assert_nothing_left();
        message
    };
    let no_python = WheelSource::Pip { python: "/nowhere/python3".into() };
    let text = message(&Installer { source: no_python, ..fixture.wheel_installer() });
    assert!(text.contains("/nowhere/python3") && text.contains("install Python 3"), "{text}");

    let text = message(&fixture.pip_installer("echo \"$0: No module named pip\" >&2; exit 1"));
    assert!(text.contains("ensurepip"), "{text}");

    let text = message(&fixture.pip_installer("seq 100; echo no route to host >&2; exit 3"));
    assert!(
        text.contains("xla-cpu-pjrt==0.0.9") && text.ends_with("99\n100\nno route to host"),
        "{text}"
    );
    assert!(!text.contains("50"), "{text}");

    let text = message(&fixture.pip_installer("touch \"$dest/other-1-py3-none-any.whl\""));
    assert!(text.contains("other-1-py3-none-any.whl") && text.contains(WHEEL), "{text}");
}

#[cfg(unix)]
#[test]
fn cancelling_ends_pip_within_a_second() {
    let fixture = Fixture::new();
    let pid_file = fixture.root.path().join("pid");
    let script =
        format!("echo $$ > '{}.part'; mv '{0}.part' '{0}'; exec sleep 60", pid_file.display());
    let told = Cell::new(None::<Instant>);
    let cancelled = || {
        let started = pid_file.exists();
        if started && told.get().is_none() {
            told.set(Some(Instant::now()));
        }
        started
    };
    let error = Installer { cancelled: &cancelled, ..fixture.pip_installer(&script) }
        .install(&fixture.pin())
        .unwrap_err();
    assert!(matches!(error, InstallError::Cancelled { .. }), "{error}");
    assert!(told.get().unwrap().elapsed() < Duration::from_secs(1));
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "pip still runs");
    fixture.assert_nothing_left();
}

#[test]
fn places_are_looked_at_in_order_and_all_are_listed() {
    let fixture = Fixture::new();
    let root = fixture.root.path();
    fixture.wheel_installer().install(&fixture.pin()).unwrap();
    let site_packages = root.join("site-packages");
    let in_site_packages = site_packages.join(LIBRARY);
    std::fs::create_dir_all(in_site_packages.parent().unwrap()).unwrap();
    std::fs::create_dir(site_packages.join("xla_cpu_pjrt-0.0.3.dist-info")).unwrap();
    std::fs::write(&in_site_packages, "library").unwrap();
    let by_hand = root.join("by-hand.so");
    std::fs::write(&by_hand, "library").unwrap();

    let variable = Some(in_site_packages.clone());
    let env = |name: &str| {
        (name == "PREHEAT_XLA_CPU_PLUGIN").then(|| variable.clone().unwrap().into_os_string())
    };
    let mut lookup = fixture.lookup(&env);
    lookup.explicit = Some(by_hand.clone());
    lookup.site_packages = vec![root.join("empty"), site_packages.clone()];

    let found = find(PluginName::XlaCpu, &lookup);
    let origins: Vec<_> =
        found.places.iter().map(|place| (place.origin, place.outcome.clone())).collect();
    assert_eq!(
        origins,
        [
            (Origin::Explicit, Outcome::Found),
            (Origin::Variable("PREHEAT_XLA_CPU_PLUGIN"), Outcome::Found),
            (Origin::DataFolder, Outcome::Found),
            (Origin::SitePackages, Outcome::Absent),
            (Origin::SitePackages, Outcome::Found),
        ]
    );
    let plugin = found.require().unwrap();
    assert_eq!((plugin.path, plugin.origin, plugin.version), (by_hand, Origin::Explicit, None));

    lookup.explicit = None;
    let plugin = find(PluginName::XlaCpu, &lookup).require().unwrap();
    assert_eq!((plugin.path, plugin.version.as_deref()), (in_site_packages.clone(), Some("0.0.3")));

    lookup.env = &no_env;
    assert_eq!(find(PluginName::XlaCpu, &lookup).require().unwrap().origin, Origin::DataFolder);

    lookup.data_dir = None;
    let plugin = find(PluginName::XlaCpu, &lookup).require().unwrap();
    assert_eq!((plugin.path, plugin.origin), (in_site_packages, Origin::SitePackages));
    assert_eq!(plugin.version.as_deref(), Some("0.0.3"));
}

#[test]
fn a_variable_that_points_at_nothing_is_an_error_though_a_plugin_is_installed() {
    let fixture = Fixture::new();
    fixture.wheel_installer().install(&fixture.pin()).unwrap();
    let env = |name: &str| (name == "PREHEAT_XLA_CPU_PLUGIN").then(|| "/nowhere/plugin.so".into());
    let found = find(PluginName::XlaCpu, &fixture.lookup(&env));
    assert_eq!(found.dangling().map(|place| place.outcome.clone()), Some(Outcome::Dangling));
    assert_eq!(found.plugin, None);
    let message = found.require().unwrap_err().to_string();
    assert!(message.contains("PREHEAT_XLA_CPU_PLUGIN is /nowhere/plugin.so"), "{message}");

    let empty = |name: &str| (name == "PREHEAT_XLA_CPU_PLUGIN").then(OsString::new);
    assert!(find(PluginName::XlaCpu, &fixture.lookup(&empty)).require().is_ok());
}

#[test]
fn the_tpu_variables_are_read_in_their_order() {
    let root = tempfile::tempdir().unwrap();
    let [first, second] = ["first.so", "second.so"].map(|name| root.path().join(name));
    std::fs::write(&second, "library").unwrap();
    let env = HashMap::from([
        ("TPU_LIBRARY_PATH", first.clone()),
        ("PREHEAT_TPU_PLUGIN", second.clone()),
    ]);
    let env = |name: &str| env.get(name).map(|path| path.clone().into_os_string());
    let lookup =
        PluginSearch { env: &env, explicit: None, data_dir: None, site_packages: Vec::new() };
    let error = find(PluginName::Tpu, &lookup).require().unwrap_err();
    assert!(
        matches!(error, FindError::Dangling { origin: Origin::Variable("TPU_LIBRARY_PATH"), .. }),
        "{error}"
    );

    std::fs::write(&first, "library").unwrap();
    assert_eq!(find(PluginName::Tpu, &lookup).require().unwrap().path, first);
}

#[test]
fn the_newest_whole_version_in_the_data_folder_is_taken() {
    let fixture = Fixture::new();
    for version in ["0.0.9", "0.0.10", "0.0.11"] {
        let pin = fixture.pin();
        fixture
            .wheel_installer()
            .install(&Pin { wheel: Wheel { version, ..pin.wheel }, ..pin })
            .unwrap();
    }
    std::fs::remove_file(fixture.data_dir().join("plugins/xla-cpu/0.0.11/plugin.json")).unwrap();
    let found = find(PluginName::XlaCpu, &fixture.lookup(&no_env));
    assert!(matches!(found.places[0].outcome, Outcome::Damaged { .. }), "{found:?}");
    assert_eq!(found.require().unwrap().version.as_deref(), Some("0.0.10"));
}

#[test]
fn an_error_lists_every_place_and_says_what_to_do() {
    let fixture = Fixture::new();
    let mut lookup = fixture.lookup(&no_env);
    lookup.site_packages = vec!["/nowhere/site-packages".into()];
    let message = find(PluginName::XlaCuda, &lookup).require().unwrap_err().to_string();
    for expected in
        ["plugins/xla-cuda/", "/nowhere/site-packages/jax_plugins/xla_cuda13", "xla_cuda12"]
    {
        assert!(message.contains(expected), "{message}");
    }
    assert!(message.contains("PREHEAT_XLA_CUDA_PLUGIN"), "{message}");
    if pin(PluginName::XlaCpu).is_ok() {
        let message = find(PluginName::XlaCpu, &lookup).require().unwrap_err().to_string();
        assert!(message.contains("preheat plugins install xla-cpu"), "{message}");
    }

    let json = serde_json::to_value(list(&lookup)).unwrap();
    assert_eq!(json[0]["name"], "xla-cpu");
    assert_eq!(json[0]["places"][0]["origin"], "data-folder");
    assert_eq!(json[0]["places"][0]["outcome"]["state"], "absent");
    assert!(json[2]["plugin"].is_null());
}
