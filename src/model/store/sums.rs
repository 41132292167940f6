//! Sums: the list of a place's files by their SHA-256, in the format of sha256sum.
//!
//! A revision is known by the SHA-256 of this list: it changes with every name and every byte.

use std::collections::BTreeMap;

use crate::model::files;
use crate::model::paths::goes_down;

/// The name of the list in a place.
pub const SUMS_FILE: &str = "SHA256SUMS";
/// The most files of a place.
pub const MOST_FILES: usize = 10_000;
/// The longest path of a file, and the longest of its parts, in bytes.
const LONGEST_PATH: usize = 512;
const LONGEST_PART: usize = 200;

/// The SHA-256 of each file, in hexadecimal, by its path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(pub BTreeMap<String, String>);

impl Sums {
    /// Reads a list. The error is a part of a line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
        let mut sums = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let told = |problem: &str| format!("line {}: {problem}", at + 1);
            let shape = || told("must be 64 hexadecimal digits, two spaces and a path, as sha256sum writes it");
            let (digest, path) = line.split_at_checked(64).ok_or_else(shape)?;
            let path = path
                .strip_prefix("  ")
                .or_else(|| path.strip_prefix(" *"))
                .ok_or_else(shape)?;
            if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(shape());
            }
            let path = path.strip_prefix("./").unwrap_or(path);
            if path == SUMS_FILE {
                continue;
            }
            check_path(path).map_err(|problem| told(&problem))?;
            if sums.insert(path.to_owned(), digest.to_ascii_lowercase()).is_some() {
                return Err(told("names a file that was named before"));
            }
            if sums.len() > MOST_FILES {
                return Err(too_many());
            }
        }
        if sums.is_empty() {
            return Err("names no file".into());
        }
        Ok(Self(sums))
    }

    /// The list in the one order that it can have: by the bytes of the paths.
    pub fn text(&self) -> String {
        self.0
            .iter()
            .map(|(path, digest)| format!("{digest}  {path}\n"))
            .collect()
    }

    /// The SHA-256 of [`Sums::text`].
    pub fn digest(&self) -> String {
        files::sha256(self.text().as_bytes())
    }
}

/// The error for too many files, as a part of a line.
pub fn too_many() -> String {
    format!("has more than {MOST_FILES} files")
}

/// Checks that a path from elsewhere may become one in the cache. The error is a part of a line.
pub fn check_path(path: &str) -> Result<(), String> {
    let shown = || {
        let beginning: String = path.chars().take(80).collect();
        beginning.escape_debug().to_string()
    };
    // What is hidden is no part of a model, and `goes_down` takes `a//b` and `a/./b` for `a/b`.
    let is_plain = path
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.len() <= LONGEST_PART);
    if goes_down(path) && is_plain && path.len() <= LONGEST_PATH && !path.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no path that a file may have: relative, of plain names, none of them hidden, at most {LONGEST_PATH} bytes",
            shown()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sha256sum_writes_is_read_whatever_its_order() {
        let (a, b) = ("a".repeat(64), "B".repeat(64));
        let text = format!("{b}  ./x/model.onnx\n{a} *a.txt\n{a}  SHA256SUMS\n\n");
        let sums = Sums::parse(text.as_bytes()).expect("a list");
        assert_eq!(sums.text(), format!("{a}  a.txt\n{}  x/model.onnx\n", "b".repeat(64)));
        assert_eq!(Sums::parse(sums.text().as_bytes()), Ok(sums.clone()));
        assert_eq!(sums.digest(), files::sha256(sums.text().as_bytes()));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused_by_its_line() {
        let digest = "0".repeat(64);
        let long = "a".repeat(201);
        for path in [
            "../x",
            "/etc/passwd",
            "a/../../x",
            "a//b",
            "a/./b",
            ".hidden",
            "a/.git/x",
            "a\\b",
            "a\tb",
            "a/",
            &long,
        ] {
            let text = format!("{digest}  good\n{digest}  {path}\n");
            let error = Sums::parse(text.as_bytes()).expect_err(path);
            assert!(error.starts_with("line 2: "), "{path}: {error}");
        }
        for bad in [
            "",
            "x",
            "0123  a",
            &format!("{digest} a"),
            &format!("{}  a", "g".repeat(64)),
        ] {
            assert!(Sums::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let twice = format!("{digest}  a\n{digest}  ./a\n");
        assert!(
            Sums::parse(twice.as_bytes())
                .expect_err("twice")
                .contains("named before")
        );
        let many: String = (0..=MOST_FILES).map(|at| format!("{digest}  f{at}\n")).collect();
        assert_eq!(Sums::parse(many.as_bytes()), Err(too_many()));
    }
}
