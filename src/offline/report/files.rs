//! Writes a report: the page, and what lies beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::page::{Block, Page};
use super::{draw, html, markdown};

/// The kinds of files that a report can be, by the ending of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Html,
    Markdown,
}

impl Kind {
    /// The kind that a file's name asks for. The error names the file and the endings.
    pub fn of(path: &Path) -> Result<Self, String> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "html" | "htm" => Ok(Kind::Html),
            "md" => Ok(Kind::Markdown),
            _ => Err(format!("{}: a report's name ends in .html or .md", path.display())),
        }
    }
}

/// Writes a report to `path`, whose ending is that of a [`Kind`], and its tables, with Markdown its charts too, beside
/// it. Returns the paths of all, the report's first. Each file is whole or not there. The error is one line that names
/// the file.
pub fn write(page: &Page, path: &Path) -> Result<Vec<PathBuf>, String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut files = Vec::new();
    match Kind::of(path)? {
        Kind::Html => files.push((path.to_owned(), html::render(page, &stem))),
        Kind::Markdown => {
            files.push((path.to_owned(), markdown::render(page, &stem)));
            for block in blocks(page) {
                if let Block::Chart(chart) = block {
                    files.push((path.with_file_name(chart.file_name(&stem)), draw::svg(chart)));
                }
            }
        }
    }
    for block in blocks(page) {
        if let Block::File(file) = block {
            files.push((path.with_file_name(file.file_name(&stem)), file.content.clone()));
        }
    }
    for (path, content) in &files {
        write_whole(path, content).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn blocks(page: &Page) -> impl Iterator<Item = &Block> {
    page.sections.iter().flat_map(|section| &section.blocks)
}

/// Writes a file under another name and then gives it its own, so that nobody finds half of it.
pub fn write_whole(path: &Path, content: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let done = fs::write(&part, content).and_then(|()| fs::rename(&part, path));
    if done.is_err() {
        let _ = fs::remove_file(&part);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::report::page::{BesideFile, Section};

    #[test]
    fn the_ending_says_what_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = BesideFile {
            name: "table.csv",
            about: "a table".to_owned(),
            content: "a,b\n".to_owned(),
        };
        let page = Page {
            title: "a title".to_owned(),
            sections: vec![Section::new("Part").with(Block::File(file))],
            ..Page::default()
        };
        let written = write(&page, &folder.path().join("a.b.html")).expect("written");
        assert_eq!(
            written,
            ["a.b.html", "a.b-table.csv"].map(|name| folder.path().join(name))
        );
        assert!(fs::read_to_string(&written[0]).expect("text").contains("a.b-table.csv"));
        write(&page, &folder.path().join("a.md")).expect("written");
        let refused = write(&page, &folder.path().join("a.pdf")).expect_err("no such kind");
        assert!(
            refused.contains("a.pdf") && refused.contains(".html or .md"),
            "{refused}"
        );
        let nowhere = write(&page, &folder.path().join("no/a.html")).expect_err("no such folder");
        assert!(nowhere.contains("no/a.html") && !nowhere.contains('\n'), "{nowhere}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 4);
    }
}
