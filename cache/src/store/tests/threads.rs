//! Does a process that cannot get more threads go on without the index? sled alone would wait for
//! ever.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

const FOLDER: &str = "PREHEAT_TEST_THREADS";
const NAME: &str = "store::tests::threads::without_a_thread_objects_are_found_by_their_keys";
/// The id of a user without any process.
const USER: &str = "61235";
/// The exit status of `timeout` if it had to end the command.
const HUNG: i32 = 124;

// If the user already has processes, no limit can be set that holds for this process only.
#[test]
#[ignore = "needs root, to run as a user without any process"]
fn without_a_thread_objects_are_found_by_their_keys() {
    let (record, program) = graph(1);
    if let Some(folder) = std::env::var_os(FOLDER) {
        let store = open(Path::new(&folder)).unwrap();
        let failed = store.put(&record, &program, &payload(1)).unwrap_err();
        assert!(matches!(failed, StoreError::IndexUnavailable { .. }), "{failed}");
        assert!(failed.to_string().contains("threads"), "{failed}");
        assert!(matches!(store.load(&record.graph_key), Ok(ObjectLookup::Hit(_))));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for most in [1, 4] {
        let mut run = Command::new("setpriv");
        run.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
        run.args(["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]);
        // `timeout` comes before the limit, since it takes a process of its own.
        run.args(["timeout", "30", "prlimit", &format!("--nproc={}", most + 1)]);
        run.arg(std::env::current_exe().unwrap()).args([
            NAME,
            "--exact",
            "--ignored",
            "--test-threads=1",
        ]);
        let output = run.env(FOLDER, folder.path().join(most.to_string())).output().unwrap();
        assert_ne!(output.status.code(), Some(HUNG), "the process hangs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{most}: {output:?}");
    }
}
