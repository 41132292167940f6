//! How many cores this process may use: the one place that asks.
//!
//! The standard library counts the processors of the calling thread's affinity mask (and so of cpusets), and takes the
//! quota of its control group, or of one above it, where that is less, in version 1 and 2. It rounds a quota down, to at
//! least 1, and that is right here: with 1.5, two busy threads would use up what the group may take of each 100 ms
//! after 75 ms, and then all threads stand still for 25 ms; one busy thread leaves half a core to those that answer
//! callers.

use std::fs;

/// The quota of the control group whose folder a container sees as the root of version 2. The real root has no such
/// file.
const OF_CONTAINER: &str = "/sys/fs/cgroup/cpu.max";

/// How many cores this process may use now, at least 1. It can change while the process runs. Takes some 50 µs.
pub fn usable() -> usize {
    let counted = std::thread::available_parallelism().map_or(1, usize::from);
    // A container that sees its group's path on the host, but has only that group mounted: the standard library looks
    // for the path below the mount, finds nothing and takes no quota.
    let quota = fs::read_to_string(OF_CONTAINER)
        .ok()
        .and_then(|text| whole_cores(&text));
    quota.map_or(counted, |quota| counted.min(quota))
}

/// The whole cores, at least 1, that a `cpu.max` allows: the time that may be used in a period, and the period. `None`
/// if it sets no limit.
fn whole_cores(cpu_max: &str) -> Option<usize> {
    let mut numbers = cpu_max.split_ascii_whitespace().map(str::parse::<usize>);
    let (Some(Ok(quota)), Some(Ok(period))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    Some(quota.checked_div(period)?.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_rounded_down_to_at_least_one_core() {
        let cores = |quota: u64| whole_cores(&format!("{quota} 100000\n"));
        assert_eq!([1000, 99_999, 100_000, 150_000].map(cores), [Some(1); 4]);
        assert_eq!([199_999, 200_000, 6_400_000].map(cores), [Some(1), Some(2), Some(64)]);
    }

    #[test]
    fn what_sets_no_limit_or_can_not_be_read_is_no_quota() {
        let huge = format!("{}0 100000", u64::MAX);
        for text in [
            "max 100000\n",
            "",
            "100000",
            "100000 0",
            "-1 100000",
            "a b",
            huge.as_str(),
        ] {
            assert_eq!(whole_cores(text), None, "{text}");
        }
    }

    #[test]
    fn there_is_at_least_one_core() {
        assert!(usable() >= 1);
    }
}
