//! Parameters of a request: Tandem's options by their names, and Triton's `timeout` and `priority` as Triton means them.

use std::time::{Duration, Instant};

use super::request::{MAX_PARAMETERS, Parameter, quoted};
use crate::api::call::{Call, RequestTime};
use crate::error::Error;
use crate::model::manifest::Truncation;
use crate::service::messages::{Priority, Route};

/// The options of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    pub route: Route,
    pub min_confidence: Option<f32>,
    pub allow_fallback: Option<bool>,
    /// What happens to a text that is too long; absent for the task's or the model's own setting.
    pub truncation: Option<Truncation>,
    pub priority: Priority,
    /// How long the answer may take from the call's arrival; the call's own time holds too.
    pub timeout: Option<Duration>,
    /// Whether outputs are in binary that do not say so themselves. REST alone has a choice.
    pub binary_outputs: bool,
}

impl Options {
    /// Reads the parameters of a request.
    pub fn read(parameters: &[(String, Parameter)]) -> Result<Self, Error> {
        if parameters.len() > MAX_PARAMETERS {
            let problem = format!("holds more than {MAX_PARAMETERS}, the limit is {MAX_PARAMETERS}");
            return Err(Error::invalid_field("parameters", problem));
        }
        let mut options = Self::default();
        for (name, value) in parameters {
            let read = match name.as_str() {
                "route" => route(value).map(|route| options.route = route),
                "min_confidence" => confidence(value).map(|confidence| options.min_confidence = Some(confidence)),
                "allow_fallback" => truth(value).map(|truth| options.allow_fallback = Some(truth)),
                "truncation" => truncation(value).map(|truncation| options.truncation = Some(truncation)),
                "priority" => priority(value).map(|priority| options.priority = priority),
                "timeout" => timeout(value).map(|timeout| options.timeout = timeout),
                "binary_data_output" => truth(value).map(|truth| options.binary_outputs = truth),
                _ => {
                    let known =
                        "route, min_confidence, allow_fallback, truncation, priority, timeout and binary_data_output";
                    let problem = format!("{} is not known; there are {known}", quoted(name));
                    return Err(Error::invalid_field("parameters", problem));
                }
            };
            read.map_err(|expected| Error::invalid_field(format!("parameters.{name}"), expected))?;
        }
        Ok(options)
    }

    /// The time of a request of `call`: the shorter of the call's own and of `timeout`.
    pub fn time(&self, call: &Call) -> RequestTime {
        let RequestTime { arrived, deadline } = call.time();
        let asked: Option<Instant> = self.timeout.and_then(|timeout| arrived.checked_add(timeout));
        RequestTime {
            arrived,
            deadline: asked.map_or(deadline, |asked| asked.min(deadline)),
        }
    }
}

/// What a value must be, for an error.
type Expected = &'static str;

fn route(value: &Parameter) -> Result<Route, Expected> {
    match value {
        Parameter::Text(text) if text == "fast" => Ok(Route::Fast),
        Parameter::Text(text) if text == "deep" => Ok(Route::Deep),
        Parameter::Text(text) if text == "cascade" => Ok(Route::Cascade),
        _ => Err("must be the text fast, deep or cascade"),
    }
}

/// A number, or one in words, for clients whose parameters can't be broken numbers.
fn confidence(value: &Parameter) -> Result<f32, Expected> {
    let expected = "must be a number from 0 to 1";
    match value {
        Parameter::Number(number) => Ok(*number as f32),
        Parameter::Whole(0) => Ok(0.0),
        Parameter::Whole(1) => Ok(1.0),
        Parameter::Text(text) => text.parse().map_err(|_| expected),
        _ => Err(expected),
    }
}

fn truth(value: &Parameter) -> Result<bool, Expected> {
    match value {
        Parameter::Truth(truth) => Ok(*truth),
        _ => Err("must be true or false"),
    }
}

fn truncation(value: &Parameter) -> Result<Truncation, Expected> {
    match value {
        Parameter::Text(text) if text == "end" => Ok(Truncation::End),
        Parameter::Text(text) if text == "start" => Ok(Truncation::Start),
        Parameter::Text(text) if text == "reject" => Ok(Truncation::Reject),
        Parameter::Text(text) if text == "windows" => Ok(Truncation::Windows),
        _ => Err("must be the text end, start, reject or windows"),
    }
}

