//! Output of `tandem predict --explain`: the text once, with what speaks for and against the winning label marked in
//! it, and a short list; for programs every label, as JSON lines or CSV.

use std::collections::BTreeMap;

use super::answers::Format;
use super::csv_rows::csv_lines;
use crate::api::{json, pb};
use crate::cli::output;
use crate::cli::terminal::{Cell, Painted, Style, Table, has_colours, on_one_line};

/// The most n-grams that the table lists for the label, and as many against it.
const LISTED: usize = 5;

/// Writes the explanation of one text, or why there is none. `first`: this is the first text of the run.
pub fn write(format: Format, first: bool, line: Option<u64>, text: &str, outcome: &Result<pb::Explanation, String>) {
    match (format, outcome) {
        (Format::Jsonl, Ok(explanation)) => output::line(&String::from_utf8_lossy(&json::encode(explanation))),
        (Format::Jsonl, Err(problem)) => {
            let row = serde_json::json!({ "line": line, "text": text, "error": problem });
            output::line(&row.to_string());
        }
        (Format::Csv | Format::Tsv | Format::Parquet | Format::Arrow, _) => {
            output::raw(&csv(first, text, outcome.as_ref().ok()));
        }
        (Format::Table, Ok(explanation)) => {
            let mut out = Painted::default();
            if !first {
                out.end_line();
            }
            out.push(Style::Bold, &explanation.label);
            out.push_line(&format!(" {:.4}", explanation.confidence));
            out.append(&marked(text, explanation));
            out.end_line();
            if let Some(winner) = winner(explanation) {
                out.append(&table(text, winner).painted());
            }
            output::painted(&out);
        }
        (Format::Table, Err(problem)) => {
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let mut out = Style::Bad.paint(&format!("error: {line}{problem}"));
            out.end_line();
            output::painted(&out);
        }
    }
}

fn csv(first: bool, text: &str, explanation: Option<&pb::Explanation>) -> Vec<u8> {
    let mut records = Vec::new();
    if first {
        records.push(
            ["text", "label", "contribution", "ngram", "start_byte", "end_byte"]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    for label in explanation.iter().flat_map(|explanation| &explanation.labels) {
        for part in label.supporting.iter().chain(&label.opposing) {
            for span in &part.spans {
                let (contribution, ngram) = (part.contribution.to_string(), cut(text, span).to_owned());
                let (start, end) = (span.start_byte.to_string(), span.end_byte.to_string());
                records.push(vec![
                    text.to_owned(),
                    label.label.clone(),
                    contribution,
                    ngram,
                    start,
                    end,
                ]);
            }
        }
    }
    csv_lines(&records)
}

/// The winning label.
fn winner(explanation: &pb::Explanation) -> Option<&pb::LabelExplanation> {
    explanation.labels.iter().find(|label| label.label == explanation.label)
}

/// The parts that add up to the winner's logit, with the smallest ones together on one line.
fn table(text: &str, winner: &pb::LabelExplanation) -> Table {
    let mut table = Table::new(["", "adds", "n-gram"]).right([1]);
    let mut others = winner.other_contribution;
    for (name, style, parts) in [
        ("for", Style::For, &winner.supporting),
        ("against", Style::Against, &winner.opposing),
    ] {
        let sums = sums(text, parts);
        for (ngram, sum) in sums.iter().take(LISTED) {
            let adds = Cell::styled(format!("{sum:+.4}"), style);
            table.row([name.into(), adds, ngram.into()]);
        }
        others += sums.iter().skip(LISTED).map(|(_, sum)| sum).sum::<f32>();
    }
    for (name, value) in [("all others", others), ("bias", winner.bias), ("= logit", winner.logit)] {
        table.row([name, &format!("{value:+.4}"), ""]);
    }
    table
}

/// What n-grams add, the strongest first. Those that look the same are added up, such as a word and the same
/// characters.
fn sums(text: &str, parts: &[pb::Contribution]) -> Vec<(String, f32)> {
    let mut sums = BTreeMap::new();
    for part in parts {
        let ngrams = part.spans.iter().map(|span| with_spaces(cut(text, span)));
        let mut ngrams: Vec<String> = ngrams.collect();
        ngrams.dedup();
        *sums.entry(ngrams.join(" ")).or_insert(0.0) += part.contribution;
    }
    let mut sums: Vec<(String, f32)> = sums.into_iter().collect();
    sums.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    sums
}

/// The text, with each character marked by the sum of the listed n-grams that contain it: in colours where the terminal
/// has them, else as `[for it]` and `{against it}`.
fn marked(text: &str, explanation: &pb::Explanation) -> Painted {
    let Some(winner) = winner(explanation) else {
        return Style::Plain.paint(&on_one_line(text));
    };
    let mut weights = vec![0.0_f32; text.len()];
    for part in winner.supporting.iter().chain(&winner.opposing) {
        // For the model an n-gram counts once, however often it appears.
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
    let mut shown = Painted::default();
    let mut run = (0, Style::Plain);
    let ends = text.char_indices().map(|(at, _)| (at, style_at(at)));
    for (at, style) in ends.chain([(text.len(), Style::Dim)]) {
        if style != run.1 {
            push_marked(&mut shown, run.1, &on_one_line(&text[run.0..at]));
            run = (at, style);
        }
    }
    shown
}

fn push_marked(shown: &mut Painted, style: Style, part: &str) {
    match style {
        _ if has_colours() || part.is_empty() => shown.push(style, part),
        Style::For => shown.push(Style::Plain, &format!("[{part}]")),
        Style::Against => shown.push(Style::Plain, &format!("{{{part}}}")),
        _ => shown.push(Style::Plain, part),
    }
}

/// A part of the text; empty if the server's offsets do not fit the text.
fn cut<'a>(text: &'a str, span: &pb::TextSpan) -> &'a str {
    text.get(bound(span.start_byte, text)..bound(span.end_byte, text))
        .unwrap_or_default()
}

fn bound(byte: i32, text: &str) -> usize {
    usize::try_from(byte).unwrap_or(0).min(text.len())
}

/// An n-gram with its spaces made visible.
fn with_spaces(ngram: &str) -> String {
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
        crate::cli::terminal::choose(crate::cli::terminal::ColorChoice::Never);
        let winner = pb::LabelExplanation {
            label: "positive".into(),
            supporting: vec![part(0.5, 0, 6), part(0.5, 0, 6)],
            opposing: vec![part(-1.0, 7, 10), part(-1.0, 900, -1)],
            ..pb::LabelExplanation::default()
        };
        let explanation = pb::Explanation {
            label: "positive".into(),
            labels: vec![winner.clone(), pb::LabelExplanation::default()],
            ..pb::Explanation::default()
        };
        assert_eq!(marked("좋다 나", &explanation).as_str(), "[좋다] {나}");
        let listed = table("좋다 나", &winner).painted();
        let listed = listed.as_str();
        assert!(
            listed.contains("+1.0000  좋다") && listed.contains("-1.0000  나"),
            "{listed}"
        );
    }
}
