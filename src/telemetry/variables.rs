//! Variables of the environment that OpenTelemetry's specification names.

/// A variable's value, unless it is empty, which is the same as not set.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether `OTEL_SDK_DISABLED` turns everything off.
pub(super) fn is_disabled() -> bool {
    variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whether one of the exporters that a variable names, separated by commas, is `otlp`; nothing where it names none.
pub(super) fn names_otlp(exporters: &str) -> Option<bool> {
    variable(exporters).map(|names| names.split(',').any(|name| name.trim() == "otlp"))
}
