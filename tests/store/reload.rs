//! A running server: SIGHUP and the poll fetch anew; a fetch that fails leaves what serves.

use crate::support::RunningServer;
use crate::support::models::FastModelCopy;
use crate::support::server::free_ports;
use crate::web_server::WebServer;
use crate::{Cache, write_sums};

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
fn the_poll_fetches_what_has_settled_and_a_pinned_place_is_never_asked_again() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    let pin = write_sums(models.repository());
    let web = WebServer::of(models.repository());
    let pinned = serving(
        &cache,
        &format!("{}#sha256={pin}", web.url()),
        &["--models-poll-interval", "1s"],
    );
    let asked = web.asked().len();
    let polled = serving(&cache, &web.url(), &["--models-poll-interval", "1s"]);
    models.add_version("2");
    write_sums(models.repository());
    let serves = polled.logged("a new version serves");
    assert_eq!(serves["version"], "2");
    // It asked for the list at its start and at each look, and for the one file that is new. The pinned one asked for nothing.
    let later = web.asked().split_off(asked);
    assert!(
        later
            .iter()
            .all(|asked| asked.path == "/SHA256SUMS" || asked.path.contains("/2/")),
        "{later:?}"
    );
    pinned.signal("HUP");
    pinned.signal("TERM");
    assert_eq!(pinned.wait_exit().0, Some(0));
}
