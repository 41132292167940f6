//! A report as one HTML file: no scripts, nothing fetched. Readable on a phone, in the dark and on paper.
//!
//! `maud` escapes every string. The style sheet and the charts alone are put in as they are: [`super::draw`] escapes what
//! it writes.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::Chart;
use super::page::{BesideFile, Block, Matrix, Page, Section, Table};
use super::{draw, words};
use crate::telemetry::visible::visible;

const STYLE: &str = include_str!("style.css");
/// How dark the fullest cell of a heat map is.
const FULLEST: f64 = 0.55;
/// What a browser may do with the page: show its own styles, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page. `stem` is the file's name without its ending, by which the files beside it are linked.
pub fn render(page: &Page, stem: &str) -> String {
    let sections = || page.sections.iter().enumerate();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (visible(&page.title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 dir="auto" { (visible(&page.title)) }
                    @if !page.summary.is_empty() {
                        ul.summary { @for line in &page.summary { li { (visible(line)) } } }
                    }
                }
                @if page.sections.len() > 1 {
                    nav aria-label="Sections" {
                        @for (at, section) in sections() { a href={ "#s" (at + 1) } { (visible(&section.title)) } }
                    }
                }
                main { @for (at, part) in sections() { (section(at + 1, part, stem)) } }
            }
        }
    };
    markup.into_string() + "\n"
}

fn section(number: usize, section: &Section, stem: &str) -> Markup {
    html! {
        section aria-labelledby={ "s" (number) } {
            h2 id={ "s" (number) } { (visible(&section.title)) }
            @for part in &section.blocks { (block(part, stem)) }
        }
    }
}

fn block(block: &Block, stem: &str) -> Markup {
    match block {
        Block::Text(text) => html! { p { (visible(text)) } },
        Block::Note(text) => html! { p.note role="note" { b { "Mind: " } (visible(text)) } },
        Block::Facts(facts) => html! {
            dl { @for (name, value) in facts { dt { (visible(name)) } dd dir="auto" { (visible(value)) } } }
        },
        Block::Table(part) => table(part),
        Block::Matrix(part) => matrix(part),
        Block::Chart(part) => chart(part),
        Block::Code(code) => html! {
            pre tabindex="0" { code { @for line in code.lines() { (visible(line)) "\n" } } }
        },
        Block::File(file) => beside(file, stem),
    }
}

/// A table under its heading, in a box that scrolls by itself if the table is wider than the page.
fn scrolling(caption: &str, inner: Markup) -> Markup {
    let caption = visible(caption);
    html! {
        h3 { (caption) }
        div.scroll role="region" tabindex="0" aria-label=(caption) { (inner) }
    }
}

fn table(table: &Table) -> Markup {
    let class = |at: usize| {
        let figures = table.columns.get(at).is_some_and(|column| column.figures);
        if figures { "n" } else { "w" }
    };
    let inner = html! {
        table {
            thead {
                tr { @for (at, column) in table.columns.iter().enumerate() {
                    th scope="col" class=(class(at)) { (visible(&column.name)) }
                } }
            }
            tbody { @for row in &table.rows {
                tr class=[row.strong.then_some("strong")] { @for (at, cell) in row.cells.iter().enumerate() {
                    @if at == 0 { th scope="row" dir="auto" { (visible(cell)) } }
                    @else if class(at) == "n" { td.n { (visible(cell)) } }
                    @else { td.w dir="auto" { (visible(cell)) } }
                } }
            } }
        }
    };
    scrolling(&table.caption, inner)
}

/// A heat map: each cell is as dark as its share of the row is large, right answers blue and wrong ones orange.
fn matrix(matrix: &Matrix) -> Markup {
    let share = |row: usize, column: usize| {
        let whole: u64 = matrix.counts[row].iter().sum();
        matrix.counts[row][column] as f64 / (whole.max(1)) as f64
    };
    let shade = |row: usize, column: usize| {
        let colour = if row == column { "0 114 178" } else { "213 94 0" };
        format!("background:rgb({colour}/{:.2})", share(row, column) * FULLEST)
    };
    let inner = html! {
        table.map {
            thead {
                tr {
                    td {}
                    @for name in &matrix.names { th scope="col" dir="auto" { (visible(name)) } }
                }
            }
            tbody { @for (row, name) in matrix.names.iter().enumerate() {
                tr {
                    th scope="row" dir="auto" { (visible(name)) }
                    @for (column, count) in matrix.counts[row].iter().enumerate() {
                        td style=(shade(row, column)) { (words::count(*count)) }
                    }
                }
            } }
        }
    };
    scrolling(&matrix.caption, inner)
}

fn chart(chart: &Chart) -> Markup {
    html! {
        figure {
            (PreEscaped(draw::svg(chart)))
            figcaption { (visible(&chart.description)) }
        }
    }
}

fn beside(file: &BesideFile, stem: &str) -> Markup {
    let name = file.file_name(stem);
    html! { p { a href=(words::link(&name)) { (visible(&name)) } ": " (visible(&file.about)) } }
}
