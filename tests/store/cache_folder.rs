//! Whose folder may be the cache, and whose machine code is run? The tests use the binary, as a
//! person would.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use pjrt_sim::Sim;
use support::lab::{DOUBLE, Lab, Preheat, files_under};

/// A test environment (`Lab`) with a program in it.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.file("double.mlir", DOUBLE);
    lab
}

fn run(lab: &Lab, dir: &Path) -> Preheat {
    lab.preheat(&lab.sim()).arg("--cache-dir").arg(dir).words("--json program run double.mlir")
}

/// Runs commands that write to a cache or remove entries from it.
fn use_and_clear(lab: &Lab, dir: &Path) {
    let command =
        |words: &str| lab.preheat(&lab.sim()).arg("--cache-dir").arg(dir).words(words).run().done();
    run(lab, dir).run().done();
    command("program run double.mlir --force-recompile");
    command("cache stats");
    command("cache verify --repair");
    command("cache zero-stats");
    command("cache prune --max-size 1");
    command("cache clear --yes");
    run(lab, dir).run().done();
}

/// The files below a folder with their contents, except those of the store.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let store = folder.join("preheat-store");
    let files = files_under(folder).into_iter().filter(|path| !path.starts_with(&store));
    files.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn somebodys_folder_keeps_all_that_is_in_it() {
    let lab = lab();
    let home = lab.path("home");
    let names = "thesis.txt tmp/thesis.txt locks/k quarantine/a.pdf targets-v1/b.md graphs-v1/c.svg objects-v1/d.obj \
        unrecorded/e.ogg graphs-v2/db CACHEDIR.TAG";
    for name in names.split_whitespace() {
        let path = home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name).unwrap();
    }
    let before = contents(&home);
    let info =
        || lab.bare().arg("--cache-dir").arg(&home).words("--json cache info").run().done().json();
    let counted = info();
    let (quarantine, temporary) = (&counted["quarantine_bytes"], &counted["temporary_bytes"]);
    assert_eq!((quarantine, temporary), (&0.into(), &0.into()), "none of it is preheat's");
    use_and_clear(&lab, &home);
    assert_eq!(contents(&home), before);
    let compiles = lab.counting(|| run(&lab, &home).run().done()).1;
    assert_eq!(compiles, 0, "the store in the folder is used");
    assert_eq!(Path::new(info()["dir"].as_str().unwrap()), home.join("preheat-store"));
}

#[test]
fn no_link_leads_out_of_a_cache() {
    for linked in ["tmp", "locks", "quarantine", "targets-v1", "graphs-v1"] {
        let lab = lab();
        run(&lab, &lab.cache()).run().done();
        let victim = lab.path("victim");
        std::fs::create_dir(&victim).unwrap();
        let object = lab.objects().remove(0);
        let key = object.file_name().unwrap().to_str().unwrap();
        for name in [
            "thesis.txt",
            &format!("{key}.abc123"),
            &format!("{key}.lock"),
            &format!("{key}.7"),
            key,
        ] {
            std::fs::write(victim.join(name), "mine").unwrap();
        }
        let before = contents(&victim);
        let _ = std::fs::remove_dir_all(lab.cache().join(linked));
        symlink("../victim", lab.cache().join(linked)).unwrap();
        // Some commands fail with an error; the test checks only which files they leave.
        for words in [
            "program run double.mlir --force-recompile",
            "cache verify --repair",
            "cache clear --yes",
        ] {
            lab.preheat(&lab.sim()).words(words).run();
        }
        assert_eq!(contents(&victim), before, "{linked}");
    }
}

#[test]
fn a_store_of_an_earlier_release_is_marked_once_and_serves_on() {
    let lab = lab();
    run(&lab, &lab.cache()).run().done();
    // The older release made no mark file.
    std::fs::remove_file(lab.cache().join("OWNED-BY-PREHEAT")).unwrap();
    std::fs::write(lab.cache().join("tmp/thesis.txt"), "mine").unwrap();
    let (ran, compiles) =
        lab.counting(|| run(&lab, &lab.cache()).run().done().silent_about_the_cache());
    assert_eq!((compiles, &ran.json()["stages"][0]["source"]), (0, &"disk".into()));
    assert!(
        lab.cache().join("OWNED-BY-PREHEAT").is_file()
            && !lab.cache().join("preheat-store").exists()
    );
    use_and_clear(&lab, &lab.cache());
    assert_eq!(std::fs::read(lab.cache().join("tmp/thesis.txt")).unwrap(), b"mine");
}

