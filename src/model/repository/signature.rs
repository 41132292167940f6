//! What files look like from outside: enough to notice that one changed, and cheap enough to check every few seconds.
//!
//! Reads no content; whether a changed file has other content, checksums tell. Links are followed, so that a link to a
//! new place counts as a change, as in the mounted volumes of Kubernetes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

/// How deep folders are walked: repository, name, version, `onnx/`, and one more.
const DEPTH: usize = 5;
/// The most files and folders that are looked at. In a larger repository only the first ones count.
const ENTRIES: usize = 20_000;

/// A hash of the names, places, sizes, inodes and times of some files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

/// The signature of files and folders, and of everything in the folders. A file that can't be looked at counts as such.
pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Signature {
    let mut look = Look {
        hasher: Sha256::new(),
        left: ENTRIES,
    };
    for path in paths {
        look.at(path, DEPTH);
    }
    Signature(look.hasher.finalize().into())
}

struct Look {
    hasher: Sha256,
    left: usize,
}

impl Look {
    fn at(&mut self, path: &Path, depth: usize) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        self.text(path);
        let (Ok(place), Ok(metadata)) = (path.canonicalize(), path.metadata()) else {
            self.hasher.update([0]);
            return;
        };
        self.text(&place);
        if !metadata.is_dir() {
            return self.file(&metadata);
        }
        let Some(left) = depth.checked_sub(1) else { return };
        let Ok(entries) = path.read_dir() else {
            self.hasher.update([1]);
            return;
        };
        let entries = entries.flatten().take(self.left);
        let mut entries: Vec<_> = entries.map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            self.at(&entry, left);
        }
    }

    fn file(&mut self, file: &Metadata) {
        // The time of the inode's last change moves even if a copy keeps the time of the content.
        for number in [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()] {
            self.hasher.update(number.to_le_bytes());
        }
        for number in [file.size(), file.ino(), file.dev()] {
            self.hasher.update(number.to_le_bytes());
        }
    }

    fn text(&mut self, path: &Path) {
        self.hasher.update(path.as_os_str().as_encoded_bytes());
        self.hasher.update([0]);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_of_any_kind_is_seen_and_no_change_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir_all(root.join("v1/onnx")).expect("folders");
        fs::create_dir_all(root.join("v2")).expect("folders");
        symlink("v1", root.join("data")).expect("a link");
        fs::write(root.join("v1/onnx/model"), "a").expect("written");
        let look = || of([root.join("data").as_path()]);
        let mut before = look();
        assert_eq!(before, look());
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(root.join("v1/onnx/model"), "b").expect("written"),
            &|| fs::write(root.join("v1/labels"), "").expect("written"),
            &|| fs::rename(root.join("v1/labels"), root.join("v1/names")).expect("renamed"),
            &|| {
                symlink("v2", root.join("..data")).expect("a link");
                fs::rename(root.join("..data"), root.join("data")).expect("renamed");
            },
        ];
        for change in changes {
            // A second write within the clock's resolution would not show in the time.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change();
            let after = look();
            assert_ne!(before, after);
            before = after;
        }
        assert_ne!(of([root.join("nothing").as_path()]), before);
    }
}
