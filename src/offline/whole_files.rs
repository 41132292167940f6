//! Writing files so that none is ever half there: under another name first, and then renamed.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::model::paths::folder_of;

/// Writes some files that belong together: all of them under other names, and only then each under its own. If one can't
/// be written, as on a full disk, none is left and older ones stay as they are. The error is one line that names the
/// file.
pub fn write(files: &[(PathBuf, Vec<u8>)]) -> Result<(), String> {
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut file = tempfile::Builder::new()
            .prefix(".tandem-")
            // What the umask of the user leaves of it, as for any file.
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(folder_of(path))
            .map_err(told)?;
        file.write_all(content).map_err(told)?;
        file.as_file().sync_all().map_err(told)?;
        written.push((path, file));
    }
    for (path, file) in written {
        file.persist(path)
            .map_err(|error| format!("{}: {}", path.display(), error.error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn all_files_are_written_or_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        let content = |text: &str| text.as_bytes().to_vec();
        write(&[(one.clone(), content("1")), (two.clone(), content("2"))]).expect("written");
        let read = |path: &Path| std::fs::read_to_string(path).expect("there");
        assert_eq!((read(&one), read(&two)), ("1".to_owned(), "2".to_owned()));
        let nowhere = folder.path().join("no/such");
        let problem = write(&[(one.clone(), content("new")), (nowhere.clone(), content("x"))]).expect_err("no folder");
        assert!(problem.starts_with(&nowhere.display().to_string()), "{problem}");
        assert_eq!(read(&one), "1");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
        // Readable like any other file.
        std::fs::write(folder.path().join("plain"), "").expect("written");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&one), mode(&folder.path().join("plain")));
    }
}
