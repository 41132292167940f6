//! Checks of settings: each value alone by its declared bounds, then values that must fit each other.

use std::path::Path;

use super::address::Address;
use super::addresses::AddressList;
use super::bodies::largest_json;
use super::settings::{AbstainSettings, GearSettings, Settings, WindowSettings};
use crate::model::manifest::MOST_TOKENS;
use crate::model::store::place::{NO_FEATURE, Place};

/// The most bytes of text in one request.
const MOST_BYTES_OF_A_REQUEST: usize = 256 << 20;
/// The fewest tokens of a window: with fewer, special tokens are most of what a model reads.
const LEAST_WIDTH: usize = 16;
/// The shortest way from one window to the next, as a part of a window: a text is read ten times over.
const LEAST_STRIDE: f64 = 0.1;

impl Settings {
    /// Where a client on this host finds gRPC.
    pub fn grpc_address(&self) -> &Address {
        self.shared_addr.as_ref().unwrap_or(&self.grpc_addr).first()
    }

    /// Checks each value, and values that must fit each other. The error names the setting and the limit.
    pub fn check(&self) -> Result<(), String> {
        self.check_bounds()?;
        check_models(self)?;
        check_labels(self)?;
        check_queue(self)?;
        check_client_header(self)?;
        check_tasks(self)?;
        check_keeping(self)?;
        check_timeouts(self)?;
        check_bodies(self)?;
        check_doors(self)?;
        check_tls(self)?;
        check_plaintext(self)
    }
}

/// Models that are fetched are a repository, from a place that can be one, and need the feature.
fn check_models(settings: &Settings) -> Result<(), String> {
    let place = Place::of(&settings.models).map_err(|problem| format!("models: {problem}"))?;
    if place.is_some() && cfg!(not(feature = "object-store")) {
        return Err(NO_FEATURE.to_owned());
    }
    for (key, folder) in [("deep", &settings.deep), ("fast", &settings.fast)] {
        if folder
            .as_ref()
            .is_some_and(|folder| folder.to_string_lossy().contains("://"))
        {
            return Err(format!(
                "{key} must be a folder; models alone may be an address, and takes one model too"
            ));
        }
    }
    Ok(())
}

/// An address of labels can be one, and holds no password: what is wrong with it otherwise is told where it is used.
fn check_labels(settings: &Settings) -> Result<(), String> {
    let file = settings.labels_file.as_deref().unwrap_or(Path::new(""));
    Place::of(file)
        .map(|_| ())
        .map_err(|problem| format!("labels_file: {problem}"))
}

/// The largest request must fit into a model's queue, and must not be too large itself.
fn check_queue(settings: &Settings) -> Result<(), String> {
    if settings.max_queue_texts < settings.max_texts {
        return Err(format!(
            "max_queue_texts is {}, it must be at least max_texts ({}), or the largest request never fits",
            settings.max_queue_texts, settings.max_texts
        ));
    }
    let largest = settings.max_texts.saturating_mul(settings.max_text_bytes);
    if settings.max_queue_bytes < largest {
        return Err(format!(
            "max_queue_bytes is {}, it must be at least max_texts × max_text_bytes ({largest}), or the largest request never fits",
            settings.max_queue_bytes
        ));
    }
    if largest > MOST_BYTES_OF_A_REQUEST {
        return Err("max_texts × max_text_bytes must be at most 256 MiB".into());
    }
    Ok(())
}

fn check_client_header(settings: &Settings) -> Result<(), String> {
    if let Some(header) = &settings.client_header
        && http::HeaderName::try_from(header.as_str()).is_err()
    {
        return Err("client_header must be the name of a header".into());
    }
    Ok(())
}

fn check_tasks(settings: &Settings) -> Result<(), String> {
    for (name, task) in &settings.tasks {
        for (part, confidence) in [
            ("cascade", task.cascade.min_confidence),
            ("abstain", task.abstain.min_confidence),
        ] {
            if let Some(confidence) = confidence.filter(|confidence| !(0.0..=1.0).contains(confidence)) {
                return Err(format!(
                    "tasks.{name}.{part}.min_confidence is {confidence}, it must be from 0 to 1"
                ));
            }
        }
        if let Some(share) = task.cascade.audit_share
            && !(share > 0.0 && share <= 1.0)
        {
            return Err(format!(
                "tasks.{name}.cascade.audit_share is {share}, it must be above 0 and at most 1"
            ));
        }
        check_gears(task.cascade.gears.as_ref()).map_err(|problem| format!("tasks.{name}.cascade.gears.{problem}"))?;
        check_precision(&task.abstain).map_err(|problem| format!("tasks.{name}.abstain{problem}"))?;
        check_windows(&task.windows).map_err(|problem| format!("tasks.{name}.windows.{problem}"))?;
    }
    Ok(())
}

