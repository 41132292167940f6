//! Variables of the environment that OpenTelemetry's specification names.

/// A variable's value, unless it is empty, which is the same as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
