//! The origins whose web pages may call the gateway.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most origins.
const MOST: usize = 64;

/// Some or all. Written `https://a.example,http://localhost:3000`, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<String>);

/// What stands for every origin.
const ALL: &str = "*";

impl Origins {
    /// Whether pages of every origin may call.
    pub fn has_all(&self) -> bool {
        self.0.iter().any(|origin| origin == ALL)
    }

    /// Whether pages of this origin may call.
    pub fn has(&self, origin: &str) -> bool {
        self.has_all() || self.0.iter().any(|known| known == origin)
    }

    pub fn named(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origins: Result<Vec<String>, String> = text.split(',').map(|part| origin(part.trim())).collect();
        let origins = origins?;
        if origins.len() > MOST {
            return Err(format!("these are {} origins, the most is {MOST}", origins.len()));
        }
        if origins.len() > 1 && origins.iter().any(|origin| origin == ALL) {
            return Err("`*` means all origins, so it stands alone".into());
        }
        Ok(Self(origins))
    }
}

/// An origin as browsers send it: in small letters, without a path.
fn origin(text: &str) -> Result<String, String> {
    if text == ALL {
        return Ok(text.to_owned());
    }
    let known = text.parse::<Uri>().ok().filter(|uri| {
        let (Some(scheme @ ("http" | "https")), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return false;
        };
        // Browsers leave the usual port out, so an origin with it would never match.
        let usual = if scheme == "https" { 443 } else { 80 };
        let written = match uri.port_u16() {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        };
        !host.is_empty() && uri.port_u16() != Some(usual) && written.eq_ignore_ascii_case(text)
    });
    match known {
        Some(_) => Ok(text.to_ascii_lowercase()),
        None => Err(format!(
            "`{}` is no origin: write https://host or http://host:port, without a path and without the usual port",
            text.escape_debug()
        )),
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(","))
    }
}

impl Serialize for Origins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_send_them() {
        for (text, written) in [
            ("*", "*"),
            (
                "https://A.example , http://localhost:3000",
                "https://a.example,http://localhost:3000",
            ),
            ("http://[::1]:5173", "http://[::1]:5173"),
        ] {
            let origins: Origins = text.parse().expect(text);
            assert_eq!(origins.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_what_to_write() {
        for text in [
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/path",
            "https://a.example?x",
            "https://user@a.example",
            "ftp://a.example",
            "null",
            "https://a.example,",
            "https://a.example:443",
            "http://a.example:80",
            "https://a.example:",
            "https://a.example:x",
        ] {
            let problem = text.parse::<Origins>().expect_err(text);
            assert!(
                problem.contains("is no origin: write https://host"),
                "{text}: {problem}"
            );
        }
        let problem = "*,https://a.example".parse::<Origins>().expect_err("both");
        assert!(problem.contains("stands alone"), "{problem}");
        let many = vec!["https://a.example"; MOST + 1].join(",");
        assert!(
            many.parse::<Origins>()
                .expect_err("too many")
                .contains("the most is 64")
        );
    }
}
