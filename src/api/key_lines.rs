//! Key lines: how keys are written in a file and in an environment variable. No error quotes a token.

use sha2::{Digest, Sha256};

use super::rate_limit::KeyLimits;
use crate::telemetry::visible::is_hidden;

/// The shortest token, in bytes.
const MIN_TOKEN_BYTES: usize = 16;
/// The longest token, in bytes.
pub(super) const MAX_TOKEN_BYTES: usize = 1024;
/// One key as it was written.
pub(super) struct Line {
    /// The name of the key's owner.
    pub(super) name: String,
    /// The SHA-256 of the token.
    pub(super) digest: [u8; 32],
    /// Absent if the line gives no limits.
    pub(super) limits: Option<KeyLimits>,
}

/// The keys of a file: one `name:token` on a line, then white space and limits, if any. A line that is empty or begins
/// with `#` is skipped.
pub(super) fn parse_file(text: &str) -> Result<Vec<Line>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut keys = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let place = format!("line {}", at + 1);
        if holds_keys(line, &place)? {
            if line.contains(',') {
                return Err(format!(
                    "{place} has a comma: a file has one key a line, and its comments have lines of their own"
                ));
            }
            keys.push(parse(line, &place)?);
        }
    }
    Ok(keys)
}

/// The keys of a variable. The same form, but a line may hold several keys between commas, and no comment after one.
pub(super) fn parse_variable(text: &str) -> Result<Vec<Line>, String> {
    let mut keys = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let place = format!("line {}", at + 1);
        if !holds_keys(line, &place)? {
            continue;
        }
        for key in line.split(',').filter(|key| !key.trim().is_empty()) {
            let place = format!("key {}", keys.len() + 1);
            if key.trim_start().starts_with('#') {
                return Err(format!(
                    "{place} begins with #: a comment has a line of its own, and ends with that line"
                ));
            }
            keys.push(parse(key, &place)?);
        }
    }
    Ok(keys)
}

/// Whether a line holds keys. Lines end with LF or CR LF. A character that some programs show as a line end, or not at
/// all, is an error even in a comment: people would not see what counts.
fn holds_keys(line: &str, place: &str) -> Result<bool, String> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if let Some(hidden) = line.chars().find(|&value| value != '\t' && is_hidden(value)) {
        let code = u32::from(hidden);
        return Err(format!(
            "{place} has the character U+{code:04X}, which does not show or looks like the end of a line"
        ));
    }
    let line = line.trim();
    Ok(!line.is_empty() && !line.starts_with('#'))
}

/// Parses one key with its limits.
fn parse(key: &str, place: &str) -> Result<Line, String> {
    let (name, token) = key
        .trim()
        .split_once(':')
        .ok_or_else(|| format!("{place} has no colon, it must be name:token"))?;
    let (token, limits) = token
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((token.trim(), ""));
    let name = name.trim();
    if name.is_empty() {
        return Err(format!("{place} has no name"));
    }
    let whole = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !whole || !(MIN_TOKEN_BYTES..=MAX_TOKEN_BYTES).contains(&token.len()) {
        return Err(format!(
            "the token of {place} must be {MIN_TOKEN_BYTES} to {MAX_TOKEN_BYTES} visible ASCII characters"
        ));
    }
    let limits: KeyLimits = limits.parse().map_err(|problem| format!("{place} {problem}"))?;
    Ok(Line {
        name: name.to_owned(),
        digest: Sha256::digest(token).into(),
        limits: (limits != KeyLimits::default()).then_some(limits),
    })
}
