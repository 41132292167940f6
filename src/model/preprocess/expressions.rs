//! The regular expressions of a tokenizer.json. They are written for Oniguruma, the engine of Python's tokenizers, and
//! run on ours.
//!
//! Each is translated to our engine's syntax ([`super::oniguruma`]) so that it matches the same. An expression that
//! can't be translated is refused by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use tokenizers::utils::SysRegex;

use super::oniguruma;

/// The steps of a tokenizer that may contain expressions.
const STEPS: [&str; 3] = ["normalizer", "pre_tokenizer", "decoder"];
/// The most characters of an expression that an error quotes.
const SHOWN_CHARS: usize = 80;

/// The bytes of a tokenizer.json with translated expressions; unchanged if there is nothing to translate, or if they
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

/// Translates the expressions of a step and of the steps in it. Gives whether any changed.
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

/// An expression of Oniguruma in our engine's syntax.
fn translated(expression: &str) -> Result<String, String> {
    let known = oniguruma::translated(expression).and_then(|written| match SysRegex::new(&written) {
        Ok(_) => Ok(written),
        Err(error) => Err(format!("is more than the engine here does: {error}")),
    });
    known.map_err(|problem| {
        let shown: String = expression.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < expression.len() { "…" } else { "" };
        format!(
            "its expression `{}{more}` {problem}; write in tokenizer.json an expression without it that finds the same",
            shown.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

    use super::*;

    /// What Python's tokenizers match in some texts.
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

    /// Reads the file that tools/hugging_face/fuzz_expressions.py wrote, if the environment names one.
    #[test]
    fn expressions_of_chance_find_here_what_they_find_in_python() {
        let Some(file) = std::env::var_os("TANDEM_EXPRESSIONS") else {
            return;
        };
        let file = std::path::PathBuf::from(file);
        let golden = std::fs::read(&file).expect("the file that is named");
        let golden: Golden = serde_json::from_slice(&golden).expect("what Python found");
        let (mut refused, mut differ) = (Vec::new(), Vec::new());
        for Row { expression, found } in &golden.rows {
            match translated(expression) {
                Err(problem) => refused.push(problem),
                Ok(written) => differ.extend(
                    first_difference(&written, &golden.texts, found)
                        .map(|text| format!("{expression:?} became {written:?}: {text}")),
                ),
            }
        }
        let all = golden.rows.len();
        let same = all - refused.len() - differ.len();
        let told = format!(
            "{all} expressions: {same} find the same, {} are refused by name, {} differ",
            refused.len(),
            differ.len()
        );
        let report = [told.as_str(), "", &differ.join("\n"), "", &refused.join("\n")].join("\n");
        std::fs::write(file.with_extension("txt"), report).expect("a report beside the file");
        assert!(differ.is_empty(), "{told}:\n{}", differ.join("\n"));
    }

    fn first_difference(written: &str, texts: &[String], found: &[String]) -> Option<String> {
        let step = json!({"type": "Replace", "pattern": {"Regex": written}, "content": "#"});
        let step: NormalizerWrapper = serde_json::from_value(step).expect("it is known by now");
        texts.iter().zip(found).find_map(|(text, found)| {
            let mut here = NormalizedString::from(text.as_str());
            step.normalize(&mut here).expect("normalised");
            (here.get() != found).then(|| format!("{text:?}: {:?} here, {found:?} there", here.get()))
        })
    }

    #[test]
    fn what_has_no_words_here_is_refused_by_name_and_the_rest_stays() {
        for (expression, piece) in [
            (r"\X+", r"`\X`"),
            (r"a\G", r"`\G`"),
            (r"a\K", r"`\K`"),
            ("(?~a)", "`(?~`"),
            ("(?(1)a)(b)", "`(?(`"),
            ("a{2,1}", "`{2,1}`"),
            (r"(a)\12", r"`\1`"),
            (r"\p{InGreek}", r"`\p{InGreek}`"),
            (r"[a\p{Foo}]", r"`\p{Foo}`"),
            (r"\xE3", r"`\x`"),
            (r"[\cA]", r"`\c`"),
            ("(?i)(?<=ß)a", "look-behind"),
            ("a[b", "without an end"),
        ] {
            let mut step = json!({"type": "Split", "pattern": {"Regex": expression}});
            let refused = of_step(&mut step).expect_err(expression);
            let names = [
                &format!("`{}`", expression.escape_debug()),
                piece,
                "; write in tokenizer.json",
            ];
            assert!(names.iter().all(|name| refused.contains(*name)), "{refused}");
            assert!(!refused.contains('\n'), "{refused}");
        }
        for same in [
            r"'s|\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t)",
            r"[^\s\p{L}\p{N}]?+\p{L}++",
        ] {
            assert_eq!(translated(same).expect("known"), same);
        }
        let long = translated(&"*".repeat(16_385)).expect_err("too long");
        assert!(long.contains("has 16385 bytes, the most is 16384"), "{long}");
        let file = br#"{"version": "1.0", "normalizer": null, "model": {"vocab": {}}}"#;
        assert!(matches!(of_file(file), Ok(Cow::Borrowed(_))));
    }
}
