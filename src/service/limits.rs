//! The limits on one request.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    pub max_texts: usize,
    /// The longest text, in bytes of UTF-8.
    pub max_text_bytes: usize,
}

/// The limits on texts that are read in windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// The most windows of a text.
    pub of_text: usize,
    /// The most windows of a request: more than a model's queue holds would never be accepted.
    pub of_request: usize,
    /// The most bytes of a request's windows, second texts of pairs included, for the same reason.
    pub bytes: usize,
}
