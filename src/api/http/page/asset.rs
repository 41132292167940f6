//! Assets: answers that never change while the program runs, and the headers that guard every answer of the page.

use std::io::Write;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::api::body_budget::PartOfProgram;

/// What a browser may do with the page: run its scripts, show its styles, ask its own server; no text becomes a script,
/// no other page may show it in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every answer of the page.
static GUARDS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Of a form's post, browsers tell the origin to this server alone.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

/// Adds the headers that guard an answer of the page.
pub fn guarded(mut response: Response) -> Response {
    for (name, value) in &GUARDS {
        response
            .headers_mut()
            .insert(name.clone(), HeaderValue::from_static(value));
    }
    response
}

/// An answer that never changes, plain and compressed.
pub struct Asset {
    kind: &'static str,
    plain: Bytes,
    packed: Bytes,
    /// Weak, since one stands for both forms.
    tag: HeaderValue,
}

impl Asset {
    pub fn new(kind: &'static str, content: impl Into<String>) -> Self {
        let plain = Bytes::from(content.into());
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&plain).expect("a Vec takes every write");
        let packed = packed.finish().expect("a Vec takes every write").into();
        let digest: String = Sha256::digest(&plain)[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let tag = HeaderValue::from_str(&format!("W/\"{digest}\"")).expect("hexadecimal digits");
        Self {
            kind,
            plain,
            packed,
            tag,
        }
    }

    /// The answer to a request with these headers: nothing new, or the bytes in the form that the caller takes.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::default();
        if is_known(headers, &self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else if takes_gzip(headers) {
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            *response.body_mut() = Body::from(self.packed.clone());
        } else {
            *response.body_mut() = Body::from(self.plain.clone());
        }
        let own = response.headers_mut();
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        own.insert(header::ETAG, self.tag.clone());
        own.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        // Kept, and asked about each time: an upgraded server is seen at once, and what is the same is not sent again.
        own.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response.extensions_mut().insert(PartOfProgram);
        guarded(response)
    }
}

/// The members of a header that holds a list.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether the caller has what this tag stands for.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let own = tag.to_str().map(opaque).unwrap_or_default();
    members(headers, header::IF_NONE_MATCH).any(|known| known == "*" || opaque(known) == own)
}

/// Whether the caller takes gzip.
fn takes_gzip(headers: &HeaderMap) -> bool {
    members(headers, header::ACCEPT_ENCODING).any(|member| {
        let (coding, parameter) = member.split_once(';').unwrap_or((member, ""));
        let weight = parameter.trim().strip_prefix("q=").map(str::parse::<f32>);
        let wanted = weight.is_none_or(|weight| weight.is_ok_and(|weight| weight > 0.0));
        ["gzip", "x-gzip", "*"].contains(&coding.trim().to_ascii_lowercase().as_str()) && wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=nonsense", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&with(header::ACCEPT_ENCODING, value)), takes, "{value}");
        }
    }

    #[test]
    fn a_tag_is_known_weak_or_strong_and_among_others() {
        let tag = HeaderValue::from_static("W/\"ab\"");
        for (value, known) in [
            ("W/\"ab\"", true),
            ("\"ab\"", true),
            ("\"x\", W/\"ab\"", true),
            ("*", true),
            ("\"a\"", false),
            ("", false),
        ] {
            assert_eq!(is_known(&with(header::IF_NONE_MATCH, value), &tag), known, "{value}");
        }
    }
}
