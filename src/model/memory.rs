//! Whether a model fits into memory (RAM), estimated before it is loaded from the size of its files and the length of
//! its texts, and how much memory is left.
//!
//! Only estimates. The service decides what is refused.

use std::fs;
use std::path::Path;

use super::loading::InstanceSettings;
use super::manifest::Tier;
use super::repository::VerifiedModel;
use super::run_memory::RunSize;

/// The bytes of memory for each byte of a model's files: the weights, their packed copy, and what reading them leaves
/// behind.
const PER_FILE_BYTE: f64 = 2.2;
/// The bytes of memory that each further instance takes for each byte of the files, if weights are shared.
const PER_INSTANCE_BYTE: f64 = 0.15;
/// The least memory that the runs of one instance take, in bytes.
const PER_INSTANCE: u64 = 12 << 20;
/// The steps in which a bound on tokens is tried until one fits.
const TOKENS_STEP: u64 = 64;

/// The memory that a model is expected to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The bytes of its files.
    files: u64,
    /// The number of its sessions; each keeps the memory of its largest run.
    sessions: u64,
    tier: Tier,
    /// The size of a run, for a model that reads tokens.
    run: Option<RunSize>,
}

impl Expected {
    /// The estimate for a verified model.
    pub fn of(verified: &VerifiedModel, instances: InstanceSettings) -> Self {
        let size = |file: &String| fs::metadata(verified.folder.join(file)).map_or(0, |file| file.len());
        Self {
            files: verified.manifest.files.keys().map(size).sum(),
            sessions: instances.count.max(1) as u64 + u64::from(instances.idle_threads > instances.intra_threads),
            tier: verified.manifest.tier,
            run: RunSize::of(verified, instances.max_cells),
        }
    }

    /// All of it, in bytes.
    pub fn bytes(self) -> u64 {
        let factor = PER_FILE_BYTE + PER_INSTANCE_BYTE * (self.sessions - 1) as f64;
        (self.files as f64 * factor) as u64 + self.sessions * self.run_bytes()
    }

    fn run_bytes(self) -> u64 {
        self.run.map_or(0, RunSize::bytes).max(PER_INSTANCE)
    }

    /// The message if the model does not fit into what is left, with what would make it fit; `None` if it fits. `whose`
    /// names the limit.
    pub fn too_much(self, usage: Usage, whose: &str) -> Option<String> {
        let Usage { used, limit } = usage;
        if used.saturating_add(self.bytes()) <= limit {
            return None;
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let problem = format!(
            "it needs about {} MiB, {} MiB of {whose} {} MiB are in use",
            mib(self.bytes()),
            mib(used),
            mib(limit)
        );
        let remedy = self.remedy(limit.saturating_sub(used));
        Some(if remedy.is_empty() {
            problem
        } else {
            format!("{problem}: {remedy}")
        })
    }

    /// What would make it fit into `left` bytes, for people: shorter texts, or one session. Empty if neither does.
    fn remedy(self, left: u64) -> String {
        let Some(run) = self.run.filter(|_| self.run_bytes() > PER_INSTANCE) else {
            return String::new();
        };
        let each = self.run_bytes() >> 20;
        let what = format!(
            "each of its {} sessions takes {each} MiB for a text of {} tokens, by the square of them",
            self.sessions, run.tokens
        );
        let shorter = (1..run.tokens.div_ceil(TOKENS_STEP))
            .rev()
            .map(|step| step * TOKENS_STEP);
        let with_tokens = |tokens: u64| Self {
            run: Some(run.with_tokens(tokens)),
            ..self
        };
        let shorter = shorter
            .filter(|&tokens| with_tokens(tokens).bytes() <= left)
            .map(|tokens| format!("max_tokens = {tokens}"))
            .next();
        let alone = Self { sessions: 1, ..self };
        let alone = (self.sessions > 1 && alone.bytes() <= left)
            .then(|| format!("{}_instances = 1 and idle_threads = 1", self.tier.name()));
        let ways: Vec<String> = shorter.into_iter().chain(alone).collect();
        if ways.is_empty() {
            what
        } else {
            format!("{what}; it fits with {}", ways.join(", or with "))
        }
    }
}

/// Use of a bounded resource, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub used: u64,
    pub limit: u64,
}

/// The memory that the control group of this process uses and may use, without cached files, which the system would
/// give back; `None` if it has no limit.
pub fn of_cgroup() -> Option<Usage> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    usage(&groups, Path::new("/sys/fs/cgroup"))
}

