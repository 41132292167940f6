//! The checks of the settings of connections and of the drain.

use std::time::Duration;

use super::Settings;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks each value. The error names the key and the limit.
pub fn check(settings: &Settings) -> Result<(), String> {
    let counts = [
        ("max_pending_resets", settings.max_pending_resets, 1, 1 << 20),
        ("max_error_resets", settings.max_error_resets, 1, 1 << 20),
        ("max_rapid_resets", settings.max_rapid_resets, 1, 1 << 20),
        (
            "max_send_buffer_bytes",
            settings.max_send_buffer_bytes,
            16 << 10,
            64 << 20,
        ),
    ];
    for (key, value, least, most) in counts {
        if !(least..=most).contains(&value) {
            return Err(format!("{key} is {value}, it must be from {least} to {most}"));
        }
    }
    for (key, value) in [
        ("handshake_timeout", settings.handshake_timeout),
        ("header_timeout", settings.header_timeout),
        ("keepalive_timeout", settings.keepalive_timeout),
    ] {
        if value.0 > DAY || value.0.is_zero() {
            return Err(format!("{key} is {value}, it must be above 0s and at most 1day"));
        }
    }
    for (key, value) in [
        ("idle_timeout", settings.idle_timeout),
        ("max_connection_age", settings.max_connection_age),
        ("max_connection_age_grace", settings.max_connection_age_grace),
        ("keepalive_interval", settings.keepalive_interval),
        ("drain_pause", settings.drain_pause),
    ] {
        if value.0 > DAY {
            return Err(format!("{key} is {value}, it must be at most 1day"));
        }
    }
    Ok(())
}
