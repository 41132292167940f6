//! The regular expressions of a tokenizer.json: written for Oniguruma, the engine of Python's tokenizers, and run by ours.
//!
//! What means something else there is written anew, so that it finds the same: `^` and `$` stand at lines, `m` lets the dot
//! match the end of a line, POSIX brackets know all of Unicode, and `\w` knows neither joiners nor only ASCII. What our
//! engine has no words for is refused by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The steps of a tokenizer that may hold expressions.
const STEPS: [&str; 3] = ["normalizer", "pre_tokenizer", "decoder"];

/// What `\w` means in a class.
const WORD_IN_CLASS: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";
/// What `\w` means outside of one: a few numbers more.
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}²³¹¼½¾";

/// The bytes of a tokenizer.json with its expressions in our engine's words; as they are where nothing changes, and where they
/// are no tokenizer at all. The error names the expression.
pub(super) fn of_file(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Ok(mut parts) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(bytes) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut changed = Vec::new();
    for step in STEPS {
        let Some(raw) = parts.get(step).filter(|raw| raw.get().contains("\"Regex\"")) else {
            continue;
        };
        let Ok(mut value) = serde_json::from_str::<Value>(raw.get()) else {
            continue;
        };
        if of_step(&mut value)? {
            let written = serde_json::value::to_raw_value(&value).map_err(|error| error.to_string())?;
            changed.push((step, written));
        }
    }
    if changed.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    for (step, raw) in &changed {
        parts.insert((*step).to_owned(), raw);
    }
    serde_json::to_vec(&parts)
        .map(Cow::Owned)
        .map_err(|error| error.to_string())
}

/// Writes the expressions of a step, and of the steps in it, in our engine's words; whether any changed.
pub(super) fn of_step(step: &mut Value) -> Result<bool, String> {
    let mut changed = false;
    match step {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(expression) if key == "Regex" => {
                        let written = translated(expression)?;
                        changed |= written != *expression;
                        *expression = written;
                    }
                    value => changed |= of_step(value)?,
                }
            }
        }
        Value::Array(steps) => {
            for step in steps {
                changed |= of_step(step)?;
            }
        }
        _ => {}
    }
    Ok(changed)
}

/// An expression of Oniguruma in our engine's words.
fn translated(expression: &str) -> Result<String, String> {
    let mut written = String::with_capacity(expression.len());
    let mut rest = expression;
    // How many brackets are open: anchors and groups mean nothing in a class.
    let mut classes = 0_usize;
    while let Some(first) = rest.chars().next() {
        let in_class = classes > 0;
        let (read, text): (usize, Cow<'_, str>) = match first {
            '\\' => escape(rest, in_class).ok_or_else(|| {
                let shown: String = expression.chars().take(80).collect();
                let name: String = rest.chars().take(2).collect();
                format!("its expression `{shown}` has `{name}`, which the engine here does not know")
            })?,
            '[' if in_class && rest.starts_with("[:") => bracket(rest).unwrap_or((1, "[".into())),
            '[' => {
                classes += 1;
                // A bracket that closes directly after the opening one is a letter.
                let head = ["[^]", "[]"].into_iter().find(|head| rest.starts_with(head));
                match head {
                    Some(head) => (head.len(), head.replace(']', r"\]").into()),
                    None => (1, "[".into()),
                }
            }
            ']' if in_class => {
                classes -= 1;
                (1, "]".into())
            }
            '~' if in_class => (1, r"\~".into()),
            '^' if !in_class => (1, r"(?:\A|(?<=\n)(?!\z))".into()),
            '$' if !in_class => (1, "(?m:$)".into()),
            '(' if !in_class && rest.starts_with("(?") => flags(rest),
            other => (other.len_utf8(), rest[..other.len_utf8()].into()),
        };
        // The `^` that turns a class round belongs to its bracket.
        let read = if text == "[" && rest.starts_with("[^") {
            written.push_str("[^");
            2
        } else {
            written.push_str(&text);
            read
        };
        rest = &rest[read..];
    }
    Ok(written)
}

/// A class by the inside of its brackets.
fn class(inside: &str, turned: bool, in_class: bool) -> String {
    match (turned, in_class) {
        (true, _) => format!("[^{inside}]"),
        (false, true) => inside.to_owned(),
        (false, false) => format!("[{inside}]"),
    }
}

