//! Who may come in and how: keys and certificates, read again when their files change.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::tls::Tls;
use crate::api::keys::Keys;
use crate::config::Settings;
use crate::config::profile::Profile;

/// Keys and certificates; cheap to clone.
#[derive(Clone)]
pub struct Security {
    /// Who may call.
    pub keys: Arc<Keys>,
    /// The certificates; none without TLS.
    pub tls: Option<Arc<Tls>>,
}

impl Security {
    /// Reads the files that the settings name, and `tokens`, the value of `TANDEM_TOKENS`. The error is one line.
    pub fn load(settings: &Settings, tokens: Option<String>) -> Result<Self, String> {
        let keys = Keys::load(settings.tokens_file.as_deref(), tokens)?;
        if settings.profile == Profile::Hardened && keys.admits_everybody() && settings.tls_client_ca.is_none() {
            return Err(
                "the profile hardened wants to know callers: set tokens_file, TANDEM_TOKENS or tls_client_ca".into(),
            );
        }
        Ok(Self {
            keys: Arc::new(keys),
            tls: Tls::load(settings)?.map(Arc::new),
        })
    }

    /// Looks at the files every `interval`, and at SIGHUP, until `end`. Files are compared by content: a link that points
    /// elsewhere is seen, as in the mounted secrets of Kubernetes.
    pub async fn watch(self, interval: Duration, end: CancellationToken) {
        let mut hang_up = match signal(SignalKind::hangup()) {
            Ok(hang_up) => Some(hang_up),
            Err(error) => {
                tracing::warn!(%error, "can't listen for SIGHUP, files are looked at by time alone");
                None
            }
        };
        // The same problem is told once, not every few seconds.
        let mut last_problem = None;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep(interval) => false,
                () = told(&mut hang_up) => true,
                () = end.cancelled() => return,
            };
            let security = self.clone();
            // Files may be slow, and parsing takes time.
            let problem = tokio::task::spawn_blocking(move || security.reload())
                .await
                .ok()
                .flatten();
            if let Some(problem) = problem.filter(|problem| asked || last_problem.as_ref() != Some(problem)) {
                tracing::error!(%problem, "new keys or certificates can't be used, those from before stay");
                last_problem = Some(problem);
            }
        }
    }

    /// Looks at the files once; the problem, if there is one.
    fn reload(&self) -> Option<String> {
        let keys = self.keys.reload();
        let tls = self.tls.as_ref().map_or(Ok(false), |tls| tls.reload());
        if keys == Ok(true) {
            tracing::info!("new keys are in use");
        }
        if tls == Ok(true) {
            tracing::info!("new certificates are in use");
        }
        keys.err().or(tls.err())
    }
}

/// Waits for the next SIGHUP; for ever where it can't be heard.
pub(super) async fn told(hang_up: &mut Option<tokio::signal::unix::Signal>) {
    match hang_up {
        Some(hang_up) => {
            hang_up.recv().await;
        }
        None => std::future::pending().await,
    }
}
