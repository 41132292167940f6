//! Labels that servers share as an object in a bucket: what one is told all do, nobody undoes what another one said, and a
//! bucket that is away takes nothing from those who serve. By servers that others wrote; without them these tests say so.

use std::process::Command;

use crate::buckets::{KEY, Running, SECRET, azurite, peer, s3};
use crate::support::command::finish;
use crate::support::models::FastModelCopy;
use crate::{Cache, Operated};

/// A server of this repository with labels at an address.
fn server(cache: &Cache, models: &FastModelCopy, labels: &str, environment: &[(&str, String)]) -> Operated {
    let mut command = cache.command(&["serve"], &models.repository().display().to_string());
    command.envs(environment.iter().map(|(name, value)| (*name, value)));
    Operated::spawn(command, &["--labels-file", labels, "--labels-poll-interval", "1s"])
}

fn promoted(server: &Operated, version: &str) {
    let told = server.models(&["promote", &format!("sentiment-fast@{version}"), "--json"]);
    let told = told.json();
    assert_eq!(told["warning"], "", "{told}");
}

fn follows(server: &Operated, version: &str) {
    let so = |line: &serde_json::Value| line["stable"] == version;
    server.server.logged_where("labels_file was followed", so);
}

/// What holds of every store.
fn shared(peer: Running, labels: &str, environment: &[(&str, String)]) {
    let (models, cache) = (FastModelCopy::new(), Cache::empty());
    models.add_version("2");
    let (one, two) = (
        server(&cache, &models, labels, environment),
        server(&cache, &models, labels, environment),
    );
    // Nothing was there; the first that is told something makes it.
    promoted(&one, "1");
    follows(&two, "1");
    promoted(&two, "2");
    follows(&one, "2");
    // Said of both at once, by two that have not heard of each other: one of them is faster, and both hold.
    std::thread::scope(|scope| {
        let at_one = scope.spawn(|| {
            one.models(&["canary", "sentiment-fast@1", "--share", "0.5", "--json"])
                .json()
        });
        let at_two = scope.spawn(|| two.models(&["promote", "sentiment-fast@2", "--json"]).json());
        for told in [at_one, at_two] {
            assert_eq!(told.join().expect("it ends")["warning"], "");
        }
    });
    promoted(&one, "1");
    follows(&two, "1");
    // One that starts later serves what was said.
    let three = server(&cache, &models, labels, environment);
    let listed = three.models(&["list", "--json"]).stdout;
    assert!(listed.contains("\"1\""), "{listed}");
    three.end();
    // A bucket that is not there is no place where nothing was said. s3s-fs does not tell it from an object that is not there.
    let nowhere = labels.replacen("container/", "nocontainer/", 1);
    if nowhere != labels {
        let mut command = cache.checking(&models.repository().display().to_string());
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        let refused = finish(command.args(["--labels-file", &nowhere]), b"");
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    // What was said holds while the bucket is away, and who says something then is warned.
    drop(peer);
    let told = one.models(&["promote", "sentiment-fast@2", "--json"]).json();
    let warning = told["warning"].as_str().expect("text").to_owned();
    assert!(
        warning.contains("could not be written") && !warning.contains(SECRET),
        "{warning}"
    );
    let away = two.server.logged("labels_file can't be followed, what it said holds");
    assert!(
        away["problem"].as_str().is_some_and(|problem| problem.contains(labels)),
        "{away}"
    );
    one.end();
    two.end();
    // Who can't read it does not start: it does not know what serves.
    let mut command = cache.checking(&models.repository().display().to_string());
    command.envs(environment.iter().map(|(name, value)| (*name, value)));
    let refused = finish(command.args(["--labels-file", labels]), b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.complaint().contains(labels), "{refused:?}");
}

#[test]
fn servers_share_labels_in_a_bucket_of_s3() {
    let Some(program) = peer("s3s-fs") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("bucket")).expect("a bucket");
    let server = s3(&program, folder.path());
    let environment = [
        ("AWS_ENDPOINT_URL", format!("http://{}", server.1)),
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    shared(server, "s3://bucket/some/labels.toml", &environment);
}

#[test]
fn servers_share_labels_in_a_container_of_azure() {
    let Some(program) = peer("azurite") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let server = azurite(&program, folder.path());
    // Makes the container.
    let models = FastModelCopy::new();
    let mut upload = Command::new(crate::buckets::node());
    upload.env("NODE_PATH", program.ancestors().nth(5).expect("a folder of packages"));
    upload
        .arg(crate::support::root().join("tests/store/azure_upload.js"))
        .arg(server.1.to_string())
        .arg(models.repository());
    finish(&mut upload, b"").success();
    let environment = [
        ("AZURE_STORAGE_USE_EMULATOR", "true".to_owned()),
        ("AZURITE_BLOB_STORAGE_URL", format!("http://{}", server.1)),
    ];
    shared(server, "az://container/some/labels.toml", &environment);
}
