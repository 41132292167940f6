//! Log filter: which log lines are written may change while the server runs: at SIGHUP `log_filter` is read again.
//!
//! Its task ends with the server's.

use tokio::sync::watch;

use super::config_args::ConfigArgs;
use crate::telemetry::logs;

/// Reads the configuration again at each SIGHUP, and takes its `log_filter`, and nothing else of it. A flag or a variable
/// that sets it goes before the file, as at the start, and can't change.
pub async fn follow(config: ConfigArgs, mut hang_up: watch::Receiver<u64>, mut used: String) {
    while hang_up.changed().await.is_ok() {
        // A file of a few kilobytes, read at an operator's word.
        let read = config.resolve().map_err(|error| error.to_string());
        let taken = read.and_then(|settings| {
            if settings.log_filter != used {
                logs::set_filter(&settings.log_filter)?;
            }
            Ok(settings.log_filter)
        });
        match taken {
            Ok(filter) if filter != used => {
                tracing::info!(filter, before = used, "the log filter changed");
                used = filter;
            }
            Ok(_) => {}
            Err(problem) => tracing::warn!(%problem, "the configuration can't be read again, the log filter stays"),
        }
    }
}
