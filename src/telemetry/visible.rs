//! Foreign strings in lines: names of files and models, settings, what a folder or a library says.

use std::borrow::Cow;
use std::fmt::Write;

/// A text as part of one line: what would end the line, colour it, move the cursor or turn the direction of writing
/// becomes `\n`, `\t` or `\uXXXX`, as in JSON, where that stays valid. Backslashes stay, so what was shown once can be
/// shown again.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for value in text.chars() {
        match value {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            value if is_hidden(value) => {
                // Writing to a string can't fail.
                let _ = write!(shown, "\\u{:04x}", u32::from(value));
            }
            value => shown.push(value),
        }
    }
    Cow::Owned(shown)
}

/// Control characters (ESC, NEL, the C1 codes), line and paragraph separators, marks of direction, the byte order mark.
/// All of them have four hexadecimal digits.
pub fn is_hidden(value: char) -> bool {
    value.is_control()
        || matches!(value, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_ends_a_line_is_left() {
        for (text, shown) in [
            ("영화 a\\b", "영화 a\\b"),
            ("a\nb\r\tc", "a\\nb\\u000d\\tc"),
            ("\u{1b}[31mred\u{9b}0m", "\\u001b[31mred\\u009b0m"),
            (
                "\u{85}\u{2028}\u{2029}\u{202e}\u{feff}\0\u{7f}",
                "\\u0085\\u2028\\u2029\\u202e\\ufeff\\u0000\\u007f",
            ),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible(shown), shown, "again");
        }
    }
}
