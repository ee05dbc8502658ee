//! What happens if the index is damaged, if the system refuses what the index needs, or if another
//! program holds its lock? Executables are still found without a long wait, and the index loses no
//! data without need.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use support::lab::{DOUBLE, files_under};
use support::{Lab, Preheat, Ran, compile_c};

/// A test environment (`Lab`) whose cache holds one graph, which is pinned.
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::new();
    let program = lab.file("double.mlir", DOUBLE);
    lab.preheat(&lab.sim()).words("program run").arg(&program).run().done();
    let list = lab.bare().words("--json cache list").run().done().json();
    lab.bare().words("cache pin").arg(list[0]["graph_key"].as_str().unwrap()).run().done();
    (lab, program)
}

/// Runs the program, which must be found in the cache.
fn warm(lab: &Lab, program: &Path, with: impl FnOnce(Preheat) -> Preheat) -> Ran {
    let ran = with(lab.preheat(&lab.no_compiles())).words("program run").arg(program).run().done();
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert!(ran.stdout.contains("loaded from the cache"), "{}", ran.stdout);
    ran
}

fn is_pinned(lab: &Lab) -> bool {
    lab.bare().words("--json cache list").run().done().json()[0]["pinned"].as_bool().unwrap()
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn sparse(path: &Path) {
    File::create(path).unwrap().set_len(20 << 30).unwrap();
}

fn snapshot(index: &Path) -> PathBuf {
    let of_snapshot =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snap.");
    files_under(index)
        .into_iter()
        .find(of_snapshot)
        .unwrap_or_else(|| index.join("snap.0000000000000000"))
}

#[test]
fn what_sled_did_not_make_is_neither_opened_nor_waited_for() {
    let replace = |path: PathBuf, make: fn(&Path)| {
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        } else if path.exists() {
            std::fs::remove_file(&path).unwrap();
        }
        make(&path);
    };
    let to_elsewhere = |path: &Path| {
        let elsewhere = path
            .ancestors()
            .find(|path| path.ends_with("cache"))
            .unwrap()
            .with_file_name("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("thesis"), "mine").unwrap();
        symlink(&elsewhere, path).unwrap();
    };
    let to_a_file = |path: &Path| {
        let elsewhere = path
            .ancestors()
            .find(|path| path.ends_with("cache"))
            .unwrap()
            .with_file_name("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("thesis"), "mine").unwrap();
        symlink(elsewhere.join("thesis"), path).unwrap();
    };
    let makers: [fn(&Path); 4] = [fifo, sparse, to_elsewhere, to_a_file];
    for (number, make) in makers.into_iter().enumerate() {
        for name in ["conf", "db", "snap.", "blobs", ""] {
            // The index's log may be long, so a long file in its place is not treated as a fault.
            if number == 1 && matches!(name, "db" | "blobs" | "") {
                continue;
            }
            let (lab, program) = lab();
            let index = lab.cache().join("graphs-v2");
            let path = match name {
                "" => index.clone(),
                "snap." => snapshot(&index),
                name => index.join(name),
            };
            replace(path, make);
            let began = Instant::now();
            // 4 GiB of address space are enough, because the file of 20 GiB is not read.
            let few = ["--as=4294967296"];
            let list = lab.bare().words("--json cache list").through("prlimit", &few).run().done();
            assert!(!list.stderr.contains("panicked"), "{}", list.stderr);
            assert_eq!(
                list.json().as_array().unwrap().len(),
                1,
                "the record is restored from its object"
            );
            warm(&lab, &program, |preheat| preheat);
            assert!(
                began.elapsed() < Duration::from_mins(1),
                "{number} {name}: {:?}",
                began.elapsed()
            );
            let thesis = lab.path("elsewhere").join("thesis");
            if number > 1 {
                assert_eq!(std::fs::read_to_string(thesis).unwrap(), "mine", "{number} {name}");
            }
        }
    }
}

/// A library that is loaded into a process at its start, and whose functions replace the system's.
#[cfg(target_os = "linux")]
fn shim(lab: &Lab, source: &str) -> PathBuf {
    let library = lab.path("shim.so");
    compile_c(source, &library, true);
    library
}

#[cfg(target_os = "linux")]
#[test]
fn a_lock_that_the_file_system_refuses_is_no_damage() {
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let (lab, program) = lab();
        let source = format!(
            "#include <errno.h>\nint flock(int file, int how) {{ errno = {error}; return -1; }}\n"
        );
        let shim = shim(&lab, &source);
        let ran = warm(&lab, &program, |preheat| preheat.env("LD_PRELOAD", &shim));
        ran.says(&["index cannot be used", "still found by their keys"]);
        assert!(!lab.cache().join("quarantine").exists(), "{error}: a sound index is set aside");
        assert!(is_pinned(&lab), "{error}: the pin is lost");
        warm(&lab, &program, |preheat| preheat).silent_about_the_cache();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_synced_is_no_reason_to_go_without_the_cache() {
    for error in ["EINVAL", "ENOTSUP"] {
        let lab = Lab::new();
        let program = lab.file("double.mlir", DOUBLE);
        let source = format!(
            "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <errno.h>\n#include <sys/stat.h>\n\
             int fsync(int file) {{ struct stat what; \
             if (fstat(file, &what) == 0 && S_ISDIR(what.st_mode)) {{ errno = {error}; return -1; }} \
             return ((int (*)(int))dlsym(RTLD_NEXT, \"fsync\"))(file); }}\n"
        );
        let shim = shim(&lab, &source);
        let run = lab
            .preheat(&lab.sim())
            .env("LD_PRELOAD", &shim)
            .words("program run")
            .arg(&program)
            .run()
            .done();
        run.silent_about_the_cache();
        assert_eq!(lab.objects().len(), 1, "{error}");
        warm(&lab, &program, |preheat| preheat).silent_about_the_cache();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn before_1970_executables_are_found_by_their_keys() {
    let (lab, program) = lab();
    let shim = shim(
        &lab,
        "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n\
         int clock_gettime(clockid_t clock, struct timespec *now) { \
         int done = ((int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\"))(clock, now); \
         if (clock == CLOCK_REALTIME && done == 0) now->tv_sec -= 4000000000; return done; }\n",
    );
    let ran = warm(&lab, &program, |preheat| preheat.env("LD_PRELOAD", &shim));
    ran.says(&["index cannot be used", "before 1970"]);
    assert!(is_pinned(&lab));
}

#[test]
fn a_lock_of_another_program_is_said_once_and_hardly_waited_for() {
    let (lab, program) = lab();
    let began = Instant::now();
    warm(&lab, &program, |preheat| preheat).silent_about_the_cache();
    let usual = began.elapsed();
    for shared in [true, false] {
        let lock = File::open(lab.cache().join("locks/index.lock")).unwrap();
        if shared {
            lock.lock_shared().unwrap();
        } else {
            lock.lock().unwrap();
        }
        let began = Instant::now();
        let ran = warm(&lab, &program, |preheat| preheat);
        assert!(
            began.elapsed() < usual + Duration::from_secs(4),
            "{:?}, usually {usual:?}",
            began.elapsed()
        );
        assert_eq!(ran.stderr.matches("without a sign of work").count(), 1, "{}", ran.stderr);
        ran.says(&["index.lock"]);
    }
    assert!(is_pinned(&lab));
}
