//! Keys: who may call. Bearer tokens by name, from a file and from the environment, each with the limits of its name.
//!
//! Only SHA-256 digests are kept, and all of them are compared in constant time. No token may get into a log or an
//! error.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use governor::clock::MonotonicClock;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::key_lines::{Line, MAX_TOKEN_BYTES, parse_file, parse_variable};
use super::rate_limit::{KeyLimits, RateLimit};
use crate::config::given::Given;
use crate::error::{Error, Reason};
use crate::service::messages::ClientKey;

/// The most keys: each call is compared with all of them.
const MAX_KEYS: usize = 256;

/// The known keys. With none, everybody is admitted.
#[derive(Default)]
pub struct Keys {
    file: Option<Given>,
    variable: Option<Variable>,
    known: ArcSwap<Vec<Key>>,
}

/// An environment variable that holds keys.
pub struct Variable {
    pub name: &'static str,
    pub value: String,
}

#[derive(Debug)]
struct Key {
    digest: [u8; 32],
    owner: KeyOwner,
}

/// The owner of a key, and the limits that hold for it.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// The name of the key, for operators.
    pub name: Arc<str>,
    /// The owner, for fair shares.
    pub client: ClientKey,
    /// The limits of the owner's name.
    pub limits: KeyLimits,
    /// What is left of the owner's rate; shared by all keys of the name.
    pub rate_limit: Option<Arc<RateLimit>>,
}

impl PartialEq for Key {
    /// Ignores what is left of the rate, which is not part of a key.
    fn eq(&self, other: &Self) -> bool {
        let parts = |key: &Self| (key.digest, key.owner.client, key.owner.limits);
        parts(self) == parts(other)
    }
}

impl Keys {
    /// Reads the keys of a file and of a variable: `name:token` and the name's limits on each line; in the variable
    /// also between commas. The error is one line.
    pub fn load(setting: &'static str, file: Option<&Path>, variable: Option<Variable>) -> Result<Self, String> {
        let (file, content) = file.map(|file| Given::open(setting, file)).transpose()?.unzip();
        let keys = Self {
            file,
            variable,
            known: ArcSwap::default(),
        };
        keys.take(content)?;
        Ok(keys)
    }

    /// Reads the file again; returns whether something changed. After an error the keys from before stay in use, and so
    /// do those that came from a pipe.
    pub fn reload(&self) -> Result<bool, String> {
        let Some(file) = &self.file else { return Ok(false) };
        match file.again() {
            Ok(None) => Ok(false),
            Ok(content) => self.take(content),
            Err(problem) => Err(file.named(problem)),
        }
    }

    /// Replaces the keys by those of this content of the file, and of the variable.
    fn take(&self, content: Option<Vec<u8>>) -> Result<bool, String> {
        let mut known = Vec::new();
        if let Some((file, content)) = self.file.as_ref().zip(content) {
            let problem = |problem: String| file.named(problem);
            let text = String::from_utf8(content).map_err(|_| problem("is not UTF-8".into()))?;
            known.extend(parse_file(&text).map_err(problem)?);
            if known.is_empty() {
                // An emptied file must not admit everybody.
                return Err(problem("holds no keys, it needs name:token a line".into()));
            }
        }
        if let Some(Variable { name, value }) = &self.variable {
            known.extend(parse_variable(value).map_err(|problem| format!("{name}: {problem}"))?);
            if known.is_empty() {
                return Err(format!("{name}: holds no keys, it needs name:token"));
            }
        }
        if known.len() > MAX_KEYS {
            return Err(format!(
                "{} keys are too many, at most {MAX_KEYS} can be known",
                known.len()
            ));
        }
        let before = self.known.load();
        let known = settle(known, &before)?;
        let changed = **before != known;
        if changed {
            self.known.store(Arc::new(known));
        }
        Ok(changed)
    }

    /// Whether there are no keys, so that everybody is admitted.
    pub fn admits_everybody(&self) -> bool {
        self.known.load().is_empty()
    }

