//! Translates the escapes, classes and repetition bounds of an expression of Oniguruma to our engine's syntax.

use std::iter;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// What `\w` matches inside a class.
const WORD_IN_CLASS: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";
/// What `\w` matches outside a class: also a few numbers.
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}²³¹¼½¾";
/// The most classes inside each other.
const MAX_DEPTH: usize = 50;

pub(super) fn unknown(piece: &str, after: &str) -> String {
    let next = after.chars().next().map(String::from).unwrap_or_default();
    format!("has `{piece}{next}`, which the engine here does not know")
}

pub(super) fn push_letter(letter: char, written: &mut String) {
    let mut bytes = [0; 4];
    written.push_str(&regex_syntax::escape(letter.encode_utf8(&mut bytes)));
}

/// The meaning of an escape.
pub(super) enum Escape {
    Letter(char),
    /// The content of a class.
    Class(String),
    Other(String),
}

/// A class with this content; a single escape needs no brackets.
pub(super) fn bracketed(inside: &str) -> String {
    let alone =
        inside.starts_with('\\') && inside.matches('\\').count() == 1 && (inside.len() == 2 || inside.ends_with('}'));
    if alone {
        inside.to_owned()
    } else {
        format!("[{inside}]")
    }
}

/// Translates the escape that `rest` begins with, outside a class; gives its length in bytes first.
pub(super) fn escape(rest: &str) -> Result<(usize, Escape), String> {
    let Some(letter) = rest[1..].chars().next() else {
        return Err("ends with a backslash".to_owned());
    };
    let after = rest.get(2..).unwrap_or_default();
    let other = |text: &str| Ok((2, Escape::Other(text.to_owned())));
    match letter {
        'w' => Ok((2, Escape::Class(WORD.to_owned()))),
        'W' => Ok((2, Escape::Class(format!("^{WORD}")))),
        'b' => other(&format!("(?:(?<=[{WORD}])(?![{WORD}])|(?<![{WORD}])(?=[{WORD}]))")),
        'B' => other(&format!("(?:(?<=[{WORD}])(?=[{WORD}])|(?<![{WORD}])(?![{WORD}]))")),
        'R' => other(r"(?>\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])"),
        'N' => other(r"[^\n]"),
        'O' => other("(?s:.)"),
        'Z' => other(r"(?=\n?\z)"),
        'A' | 'z' => other(&rest[..2]),
        'G' | 'K' | 'X' | 'y' | 'Y' => Err(unknown("\\", &rest[1..])),
        // A back-reference to a group.
        '1'..='9' if !after.starts_with(|next: char| next.is_ascii_digit()) => other(&rest[..2]),
        'k' if after.starts_with('<') => {
            let end = rest.find('>').ok_or_else(|| unknown("\\", "k"))?;
            Ok((end + 1, Escape::Other(rest[..=end].to_owned())))
        }
        // Two digits are a group or a letter; three are a letter.
        '1'..='7'
            if after
                .bytes()
                .take(2)
                .filter(|digit| (b'0'..=b'7').contains(digit))
                .count()
                == 2 =>
        {
            shared_escape(rest, WORD)
        }
        'g' | 'k' | '1'..='9' => Err(unknown("\\", &rest[1..])),
        _ => shared_escape(rest, WORD),
    }
}

