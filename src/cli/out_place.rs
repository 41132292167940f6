//! Whether the files of a command can be written, asked before all the work.

use std::fmt::Display;
use std::path::Path;

/// Checks that a file can be written there. `what` is its name in the message. The error is one line.
pub fn check_file(out: &Path, what: &str) -> Result<(), String> {
    let folder = match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let problem = |problem: &dyn Display| {
        format!(
            "{}: {what} can't be written there: {problem}; name another place with --out, or write none with --dry-run",
            folder.display()
        )
    };
    if !folder.is_dir() {
        return Err(problem(&"no such folder"));
    }
    if out.is_dir() {
        return Err(format!("--out: {} is a folder, it must be a file", out.display()));
    }
    // The only sure way to know whether files can be made is to make one. It is removed at once.
    let trial = folder.join(format!(".tandem-{}", std::process::id()));
    std::fs::write(&trial, "").map_err(|error| problem(&error))?;
    std::fs::remove_file(&trial).map_err(|error| problem(&error))
}
