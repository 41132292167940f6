//! What was found, for people, in 80 columns. The JSON has all of it.

use super::summary::{NamedClass, Summary, Told};
use crate::cli::output;
use crate::cli::terminal::{Cell, Painted, Style, Table, fit, width, wrap};
use crate::offline::evaluation::coverage::Coverage;
use crate::offline::evaluation::findings::thousands;
use crate::offline::evaluation::interval::Interval;

/// The most classes that are printed; of more, those with the lowest F1.
const MOST_CLASSES: usize = 20;
/// The most pairs of confused labels that are printed.
const MOST_PAIRS: usize = 5;
/// How many columns the name of a contender or a label takes.
const NAME: usize = 20;

/// Prints everything.
pub fn print(summary: &Summary<'_>) {
    for line in wrap(&head(summary), width()) {
        output::line(&line);
    }
    let mut painted = Painted::default();
    painted.end_line();
    painted.append(&figures(summary).painted());
    painted.end_line();
    output::painted(&painted);
    for remark in remarks(summary) {
        for line in wrap(&remark, width()) {
            output::line(&line);
        }
    }
    let mut painted = Painted::default();
    for table in [coverages(summary), classes(summary)] {
        painted.end_line();
        painted.append(&table.painted());
    }
    let few = summary.contenders[0].classes.len() > MOST_CLASSES;
    if few {
        let all = summary.contenders[0].classes.len();
        painted.push_line(&format!(
            "the {MOST_CLASSES} with the lowest F1 of {all}; --json tells all"
        ));
    }
    output::painted(&painted);
    for told in &summary.contenders {
        confusions(told);
    }
    output::line("");
    for finding in &summary.findings {
        output::listed(finding);
    }
}

fn head(summary: &Summary<'_>) -> String {
    let contenders = summary
        .contenders
        .iter()
        .map(|told| format!("{} ({})", told.name, told.models.join(" and ")));
    let unanswered = match summary.unanswered {
        0 => String::new(),
        texts => format!(", {} others without an answer", thousands(texts)),
    };
    format!(
        "{} on {} texts of {}{unanswered}; in brackets 95% intervals",
        contenders.collect::<Vec<_>>().join(" beside "),
        thousands(summary.texts),
        summary.data.file
    )
}

/// One row a figure, one column a contender, and the difference.
fn figures(summary: &Summary<'_>) -> Table {
    let names = summary.contenders.iter().map(|told| fit(told.name, NAME));
    let header: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let mut table = Table::new(&header).right(1..header.len());
    let mut row = |name: &str, cell: &dyn Fn(&Told<'_>) -> String| {
        let cells = summary.contenders.iter().map(cell);
        let cells: Vec<String> = std::iter::once(name.to_owned()).chain(cells).collect();
        table.row(&cells);
    };
    let accuracy = if summary.multi_label { "exact match" } else { "accuracy" };
    row(accuracy, &|told| with_interval(told.accuracy, 100.0, 2));
    if summary.multi_label {
        row("micro-F1", &|told| with_interval(told.micro_f1, 1.0, 3));
    }
    row("macro-F1", &|told| with_interval(told.macro_f1, 1.0, 3));
    row("log loss", &|told| with_interval(told.log_loss, 1.0, 3));
    row("calibration error", &|told| {
        with_interval(told.calibration_error, 1.0, 3)
    });
    if summary.contenders.iter().any(|told| told.escalated.is_some()) {
        row("escalated", &|told| {
            told.escalated
                .map_or(String::new(), |share| format!("{:.1}%", share * 100.0))
        });
    }
    row("texts a second", &|told| thousands(told.texts_per_second as usize));
    row("µs a text", &|told| thousands(told.micros_a_text.round() as usize));
    table
}

/// How the time was measured, and how two contenders differ.
fn remarks(summary: &Summary<'_>) -> Vec<String> {
    let mut remarks = vec![format!(
        "timed {}: requests of {} texts, one after the other",
        if summary.by_server {
            "from here, the way to the server included"
        } else {
            "on this machine"
        },
        summary.texts_a_request
    )];
    if let (Some(difference), [first, second]) = (&summary.difference, &summary.contenders[..]) {
        remarks.push(format!(
            "{} minus {}: accuracy {}, macro-F1 {}, log loss {}; a text takes {:.2} times as long; {} texts differ: {} that \
             {} alone has right, {} that {} alone has right",
            second.name,
            first.name,
            signed(difference.accuracy, 100.0, 2),
            signed(difference.macro_f1, 1.0, 3),
            signed(difference.log_loss, 1.0, 3),
            second.micros_a_text / first.micros_a_text,
            thousands(difference.differing),
            thousands(difference.first_right),
            first.name,
            thousands(difference.second_right),
            second.name
        ));
    }
    remarks
}