/// By name, or as Triton counts: 0 for the usual one, 1 for the highest.
fn priority(value: &Parameter) -> Result<Priority, Expected> {
    match value {
        Parameter::Whole(1) => Ok(Priority::Interactive),
        Parameter::Whole(0 | 2) => Ok(Priority::Normal),
        Parameter::Whole(3) => Ok(Priority::Bulk),
        Parameter::Text(text) if text == "interactive" => Ok(Priority::Interactive),
        Parameter::Text(text) if text == "normal" => Ok(Priority::Normal),
        Parameter::Text(text) if text == "bulk" => Ok(Priority::Bulk),
        _ => Err("must be interactive, normal or bulk, or their number: 1, 2 or 3, and 0 for normal"),
    }
}

/// Microseconds, as Triton has them; 0 for none.
fn timeout(value: &Parameter) -> Result<Option<Duration>, Expected> {
    match value {
        Parameter::Whole(0) => Ok(None),
        Parameter::Whole(micros) => match u64::try_from(*micros) {
            Ok(micros) => Ok(Some(Duration::from_micros(micros))),
            Err(_) => Err("must be a whole number of microseconds, at least 0"),
        },
        Parameter::Large => Ok(None),
        _ => Err("must be a whole number of microseconds, at least 0"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: Parameter) -> Result<Options, String> {
        Options::read(&[(name.to_owned(), value)]).map_err(|error| error.violations[0].field.clone())
    }

    #[test]
    fn a_truncation_is_one_of_four_words() {
        let text = |text: &str| Parameter::Text(text.to_owned());
        let read = |value| read("truncation", value).map(|options| options.truncation);
        assert_eq!(read(text("windows")), Ok(Some(Truncation::Windows)));
        assert_eq!(read(text("reject")), Ok(Some(Truncation::Reject)));
        for value in [text("WINDOWS"), Parameter::Whole(4)] {
            assert_eq!(read(value), Err("parameters.truncation".to_owned()));
        }
    }

    #[test]
    fn every_option_is_read() {
        let text = |text: &str| Parameter::Text(text.to_owned());
        let none = Options::default();
        for (name, value, expected) in [
            (
                "route",
                text("deep"),
                Options {
                    route: Route::Deep,
                    ..none
                },
            ),
            (
                "min_confidence",
                Parameter::Number(0.5),
                Options {
                    min_confidence: Some(0.5),
                    ..none
                },
            ),
            (
                "min_confidence",
                text("0.5"),
                Options {
                    min_confidence: Some(0.5),
                    ..none
                },
            ),
            (
                "allow_fallback",
                Parameter::Truth(true),
                Options {
                    allow_fallback: Some(true),
                    ..none
                },
            ),
            (
                "priority",
                Parameter::Whole(3),
                Options {
                    priority: Priority::Bulk,
                    ..none
                },
            ),
            (
                "priority",
                text("interactive"),
                Options {
                    priority: Priority::Interactive,
                    ..none
                },
            ),
            (
                "timeout",
                Parameter::Whole(5),
                Options {
                    timeout: Some(Duration::from_micros(5)),
                    ..none
                },
            ),
            ("timeout", Parameter::Whole(0), none),
            ("timeout", Parameter::Large, none),
        ] {
            assert_eq!(read(name, value.clone()), Ok(expected), "{name} {value:?}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_by_its_name() {
        for (name, value) in [
            ("route", Parameter::Text("fastest".into())),
            ("route", Parameter::Whole(1)),
            ("min_confidence", Parameter::Text("high".into())),
            ("min_confidence", Parameter::Truth(true)),
            ("allow_fallback", Parameter::Whole(1)),
            ("priority", Parameter::Whole(4)),
            ("timeout", Parameter::Whole(-1)),
            ("timeout", Parameter::Number(0.5)),
            ("timeout", Parameter::Missing),
        ] {
            assert_eq!(
                read(name, value.clone()),
                Err(format!("parameters.{name}")),
                "{value:?}"
            );
        }
        assert_eq!(read("sequence_id", Parameter::Whole(1)), Err("parameters".into()));
    }
}
