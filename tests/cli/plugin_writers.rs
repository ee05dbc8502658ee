//! Is a plugin used if somebody else could change it? Yes, with a warning, because the user named
//! it on purpose.

#![cfg(all(unix, feature = "cli"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the report")]

use crate::support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use support::lab::{DOUBLE, library};
use support::{Lab, Ran};

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Runs a program with the plugin at this path.
fn over(lab: &Lab, plugin: &Path) -> Ran {
    let run = lab.preheat(&lab.sim()).env("PREHEAT_XLA_CPU_PLUGIN", plugin);
    run.words("--json program run").arg(lab.file("double.mlir", DOUBLE)).run().done()
}

#[track_caller]
fn assert_warned(ran: Ran, of: &Path) {
    let ran = ran.says(&["others can change", "can be written by every user"]);
    let told = ran.json()["warnings"].to_string();
    assert!(told.contains(&of.display().to_string()), "{told}");
}

#[test]
fn a_plugin_that_others_may_write_is_warned_of() {
    let lab = Lab::new();
    let folder = lab.path("plugins");
    std::fs::create_dir(&folder).unwrap();
    set_mode(&folder, 0o755);
    let plugin: PathBuf = folder.join("plugin.so");
    std::fs::copy(library(), &plugin).unwrap();
    set_mode(&plugin, 0o755);
    assert_eq!(over(&lab, &plugin).json()["warnings"], serde_json::json!([]));
    set_mode(&plugin, 0o757);
    assert_warned(over(&lab, &plugin), &plugin);
    set_mode(&plugin, 0o755);
    set_mode(&folder, 0o777);
    assert_warned(over(&lab, &plugin), &folder);
    // For a link, preheat checks the folder of its target and the folder of the link itself.
    let link = lab.path("link.so");
    symlink(&plugin, &link).unwrap();
    assert_warned(over(&lab, &link), &folder);
    set_mode(&folder, 0o755);
    let open = lab.path("open");
    std::fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    let link = open.join("link.so");
    symlink(&plugin, &link).unwrap();
    assert_warned(over(&lab, &link), &open);
    // The same warning is given for a plugin that compiles for hardware that is not here.
    let posed = lab.sim().pose("v5e:1x1");
    let ahead = lab.preheat_tpu(&posed).env("PREHEAT_TPU_PLUGIN", &link);
    let ahead =
        ahead.words("--json warmup --aot tpu:v5e:1x1 --program").arg(lab.path("double.mlir"));
    assert_warned(ahead.run().done(), &open);
}