#[test]
fn a_store_of_an_earlier_release_in_somebodys_folder_moves_into_one_of_its_own() {
    let lab = lab();
    let home = lab.path("home");
    run(&lab, &home).run().done();
    // The older release made no mark file, and could use a folder that also holds other files.
    std::fs::remove_file(home.join("OWNED-BY-PREHEAT")).unwrap();
    for name in ["thesis.txt", "tmp/thesis.txt", "locks/k"] {
        std::fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        std::fs::write(home.join(name), name).unwrap();
    }
    let theirs = ["locks/k", "thesis.txt", "tmp/thesis.txt"].map(|name| home.join(name));
    let (ran, compiles) = lab.counting(|| run(&lab, &home).run().done());
    assert_eq!((compiles, &ran.json()["stages"][0]["source"]), (0, &"disk".into()));
    ran.says(&["the cache of an earlier release lay among other files in", "home/preheat-store"]);
    assert!(contents(&home).into_keys().eq(theirs.clone()), "{:?}", contents(&home));
    // The move is reported once, and nothing else is ever moved.
    let (_, compiles) = lab.counting(|| run(&lab, &home).run().done().silent_about_the_cache());
    assert_eq!(compiles, 0);
    use_and_clear(&lab, &home);
    assert!(contents(&home).into_keys().eq(theirs));
}

#[test]
fn taking_a_store_over_that_others_could_write_to_says_so() {
    let lab = lab();
    run(&lab, &lab.cache()).run().done();
    std::fs::remove_file(lab.cache().join("OWNED-BY-PREHEAT")).unwrap();
    chmod(&lab.cache().join("objects-v1"), 0o777);
    let (ran, compiles) = lab.counting(|| run(&lab, &lab.cache()).run().done());
    ran.says(&["other users could write to", "objects-v1", "0777", "0755", "docs/security.md"]);
    assert_eq!(compiles, 0);
    run(&lab, &lab.cache()).run().done().silent_about_the_cache();
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn machine_code_that_anybody_could_have_written_is_not_run() {
    let lab = lab();
    run(&lab, &lab.cache()).run().done();
    let object = lab.objects().remove(0);
    let paths =
        [lab.cache(), lab.cache().join("objects-v1"), object.parent().unwrap().to_owned(), object];
    for path in paths {
        let mode = std::fs::metadata(&path).unwrap().mode() & 0o7777;
        chmod(&path, mode | 0o002);
        let (ran, compiles) = lab.counting(|| run(&lab, &lab.cache()).run().done());
        let shown = format!("{:?}", path.file_name().unwrap()).replace('"', "");
        ran.says(&["can be written by every user", "--cache-shared", &shown]);
        assert_eq!(compiles, 1, "{}", path.display());
        if path.exists() {
            chmod(&path, mode);
        }
    }
    chmod(&lab.cache(), 0o777);
    lab.bare().words("cache stats").run().ended(1).says(&["every user", "hint: --cache-shared"]);
    chmod(&lab.cache(), 0o700);
    lab.bare().words("cache stats").run().done();
}

#[test]
fn a_shared_cache_has_the_modes_of_its_group() {
    let lab = lab();
    let shared = || run(&lab, &lab.cache()).arg("--cache-shared");
    shared().run().done();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&lab.cache()), 0o2770);
    for path in files_under(&lab.cache()) {
        assert_eq!(
            (mode(&path), mode(path.parent().unwrap())),
            (0o660, 0o2770),
            "{}",
            path.display()
        );
    }
    assert_eq!(lab.counting(|| shared().env("PREHEAT_CACHE_SHARED", "1").run().done()).1, 0);
}

/// A test environment (`Lab`) that every user of the machine may use. It also contains the binary
/// and the plugins.
fn lab_for_all() -> Lab {
    let lab = lab();
    let link = |from: &Path, name: &str| {
        let to = lab.path(name);
        std::fs::hard_link(from, &to).or_else(|_| std::fs::copy(from, &to).map(drop)).unwrap();
    };
    link(Path::new(env!("CARGO_BIN_EXE_preheat")), "preheat");
    link(&support::xla_cpu_plugin(), "xla.so");
    link(&support::lab::library(), "sim.so");
    chmod(&lab.path(""), 0o777);
    chmod(&lab.path("double.mlir"), 0o644);
    chmod(&lab.file("log", ""), 0o666);
    lab
}

