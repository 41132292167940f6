//! A distribution runs wherever it is moved to, without anything of the build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tandem::api::DESCRIPTOR_SET;

use crate::support::command::{curl_get, finish};
use crate::support::server::free_ports;
use crate::support::{RunningServer, curl, root};

/// What `tools/dist.sh` makes of the program under test, moved to another place than it was made in.
fn moved_distribution(folder: &Path) -> PathBuf {
    let mut script = Command::new(root().join("tools/dist.sh"));
    script.args(["--binary", env!("CARGO_BIN_EXE_tandem"), "--into"]);
    let made = finish(script.arg(folder.join("made")).current_dir(folder), b"").success();
    let made = PathBuf::from(made.trim_end());
    assert!(made.starts_with(folder.join("made")), "{}", made.display());
    let moved = folder.join("moved here");
    fs::rename(made, &moved).expect("a move");
    moved
}

/// The files of a descriptor set by name, without their comments, which all but those of Protobuf itself must have.
fn files_of(set: &[u8]) -> Vec<FileDescriptorProto> {
    let mut files = FileDescriptorSet::decode(set).expect("a descriptor set").file;
    for file in &mut files {
        let comments = file.source_code_info.take().is_some();
        assert!(comments || file.package() == "google.protobuf", "{}", file.name());
    }
    files.sort_by(|one, other| one.name().cmp(other.name()));
    files
}

#[test]
fn a_distribution_that_was_moved_answers_with_its_own_library_and_models() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let distribution = moved_distribution(folder.path());
    let elsewhere = tempfile::tempdir().expect("a temporary folder");

    let sums = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&distribution)
        .output()
        .expect("sha256sum");
    assert!(sums.status.success(), "{}", String::from_utf8_lossy(&sums.stdout));
    for licence in ["LICENSE-MIT", "LICENSE-APACHE", "onnxruntime/LICENSE"] {
        assert!(distribution.join("licenses").join(licence).is_file(), "{licence}");
    }

    let contract = fs::read(distribution.join("tandem.binpb")).expect("the compiled contract");
    let (made, served) = (files_of(&contract), files_of(DESCRIPTOR_SET));
    let names = |files: &[FileDescriptorProto]| files.iter().map(|file| file.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&made), names(&served), "what reflection serves");
    for (made, served) in made.iter().zip(&served) {
        assert!(made == served, "{}", made.name());
    }
    for file in files_of(&contract) {
        let google = file.package() == "google.protobuf";
        assert!(
            google || distribution.join("proto").join(file.name()).is_file(),
            "{}",
            file.name()
        );
    }

    let program = fs::canonicalize(distribution.join("tandem")).expect("the program");
    let mut command = Command::new(&program);
    command.env_clear().current_dir(elsewhere.path());
    command.arg("serve").args(free_ports());
    let server = RunningServer::spawn(command);
    let start = server.logged("tandem starts");
    let library = Path::new(start["library"].as_str().expect("a path"));
    assert_eq!(library.parent(), program.parent(), "the library beside the program");
    server.wait_ready();
    for fast in [true, false] {
        let body = format!(r#"{{"text": "정말 재미있게 봤어요", "do_fast": {fast}}}"#);
        let (status, answer) = curl(server.http(), "/predict", &[], body.as_bytes());
        assert_eq!((status, &answer["0"]["label"]), (200, &"positive".into()), "{answer}");
    }
    assert!(curl_get(server.http(), "/readyz").contains("sentiment-deep"));
}
