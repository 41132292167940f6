//! A running server: SIGHUP and the poll fetch anew; a fetch that fails leaves what serves.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::http::StatusCode;

use crate::support::models::FastModelCopy;
use crate::support::server::free_ports;
use crate::support::{LIMIT, RunningServer};
use crate::web_server::{WebServer, status};
use crate::{Cache, Operated, write_sums};

fn serving(cache: &Cache, models: &str, more: &[&str]) -> RunningServer {
    let mut command = cache.command(&["serve"], models);
    command.args(free_ports()).args(more);
    let server = RunningServer::spawn(command);
    server.wait_ready();
    server
}

#[test]
fn at_sighup_the_place_is_asked_anew_and_what_serves_goes_on_while_it_is_away() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let web = WebServer::of(models.repository());
    let server = serving(&cache, &web.url(), &[]);
    models.add_version("2");
    write_sums(models.repository());
    server.signal("HUP");
    let serves = server.logged("a new version serves");
    assert_eq!((&serves["version"], &serves["from"]), (&"2".into(), &"1".into()));
    // A broken version comes whole, and is refused as any other.
    models.add_version("3");
    std::fs::write(models.repository().join("sentiment-fast/3/model.onnx"), "x").expect("written");
    write_sums(models.repository());
    server.signal("HUP");
    let refused = server.logged("a version was refused, what served before does");
    assert_eq!(
        (&refused["version"], &refused["stage"]),
        (&"3".into(), &"not_ready".into())
    );
    drop(web);
    server.signal("HUP");
    let problem = server.logged("the models can't be fetched anew, what serves goes on");
    assert!(
        problem["problem"]
            .as_str()
            .is_some_and(|text| text.contains("SHA256SUMS can't be read")),
        "{problem}"
    );
    server.signal("TERM");
    assert_eq!(server.wait_exit().0, Some(0));
}

#[test]
fn the_poll_fetches_what_has_settled() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    let web = WebServer::of(models.repository());
    let polled = serving(&cache, &web.url(), &["--models-poll-interval", "1s"]);
    let asked = web.asked().len();
    models.add_version("2");
    write_sums(models.repository());
    let serves = polled.logged("a new version serves");
    assert_eq!(serves["version"], "2");
    // It asks for the list at each look, and for the files of what is new.
    let later = web.asked().split_off(asked);
    assert!(
        later
            .iter()
            .all(|asked| asked.path == "/SHA256SUMS" || asked.path.contains("/2/")),
        "{later:?}"
    );
    polled.signal("TERM");
    assert_eq!(polled.wait_exit().0, Some(0));
}

#[test]
fn a_pinned_place_is_never_asked_again() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let pin = write_sums(models.repository());
    let (of_pinned, mut of_other) = (WebServer::of(models.repository()), WebServer::of(models.repository()));
    let folder = tempfile::tempdir().expect("a folder");
    let heard = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
    heard.set_read_timeout(Some(LIMIT)).expect("a bound");
    let hears = || {
        let mut words = [0; 4096];
        let length = heard.recv(&mut words).expect("words within the limit");
        String::from_utf8_lossy(&words[..length]).into_owned()
    };
    let mut command = cache.command(&["serve"], &format!("{}#sha256={pin}", of_pinned.url()));
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let pinned = Operated::spawn(command, &["--models-poll-interval", "1s"]);
    assert_eq!(hears(), "READY=1\n");
    let asked = of_pinned.asked();
    // Another server asks at each of its looks, as this one would.
    let polled = serving(&cache, &of_other.url(), &["--models-poll-interval", "1s"]);
    of_other.wait_for_more("SHA256SUMS", of_other.count("SHA256SUMS") + 2);
    models.add_version("2");
    write_sums(models.repository());
    pinned.server.signal("HUP");
    assert!(hears().starts_with("RELOADING=1\n"));
    assert_eq!(hears(), "READY=1\n", "it was heeded");
    pinned.models(&["reload"]).success();
    assert_eq!(of_pinned.asked(), asked);
    polled.logged("a new version serves");
    pinned.end();
}

#[test]
fn a_place_that_is_away_is_told_once_for_each_problem_and_when_it_is_over() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    write_sums(models.repository());
    // 0 for the folder. Neither of the two is tried again within one look.
    let code = Arc::new(AtomicU16::new(0));
    let now = Arc::clone(&code);
    let mut web = WebServer::with(models.repository(), move |_| {
        StatusCode::from_u16(now.load(Ordering::Relaxed)).ok().map(status)
    });
    let operated = Operated::start(&cache, &web.url(), &["--models-poll-interval", "1s"]);
    let problem = "the models can't be fetched anew, what serves goes on";
    let is_told =
        |line: &serde_json::Value, code: &str| line["problem"].as_str().is_some_and(|told| told.contains(code));
    for refusal in [404, 403] {
        code.store(refusal, Ordering::Relaxed);
        let text = refusal.to_string();
        operated.server.logged_where(problem, |line| is_told(line, &text));
        web.wait_for_more("SHA256SUMS", web.count("SHA256SUMS") + 2);
    }
    // Whoever asks hears of it, too.
    let refused = operated.models(&["reload"]);
    assert!(
        refused.stdout.contains("403") || refused.stderr.contains("403"),
        "{refused:?}"
    );
    code.store(0, Ordering::Relaxed);
    operated.server.logged("the models can be fetched again");
    web.wait_for_more("SHA256SUMS", web.count("SHA256SUMS") + 1);
    let log = operated.end();
    let count = |message: &str, code: &str| {
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let of_code = |line: &serde_json::Value| code.is_empty() || is_told(line, code);
        lines.filter(|line| line["message"] == message && of_code(line)).count()
    };
    assert_eq!((count(problem, "404"), count(problem, "403")), (1, 2), "{log:#?}");
    assert_eq!(count(problem, ""), 3, "{log:#?}");
    assert_eq!(count("the models can be fetched again", ""), 1, "{log:#?}");
}

#[test]
fn the_version_that_a_roll_back_goes_to_is_that_of_the_revision_that_is_here() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    models.add_version("3");
    write_sums(models.repository());
    let web = WebServer::of(models.repository());
    let operated = Operated::start(&cache, &web.url(), &[]);
    let previous =
        || operated.models(&["show", "sentiment-fast", "--json"]).json()["versions"]["previousVersion"].clone();
    assert_eq!(previous(), "1");
    models.add_version("2");
    write_sums(models.repository());
    operated.models(&["reload"]).success();
    assert_eq!(previous(), "2");
    operated.models(&["rollback", "sentiment-fast"]).success();
    let shown = operated.models(&["show", "sentiment-fast", "--json"]).json();
    assert_eq!(shown["versions"]["pinnedVersion"], "2");
    operated.end();
}
