//! Security: keys and certificates, read again when their files change.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::reloads::next_hang_up;
use super::tls::Tls;
use crate::api::keys::{Keys, Variable};
use crate::config::Settings;
use crate::config::profile::Profile;
use crate::telemetry::metrics::Metrics;

/// From how many seconds before its end on a certificate is told to expire soon: two weeks.
const EXPIRES_SOON: i64 = 14 * 86_400;

/// Keys and certificates; cheap to clone.
#[derive(Clone)]
pub struct Security {
    /// The keys of callers.
    pub keys: Arc<Keys>,
    /// The keys of operators, for the admin port.
    pub admin_keys: Arc<Keys>,
    /// The certificates; absent without TLS.
    pub tls: Option<Arc<Tls>>,
}

#[derive(Clone, Default)]
pub struct Tokens {
    /// The value of `TANDEM_TOKENS`: the keys of callers.
    pub callers: Option<String>,
    /// The value of `TANDEM_ADMIN_TOKENS`: the keys of operators.
    pub operators: Option<String>,
}

impl Tokens {
    /// The keys in this process's environment. A variable that is set but can't be read is an error: it must not admit
    /// everybody.
    pub fn of_environment() -> Result<Self, String> {
        let value = |name: &str| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name}: is not UTF-8")),
        };
        Ok(Self {
            callers: value("TANDEM_TOKENS")?,
            operators: value("TANDEM_ADMIN_TOKENS")?,
        })
    }
}

impl Security {
    /// Reads the files that the settings name, and takes over the keys of the environment. The error is one line.
    pub fn load(settings: &Settings, tokens: Tokens) -> Result<Self, String> {
        let variable = |name, value| Some(Variable { name, value: value? });
        let callers = variable("TANDEM_TOKENS", tokens.callers);
        let operators = variable("TANDEM_ADMIN_TOKENS", tokens.operators);
        let keys = Keys::load("tokens_file", settings.tokens_file.as_deref(), callers)?;
        let admin_keys = Keys::load("admin_tokens_file", settings.admin_tokens_file.as_deref(), operators)?;
        check_admin(settings, &keys, &admin_keys)?;
        if settings.profile == Profile::Hardened && keys.admits_everybody() && settings.tls_client_ca.is_none() {
            return Err(
                "the profile hardened wants to know callers: set tokens_file, TANDEM_TOKENS or tls_client_ca".into(),
            );
        }
        Ok(Self {
            keys: Arc::new(keys),
            admin_keys: Arc::new(admin_keys),
            tls: Tls::load(settings)?.map(Arc::new),
        })
    }

    /// Looks at the files every `interval`, and at SIGHUP, until `end`. Files are compared by content, so that a link
    /// that now points elsewhere is noticed, as in mounted secrets of Kubernetes. `heeded` is told of each SIGHUP that was heeded.
    pub async fn watch(
        self,
        interval: Duration,
        metrics: Metrics,
        (mut hang_up, heeded): (watch::Receiver<u64>, watch::Sender<u64>),
        end: CancellationToken,
    ) {
        self.tell_expiry(&metrics);
        // The same problem is logged once, not every few seconds.
        let mut last_problem = None;
        loop {
            let by_signal = tokio::select! {
                () = tokio::time::sleep(interval) => None,
                count = next_hang_up(&mut hang_up) => Some(count),
                () = end.cancelled() => return,
            };
            let Looked { changed, problem } = self.clone().reload_elsewhere().await;
            if changed {
                metrics.security_reloaded(true);
                self.tell_expiry(&metrics);
            }
            if problem.is_some() {
                metrics.security_reloaded(false);
            }
            match problem {
                Some(problem) if by_signal.is_some() || last_problem.as_ref() != Some(&problem) => {
                    tracing::error!(%problem, "new keys or certificates can't be used, those from before stay");
                    last_problem = Some(problem);
                }
                // What is mended and breaks again the same way is told again.
                None => {
                    if last_problem.take().is_some() {
                        tracing::info!("keys and certificates can be used again");
                    }
                }
                Some(_) => {}
            }
            if let Some(count) = by_signal {
                heeded.send_replace(count);
            }
        }
    }

    /// Looks at the files once, on a thread of its own: files may be slow and parsing takes time, and nothing that
    /// blocks should keep a revoked key alive.
    async fn reload_elsewhere(self) -> Looked {
        let (tell, looked) = tokio::sync::oneshot::channel();
        let look = move || drop(tell.send(self.reload()));
        match std::thread::Builder::new().name("keys".into()).spawn(look) {
            Ok(_) => looked.await.unwrap_or_default(),
            Err(error) => Looked {
                changed: false,
                problem: Some(format!("no thread to look at keys and certificates: {error}")),
            },
        }
    }

    /// Sets when the certificates expire, and warns where that is soon or was before.
    fn tell_expiry(&self, metrics: &Metrics) {
        let Some(tls) = &self.tls else { return };
        for (kind, at) in tls.expiries() {
            metrics.set_certificate_expiry(kind.name(), at);
        }
        for Expiry { problem, .. } in self.expiry_problems() {
            tracing::warn!(%problem, "TLS");
        }
    }

    /// What is wrong with the age of certificates, each in one line.
    pub fn expiry_problems(&self) -> Vec<Expiry> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let certificates = self.tls.iter().flat_map(|tls| tls.expiries());
        let problems = certificates.filter_map(|(kind, at)| {
            let setting = kind.setting();
            let left = at - now;
            let problem = match left {
                ..=0 => format!("the certificate of {setting} has expired: {}", kind.consequence()),
                1..EXPIRES_SOON => {
                    let (days, hours) = (left / 86_400, left % 86_400 / 3_600);
                    format!("the certificate of {setting} expires in {days} days and {hours} hours")
                }
                _ => return None,
            };
            let has_expired = left <= 0;
            Some(Expiry { problem, has_expired })
        });
        problems.collect()
    }

    /// Looks at the files once.
    fn reload(&self) -> Looked {
        let keys = self.keys.reload();
        let admin_keys = self.admin_keys.reload();
        let tls = self.tls.as_ref().map_or(Ok(false), |tls| tls.reload());
        if keys == Ok(true) || admin_keys == Ok(true) {
            tracing::info!("new keys are in use");
        }
        if tls == Ok(true) {
            tracing::info!("new certificates are in use");
        }
        let changed = [&keys, &admin_keys, &tls].contains(&&Ok(true));
        let problems: Vec<String> = [keys, admin_keys, tls].into_iter().filter_map(Result::err).collect();
        Looked {
            changed,
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }
}

/// What is wrong with the age of a certificate.
pub struct Expiry {
    /// One line.
    pub problem: String,
    pub has_expired: bool,
}

/// What a look at the files of keys and certificates found.
#[derive(Debug, Default)]
struct Looked {
    changed: bool,
    /// The problems, in one line.
    problem: Option<String>,
}

/// Whoever can change the models needs a key, unless the admin port is only open to this host and callers need no key
/// either.
fn check_admin(settings: &Settings, keys: &Keys, admin_keys: &Keys) -> Result<(), String> {
    let Some(address) = settings.admin_addr.as_ref().filter(|_| admin_keys.admits_everybody()) else {
        return Ok(());
    };
    let among_friends = address.is_local() && keys.admits_everybody() && settings.profile != Profile::Hardened;
    if among_friends {
        return Ok(());
    }
    Err(format!(
        "admin_addr is {address}: whoever reaches it could change the models; set admin_tokens_file or TANDEM_ADMIN_TOKENS"
    ))
}