/// What is written is what is kept.
fn check_keeping(settings: &Settings) -> Result<(), String> {
    if settings.keep_file.is_some() && settings.keep_texts == 0 {
        return Err("keep_file needs keep_texts above 0 beside it: what is kept is what is written".to_owned());
    }
    Ok(())
}

fn check_gears(gears: Option<&GearSettings>) -> Result<(), String> {
    let Some(GearSettings { floor, queue_time }) = gears else {
        return Ok(());
    };
    if !(0.0..=1.0).contains(floor) {
        return Err(format!("floor is {floor}, it must be from 0 to 1"));
    }
    if queue_time.0.is_zero() {
        return Err("queue_time must be above 0".to_owned());
    }
    Ok(())
}

fn check_precision(abstain: &AbstainSettings) -> Result<(), String> {
    let Some(precision) = abstain.min_precision else {
        return Ok(());
    };
    if !(precision > 0.0 && precision < 1.0) {
        return Err(format!(".min_precision is {precision}, it must be above 0 and below 1"));
    }
    if abstain.min_confidence.is_some() {
        return Err(": min_confidence and min_precision exclude each other".to_owned());
    }
    Ok(())
}

fn check_windows(windows: &WindowSettings) -> Result<(), String> {
    let WindowSettings {
        width,
        stride,
        min_confidence,
        ..
    } = windows;
    if let Some(width) = width.filter(|width| !(LEAST_WIDTH..=MOST_TOKENS).contains(width)) {
        return Err(format!(
            "width is {width}, it must be from {LEAST_WIDTH} to {MOST_TOKENS}"
        ));
    }
    if !(LEAST_STRIDE..=1.0).contains(stride) {
        return Err(format!("stride is {stride}, it must be from {LEAST_STRIDE} to 1"));
    }
    if !(0.0..=1.0).contains(min_confidence) {
        return Err(format!("min_confidence is {min_confidence}, it must be from 0 to 1"));
    }
    Ok(())
}

fn check_timeouts(settings: &Settings) -> Result<(), String> {
    if settings.default_timeout > settings.max_timeout {
        return Err(format!(
            "default_timeout is {}, it must be at most max_timeout ({})",
            settings.default_timeout, settings.max_timeout
        ));
    }
    Ok(())
}

/// One port for both doors can't be without one of them.
fn check_doors(settings: &Settings) -> Result<(), String> {
    if settings.shared_addr.is_some() && settings.no_http {
        return Err(
            "shared_addr is for gRPC and HTTP together, so no_http can't stand beside it; grpc_addr is for gRPC alone"
                .into(),
        );
    }
    Ok(())
}

/// The largest valid request must fit into the room for bodies.
fn check_bodies(settings: &Settings) -> Result<(), String> {
    let bytes = settings.max_inflight_body_bytes;
    let largest = largest_json(settings.max_texts, settings.max_text_bytes);
    if bytes > 0 && bytes < largest {
        return Err(format!(
            "max_inflight_body_bytes is {bytes}, it must be 0 or at least {largest}, or the largest JSON body of max_texts × \
             max_text_bytes never fits"
        ));
    }
    Ok(())
}

/// A certificate and its key go together, and client certificates need both.
fn check_tls(settings: &Settings) -> Result<(), String> {
    match (&settings.tls_cert, &settings.tls_key) {
        (Some(_), None) => Err("tls_cert needs tls_key beside it".into()),
        (None, Some(_)) => Err("tls_key needs tls_cert beside it".into()),
        (None, None) if settings.tls_client_ca.is_some() => {
            Err("tls_client_ca needs tls_cert and tls_key beside it".into())
        }
        (Some(_), Some(_)) | (None, None) => Ok(()),
    }
}

