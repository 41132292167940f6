//! How `tandem predict --explain` writes an explanation: the text once, with what speaks for and against the winner marked in it,
//! and a short list; every label for programs, in JSON lines and CSV.

use std::io::{self, Write};

use super::answers::Format;
use crate::api::{json, pb};
use crate::cli::terminal::{Cell, Style, Table, has_colours, on_one_line};

/// How many n-grams for, and how many against, the table lists.
const LISTED: usize = 5;

/// Writes what is known of one text, or what was wrong with it. `first` is true for the first text of a run.
pub fn write(
    out: &mut impl Write,
    format: Format,
    first: bool,
    line: Option<u64>,
    text: &str,
    outcome: &Result<pb::Explanation, String>,
) -> io::Result<()> {
    match (format, outcome) {
        (Format::Jsonl, Ok(explanation)) => {
            out.write_all(&json::encode(explanation))?;
            writeln!(out)?;
        }
        (Format::Jsonl, Err(problem)) => {
            let row = serde_json::json!({ "line": line, "text": text, "error": problem });
            writeln!(out, "{row}")?;
        }
        (Format::Csv, _) => write_csv(out, first, text, outcome.as_ref().ok())?,
        (Format::Table, Ok(explanation)) => {
            if !first {
                writeln!(out)?;
            }
            let label = Style::Bold.paint(&on_one_line(&explanation.label));
            writeln!(out, "{label} {:.4}", explanation.confidence)?;
            writeln!(out, "{}", marked(text, explanation))?;
            if let Some(winner) = winner(explanation) {
                writeln!(out, "{}", table(text, winner))?;
            }
        }
        (Format::Table, Err(problem)) => {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            writeln!(out, "{}", Style::Bad.paint(&format!("error: {line}{problem}")))?;
        }
    }
    out.flush()
}

fn write_csv(out: &mut impl Write, first: bool, text: &str, explanation: Option<&pb::Explanation>) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    if first {
        csv.write_record(["text", "label", "contribution", "ngram", "start_byte", "end_byte"])?;
    }
    for label in explanation.iter().flat_map(|explanation| &explanation.labels) {
        for part in label.supporting.iter().chain(&label.opposing) {
            for span in &part.spans {
                let (contribution, ngram) = (part.contribution.to_string(), cut(text, span));
                let (start, end) = (span.start_byte.to_string(), span.end_byte.to_string());
                csv.write_record([text, &label.label, &contribution, ngram, &start, &end])?;
            }
        }
    }
    csv.flush()
}

/// The label that won.
fn winner(explanation: &pb::Explanation) -> Option<&pb::LabelExplanation> {
    explanation.labels.iter().find(|label| label.label == explanation.label)
}

/// What adds up to the winner's logit; the least of it in one line.
fn table(text: &str, winner: &pb::LabelExplanation) -> Table {
    let mut table = Table::new(["", "adds", "n-gram"]).right([1]);
    let mut others = winner.other_contribution;
    for (name, style, parts) in [
        ("for", Style::Good, &winner.supporting),
        ("against", Style::Bad, &winner.opposing),
    ] {
        for part in parts.iter().take(LISTED) {
            let ngrams = part.spans.iter().map(|span| visible(cut(text, span)));
            let mut ngrams: Vec<String> = ngrams.collect();
            ngrams.dedup();
            let adds = Cell::styled(format!("{:+.4}", part.contribution), style);
            table.row([Cell::styled(name, style), adds, ngrams.join(" ").into()]);
        }
        others += parts.iter().skip(LISTED).map(|part| part.contribution).sum::<f32>();
    }
    for (name, value) in [("all others", others), ("bias", winner.bias), ("= logit", winner.logit)] {
        table.row([name, &format!("{value:+.4}"), ""]);
    }
    table
}

/// The text, each character marked by what the listed n-grams that hold it say of the winning label, all together: in colours
/// where there are some, else `[for it]` and `{against it}`.
fn marked(text: &str, explanation: &pb::Explanation) -> String {
    let Some(winner) = winner(explanation) else {
        return on_one_line(text);
    };
    let mut weights = vec![0.0_f32; text.len()];
    for part in winner.supporting.iter().chain(&winner.opposing) {
        // An n-gram counts once for the model, wherever it stands.
        for span in &part.spans {
            let (start, end) = (bound(span.start_byte, text), bound(span.end_byte, text));
            for weight in weights.get_mut(start..end).unwrap_or_default() {
                *weight += part.contribution;
            }
        }
    }
    let strong = weights.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())) / 4.0;
    let style_at = |at: usize| match weights[at] {
        weight if weight > strong => Style::For,
        weight if weight < -strong => Style::Against,
        _ => Style::Plain,
    };
    let mut shown = String::new();
    let mut run = (0, Style::Plain);
    let ends = text.char_indices().map(|(at, _)| (at, style_at(at)));
    for (at, style) in ends.chain([(text.len(), Style::Dim)]) {
        if style != run.1 {
            shown += &in_style(run.1, &on_one_line(&text[run.0..at]));
            run = (at, style);
        }
    }
    shown
}

fn in_style(style: Style, part: &str) -> String {
    match style {
        _ if has_colours() || part.is_empty() => style.paint(part),
        Style::For => format!("[{part}]"),
        Style::Against => format!("{{{part}}}"),
        _ => part.to_owned(),
    }
}

/// A part of the text; empty where the server's offsets do not fit the text.
fn cut<'a>(text: &'a str, span: &pb::TextSpan) -> &'a str {
    text.get(bound(span.start_byte, text)..bound(span.end_byte, text))
        .unwrap_or_default()
}

fn bound(byte: i32, text: &str) -> usize {
    usize::try_from(byte).unwrap_or(0).min(text.len())
}

/// An n-gram in which spaces can be seen.
fn visible(ngram: &str) -> String {
    if ngram.is_empty() {
        return "␣".to_owned();
    }
    on_one_line(ngram).replace(' ', "␣")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(contribution: f32, start_byte: i32, end_byte: i32) -> pb::Contribution {
        pb::Contribution {
            contribution,
            spans: vec![pb::TextSpan { start_byte, end_byte }],
            span_count: 1,
        }
    }

    #[test]
    fn a_text_is_marked_by_what_speaks_for_and_against_the_winner() {
        let winner = pb::LabelExplanation {
            label: "positive".into(),
            supporting: vec![part(1.0, 0, 6)],
            opposing: vec![part(-1.0, 7, 10), part(-1.0, 900, -1)],
            ..pb::LabelExplanation::default()
        };
        let explanation = pb::Explanation {
            label: "positive".into(),
            labels: vec![winner.clone(), pb::LabelExplanation::default()],
            ..pb::Explanation::default()
        };
        assert_eq!(marked("좋다 나", &explanation), "[좋다] {나}");
        let listed = table("좋다 나", &winner).to_string();
        assert!(
            listed.contains("+1.0000  좋다") && listed.contains("-1.0000  나"),
            "{listed}"
        );
    }
}
