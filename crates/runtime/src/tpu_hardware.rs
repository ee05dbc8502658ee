//! Is a TPU attached? This is found out without using the TPU, from the devices that the system
//! lists. If none is found, the variables that a platform sets show what may be wrong.
//!
//! libtpu is not used for this. On a machine without a TPU, it queries a metadata server that does
//! not exist, 30 times for each variable, and seems to hang for minutes. `/dev/vfio/*` counts only
//! if the PCI bus cannot be listed, since a graphics card that is passed through to a virtual
//! machine has it, too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Google's vendor number on the PCI bus.
const VENDOR: &str = "0x1ae0";

/// The PCI device numbers of Google's TPUs, from JAX (`hardware_utils.py`) and the TPU tools.
const CHIPS: [(&str, &str); 7] = [
    ("0x0027", "TPU v2 or v3"),
    ("0x0056", "TPU"),
    ("0x005e", "TPU v4"),
    ("0x0062", "TPU v5p"),
    ("0x0063", "TPU v5e"),
    ("0x006f", "TPU v6e"),
    ("0x0076", "TPU7x"),
];

/// The variables that Google's platforms set for a process that is given TPUs.
const PLATFORM_VARIABLES: [&str; 3] = ["TPU_ACCELERATOR_TYPE", "TPU_WORKER_ID", "TPU_NAME"];

/// The places to look in; tests make folders of their own.
pub(super) struct Surroundings<'a> {
    pub(super) sys: &'a Path,
    pub(super) dev: &'a Path,
    pub(super) env: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Surroundings<'static> {
    pub(super) fn of_this_machine() -> Self {
        Self { sys: Path::new("/sys"), dev: Path::new("/dev"), env: &|name| std::env::var_os(name) }
    }
}

/// A description of the TPU that is attached, or a list of everything that was looked at and what
/// to do.
pub(super) fn find(surroundings: &Surroundings<'_>) -> Result<String, String> {
    let chips = chips(surroundings.sys);
    if let Some(chips) = chips.as_deref().filter(|chips| !chips.is_empty()) {
        let kind = chips.first().copied().unwrap_or_default();
        return Ok(if chips.len() == 1 {
            kind.to_owned()
        } else {
            format!("{} x {kind}", chips.len())
        });
    }
    let files = device_files(surroundings.dev, chips.is_none());
    if let Some(first) = files.first() {
        return Ok(format!("{} device files from {} on", files.len(), first.display()));
    }
    let at = |path: &str| surroundings.dev.join(path).display().to_string();
    let pci = surroundings.sys.join("bus/pci/devices");
    let on_the_bus = match &chips {
        Some(_) => format!("{} lists no TPU", pci.display()),
        None => format!("{} cannot be read, and there is no {}", pci.display(), at("vfio/0")),
    };
    let set = PLATFORM_VARIABLES.into_iter().find(|name| (surroundings.env)(name).is_some());
    let hint = set.map_or_else(String::new, |name| {
        format!("; {name} is set, so the platform may mean to give this process one: a container must be privileged, or be given {} or {}", at("accel*"), at("vfio"))
    });
    Err(format!(
        "no TPU is attached: {on_the_bus}, and there is no {}{hint} (TPU_SKIP_MDS_QUERY=1 lets libtpu look for itself)",
        at("accel0")
    ))
}

/// The TPUs on the PCI bus; `None` if the bus cannot be listed.
fn chips(sys: &Path) -> Option<Vec<&'static str>> {
    let entries = std::fs::read_dir(sys.join("bus/pci/devices")).ok()?;
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let chip = |folder: PathBuf| {
        if read(folder.join("vendor")).trim() != VENDOR {
            return None;
        }
        let device = read(folder.join("device"));
        CHIPS.iter().find(|(number, _)| *number == device.trim()).map(|(_, kind)| *kind)
    };
    Some(entries.flatten().filter_map(|entry| chip(entry.path())).collect())
}

