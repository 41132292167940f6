//! The files that a report is: the page, and what lies beside it.

use std::path::{Path, PathBuf};

use super::page::{Block, Page};
use super::{draw, html, markdown};
use crate::offline::whole_files;

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

/// The files of a report at `path`, whose ending is that of a [`Kind`]: the page first, then its long tables, with Markdown
/// its charts too. The error is one line that names the file.
pub fn of(page: &Page, path: &Path) -> Result<Vec<(PathBuf, String)>, String> {
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
    Ok(files)
}

/// Writes a report's files, all of them or none. Returns their paths, the report's first. The error is one line that names
/// the file.
pub fn write(page: &Page, path: &Path) -> Result<Vec<PathBuf>, String> {
    let files: Vec<(PathBuf, Vec<u8>)> = (of(page, path)?.into_iter())
        .map(|(path, content)| (path, content.into_bytes()))
        .collect();
    whole_files::write(&files)?;
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn blocks(page: &Page) -> impl Iterator<Item = &Block> {
    page.sections.iter().flat_map(|section| &section.blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::report::page::{BesideFile, Section};

    #[test]
    fn the_ending_says_what_a_report_is() {
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
        let names = |path: &str| -> Vec<String> {
            let files = of(&page, Path::new(path)).expect("files");
            files.iter().map(|(path, _)| path.display().to_string()).collect()
        };
        assert_eq!(names("no/a.b.html"), ["no/a.b.html", "no/a.b-table.csv"]);
        assert_eq!(names("a.md"), ["a.md", "a-table.csv"]);
        let html = &of(&page, Path::new("a.html")).expect("files")[0].1;
        assert!(html.contains("a-table.csv"), "{html}");
        let refused = of(&page, Path::new("a.pdf")).expect_err("no such kind");
        assert!(
            refused.contains("a.pdf") && refused.contains(".html or .md"),
            "{refused}"
        );
    }
}
