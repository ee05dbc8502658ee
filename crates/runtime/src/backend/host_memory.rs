//! How much of the host's memory can programs still have?
//!
//! The system reports how much is available. A container's limit may leave less than that.

use std::path::Path;

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HostMemory {
    /// What programs can have before the system has to swap, or ends the container.
    pub(crate) available_bytes: u64,
    /// All of the memory, used or not.
    pub(crate) total_bytes: u64,
}

/// The host's memory as it is now; `None` if the system does not report it.
pub(crate) fn host_memory() -> Option<HostMemory> {
    read_with(&|path| std::fs::read_to_string(path).ok())
}

/// Reads the host's memory from the files of Linux; `read` returns the text of a file.
///
/// The limits are those of the process's control group and of each group above it, because a
/// container's own group may have no limit.
fn read_with(read: &dyn Fn(&str) -> Option<String>) -> Option<HostMemory> {
    let meminfo = read("/proc/meminfo")?;
    let mut memory = HostMemory {
        available_bytes: kibibytes(&meminfo, "MemAvailable:")?,
        total_bytes: kibibytes(&meminfo, "MemTotal:")?,
    };
    for line in read("/proc/self/cgroup").unwrap_or_default().lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let files = match controllers {
            "" => &V2,
            _ if controllers.split(',').any(|name| name == "memory") => &V1,
            _ => continue,
        };
        // If the group's folder is not below the mount point, as in a container that sees its
        // host's group names, the mount point is the process's own group.
        for group in Path::new(group).ancestors() {
            let group = group.to_string_lossy();
            let folder = format!("{}/{}", files.mount, group.trim_matches('/'));
            if let Some(limit) = limit(read, files, folder.trim_end_matches('/')) {
                memory.available_bytes = memory.available_bytes.min(limit.available_bytes);
                memory.total_bytes = memory.total_bytes.min(limit.total_bytes);
            }
        }
    }
    Some(memory)
}

/// The files and fields of one version of control groups.
struct Files {
    mount: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// The statistics of cached file contents, which are a part of the usage. The system takes this
    /// memory back before it ends a process.
    cached: [&'static str; 2],
}

const V1: Files = Files {
    mount: "/sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cached: ["total_active_file", "total_inactive_file"],
};
const V2: Files = Files {
    mount: "/sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    cached: ["active_file", "inactive_file"],
};

/// The memory under one group's limit; `None` if the group has none. Version 1 writes "no limit"
/// as a number that is larger than any machine's memory.
fn limit(read: &dyn Fn(&str) -> Option<String>, files: &Files, folder: &str) -> Option<HostMemory> {
    let number = |name: &str| read(&format!("{folder}/{name}"))?.trim().parse::<u64>().ok();
    let total_bytes = number(files.limit)?;
    let used = number(files.usage)?;
    let statistics = read(&format!("{folder}/memory.stat")).unwrap_or_default();
    // Without this, a model that was just read from disk would look like memory in use.
    let cached = files
        .cached
        .iter()
        .filter_map(|name| field(&statistics, name))
        .fold(0, u64::saturating_add);
    Some(HostMemory {
        available_bytes: total_bytes.saturating_sub(used.saturating_sub(cached)),
        total_bytes,
    })
}

/// The number that follows `name`, in the line that begins with `name`.
fn field(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.find_map(|rest| rest.strip_prefix(' ')?.trim().parse().ok())
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str =
        "MemTotal:       16384 kB\nMemFree:          100 kB\nMemAvailable:    8192 kB\n";

    /// Reads the memory as if these files existed, and no others.
    fn with(files: &[(&str, &str)]) -> Option<HostMemory> {
        read_with(&|path| {
            files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        })
    }

    fn bytes(available_bytes: u64, total_bytes: u64) -> HostMemory {
        HostMemory { available_bytes, total_bytes }
    }

    const WHOLE: (u64, u64) = (8192 * 1024, 16384 * 1024);

    #[test]
    fn without_a_limit_it_is_what_the_system_has_left() {
        let meminfo = ("/proc/meminfo", MEMINFO);
        assert_eq!(with(&[meminfo]), Some(bytes(WHOLE.0, WHOLE.1)));
        let unlimited =
            [meminfo, ("/proc/self/cgroup", "0::/a\n"), ("/sys/fs/cgroup/a/memory.max", "max\n")];
        assert_eq!(with(&unlimited), Some(bytes(WHOLE.0, WHOLE.1)));
        assert_eq!(with(&[("/proc/meminfo", "MemTotal: 1 kB\n")]), None);
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn the_limit_of_a_group_counts_and_files_that_it_has_read_do_not() {
        let files = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "0::/user/job\n"),
            ("/sys/fs/cgroup/user/job/memory.max", "4000000\n"),
            ("/sys/fs/cgroup/user/job/memory.current", "3900000\n"),
            (
                "/sys/fs/cgroup/user/job/memory.stat",
                "anon 900000\nfile 3000000\ninactive_file 2000000\nactive_file 1000000\n",
            ),
        ];
        assert_eq!(with(&files), Some(bytes(3_100_000, 4_000_000)));
        assert_eq!(
            with(&files[..4]),
            Some(bytes(100_000, 4_000_000)),
            "statistics that cannot be read give nothing back"
        );
        assert_eq!(
            with(&files[..3]),
            Some(bytes(WHOLE.0, WHOLE.1)),
            "a limit without a usage says nothing"
        );
    }

    #[test]
    fn the_tightest_of_the_groups_above_counts() {
        let files = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "0::/pod/container\n"),
            ("/sys/fs/cgroup/pod/container/memory.max", "max\n"),
            ("/sys/fs/cgroup/pod/memory.max", "2000000\n"),
            ("/sys/fs/cgroup/pod/memory.current", "500000\n"),
            ("/sys/fs/cgroup/memory.max", "9000000\n"),
            ("/sys/fs/cgroup/memory.current", "8500000\n"),
        ];
        assert_eq!(with(&files), Some(bytes(500_000, 2_000_000)));
    }

    #[test]
    fn a_container_whose_group_has_its_hosts_name_is_found_at_the_mount() {
        let v2 = [
            ("/proc/meminfo", MEMINFO),
            ("/proc/self/cgroup", "0::/docker/0123\n"),
            ("/sys/fs/cgroup/memory.max", "1000000\n"),
            ("/sys/fs/cgroup/memory.current", "400000\n"),
        ];
        assert_eq!(with(&v2), Some(bytes(600_000, 1_000_000)));
        let v1 = [
            ("/proc/meminfo", MEMINFO),
            (
                "/proc/self/cgroup",
                "12:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/docker/0123\n",
            ),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n"),
            (
                "/sys/fs/cgroup/memory/memory.stat",
                "inactive_file 1\ntotal_inactive_file 300000\ntotal_active_file 50000\n",
            ),
        ];
        assert_eq!(with(&v1), Some(bytes(450_000, 1_000_000)));
        let unlimited = [
            v1[0],
            v1[1],
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n"),
        ];
        assert_eq!(with(&unlimited), Some(bytes(WHOLE.0, WHOLE.1)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells() {
        let memory = host_memory().unwrap();
        assert!(
            0 < memory.available_bytes && memory.available_bytes <= memory.total_bytes,
            "{memory:?}"
        );
    }
}