/// Translates an escape that means the same inside and outside classes; only `\w` differs, which is `word`.
fn shared_escape(rest: &str, word: &'static str) -> Result<(usize, Escape), String> {
    let Some(letter) = rest[1..].chars().next() else {
        return Err("ends with a backslash".to_owned());
    };
    let length = 1 + letter.len_utf8();
    let after = &rest[length..];
    let class = |text: &str| Ok((length, Escape::Class(text.to_owned())));
    let control = |letter| Ok((length, Escape::Letter(letter)));
    let hex = |digits: &str| {
        let value = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        value.filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let bad = || Err(unknown("\\", &rest[1..]));
    match letter {
        'd' | 'D' | 's' | 'S' => class(&rest[..2]),
        'h' => class("0-9A-Fa-f"),
        'H' => class("^0-9A-Fa-f"),
        'n' => control('\n'),
        't' => control('\t'),
        'r' => control('\r'),
        'f' => control('\x0C'),
        'v' => control('\x0B'),
        'a' => control('\x07'),
        'e' => control('\x1B'),
        'x' if after.starts_with('{') => match after[1..]
            .split_once('}')
            .map(|(digits, _)| (digits.len(), hex(digits)))
        {
            Some((digits, Some(value))) => Ok((length + digits + 2, Escape::Letter(value))),
            _ => bad(),
        },
        'x' | 'u' => {
            let most = if letter == 'x' { 2 } else { 4 };
            let digits: &str = &after[..after.bytes().take(most).take_while(u8::is_ascii_hexdigit).count()];
            match hex(digits) {
                // A larger number is a byte of a letter, not a letter.
                Some(value) if letter == 'u' && digits.len() == most || value.is_ascii() => {
                    Ok((length + digits.len(), Escape::Letter(value)))
                }
                _ => bad(),
            }
        }
        '0'..='7' => {
            let digits: String = iter::once(letter)
                .chain(after.chars().take(2))
                .take_while(|digit| digit.is_digit(8))
                .collect();
            match u8::from_str_radix(&digits, 8) {
                Ok(value) if value.is_ascii() => Ok((1 + digits.len(), Escape::Letter(value.into()))),
                _ => bad(),
            }
        }
        'p' | 'P' if after.starts_with('{') => named_escape(rest, word),
        'c' | 'C' | 'M' | 'o' => bad(),
        letter => Ok((length, Escape::Letter(letter))),
    }
}

/// The same for the sequences that name a class: `\p{...}` and `\P{...}`.
fn named_escape(rest: &str, word: &'static str) -> Result<(usize, Escape), String> {
    let Some((name, _)) = rest[3..].split_once('}') else {
        return Err(unknown("\\", &rest[1..]));
    };
    let sequence = &rest[..name.len() + 4];
    let plain = name.trim_start_matches('^');
    let turned = sequence.starts_with(r"\P") != (plain.len() < name.len());
    let turn = if turned { "^" } else { "" };
    let class = |inside: &str| Ok((sequence.len(), Escape::Class(format!("{turn}{inside}"))));
    match property(plain, false) {
        Some(inside) => class(if inside == WORD { word } else { inside }),
        None if plain.contains(['=', ':']) || content(&format!("[\\p{{{plain}}}]")).is_err() => {
            Err(format!("has `{sequence}`, which the engine here does not know"))
        }
        None => class(&format!("\\p{{{plain}}}")),
    }
}

/// Translates the class that `rest` begins with, brackets included; gives its length in bytes.
pub(super) fn set(rest: &str, written: &mut String, depth: usize) -> Result<usize, String> {
    if depth > MAX_DEPTH {
        return Err(format!("has more than {MAX_DEPTH} brackets in each other"));
    }
    let mut read = if rest.starts_with("[^") { 2 } else { 1 };
    written.push_str(&rest[..read]);
    let head = read;
    // The letter before, if a `-` after it may begin a range.
    let (mut low, mut range): (Option<char>, bool) = (None, false);
    loop {
        let left = &rest[read..];
        let Some(first) = left.chars().next() else {
            return Err("has a class without an end".to_owned());
        };
        let (length, letter) = match first {
            // Directly after the opening bracket it is a letter.
            ']' if read > head => {
                push_dash(range, written);
                written.push(']');
                return Ok(read + 1);
            }
            '&' if left.starts_with("&&") => {
                push_dash(range, written);
                written.push_str("&&");
                (2, None)
            }
            '-' if low.is_some() && !range => {
                range = true;
                read += 1;
                continue;
            }
            '[' => {
                push_dash(range, written);
                match bracket(left) {
                    Some((length, text)) => {
                        written.push_str(&text);
                        (length, None)
                    }
                    None => (set(left, written, depth + 1)?, None),
                }
            }
            '\\' => {
                let (length, escape) = match left[1..].chars().next() {
                    Some('w') => (2, Escape::Class(WORD_IN_CLASS.to_owned())),
                    Some('W') => (2, Escape::Class(format!("^{WORD_IN_CLASS}"))),
                    Some('b') => (2, Escape::Letter('\x08')),
                    _ => shared_escape(left, WORD_IN_CLASS)?,
                };
                match escape {
                    Escape::Letter(letter) => (length, Some(letter)),
                    Escape::Class(class) | Escape::Other(class) => {
                        push_dash(range, written);
                        written.push_str(&bracketed(&class));
                        (length, None)
                    }
                }
            }
            letter => (letter.len_utf8(), Some(letter)),
        };
        read += length;
        if let Some(letter) = letter {
            if range {
                written.push('-');
            }
            push_letter(letter, written);
            low = (!range).then_some(letter);
        } else {
            low = None;
        }
        range = false;
    }
}

/// Writes the `-` that was held back as that of a range, where no letter comes after it.
fn push_dash(held_back: bool, written: &mut String) {
    if held_back {
        written.push_str(r"\-");
    }
}

/// Translates the POSIX bracket that `rest` begins with, inside a class; gives its length in bytes first.
fn bracket(rest: &str) -> Option<(usize, String)> {
    let (name, after) = rest.strip_prefix("[:")?.split_once(":]")?;
    let plain = name.strip_prefix('^').unwrap_or(name);
    let turn = if plain.len() < name.len() { "^" } else { "" };
    let inside = property(plain, true)?;
    Some((rest.len() - after.len(), format!("[{turn}{inside}]")))
}

/// The content of a class for a POSIX name. Two names match more, or less, in `brackets`.
fn property(name: &str, brackets: bool) -> Option<&'static str> {
    let name: String = name.chars().filter(|letter| !" _-".contains(*letter)).collect();
    Some(match (name.to_ascii_lowercase().as_str(), brackets) {
        ("alnum", _) => r"\p{Alphabetic}\p{Nd}",
        ("alpha", _) => r"\p{Alphabetic}",
        ("ascii", _) => r"\x00-\x7F",
        ("blank", _) => r"\p{Zs}\t",
        ("cntrl", _) => r"\p{Cc}",
        ("digit", _) => r"\p{Nd}",
        ("graph", _) => r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}",
        ("print", _) => r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Cf}\p{Co}\p{Zs}",
        ("lower", _) => r"\p{Lowercase}",
        ("upper", _) => r"\p{Uppercase}",
        ("punct", true) => r"\p{P}\p{S}",
        ("punct", false) => r"\p{P}",
        ("space", _) => r"\p{White_Space}",
        ("word", true) => WORD_IN_CLASS,
        ("word", false) => WORD,
        ("xdigit", _) => "0-9A-Fa-f",
        _ => return None,
    })
}

