//! Cuts a text that is too long, before anything else reads it.

use crate::model::input::EncodeError;
use crate::model::manifest::Truncation;

/// Cuts `text` to at most `max_bytes` bytes at a character boundary.
pub fn cut_bytes(text: &str, max_bytes: usize, truncation: Truncation) -> Result<(&str, bool), EncodeError> {
    if text.len() <= max_bytes {
        return Ok((text, false));
    }
    match truncation {
        Truncation::End | Truncation::Windows => Ok((&text[..text.floor_char_boundary(max_bytes)], true)),
        Truncation::Start => Ok((&text[text.ceil_char_boundary(text.len() - max_bytes)..], true)),
        Truncation::Reject => Err(EncodeError::TooLong {
            found: format!("{} bytes", text.len()),
            limit: format!("{max_bytes} bytes"),
        }),
    }
}
