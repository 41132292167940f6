//! Files that a command writes: whether they can be written, asked before all the work, and the writing, which leaves
//! nothing half-written.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Checks that a file can be written there. `what` is its name in the message. The error is one line.
pub fn check_file(out: &Path, what: &str) -> Result<(), String> {
    check(out, what)
        .map_err(|problem| format!("{problem}; name another place with --out, or write none with --dry-run"))
}

/// The same for the file of another flag than `--out`.
pub fn check(out: &Path, what: &str) -> Result<(), String> {
    let folder = folder_of(out);
    let problem = |problem: &dyn Display| format!("{}: {what} can't be written there: {problem}", folder.display());
    if !folder.is_dir() {
        return Err(problem(&"no such folder"));
    }
    if out.is_dir() {
        return Err(format!(
            "{}: {what} can't be written there: it is a folder, it must be a file",
            out.display()
        ));
    }
    // The only sure way to know whether files can be made is to make one. It is removed at once.
    tempfile::tempfile_in(folder).map(drop).map_err(|error| problem(&error))
}

/// Writes a file under another name and gives it its own once it is whole. The error is one line.
pub fn write(out: &Path, content: &[u8]) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", out.display());
    // As any file is made: for all, less what the umask takes away.
    let everybody = Permissions::from_mode(0o666);
    let begun = tempfile::Builder::new()
        .permissions(everybody)
        .tempfile_in(folder_of(out));
    let mut file = begun.map_err(told)?;
    file.write_all(content).map_err(told)?;
    file.persist(out).map(drop).map_err(|error| told(error.error))
}

fn folder_of(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