/// The tightest limit from the process's group up to the root, in version 2 or else version 1. In a container the
/// group's own path may be missing; then the mounted folder is that of its group.
fn usage(groups: &str, mounted: &Path) -> Option<Usage> {
    let paths = || {
        groups
            .lines()
            .filter_map(|line| line.splitn(3, ':').collect::<Vec<_>>().try_into().ok())
    };
    let unified = paths().find(|[id, kinds, _]: &[&str; 3]| *id == "0" && kinds.is_empty());
    let memory = paths().find(|[_, kinds, _]: &[&str; 3]| kinds.split(',').any(|kind| kind == "memory"));
    let second = unified.and_then(|[.., path]| {
        let names = ["memory.max", "memory.current", "inactive_file"];
        tightest(mounted, path, names)
    });
    let first = || {
        let [.., path] = memory?;
        let names = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
        tightest(&mounted.join("memory"), path, names)
    };
    second.or_else(first)
}

fn tightest(mounted: &Path, path: &str, [limit, used, cached]: [&str; 3]) -> Option<Usage> {
    let own = mounted.join(path.trim_start_matches('/'));
    let group = if own.join(used).is_file() {
        own
    } else {
        mounted.to_owned()
    };
    let groups = group.ancestors().take_while(|group| group.starts_with(mounted));
    let usages = groups.filter_map(|group| {
        let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        // A group without a limit has `max`, or a number larger than any machine's memory.
        let limit = number(limit).filter(|&limit| limit < 1 << 60)?;
        let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = statistics
            .lines()
            .find_map(|line| line.strip_prefix(cached)?.trim().parse().ok());
        Some(Usage {
            used: number(used)?.saturating_sub(cached.unwrap_or(0)),
            limit,
        })
    });
    usages.min_by_key(|usage| usage.limit.saturating_sub(usage.used))
}

/// From how many bytes on a block of memory is the system's own, which goes back as soon as it is freed.
#[cfg(target_env = "gnu")]
const OWN_BLOCK: libc::c_int = 256 << 10;

/// Keeps the allocator from holding on to what large runs took: blocks of 256 KiB and more come from the system and go
/// back when they are freed, and so does that much free space at the end of the heap. Left alone, the C library raises
/// both bounds to the largest block that was ever freed (32 MiB at most). To be called before threads begin to work.
pub fn hold_little() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "only libc can be told this")]
    // SAFETY: both calls store a number under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_BLOCK);
        libc::mallopt(libc::M_TRIM_THRESHOLD, OWN_BLOCK);
    }
}

/// Gives memory back to the system that the allocator keeps after it was freed.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "only libc gives memory back")]
    // SAFETY: it takes its own locks and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).expect("a folder");
        for (name, text) in files {
            fs::write(folder.join(name), text).expect("written");
        }
    }

    #[test]
    fn the_tightest_limit_on_the_way_up_holds_without_cached_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let statistics = "anon 5\ninactive_file 100\nactive_file 7\n";
        write(
            &root.join("slice/unit"),
            &[
                ("memory.max", "max\n"),
                ("memory.current", "400\n"),
                ("memory.stat", statistics),
            ],
        );
        write(
            &root.join("slice"),
            &[
                ("memory.max", "1000\n"),
                ("memory.current", "600\n"),
                ("memory.stat", statistics),
            ],
        );
        let found = usage("0::/slice/unit\n", root);
        assert_eq!(found, Some(Usage { used: 500, limit: 1000 }));
        assert_eq!(usage("0::/\n", root), None, "the root has no limit");
    }

    #[test]
    fn version_one_is_read_and_a_containers_own_group_is_what_is_mounted() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        write(
            &root.join("memory"),
            &[
                ("memory.limit_in_bytes", "2048"),
                ("memory.usage_in_bytes", "1024"),
                ("memory.stat", "inactive_file 1\ntotal_inactive_file 24"),
            ],
        );
        let groups = "11:cpu,cpuacct:/docker/a\n5:memory:/docker/a\n1:name=systemd:/docker/a\n";
        assert_eq!(
            usage(groups, root),
            Some(Usage {
                used: 1000,
                limit: 2048
            })
        );
        write(
            &root.join("memory"),
            &[("memory.limit_in_bytes", "9223372036854771712")],
        );
        assert_eq!(usage(groups, root), None);
    }
}
