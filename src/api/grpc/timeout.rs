//! The `grpc-timeout` header: a number of at most eight digits and its unit.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

use crate::api::call::only;
use crate::error::Error;

/// The header's name.
pub static HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that the caller allows the call; `None` without the header.
pub fn parse(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = only(headers, &HEADER)? else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(parse_value);
    parsed.map(Some).ok_or_else(|| {
        Error::invalid_field(
            HEADER.as_str(),
            "must be up to 8 digits and a unit: H, M, S, m, u or n, for instance 500m",
        )
    })
}

fn parse_value(value: &str) -> Option<Duration> {
    let (at, _) = value.char_indices().last()?;
    let (digits, unit) = value.split_at(at);
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (value, expected) in [
            ("2H", Duration::from_hours(2)),
            ("3M", Duration::from_mins(3)),
            ("10S", Duration::from_secs(10)),
            ("500m", Duration::from_millis(500)),
            ("0u", Duration::ZERO),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(parse_value(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_not_a_timeout_is_refused() {
        for value in ["", "S", "10", "123456789S", "-1S", "1 S", "1s", "1.5S", "1초"] {
            assert_eq!(parse_value(value), None, "{value}");
        }
    }
}