/// How many texts the surest answers cover, and from which confidence on.
fn coverages(summary: &Summary<'_>) -> Table {
    let mut header = vec!["right answers".to_owned()];
    for told in &summary.contenders {
        header.push(match summary.contenders.len() {
            1 => "covered".to_owned(),
            _ => format!("covered, {}", fit(told.name, NAME - 9)),
        });
        header.push("from".to_owned());
    }
    let mut table = Table::new(&header).right(0..header.len());
    for at in 0..summary.contenders[0].coverages.len() {
        let of = |told: &Told<'_>| told.coverages[at];
        let mut cells = vec![format!(
            "{}%",
            (of(&summary.contenders[0]).wanted * 1e4).round() / 100.0
        )];
        for told in &summary.contenders {
            let Coverage {
                min_confidence,
                covered,
                ..
            } = of(told);
            cells.push(format!("{:.1}%", covered * 100.0));
            cells.push(min_confidence.map_or_else(|| "never".to_owned(), |from| format!("{from:.4}")));
        }
        table.row(&cells);
    }
    table
}

/// The classes of one contender with their intervals, or of two side by side.
fn classes(summary: &Summary<'_>) -> Table {
    let first = &summary.contenders[0];
    let mut places: Vec<usize> = (0..first.classes.len()).collect();
    if places.len() > MOST_CLASSES {
        let f1 = |at: usize| first.classes[at].class.f1.unwrap_or(f64::INFINITY);
        places.sort_by(|&a, &b| f1(a).total_cmp(&f1(b)));
        places.truncate(MOST_CLASSES);
    }
    let header: &[&str] = match summary.contenders.len() {
        1 => &["label", "texts", "precision", "recall", "F1"],
        _ => &[
            "1: first, 2: second",
            "texts",
            "prec. 1",
            "prec. 2",
            "recall 1",
            "recall 2",
            "F1 1",
            "F1 2",
        ],
    };
    let mut table = Table::new(header).right(1..header.len());
    for at in places {
        let of = |told: &Told<'_>| -> [Option<Interval>; 2] {
            [told.classes[at].class.precision, told.classes[at].class.recall]
        };
        let NamedClass { label, class, .. } = &first.classes[at];
        let few = if class.is_unreliable() { " (few)" } else { "" };
        let name = format!("{}{few}", fit(label, NAME - few.len()));
        let mut cells = vec![name, thousands(class.texts)];
        if let [first, second] = &summary.contenders[..] {
            let value = |figure: Option<Interval>| {
                figure.map_or_else(|| "-".to_owned(), |figure| format!("{:.3}", figure.value))
            };
            let (first_figures, second_figures) = (of(first), of(second));
            for figure in 0..2 {
                cells.extend([value(first_figures[figure]), value(second_figures[figure])]);
            }
            cells.extend([first, second].map(|told| f1(&told.classes[at])));
        } else {
            let value = |figure: Option<Interval>| {
                figure.map_or_else(|| "-".to_owned(), |figure| with_interval(figure, 1.0, 3))
            };
            cells.extend(of(first).map(value));
            cells.push(f1(&first.classes[at]));
        }
        let style = if class.is_unreliable() {
            Style::Dim
        } else {
            Style::Plain
        };
        table.row(cells.into_iter().map(|cell| Cell::styled(cell, style)));
    }
    table
}

fn f1(class: &NamedClass<'_>) -> String {
    class.class.f1.map_or_else(|| "-".to_owned(), |f1| format!("{f1:.3}"))
}

/// The pairs of labels that are confused most.
fn confusions(told: &Told<'_>) {
    if told.confusions.is_empty() || told.classes.len() < 3 {
        return;
    }
    let texts = |label: &str| {
        told.classes
            .iter()
            .find(|class| class.label == label)
            .map_or(1, |class| class.class.texts)
    };
    let mut table = Table::new([
        &*format!("{}: most confused", fit(told.name, NAME)),
        "is taken for",
        "texts",
        "of its texts",
    ])
    .right(2..4);
    for pair in told.confusions.iter().take(MOST_PAIRS) {
        let share = pair.texts as f64 / texts(pair.truth).max(1) as f64;
        table.row([
            fit(pair.truth, NAME),
            fit(pair.given, NAME),
            thousands(pair.texts),
            format!("{:.1}%", share * 100.0),
        ]);
    }
    let mut painted = Painted::default();
    painted.end_line();
    painted.append(&table.painted());
    output::painted(&painted);
}

fn with_interval(figure: Interval, scale: f64, digits: usize) -> String {
    let Interval { value, low, high } = figure;
    let shorter = digits.min(if scale > 1.0 { 1 } else { 3 });
    format!(
        "{:.digits$} ({:.shorter$} to {:.shorter$})",
        value * scale,
        low * scale,
        high * scale
    )
}

fn signed(figure: Interval, scale: f64, digits: usize) -> String {
    let Interval { value, low, high } = figure;
    let shorter = digits.min(if scale > 1.0 { 1 } else { 3 });
    format!(
        "{:+.digits$} ({:+.shorter$} to {:+.shorter$})",
        value * scale,
        low * scale,
        high * scale
    )
}
