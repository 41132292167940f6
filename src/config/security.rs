//! The checks of the settings of transport security.

use std::time::Duration;

use super::{Address, Settings};

/// Checks that TLS is whole, and that nothing but loopback is served without it by accident.
pub fn check(settings: &Settings) -> Result<(), String> {
    let hour = Duration::from_secs(3600);
    let interval = settings.reload_interval;
    if interval.0.is_zero() || interval.0 > hour {
        return Err(format!(
            "reload_interval is {interval}, it must be above 0s and at most 1h"
        ));
    }
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(_), None) => return Err("tls_cert needs tls_key beside it".into()),
        (None, Some(_)) => return Err("tls_key needs tls_cert beside it".into()),
        (None, None) if settings.tls_client_ca.is_some() => {
            return Err("tls_client_ca needs tls_cert and tls_key beside it".into());
        }
        (Some(_), Some(_)) => return Ok(()),
        (None, None) => {}
    }
    if settings.allow_plaintext {
        return Ok(());
    }
    let addresses: [(&str, Option<&Address>); 4] = [
        ("grpc_addr", Some(&settings.grpc_addr)),
        ("http_addr", (!settings.no_http).then_some(&settings.http_addr)),
        ("metrics_addr", settings.metrics_addr.as_ref()),
        ("admin_addr", settings.admin_addr.as_ref()),
    ];
    let open = addresses
        .into_iter()
        .find_map(|(key, address)| Some((key, address.filter(|address| !address.is_local())?)));
    match open {
        None => Ok(()),
        Some((key, address)) => Err(format!(
            "{key} is {address}: other hosts would reach it in plaintext; set tls_cert and tls_key, or allow_plaintext if \
             something else protects the way"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        check(&settings).expect_err("refused")
    }

    #[test]
    fn half_of_tls_and_open_plaintext_are_refused_by_key() {
        assert!(problem(|settings| settings.tls_cert = Some("a".into())).starts_with("tls_cert needs tls_key"));
        assert!(problem(|settings| settings.tls_key = Some("a".into())).starts_with("tls_key needs tls_cert"));
        assert!(problem(|settings| settings.tls_client_ca = Some("a".into())).starts_with("tls_client_ca needs"));
        let everywhere: Address = "0.0.0.0:1".parse().expect("an address");
        assert!(problem(|settings| settings.grpc_addr = everywhere.clone()).starts_with("grpc_addr is 0.0.0.0:1"));
        assert!(problem(|settings| settings.metrics_addr = Some(everywhere.clone())).starts_with("metrics_addr is"));
        assert!(problem(|settings| settings.admin_addr = Some(everywhere)).starts_with("admin_addr is"));
    }

    #[test]
    fn plaintext_beyond_loopback_needs_a_word() {
        let mut settings = Settings {
            grpc_addr: "0.0.0.0:1".parse().expect("an address"),
            ..Settings::default()
        };
        settings.allow_plaintext = true;
        check(&settings).expect("allowed");
    }
}