/// Without TLS, only loopback and Unix sockets may be served, unless the settings allow more.
fn check_plaintext(settings: &Settings) -> Result<(), String> {
    if settings.tls_cert.is_some() || settings.allow_plaintext {
        return Ok(());
    }
    let apart = settings.shared_addr.is_none();
    let doors: [(&str, Option<&AddressList>); 3] = [
        ("shared_addr", settings.shared_addr.as_ref()),
        ("grpc_addr", Some(&settings.grpc_addr).filter(|_| apart)),
        (
            "http_addr",
            Some(&settings.http_addr).filter(|_| apart && !settings.no_http),
        ),
    ];
    let of_doors = doors.into_iter().filter_map(|(key, list)| Some((key, list?)));
    let of_doors = of_doors.flat_map(|(key, list)| list.all().iter().map(move |address| (key, address)));
    let metrics = settings.metrics_addr.iter().map(|address| ("metrics_addr", address));
    let admin = settings.admin_addr.iter().map(|address| ("admin_addr", address));
    let open = of_doors
        .chain(metrics)
        .chain(admin)
        .find(|(_, address)| !address.is_local());
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
    use std::time::Duration;

    use super::super::duration::HumanDuration;
    use super::super::profile::Profile;
    use super::*;

    fn problem(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.check().expect_err("refused")
    }

    #[test]
    fn the_defaults_of_every_profile_are_allowed() {
        for profile in [Profile::Standard, Profile::Hardened] {
            assert_eq!(Settings::of(profile).check(), Ok(()));
        }
    }

    #[test]
    fn an_address_is_named_without_its_password() {
        let address = || std::path::PathBuf::from("s3://me:hunter2@bucket/labels.toml");
        for told in [
            problem(|settings| settings.labels_file = Some(address())),
            problem(|settings| settings.models = address()),
        ] {
            assert!(
                told.contains(": the address (s3://…) holds a user or a password"),
                "{told}"
            );
            assert!(
                told.starts_with("labels_file: ") || told.starts_with("models: "),
                "{told}"
            );
        }
    }

    #[test]
    fn each_bound_is_named() {
        type Change = fn(&mut Settings);
        let over_a_day = HumanDuration(Duration::from_secs(24 * 3600 + 1));
        assert_eq!(
            problem(|settings| settings.drain_grace = over_a_day),
            "drain_grace is 1day 1s, it must be at most 1day"
        );
        let changes: [(&str, Change); 16] = [
            ("canary_min_count", |settings| settings.canary_min_count = 0),
            ("canary_max_failures", |settings| settings.canary_max_failures = 1.1),
            ("canary_max_disagreement", |settings| {
                settings.canary_max_disagreement = -0.1;
            }),
            ("canary_max_slowdown", |settings| {
                settings.canary_max_slowdown = f64::NAN;
            }),
            ("models_poll_interval", |settings| {
                settings.models_poll_interval = HumanDuration(Duration::from_millis(999));
            }),
            ("max_model_memory", |settings| settings.max_model_memory = (1 << 40) + 1),
            ("shadow_texts", |settings| settings.shadow_texts = 1_000_001),
            ("shadow_time", |settings| {
                settings.shadow_time = HumanDuration(Duration::ZERO);
            }),
            ("shadow_max_disagreement", |settings| {
                settings.shadow_max_disagreement = f64::NAN;
            }),
            ("shadow_max_slowdown", |settings| settings.shadow_max_slowdown = 0.0),
            ("reload_interval", |settings| {
                settings.reload_interval = HumanDuration(Duration::from_secs(3601));
            }),
            ("max_send_buffer_bytes", |settings| {
                settings.max_send_buffer_bytes = (16 << 10) - 1;
            }),
            ("max_pending_resets", |settings| settings.max_pending_resets = 0),
            ("keepalive_timeout", |settings| {
                settings.keepalive_timeout = HumanDuration(Duration::ZERO);
            }),
            ("max_streams_per_connection", |settings| {
                settings.max_streams_per_connection = (1 << 20) + 1;
            }),
            ("max_inflight_body_bytes", |settings| {
                settings.max_inflight_body_bytes = (1 << 40) + 1;
            }),
        ];
        for (key, change) in changes {
            let problem = problem(change);
            assert!(problem.starts_with(&format!("{key} is ")), "{problem}");
        }
    }

    #[test]
    fn the_largest_body_must_fit() {
        let largest = largest_json(128, 1 << 20);
        let mut settings = Settings {
            max_texts: 128,
            max_text_bytes: 1 << 20,
            max_queue_bytes: 128 << 20,
            max_inflight_body_bytes: largest,
            ..Settings::default()
        };
        settings.check().expect("just enough");
        settings.max_inflight_body_bytes = largest - 1;
        let problem = settings.check().expect_err("too little");
        assert!(problem.starts_with("max_inflight_body_bytes is ") && problem.contains(&largest.to_string()));
    }

    #[test]
    fn half_of_tls_and_open_plaintext_are_refused_by_key() {
        assert!(problem(|settings| settings.tls_cert = Some("a".into())).starts_with("tls_cert needs tls_key"));
        assert!(problem(|settings| settings.keep_file = Some("a".into())).starts_with("keep_file needs keep_texts"));
        assert!(problem(|settings| settings.tls_key = Some("a".into())).starts_with("tls_key needs tls_cert"));
        assert!(problem(|settings| settings.tls_client_ca = Some("a".into())).starts_with("tls_client_ca needs"));
        let everywhere: Address = "0.0.0.0:1".parse().expect("an address");
        assert!(
            problem(|settings| settings.grpc_addr = everywhere.clone().into()).starts_with("grpc_addr is 0.0.0.0:1")
        );
        assert!(problem(|settings| settings.metrics_addr = Some(everywhere.clone())).starts_with("metrics_addr is"));
        assert!(problem(|settings| settings.admin_addr = Some(everywhere)).starts_with("admin_addr is"));
    }

    #[test]
    fn plaintext_beyond_loopback_needs_a_word() {
        let settings = Settings {
            grpc_addr: "0.0.0.0:1,[::1]:1".parse().expect("an address"),
            allow_plaintext: true,
            ..Settings::default()
        };
        settings.check().expect("allowed");
    }
}
