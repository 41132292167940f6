//! Request ids: taken from the caller's `x-request-id` where it is fit to log, made otherwise.

use http::{HeaderMap, HeaderName};

/// The header that carries a request id, both ways.
pub static REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
static TRACE_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// The longest id that is taken from a caller, in bytes.
const MAX_BYTES: usize = 128;

/// The id of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The caller's id, if it is up to 128 letters, digits and `-_.:/+=`; a new one otherwise.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        headers
            .get(&REQUEST_ID_HEADER)
            .and_then(|value| value.to_str().ok())
            .filter(|value| is_fit(value))
            .map_or_else(Self::generate, |value| Self(value.to_owned()))
    }

    fn generate() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header that no table of HTTP/2 keeps: no other answer has this id, and a table full of ids would have to be
    /// searched for each of them.
    pub fn header_value(&self) -> http::HeaderValue {
        let value = http::HeaderValue::from_str(&self.0);
        let mut value = value.expect("ids are made of letters, digits and a few signs");
        value.set_sensitive(true);
        value
    }
}

fn is_fit(value: &str) -> bool {
    (1..=MAX_BYTES).contains(&value.len())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

/// The trace id of a W3C `traceparent` header, if it is well formed.
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(&TRACE_HEADER)?.to_str().ok()?;
    let mut parts = value.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let valid = known && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    (valid && !zero(trace) && !zero(parent)).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header value"));
        headers
    }

    #[test]
    fn a_fit_id_is_kept_and_an_unfit_one_replaced() {
        assert_eq!(
            RequestId::from_headers(&headers("x-request-id", "abc-1:2")).as_str(),
            "abc-1:2"
        );
        for unfit in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_ne!(RequestId::from_headers(&headers("x-request-id", unfit)).as_str(), unfit);
        }
    }

    #[test]
    fn the_trace_id_comes_from_a_well_formed_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let good = format!("00-{id}-00f067aa0ba902b7-01");
        assert_eq!(trace_id(&headers("traceparent", &good)), Some(id));
        assert_eq!(trace_id(&headers("traceparent", &format!("{good}-x"))), None);
        assert_eq!(trace_id(&headers("traceparent", &good.to_uppercase())), None);
        assert_eq!(trace_id(&headers("traceparent", "00-0-0-0")), None);
    }
}