    /// The owner of the call's key; `None` where there are no keys.
    pub fn admit(&self, headers: &HeaderMap) -> Result<Option<KeyOwner>, Error> {
        let known = self.known.load();
        if known.is_empty() {
            return Ok(None);
        }
        let token = bearer(headers).ok_or_else(|| refused("the call needs a key: authorization: Bearer <token>"))?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        // Compares every key, so that the time does not tell which one was close.
        for key in known.iter() {
            if bool::from(key.digest.ct_eq(&digest)) {
                found = Some(&key.owner);
            }
        }
        found.cloned().map(Some).ok_or_else(|| refused("the key is not known"))
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

/// Gives each line the limits of its name, which any line of that name may give. A rate that the name had before keeps
/// its state, so that reading the file again gives nobody a new burst.
fn settle(lines: Vec<Line>, before: &[Key]) -> Result<Vec<Key>, String> {
    let mut owners: HashMap<String, KeyOwner> = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(limits) = line.limits else { continue };
        let client = client_of(&line.name);
        let known = before.iter().map(|key| &key.owner);
        let same = |owner: &&KeyOwner| owner.client == client && owner.limits.rate == limits.rate;
        let kept = known.filter(same).find_map(|owner| owner.rate_limit.clone());
        let new = || limits.rate.map(|rate| Arc::new(RateLimit::new(rate, MonotonicClock)));
        let owner = owners.entry(line.name.clone()).or_insert_with(|| KeyOwner {
            name: line.name.as_str().into(),
            client,
            limits,
            rate_limit: kept.or_else(new),
        });
        if owner.limits != limits {
            return Err(format!(
                "key {} of all has other limits than one before of its name",
                at + 1
            ));
        }
    }
    let keys = lines.into_iter().map(|line| Key {
        digest: line.digest,
        owner: owners.get(&line.name).cloned().unwrap_or_else(|| KeyOwner {
            name: line.name.as_str().into(),
            client: client_of(&line.name),
            limits: KeyLimits::default(),
            rate_limit: None,
        }),
    });
    Ok(keys.collect())
}

fn client_of(name: &str) -> ClientKey {
    ClientKey::of(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::messages::Weight;

    const FIRST: &str = "aaaaaaaaaaaaaaaa";
    const SECOND: &str = "bbbbbbbbbbbbbbbb";

    fn variable(value: &str) -> Variable {
        Variable {
            name: "TANDEM_TOKENS",
            value: value.to_owned(),
        }
    }

    fn with(authorization: &str) -> HeaderMap {
        let value = authorization.parse().expect("a value");
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    #[test]
    fn each_of_several_keys_admits_and_a_name_may_have_two() {
        let text = format!("# old and new\na:{FIRST}\n\n a : {SECOND} ,b:cccccccccccccccc");
        let keys = Keys::load("tokens_file", None, Some(variable(&text))).expect("keys");
        let first = keys.admit(&with(&format!("Bearer {FIRST}"))).expect("known");
        let second = keys.admit(&with(&format!("bearer  {SECOND}"))).expect("known");
        let client = |owner: Option<KeyOwner>| owner.map(|owner| owner.client);
        assert!(
            first.is_some() && client(first) == client(second),
            "one name, one client"
        );
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
    fn each_separator_lets_in_what_people_see_and_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokens");
        let of_file = |text: &str| {
            std::fs::write(&file, text).expect("written");
            Keys::load("tokens_file", Some(&file), None)
        };
        let of_variable = |text: &str| Keys::load("tokens_file", None, Some(variable(text)));
        let knows = |keys: &Keys, token: &str| keys.admit(&with(&format!("Bearer {token}"))).is_ok();
        // For each separator: whether it may stand between two keys, in a file and in a variable. Otherwise the text
        // is refused.
        for (separator, in_file, in_variable) in [
            ("\n", true, true),
            ("\r\n", true, true),
            ("  \t\n \t", true, true),
            (",", false, true),
            (" , ", false, true),
            (",\n", false, true),
            ("\r", false, false),
            (" ", false, false),
            ("\t", false, false),
            ("\u{a0}", false, false),
            ("\0", false, false),
            ("\u{b}", false, false),
            ("\u{c}", false, false),
            ("\u{85}", false, false),
            ("\u{2028}", false, false),
            ("\u{2029}", false, false),
            ("\u{feff}", false, false),
            ("\n\u{feff}", false, false),
        ] {
            let two = format!("a:{FIRST}{separator}b:{SECOND}");
            for (loaded, right) in [(of_file(&two), in_file), (of_variable(&two), in_variable)] {
                match loaded {
                    Ok(keys) => assert!(right && knows(&keys, FIRST) && knows(&keys, SECOND), "{separator:?}"),
                    Err(error) => {
                        assert!(!right, "{separator:?}: {error}");
                        assert!(!error.contains(FIRST) && !error.contains(SECOND), "{error}");
                    }
                }
            }
            // After a comment, only a line end that every program shows as one may end it.
            let revoked = format!("a:{FIRST}\n# revoked 2026-11-01{separator}old:{SECOND}");
            let ends = separator.trim_matches([' ', '\t']);
            for loaded in [of_file(&revoked), of_variable(&revoked)] {
                let Ok(keys) = loaded else { continue };
                assert!(knows(&keys, FIRST), "{separator:?}");
                assert_eq!(knows(&keys, SECOND), ends.ends_with('\n'), "{separator:?}");
            }
        }
        let marked = of_file(&format!("\u{feff}# made by an editor\r\na:{FIRST}  \r\n")).expect("a mark at the start");
        assert!(knows(&marked, FIRST));
    }

    #[test]
    fn a_comma_in_a_file_and_a_comment_after_a_key_are_errors_with_their_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokens");
        std::fs::write(&file, format!("# two\na:{FIRST},b:{SECOND}")).expect("written");
        let error = Keys::load("tokens_file", Some(&file), None).err().expect("a comma");
        assert!(error.contains("tokens: line 2 has a comma"), "{error}");
        let error = Keys::load(
            "tokens_file",
            None,
            Some(variable(&format!("a:{FIRST}, # old:{SECOND}"))),
        )
        .err();
        assert!(error.is_some_and(|error| error.contains("key 2 begins with #")));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        for (text, expected) in [
            ("a", "key 1 has no colon"),
            (":aaaaaaaaaaaaaaaa", "key 1 has no name"),
            ("# b\na:SECRET", "the token of key 1 must be 16 to 1024"),
            ("a:SECRET SECRET SECRET", "the token of key 1 must be"),
            ("a:aaaaaaaaaaaaaaaa SECRET", "key 1 has a limit that is not"),
            (
                "a:aaaaaaaaaaaaaaaa weight=2\na:bbbbbbbbbbbbbbbb weight=3",
                "key 2 of all has other limits",
            ),
            ("# nothing", "holds no keys"),
        ] {
            let error = Keys::load("tokens_file", None, Some(variable(text))).err().expect(text);
            assert!(error.contains(expected) && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn a_name_has_one_rate_for_all_its_keys_and_keeps_it_when_the_file_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokens");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        write(&format!("a:{FIRST} texts_per_second=1 burst=3 weight=2\na:{SECOND}"));
        let keys = Keys::load("tokens_file", Some(&file), None).expect("keys");
        let owner = |token: &str| {
            keys.admit(&with(&format!("Bearer {token}")))
                .expect("known")
                .expect("a key")
        };
        let take = |token: &str, texts| owner(token).rate_limit.expect("a rate").take(texts);
        take(FIRST, 2).expect("of three");
        take(SECOND, 1).expect("the last");
        take(FIRST, 1).expect_err("none is left");
        write(&format!("a:{FIRST} texts_per_second=1 burst=3 weight=5\na:{SECOND}"));
        assert_eq!(keys.reload(), Ok(true));
        assert_eq!(owner(SECOND).limits.weight.map(Weight::get), Some(5));
        take(SECOND, 1).expect_err("still none");
        write(&format!("a:{FIRST} texts_per_second=2 burst=3\na:{SECOND}"));
        assert_eq!(keys.reload(), Ok(true));
        take(SECOND, 3).expect("another rate begins anew");
        write(&format!("a:{FIRST}"));
        keys.reload().expect("fewer keys");
        assert!(owner(FIRST).rate_limit.is_none(), "no limit any more");
    }
}
