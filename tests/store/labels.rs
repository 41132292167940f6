//! What operators said of models from a place, at the next start.

use crate::support::models::FastModelCopy;
use crate::support::root;
use crate::web_server::WebServer;
use crate::{Cache, Operated, logged, write_sums};

#[test]
fn where_the_revision_is_the_version_what_was_said_of_one_holds_for_it_alone() {
    let (folder, cache) = (tempfile::tempdir().expect("a folder"), Cache::empty());
    let model = folder.path().join("logistic");
    std::fs::create_dir(&model).expect("a folder");
    let graph = root().join("tests/data/scikit-learn/logistic-zipmap/model.onnx");
    std::fs::copy(graph, model.join("model.onnx")).expect("copied");
    let first = write_sums(&model);
    let web = WebServer::of(folder.path());
    let place = format!("{}/logistic", web.url());
    let operated = Operated::start(&cache, &place, &[]);
    let version = format!("logistic@{}", &first[..12]);
    let promoted = operated.models(&["promote", &version, "--json"]).json();
    assert_eq!(promoted["warning"], "");
    std::fs::write(model.join("README.txt"), "later").expect("written");
    let later = write_sums(&model);
    // An operator named the version that serves: it goes on until the operator says otherwise.
    operated.models(&["reload"]);
    let refused = operated.server.logged("a version was refused, what served before does");
    assert_eq!(refused["version"], first[..12]);
    operated.end();
    let next = cache.check(&place);
    assert_eq!(logged(&next, "models are here")["revision"], later);
    next.success();
    // Again at the revision of which something was said.
    std::fs::remove_file(model.join("README.txt")).expect("removed");
    assert_eq!(write_sums(&model), first);
    cache.check(&place).success();
    let folder = cache.places().pop_first().expect("a place");
    let said = std::fs::read_to_string(folder.join(format!("{first}.labels.toml"))).expect("it is there");
    assert!(said.contains(&format!("stable = \"{}\"", &first[..12])), "{said}");
}

#[test]
fn a_pinned_version_that_is_gone_from_the_place_ends_the_start_with_a_line_that_names_the_file() {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    models.add_version("2");
    write_sums(models.repository());
    let web = WebServer::of(models.repository());
    let operated = Operated::start(&cache, &web.url(), &[]);
    operated.models(&["promote", "sentiment-fast@2"]).success();
    operated.end();
    std::fs::remove_dir_all(models.repository().join("sentiment-fast/2")).expect("removed");
    write_sums(models.repository());
    let refused = cache.check(&web.url());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let file = cache.places().pop_first().expect("a place").join("labels.toml");
    let expected = format!("; labels_file ({}) says that this version serves", file.display());
    assert!(refused.complaint().ends_with(&expected), "{refused:?}");
}
