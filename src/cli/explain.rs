//! How `tandem predict --explain` writes an explanation: the text in colours on a terminal, a table elsewhere, JSON lines for
//! programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Table, presets};

use super::table::{Format, printable};
use crate::api::{json, pb};
use crate::telemetry::visible::visible;

const GREEN: &str = "\u{1b}[42;30m";
const RED: &str = "\u{1b}[41;97m";
const RESET: &str = "\u{1b}[0m";

/// Writes what is known of one text.
pub fn write(out: &mut impl Write, format: Format, text: &str, explanation: &pb::Explanation) -> io::Result<()> {
    match format {
        Format::Jsonl => {
            out.write_all(&json::encode(explanation))?;
            writeln!(out)?;
        }
        Format::Csv => write_csv(out, text, explanation)?,
        Format::Table => {
            let colours =
                io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let shown = if colours {
                coloured(text, explanation)
            } else {
                printable(text)
            };
            writeln!(
                out,
                "{} {:.4}  {shown}",
                visible(&explanation.label),
                explanation.confidence
            )?;
            for line in table(text, explanation).lines() {
                writeln!(out, "{}", visible(&line))?;
            }
            writeln!(out)?;
        }
    }
    out.flush()
}

fn write_csv(out: &mut impl Write, text: &str, explanation: &pb::Explanation) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(["text", "label", "contribution", "ngram", "start_byte", "end_byte"])?;
    for label in &explanation.labels {
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

fn table(text: &str, explanation: &pb::Explanation) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["label", "adds", "n-gram"]);
    for label in &explanation.labels {
        for part in label.supporting.iter().chain(&label.opposing) {
            let ngrams = part.spans.iter().map(|span| with_spaces(cut(text, span)));
            let mut ngrams: Vec<String> = ngrams.collect();
            ngrams.dedup();
            table.add_row([&label.label, &format!("{:+.4}", part.contribution), &ngrams.join(" ")]);
        }
        table.add_row([
            &label.label,
            &format!("{:+.4}", label.other_contribution),
            "(all others)",
        ]);
        table.add_row([&label.label, &format!("{:+.4}", label.bias), "(bias)"]);
        table.add_row([&label.label, &format!("{:+.4}", label.logit), "= logit"]);
    }
    table
}

/// The text, each character on the colour of what the listed n-grams that hold it say of the winning label, all together:
/// green for it, red against it.
fn coloured(text: &str, explanation: &pb::Explanation) -> String {
    let Some(winner) = explanation.labels.iter().find(|label| label.label == explanation.label) else {
        return printable(text);
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
    let mut shown = String::new();
    let mut current = "";
    for (at, value) in text.char_indices() {
        let colour = match weights[at] {
            weight if weight > strong => GREEN,
            weight if weight < -strong => RED,
            _ => "",
        };
        if colour != current {
            if !current.is_empty() {
                shown.push_str(RESET);
            }
            shown.push_str(colour);
            current = colour;
        }
        shown.push(if value.is_control() { ' ' } else { value });
    }
    if !current.is_empty() {
        shown.push_str(RESET);
    }
    shown
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
fn with_spaces(ngram: &str) -> String {
    if ngram.is_empty() {
        return "␣".to_owned();
    }
    printable(ngram).replace(' ', "␣")
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
    fn a_text_is_coloured_by_what_speaks_for_and_against_the_winner() {
        let explanation = pb::Explanation {
            label: "positive".into(),
            labels: vec![pb::LabelExplanation {
                label: "positive".into(),
                supporting: vec![part(1.0, 0, 6)],
                opposing: vec![part(-1.0, 7, 10), part(-1.0, 900, -1)],
                ..pb::LabelExplanation::default()
            }],
            ..pb::Explanation::default()
        };
        let shown = coloured("좋다 나", &explanation);
        assert_eq!(shown, format!("{GREEN}좋다{RESET} {RED}나{RESET}"));
    }
}
