//! Keys and TLS of the real program: what it refuses to start with, what its clients show, what its log holds.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::support::command::{Finished, finish, tandem};
use crate::support::models::{FAST_ONLY, FastModelCopy};
use crate::support::server::free_ports;
use crate::support::{RunningServer, root};

const TOKEN: &str = "canary-0123456789-canary";

/// `ca.pem`, and `cert.pem` with `key.pem` that it signed, for server and client alike, on this machine and under more names.
pub fn write_certificates(folder: &Path, more_names: &[&str]) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Not the name that both have by default: BoringSSL, in grpcio, takes a certificate in its issuer's name for its own.
    params.distinguished_name.push(DnType::CommonName, "authority");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let names = ["localhost", "127.0.0.1"].iter().chain(more_names);
    let names: Vec<String> = names.map(|&name| name.to_owned()).collect();
    let params = CertificateParams::new(names).expect("good names");
    let certificate = params.signed_by(&key, &issuer).expect("signed");
    for (name, pem) in [
        ("ca.pem", issuer.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), pem).expect("written");
    }
}

/// What `serve` says to flags that it can't start with.
fn refused(folder: &Path, args: &[&str]) -> Finished {
    let mut command = tandem();
    command.current_dir(folder).arg("serve").args(free_ports());
    command.arg("--models").arg(root().join("models")).args(args);
    finish(&mut command, b"")
}

#[test]
fn what_is_unsafe_or_broken_is_refused_before_a_port_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[]);
    for (name, text) in [("empty", "# nothing\n"), ("short", "a:SECRET\n"), ("rubbish", "x")] {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let pair = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    for (args, expected) in [
        (
            vec!["--metrics-addr", "0.0.0.0:0"],
            "metrics_addr is 0.0.0.0:0: other hosts would reach it in plaintext",
        ),
        (vec!["--tls-cert", "cert.pem"], "tls_cert needs tls_key"),
        (
            vec!["--tls-cert", "none.pem", "--tls-key", "key.pem"],
            "tls_cert: none.pem: No such file",
        ),
        (
            vec!["--tls-cert", "rubbish", "--tls-key", "key.pem"],
            "rubbish: holds no certificate",
        ),
        (
            vec!["--tls-cert", "cert.pem", "--tls-key", "rubbish"],
            "rubbish: holds no private key",
        ),
        (
            [&pair[..], &["--tls-client-ca", "rubbish"]].concat(),
            "rubbish: holds no certificate",
        ),
        (vec!["--tls-cert", "ca.pem", "--tls-key", "key.pem"], "ca.pem: "),
        (vec!["--tokens-file", "empty"], "empty: holds no keys"),
        (
            vec!["--profile", "hardened"],
            "the profile hardened wants to know callers",
        ),
        (vec!["--tokens-file", "short"], "short: the token of line 1"),
    ] {
        let finished = refused(folder.path(), &args);
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        let complaint = finished.complaint();
        assert!(complaint.contains(expected), "{args:?}: {complaint}");
        assert!(!finished.stderr.contains("SECRET"), "{finished:?}");
    }
}

#[test]
fn clients_show_token_and_certificate_and_no_log_holds_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), &[]);
    let models = FastModelCopy::new();
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, "file:another-0123456789\n").expect("written");
    let mut command = tandem();
    command.current_dir(folder.path()).arg("serve").args(free_ports());
    command.arg("--models").arg(models.repository()).args(FAST_ONLY);
    command.args([
        "--tls-cert",
        "cert.pem",
        "--tls-key",
        "key.pem",
        "--tls-client-ca",
        "ca.pem",
    ]);
    command.args([
        "--tokens-file",
        "tokens",
        "--reload-interval",
        "1h",
        "--log-filter",
        "trace",
    ]);
    command.env("TANDEM_TOKENS", format!("variable:{TOKEN}"));
    let server = RunningServer::spawn(command);
    server.wait_ready();
    let address = format!("localhost:{}", server.grpc.port());
    let client = |args: &[&str], token: Option<&str>| {
        let mut command = tandem();
        command.current_dir(folder.path()).args(args).args(["--addr", &address]);
        command.args(["--tls-ca", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"]);
        if let Some(token) = token {
            command.env("TANDEM_TOKEN", token);
        }
        finish(&mut command, b"")
    };
    let ask = ["predict", "--route", "fast", "좋다"];
    assert!(client(&ask, Some(TOKEN)).success().contains("positive"));
    assert_eq!(client(&["healthcheck"], None).success(), "SERVING\n");
    let without = client(&ask, None);
    assert_eq!(without.code, Some(1));
    assert!(without.complaint().contains("Unauthenticated"), "{without:?}");
    let certificates = ["--tls-ca", "ca.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem"];
    let calls = [
        "bench",
        "--server",
        &address,
        "--calls",
        "5",
        "--warm-up",
        "0s",
        "--route",
        "fast",
        "--json",
        "-",
    ];
    let bench = |token: &str| {
        let mut command = tandem();
        command.current_dir(folder.path()).env("TANDEM_TOKEN", token);
        finish(command.args(calls).args(certificates).arg("--probe-health"), b"")
    };
    let report = bench(TOKEN).json();
    assert_eq!(report["measured"]["calls_answered"], 5, "{report:#}");
    assert!(bench("canary-wrong-canary").complaint().contains("Unauthenticated"));
    let wrong = client(&ask, Some("canary-wrong-canary"));
    assert!(wrong.complaint().contains("Unauthenticated"), "{wrong:?}");
    // SIGHUP looks at the files at once.
    std::fs::write(&tokens, "file:yetanother-0123456789\n").expect("written");
    server.signal("HUP");
    server.logged("new keys are in use");
    client(&ask, Some("yetanother-0123456789")).success();
    assert_eq!(client(&ask, Some("another-0123456789")).code, Some(1));
    server.signal("TERM");
    let (code, log) = server.wait_exit();
    assert_eq!(code, Some(0));
    let leaks: Vec<_> = log
        .iter()
        .filter(|line| line.contains("canary") || line.contains("another-0"))
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

#[test]
fn a_certificate_that_ends_soon_or_ended_is_told_at_a_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = FastModelCopy::new();
    for (days, expected) in [(-1, Some("has expired")), (3, Some("expires in")), (60, None)] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good name");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = i64::try_from(now.expect("after 1970").as_secs()).expect("this century");
        params.not_after = rcgen::date_time_ymd(1970, 1, 1)
            + std::time::Duration::from_secs(u64::try_from(now + days * 86_400).expect("positive"));
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).expect("written");
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).expect("written");
        let mut command = tandem();
        command.current_dir(folder.path()).arg("serve").args([
            "--check",
            "--tls-cert",
            "cert.pem",
            "--tls-key",
            "key.pem",
        ]);
        command.arg("--models").arg(models.repository()).args(FAST_ONLY);
        let checked = finish(&mut command, b"");
        assert_eq!(checked.code, Some(i32::from(days < 0)), "{checked:?}");
        let told = checked.stderr.contains("certificate of tls_cert");
        assert_eq!(told, expected.is_some(), "{days}: {checked:?}");
        assert!(
            checked.stderr.contains(expected.unwrap_or_default()),
            "{days}: {checked:?}"
        );
    }
}