/// What stands for the backslash's sequence that `rest` begins with, and how many bytes it was; nothing if nothing does.
fn escape(rest: &str, in_class: bool) -> Option<(usize, Cow<'_, str>)> {
    let Some(letter) = rest[1..].chars().next() else {
        return Some((1, rest.into()));
    };
    let length = 1 + letter.len_utf8();
    let same = || Some((length, rest[..length].into()));
    Some(match letter {
        'w' | 'W' => {
            let inside = if in_class { WORD_IN_CLASS } else { WORD };
            (length, class(inside, letter == 'W', in_class).into())
        }
        'b' if !in_class => (
            length,
            format!("(?:(?<=[{WORD}])(?![{WORD}])|(?<![{WORD}])(?=[{WORD}]))").into(),
        ),
        'B' if !in_class => (
            length,
            format!("(?:(?<=[{WORD}])(?=[{WORD}])|(?<![{WORD}])(?![{WORD}]))").into(),
        ),
        'R' if !in_class => (length, r"(?>\r\n|[\n\x0B\x0C\r\u{85}\u{2028}\u{2029}])".into()),
        'N' if !in_class => (length, r"[^\n]".into()),
        'O' if !in_class => (length, "(?s:.)".into()),
        'Z' if !in_class => (length, r"(?=\n?\z)".into()),
        'X' | 'y' | 'Y' => return None,
        'p' | 'P' => {
            let Some((name, after)) = rest[length..].strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                return same();
            };
            let read = rest.len() - after.len();
            let plain = name.trim_start_matches('^');
            let turned = (letter == 'P') != (plain.len() < name.len());
            let inside = property(plain, false).map(|inside| match inside {
                WORD if in_class => WORD_IN_CLASS,
                inside => inside,
            });
            match inside {
                Some(inside) => (read, class(inside, turned, in_class).into()),
                None => (read, format!("\\{}{{{plain}}}", if turned { 'P' } else { 'p' }).into()),
            }
        }
        _ => return same(),
    })
}

/// What stands for a POSIX bracket that `rest` begins with, inside a class.
fn bracket(rest: &str) -> Option<(usize, Cow<'_, str>)> {
    let (name, after) = rest.strip_prefix("[:")?.split_once(":]")?;
    let plain = name.strip_prefix('^').unwrap_or(name);
    let inside = property(plain, true)?;
    Some((
        rest.len() - after.len(),
        class(inside, plain.len() < name.len(), true).into(),
    ))
}

/// The inside of a class that has the characters of a POSIX name. Two of them hold more, or less, in `brackets`.
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

/// A group's opening, with the flags that our engine calls otherwise.
fn flags(rest: &str) -> (usize, Cow<'_, str>) {
    let flags = rest[2..].find(|letter| !"imx-".contains(letter));
    match flags {
        Some(length) if length > 0 && rest[2 + length..].starts_with([':', ')']) => {
            (2 + length, rest[..2 + length].replace('m', "s").into())
        }
        _ => (1, "(".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

    use super::*;

    /// What Python's tokenizers make of texts.
    #[derive(Deserialize)]
    struct Golden {
        texts: Vec<String>,
        rows: Vec<Row>,
    }

    #[derive(Deserialize)]
    struct Row {
        expression: String,
        found: Vec<String>,
    }

    #[test]
    fn expressions_find_here_what_they_find_in_python() {
        let golden = include_str!("../../../tests/data/tokens/expressions.json");
        let golden: Golden = serde_json::from_str(golden).expect("what Python found");
        let mut differ = Vec::new();
        for Row { expression, found } in &golden.rows {
            let mut step = json!({"type": "Replace", "pattern": {"Regex": expression}, "content": "#"});
            of_step(&mut step).expect("known");
            let step: NormalizerWrapper = match serde_json::from_value(step.clone()) {
                Ok(step) => step,
                Err(error) => {
                    differ.push(format!("{expression}: {error}: {step}"));
                    continue;
                }
            };
            for (text, found) in golden.texts.iter().zip(found) {
                let mut here = NormalizedString::from(text.as_str());
                step.normalize(&mut here).expect("normalised");
                if here.get() != found {
                    differ.push(format!(
                        "{expression} on {text:?}: {:?} here, {found:?} there",
                        here.get()
                    ));
                }
            }
        }
        assert!(differ.is_empty(), "{}", differ.join("\n"));
        assert!(golden.rows.len() > 60);
    }

    #[test]
    fn what_has_no_words_here_is_refused_by_name_and_the_rest_stays() {
        let mut step = json!({"type": "Split", "pattern": {"Regex": r"\X"}});
        let refused = of_step(&mut step).expect_err("refused");
        assert!(refused.contains(r"`\X`"), "{refused}");
        for same in [
            r"'s|\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t)",
            r"[^\r\n\p{L}]?",
        ] {
            assert_eq!(translated(same).expect("known"), same);
        }
        let file = br#"{"version": "1.0", "normalizer": null, "model": {"vocab": {}}}"#;
        assert!(matches!(of_file(file), Ok(Cow::Borrowed(_))));
    }
}
