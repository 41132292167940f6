//! Who may call: bearer tokens by name, from a file and from the environment.
//!
//! Only SHA-256 digests are kept, and all of them are compared in constant time. No token may get into a log or an error.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Reason};
use crate::service::types::ClientKey;

/// The shortest token, in bytes.
const MIN_TOKEN_BYTES: usize = 16;
/// The longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 1024;
/// The most keys: every call is compared with each.
const MAX_KEYS: usize = 256;

/// The keys that are known; none admits everybody.
#[derive(Default)]
pub struct Keys {
    file: Option<PathBuf>,
    variable: Option<String>,
    known: ArcSwap<Vec<Key>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    digest: [u8; 32],
    client: ClientKey,
}

impl Keys {
    /// The keys of a file and of a variable's value: `name:token` a line, or between commas. The error is one line.
    pub fn load(file: Option<&Path>, variable: Option<String>) -> Result<Self, String> {
        let keys = Self {
            file: file.map(Path::to_owned),
            variable,
            known: ArcSwap::default(),
        };
        keys.reload()?;
        Ok(keys)
    }

    /// Reads the file again; says whether something changed. After an error, the keys are those from before.
    pub fn reload(&self) -> Result<bool, String> {
        let mut known = Vec::new();
        if let Some(file) = &self.file {
            let problem = |problem: String| format!("{}: {problem}", file.display());
            let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
            known.extend(parse(&text).map_err(problem)?);
            if known.is_empty() {
                // An empty file must not open the door to everybody.
                return Err(problem("holds no keys, it needs name:token a line".into()));
            }
        }
        if let Some(variable) = &self.variable {
            known.extend(parse(variable).map_err(|problem| format!("TANDEM_TOKENS: {problem}"))?);
            if known.is_empty() {
                return Err("TANDEM_TOKENS: holds no keys, it needs name:token".into());
            }
        }
        if known.len() > MAX_KEYS {
            return Err(format!(
                "{} keys are too many, at most {MAX_KEYS} can be known",
                known.len()
            ));
        }
        let changed = **self.known.load() != known;
        if changed {
            self.known.store(Arc::new(known));
        }
        Ok(changed)
    }

    /// Whether there are no keys.
    pub fn admits_everybody(&self) -> bool {
        self.known.load().is_empty()
    }

    /// Whose call it is; nobody's in particular where there are no keys.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Option<ClientKey>, Error> {
        let known = self.known.load();
        if known.is_empty() {
            return Ok(None);
        }
        let token = bearer(headers).ok_or_else(|| refused("the call needs a key: authorization: Bearer <token>"))?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        // Every key is compared, so that the time does not tell which one came close.
        for key in known.iter() {
            if bool::from(key.digest.ct_eq(&digest)) {
                found = Some(key.client);
            }
        }
        found.map(Some).ok_or_else(|| refused("the key is not known"))
    }
}

fn refused(message: &str) -> Error {
    Error::new(Reason::Unauthenticated, message)
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
        .filter(|token| token.len() <= MAX_TOKEN_BYTES)
}

/// Lines of `name:token`; empty ones and those that begin with `#` say nothing.
fn parse(text: &str) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    for (at, line) in text.split(['\n', ',']).enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = at + 1;
        let (name, token) = line
            .split_once(':')
            .ok_or_else(|| format!("key {at} has no colon, it must be name:token"))?;
        let (name, token) = (name.trim(), token.trim());
        if name.is_empty() {
            return Err(format!("key {at} has no name"));
        }
        let whole = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !whole || !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len()) {
            return Err(format!(
                "the token of key {at} must be {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} visible ASCII characters"
            ));
        }
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        keys.push(Key {
            digest: Sha256::digest(token).into(),
            client: ClientKey(hasher.finish()),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "aaaaaaaaaaaaaaaa";
    const SECOND: &str = "bbbbbbbbbbbbbbbb";

    fn with(authorization: &str) -> HeaderMap {
        let value = authorization.parse().expect("a value");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn each_of_several_keys_admits_and_a_name_may_have_two() {
        let text = format!("# old and new\na:{FIRST}\n\n a : {SECOND} ,b:cccccccccccccccc");
        let keys = Keys::load(None, Some(text)).expect("keys");
        let first = keys.admit(&with(&format!("Bearer {FIRST}"))).expect("known");
        let second = keys.admit(&with(&format!("bearer  {SECOND}"))).expect("known");
        assert!(first.is_some() && first == second, "one name, one client");
        for wrong in [
            "Bearer bbbbbbbbbbbbbbbbb",
            "Basic aaaaaaaaaaaaaaaa",
            "Bearer ",
            "Bearer",
            "",
        ] {
            let error = keys.admit(&with(wrong)).expect_err(wrong);
            assert_eq!(error.reason, Reason::Unauthenticated);
        }
        assert!(keys.admit(&HeaderMap::new()).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        for (text, expected) in [
            ("a", "key 1 has no colon"),
            (":aaaaaaaaaaaaaaaa", "key 1 has no name"),
            ("# b\na:SECRET", "the token of key 2 must be 16 to 1024"),
            ("a:SECRET SECRET SECRET", "the token of key 1 must be"),
            ("# nothing", "holds no keys"),
        ] {
            let error = Keys::load(None, Some(text.into())).err().expect(text);
            assert!(error.contains(expected) && !error.contains("SECRET"), "{error}");
        }
    }
}