/// The device files of TPUs: `accel0`, ... of the older driver. The numbered groups of vfio are
/// included only if `vfio_counts`.
fn device_files(dev: &Path, vfio_counts: bool) -> Vec<PathBuf> {
    let numbered = |folder: &Path, prefix: &str| {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        entries
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                let digits = name.to_str().and_then(|name| name.strip_prefix(prefix));
                digits.is_some_and(|digits| {
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
                })
            })
            .map(|entry| entry.path())
            .collect()
    };
    let mut files: Vec<PathBuf> = numbered(dev, "accel");
    if vfio_counts {
        files.extend(numbered(&dev.join("vfio"), ""));
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files; a path that ends in `/` is an empty folder.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            if path.to_str().unwrap().ends_with('/') {
                std::fs::create_dir_all(path).unwrap();
                continue;
            }
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)], variables: &[&str]) -> Result<String, String> {
        let root = machine(files);
        let (sys, dev) = (root.path().join("sys"), root.path().join("dev"));
        let env = |name: &str| variables.contains(&name).then(|| "set".into());
        find(&Surroundings { sys: &sys, dev: &dev, env: &env })
    }

    const VENDOR_OF_A: &str = "sys/bus/pci/devices/0000:00:05.0/vendor";
    const DEVICE_OF_A: &str = "sys/bus/pci/devices/0000:00:05.0/device";
    const VENDOR_OF_B: &str = "sys/bus/pci/devices/0000:00:06.0/vendor";
    const DEVICE_OF_B: &str = "sys/bus/pci/devices/0000:00:06.0/device";

    #[test]
    fn chips_on_the_bus_are_counted_and_named() {
        let one = [(VENDOR_OF_A, "0x1ae0\n"), (DEVICE_OF_A, "0x0063\n")];
        assert_eq!(found(&one, &[]).unwrap(), "TPU v5e");
        let two = [one[0], one[1], (VENDOR_OF_B, "0x1ae0\n"), (DEVICE_OF_B, "0x0063\n")];
        assert_eq!(found(&two, &[]).unwrap(), "2 x TPU v5e");
    }

    #[test]
    fn googles_other_devices_and_other_vendors_are_no_tpu() {
        // The machine has a virtual network card of Google, and a graphics card that is passed
        // through.
        let files = [
            (VENDOR_OF_A, "0x1ae0\n"),
            (DEVICE_OF_A, "0x0042\n"),
            (VENDOR_OF_B, "0x10de\n"),
            (DEVICE_OF_B, "0x0063\n"),
        ];
        assert!(found(&files, &[]).is_err());
    }

    #[test]
    fn groups_of_vfio_count_only_where_the_bus_cannot_be_listed() {
        let vfio = [("dev/vfio/0", ""), ("dev/vfio/vfio", "")];
        assert!(found(&vfio, &[]).unwrap().contains("vfio/0"));
        let with_bus = [vfio[0], vfio[1], (VENDOR_OF_A, "0x10de\n"), (DEVICE_OF_A, "0x2330\n")];
        let why = found(&with_bus, &[]).unwrap_err();
        assert!(why.contains("lists no TPU"), "{why}");
    }

    #[test]
    fn the_files_of_the_older_driver_count_and_others_do_not() {
        assert!(
            found(&[("dev/accel12", ""), ("sys/bus/pci/devices/", "")], &[])
                .unwrap()
                .contains("accel12")
        );
        for name in ["dev/accel", "dev/accelx", "dev/accel/accel0"] {
            assert!(found(&[(name, ""), ("sys/bus/pci/devices/", "")], &[]).is_err(), "{name}");
        }
    }

    #[test]
    fn what_was_looked_at_is_said_and_what_the_platform_promised() {
        let why = found(&[("sys/bus/pci/devices/", "")], &[]).unwrap_err();
        assert!(
            why.contains("bus/pci/devices") && why.contains("accel0") && !why.contains("container"),
            "{why}"
        );
        let why = found(&[], &["TPU_WORKER_ID"]).unwrap_err();
        assert!(
            why.contains("vfio/0")
                && why.contains("TPU_WORKER_ID is set")
                && why.contains("container"),
            "{why}"
        );
    }
}
