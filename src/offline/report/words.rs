//! Figures and names as a report shows them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_width::UnicodeWidthChar;

use crate::telemetry::visible::visible;

/// How many columns of a terminal the name of a class may take in a report.
pub const LABEL_COLUMNS: usize = 48;
/// The same for a text.
pub const TEXT_COLUMNS: usize = 240;

/// A name or text from outside, on one line, cut to a number of columns (a Korean letter takes two).
pub fn cut(text: &str, columns: usize) -> String {
    // What is hidden is written as six letters, so a long text must be cut before and after.
    let some: String = text.chars().take(columns + 1).collect();
    let shown = visible(&some);
    let mut used = 0;
    for (at, value) in shown.char_indices() {
        used += value.width().unwrap_or(0);
        // Marks without a width could go on for ever.
        if used > columns || at > columns * 4 {
            let mut kept = shown[..at].trim_end().to_owned();
            kept.pop();
            return kept + "…";
        }
    }
    if some.len() < text.len() {
        return shown.into_owned() + "…";
    }
    shown.into_owned()
}

/// The name of a class, cut.
pub fn label(text: &str) -> String {
    cut(text, LABEL_COLUMNS)
}

/// A whole number with commas: 12,345.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number with this many digits after the point, with commas before it. A dash for what is no number.
pub fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let plain = format!("{:.digits$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let zero = plain.chars().all(|digit| digit == '0' || digit == '.');
    let sign = if value < 0.0 && !zero { "−" } else { "" };
    match whole.parse() {
        Ok(whole) => format!("{sign}{}{rest}", count(whole)),
        Err(_) => format!("{value:.digits$e}"),
    }
}

/// A number with the digits that its size calls for: three that count, none of them after the point from 100 on.
pub fn rough(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        size if size >= 0.09995 => 3,
        0.0 => 0,
        _ => 4,
    };
    number(value, digits)
}

/// A share as percent, with this many digits after the point.
pub fn percent(share: f64, digits: usize) -> String {
    if share.is_finite() {
        number(share * 100.0, digits) + "%"
    } else {
        number(share, 0)
    }
}

/// A difference of shares in points of percent, with its sign: `+0.4 points`.
pub fn points(difference: f64) -> String {
    let sign = if difference * 100.0 >= 0.05 { "+" } else { "" };
    format!("{sign}{} points", number(difference * 100.0, 1))
}

/// How many times with its noun: `1 row`, `12 rows`.
pub fn counted(value: u64, noun: &str) -> String {
    let ending = if value == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(value))
}

/// A link to a file that lies beside the report.
pub fn link(name: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    format!("./{}", utf8_percent_encode(name, PLAIN))
}

/// A table as CSV, for a file beside the report.
pub fn csv(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head).expect("memory takes what is written");
    for row in rows {
        writer.write_record(row).expect("rows are as long as the head");
    }
    let bytes = writer.into_inner().expect("memory takes what is written");
    String::from_utf8(bytes).expect("strings were written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(number(-1234.567, 1), "−1,234.6");
        assert_eq!(number(-0.0001, 2), "0.00");
        assert_eq!(number(f64::NAN, 2), "–");
        assert_eq!(percent(0.8987, 1), "89.9%");
        assert_eq!(percent(f64::INFINITY, 1), "–");
        assert_eq!(
            [0.0, 0.0123, 0.5, 4.7854, 12.34, 1435.26].map(rough),
            ["0", "0.0123", "0.500", "4.79", "12.3", "1,435"]
        );
        assert_eq!(
            [0.004, -0.004, 0.0].map(points),
            ["+0.4 points", "−0.4 points", "0.0 points"]
        );
        assert_eq!([1, 2].map(|rows| counted(rows, "row")), ["1 row", "2 rows"]);
    }

    #[test]
    fn links_lead_to_files_of_any_name() {
        assert_eq!(link("a.b-c_d.csv"), "./a.b-c_d.csv");
        assert_eq!(link("a \"b\")/리.md"), "./a%20%22b%22%29%2F%EB%A6%AC.md");
    }

    #[test]
    fn names_from_outside_stay_on_one_line_and_short() {
        assert_eq!(cut("billing", 10), "billing");
        assert_eq!(cut("billing questions", 10), "billing q…");
        assert_eq!(cut("고객센터에 문의", 10), "고객센터…");
        assert_eq!(cut("a\nb\u{202e}c", 20), "a\\nb\\u202ec");
        assert!(cut(&"\u{301}".repeat(1000), 48).len() < 500);
        assert!(cut(&"\u{1b}".repeat(1000), 48).chars().count() <= 48);
    }
}