/// The characters of a class.
pub(super) fn content(class: &str) -> Result<ClassUnicode, String> {
    let parsed = regex_syntax::Parser::new().parse(class);
    let parsed = parsed.map_err(|_| format!("has the class `{class}`, which the engine here does not know"))?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(holds)) => Ok(holds),
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0).into_owned();
            Ok(ClassUnicode::new(
                text.chars().map(|letter| ClassUnicodeRange::new(letter, letter)),
            ))
        }
        // A class of Unicode characters never becomes one of bytes; only the empty class is left.
        _ => Ok(ClassUnicode::empty()),
    }
}

pub(super) fn has(holds: &ClassUnicode, letter: char) -> bool {
    holds
        .ranges()
        .iter()
        .any(|range| (range.start()..=range.end()).contains(&letter))
}

/// Translates the repetition bounds in braces that `text` begins with, if it does; gives their length in bytes first.
pub(super) fn interval(text: &str) -> Result<Option<(usize, String)>, String> {
    let Some((inside, _)) = text[1..].split_once('}') else {
        return Ok(None);
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(least) || !number(most) || least.is_empty() && most.is_empty() {
        return Ok(None);
    }
    let bound = |text: &str, without| {
        if text.is_empty() {
            Ok(without)
        } else {
            text.parse::<u32>()
        }
    };
    match (bound(least, 0), bound(most, u32::MAX)) {
        (Ok(from), Ok(to)) if from <= to => {
            let times = if inside.contains(',') {
                format!("{{{from},{most}}}")
            } else {
                format!("{{{from}}}")
            };
            Ok(Some((inside.len() + 2, times)))
        }
        _ => Err(format!("has `{{{inside}}}`, which the engine here does not know")),
    }
}
