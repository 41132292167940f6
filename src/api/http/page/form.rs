//! Form: what the page's form says, read as browsers send it, and the request that it stands for.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::error::{Error, Reason};
use crate::service::messages::{PredictInput, Route};

/// What the form says, as it was written.
#[derive(Debug, Default, PartialEq)]
pub struct Form {
    pub text: String,
    /// Whether each line is a text of its own.
    pub lines: bool,
    pub route: String,
    pub task: String,
    pub min_confidence: String,
}

impl Form {
    /// Reads a form. A field that is none, or that is there twice, is an error, as in a body of JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut fields: [(&str, Option<String>); 5] =
            ["text", "lines", "route", "task", "min_confidence"].map(|name| (name, None));
        for pair in bytes.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let (name, value) = (&pair[..at], pair.get(at + 1..).unwrap_or_default());
            let Some((name, place)) = fields.iter_mut().find(|(known, _)| known.as_bytes() == name) else {
                let problem = "a form has text, lines, route, task and min_confidence";
                return Err(Error::invalid_field("form", problem));
            };
            if place.replace(decoded(name, value)?).is_some() {
                return Err(Error::invalid_field(*name, "is given more than once"));
            }
        }
        let [text, lines, route, task, min_confidence] = fields.map(|(_, value)| value);
        Ok(Self {
            // Browsers send the ends of lines as two characters.
            text: text.unwrap_or_default().replace("\r\n", "\n"),
            lines: lines.is_some(),
            route: route.unwrap_or_default(),
            task: task.unwrap_or_default().trim().to_owned(),
            min_confidence: min_confidence.unwrap_or_default().trim().to_owned(),
        })
    }

    /// The request that it stands for.
    pub fn input(&self) -> Result<PredictInput, Error> {
        let route = match self.route.as_str() {
            "" => Route::Default,
            "fast" => Route::Fast,
            "deep" => Route::Deep,
            "cascade" => Route::Cascade,
            _ => return Err(Error::invalid_field("route", "must be fast, deep, cascade or empty")),
        };
        let number = Some(self.min_confidence.as_str()).filter(|number| !number.is_empty());
        let number = number.map(str::parse::<f32>).transpose();
        // What is blank is no text.
        let written = |text: &&str| !text.trim().is_empty();
        let texts: Vec<&str> = if self.lines {
            self.text.lines().filter(written).collect()
        } else {
            Some(self.text.as_str()).filter(written).into_iter().collect()
        };
        Ok(PredictInput {
            texts: texts.into_iter().map(str::to_owned).collect(),
            task: self.task.clone(),
            route,
            min_confidence: number
                .map_err(|_| Error::invalid_field("min_confidence", "must be a number from 0 to 1, or empty"))?,
            ..PredictInput::default()
        })
    }
}

/// A value as it was written. A plus stands for a space.
fn decoded(name: &str, value: &[u8]) -> Result<String, Error> {
    let spaced: Vec<u8> = value
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&spaced)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Error {
            reason: Reason::InvalidUtf8,
            ..Error::invalid_field(name, "must be UTF-8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = Form::parse(b"text=a+b%2B%0D%0A%EC%A2%8B%EB%8B%A4&lines=on&route=cascade&min_confidence=+0.5&task=")
            .expect("a form");
        assert_eq!(form.text, "a b+\n좋다");
        let input = form.input().expect("a request");
        assert_eq!(input.texts, ["a b+", "좋다"]);
        assert_eq!((input.route, input.min_confidence), (Route::Cascade, Some(0.5)));
        let whole = Form::parse(b"text=a%0D%0Ab").expect("a form").input();
        assert_eq!(whole.expect("a request").texts, ["a\nb"]);
    }

    #[test]
    fn what_is_no_form_of_this_page_names_its_field() {
        for (bytes, field) in [
            (&b"text=a&text=b"[..], "text"),
            (b"text=%FF", "text"),
            (b"texts=a", "form"),
            (b"%74ext=a", "form"),
            (b"text=a&route=FAST", "route"),
            (b"text=a&min_confidence=half", "min_confidence"),
        ] {
            let refused = Form::parse(bytes).and_then(|form| form.input());
            let error = refused.expect_err("refused");
            assert_eq!(error.violations[0].field, field, "{bytes:?}");
        }
    }
}
