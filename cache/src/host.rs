//! To how many CPUs does XLA:CPU tune its code?

/// The number of CPUs that XLA:CPU tunes its code to. This is the value of the variable `NPROC` if
/// that is a number. Otherwise, it is the number of CPUs in the affinity mask of the calling
/// thread, which may differ from the mask of the process.
///
/// XLA does not look at cgroup quotas, so this function does not either.
/// `std::thread::available_parallelism` looks at these quotas, so it is used only if the mask
/// cannot be read.
pub fn schedulable_cpus() -> u64 {
    let asked = std::env::var("NPROC").ok().and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(asked) = asked {
        return u64::try_from(asked).unwrap_or(0);
    }
    // Linux has `thread-self` since version 3.17.
    let status = ["/proc/thread-self/status", "/proc/self/status"].into_iter();
    status
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|status| affinity_count(&status))
        .unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
        })
}

/// Counts the bits of `Cpus_allowed` in the text of `/proc/thread-self/status`.
fn affinity_count(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"))?.trim();
    let words: Option<Vec<u32>> =
        mask.split(',').map(|word| u32::from_str_radix(word, 16).ok()).collect();
    let count: u32 = words?.iter().map(|word| word.count_ones()).sum();
    (count > 0).then_some(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_is_counted() {
        assert_eq!(
            affinity_count("Name:\tx\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n"),
            Some(2)
        );
        assert_eq!(affinity_count("Cpus_allowed:\tff,ffffffff\n"), Some(40));
        assert_eq!(affinity_count("Cpus_allowed:\tzz\n"), None);
        assert_eq!(affinity_count(""), None);
    }

    #[test]
    fn there_is_a_cpu() {
        assert!(std::env::var_os("NPROC").is_some() || schedulable_cpus() >= 1);
    }
}
