//! A report as Markdown (of GitHub's kind, for its tables): the charts are files beside it.

use super::page::{Block, Matrix, Page, Table};
use super::words;
use crate::telemetry::visible::visible;

/// The page. `stem` is the file's name without its ending, by which the files beside it are linked.
pub fn render(page: &Page, stem: &str) -> String {
    let mut out = format!("# {}\n", plain(&page.title));
    if !page.summary.is_empty() {
        out.push('\n');
        for line in &page.summary {
            out.push_str(&format!("- {}\n", plain(line)));
        }
    }
    for section in &page.sections {
        out.push_str(&format!("\n## {}\n", plain(&section.title)));
        for part in &section.blocks {
            out.push('\n');
            out.push_str(&block(part, stem));
        }
    }
    out
}

fn block(block: &Block, stem: &str) -> String {
    match block {
        Block::Text(text) => plain(text) + "\n",
        Block::Note(text) => format!("> **Mind:** {}\n", plain(text)),
        Block::Facts(facts) => {
            let fact = |(name, value): &(String, String)| format!("- {}: {}\n", plain(name), plain(value));
            facts.iter().map(fact).collect()
        }
        Block::Table(part) => table(part),
        Block::Matrix(part) => matrix(part),
        Block::Chart(chart) => {
            let link = words::link(&chart.file_name(stem));
            format!("![{}]({link})\n\n{}\n", plain(&chart.title), plain(&chart.description))
        }
        Block::Code(code) => fenced(code),
        Block::File(file) => {
            let name = file.file_name(stem);
            format!("[{}]({}): {}\n", plain(&name), words::link(&name), plain(&file.about))
        }
    }
}

fn table(table: &Table) -> String {
    let rule = table.columns.iter().map(|column| column.figures);
    let head = table.columns.iter().map(|column| column.name.clone());
    let mut out = format!("**{}**\n\n", plain(&table.caption)) + &head_of(head, rule);
    for row in &table.rows {
        let cells = row.cells.iter().map(|cell| match plain(cell) {
            cell if row.strong && !cell.is_empty() => format!("**{cell}**"),
            cell => cell,
        });
        out.push_str(&line(cells));
    }
    out
}

fn matrix(matrix: &Matrix) -> String {
    let names = || matrix.names.iter().cloned();
    let rule = std::iter::once(false).chain(names().map(|_| true));
    let head = std::iter::once(String::new()).chain(names());
    let mut out = format!("**{}**\n\n", plain(&matrix.caption)) + &head_of(head, rule);
    for (name, counts) in names().zip(&matrix.counts) {
        let counts = counts.iter().map(|count| words::count(*count));
        out.push_str(&line(std::iter::once(plain(&name)).chain(counts)));
    }
    out
}

fn head_of(names: impl Iterator<Item = String>, figures: impl Iterator<Item = bool>) -> String {
    let rule = figures.map(|figures| if figures { "---:" } else { "---" }.to_owned());
    line(names.map(|name| plain(&name))) + &line(rule)
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// Code between fences that are longer than any within.
fn fenced(code: &str) -> String {
    let mut longest = 0;
    for run in code.split(|value| value != '`') {
        longest = longest.max(run.len());
    }
    let fence = "`".repeat(longest.max(2) + 1);
    let lines: Vec<_> = code.lines().map(visible).collect();
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

/// A text in which nothing is markup: what Markdown or HTML would read as such gets a backslash.
fn plain(text: &str) -> String {
    let shown = visible(text);
    let mut out = String::with_capacity(shown.len() + 8);
    let mut before = ' ';
    let mut rest = shown.trim().chars().peekable();
    // Only a list's number may come before a point or bracket that is markup.
    let mut may_be_list = true;
    while let Some(value) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        let special = match value {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' => true,
            // Within a word it is a letter.
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '#' | '+' | '-' | '=' => out.is_empty(),
            '.' | ')' => may_be_list && !out.is_empty() && next == ' ',
            // An image, or an address that would become a link.
            '!' => next == '[',
            '@' => true,
            ':' => next == '/',
            _ => false,
        };
        if special {
            out.push('\\');
        }
        out.push(value);
        may_be_list = may_be_list && value.is_ascii_digit();
        before = value;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::report::page::Section;

    #[test]
    fn nothing_from_outside_is_markup() {
        for (text, shown) in [
            ("macro_f1 of a_b", "macro_f1 of a_b"),
            ("_a_", "\\_a\\_"),
            ("a|b\n# c", "a\\|b\\\\n# c"),
            ("<script>", "\\<script\\>"),
            ("![x](http://a)", "\\!\\[x\\](http\\://a)"),
            ("- a", "\\- a"),
            ("1. a", "1\\. a"),
            ("1.5 of a. b", "1.5 of a. b"),
            ("", ""),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(fenced("a ``` b\nc"), "````text\na ``` b\nc\n````\n");
    }

    #[test]
    fn a_page_is_headings_lists_and_tables() {
        let mut table = Table::new("classes", ["class", "F1"]);
        table.row(["a".to_owned(), "0.5".to_owned()]);
        table.strong_row(["b".to_owned(), String::new()]);
        let page = Page {
            title: "a title".to_owned(),
            summary: vec!["good".to_owned()],
            sections: vec![Section::new("Part").with(Block::Table(table)).note("few rows")],
        };
        assert_eq!(
            render(&page, "x"),
            "# a title\n\n- good\n\n## Part\n\n**classes**\n\n| class | F1 |\n| --- | ---: |\n| a | 0.5 |\n| **b** |  |\n\n\
             > **Mind:** few rows\n"
        );
    }
}
