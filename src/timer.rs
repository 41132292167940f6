//! Sleeping until a moment that may never come.

use std::time::Instant;

/// Sleeps until `moment`; with `None`, forever.
pub async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