/// `preheat` over a cache folder as another user, who need not exist on this machine.
fn as_user(lab: &Lab, dir: &Path, uid: u32, gid: u32) -> Preheat {
    let mut command = std::process::Command::new(lab.path("preheat"));
    command.uid(uid).gid(gid).env_clear().env("HOME", lab.path("")).current_dir(lab.path(""));
    command.envs(Sim::new(lab.path("xla.so")).log(lab.path("log")).envs());
    command.env("PREHEAT_XLA_CPU_PLUGIN", lab.path("sim.so")).env("PREHEAT_DEVICE", "xla-cpu");
    Preheat { command }.arg("--cache-dir").arg(dir)
}

const PROGRAM: &str = "--json program run double.mlir";

/// A volume as Kubernetes mounts it with an `fsGroup`: it belongs to root, and the group may write
/// to it.
fn volume(lab: &Lab, gid: u32) -> PathBuf {
    let volume = lab.path("volume");
    std::fs::create_dir(&volume).unwrap();
    std::os::unix::fs::chown(&volume, Some(0), Some(gid)).unwrap();
    chmod(&volume, 0o2775);
    volume
}

/// Only root can act as another user: `cargo xtask test` runs these tests if it runs as root.
#[test]
#[ignore = "needs root, to run as other users"]
fn on_a_volume_of_a_group_one_user_has_a_store_of_its_own_and_another_is_told_of_the_flag() {
    let lab = lab_for_all();
    let volume = volume(&lab, 4000);
    let alone = |uid| as_user(&lab, &volume, uid, 4000).words(PROGRAM);
    alone(4001).run().done().silent_about_the_cache();
    let store = volume.join("preheat-store");
    assert_eq!(std::fs::metadata(&store).unwrap().mode() & 0o777, 0o700);
    assert_eq!(lab.counting(|| alone(4001).run().done()).1, 0, "the same user finds it again");
    // A pod of another namespace has another arbitrary user.
    let (ran, compiles) = lab.counting(|| alone(4002).run().done());
    ran.says(&["--cache-shared"]);
    assert_eq!(compiles, 1);
}

#[test]
#[ignore = "needs root, to run as other users"]
fn on_a_volume_of_a_group_its_users_share_a_cache_by_decision() {
    let lab = lab_for_all();
    let volume = volume(&lab, 4000);
    let shared = |uid| as_user(&lab, &volume, uid, 4000).words("--cache-shared").words(PROGRAM);
    shared(4001).run().done().silent_about_the_cache();
    for uid in [4002, 4003, 4001] {
        let compiles = lab.counting(|| shared(uid).run().done().silent_about_the_cache()).1;
        assert_eq!(compiles, 0, "user {uid}");
    }
    let stats = as_user(&lab, &volume, 4003, 4000).words("--cache-shared --json cache stats");
    assert_eq!(stats.run().done().json()["hits"]["disk"], 3, "each of them wrote to the index");
    // Without `--cache-shared`, nobody runs machine code that others stored there.
    let (ran, compiles) =
        lab.counting(|| as_user(&lab, &volume, 4002, 4000).words(PROGRAM).run().done());
    ran.says(&["--cache-shared"]);
    assert_eq!(compiles, 1);
}

#[test]
#[ignore = "needs root, to run as other users"]
fn a_store_of_another_user_is_not_run_from_by_root_either_and_one_of_roots_by_anybody() {
    let lab = lab_for_all();
    let theirs = lab.path("theirs");
    as_user(&lab, &theirs, 4001, 4001).words(PROGRAM).run().done().silent_about_the_cache();
    let (ran, compiles) = lab.counting(|| run(&lab, &theirs).run().done());
    ran.says(&["belongs to another user (uid 4001)", "--cache-shared"]);
    assert_eq!(compiles, 1);
    // A cache that an administrator made for everybody to read, as in a container image.
    let roots = lab.path("roots");
    run(&lab, &roots).run().done();
    for path in std::iter::once(roots.clone()).chain(files_under(&roots)) {
        for path in path.ancestors().take_while(|path| path.starts_with(&roots)) {
            let mode = std::fs::metadata(path).unwrap().mode() & 0o777;
            chmod(path, if path.is_dir() { 0o755 } else { mode | 0o044 });
        }
    }
    let (_, compiles) = lab.counting(|| {
        as_user(&lab, &roots, 4001, 4001).words("--cache-read-only").words(PROGRAM).run().done()
    });
    assert_eq!(compiles, 0);
}
