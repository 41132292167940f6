//! What `buf.gen.yaml` makes of the protocol files, and that buf's managed mode would name nothing otherwise than they do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::compiler::CodeGeneratorRequest;
use tandem::api::DESCRIPTOR_SET;

use crate::support::command::{clean, finish};
use crate::support::root;
use crate::support::tools::{scratch, tool};

/// The plugins that no registry of README's prerequisites has.
const STAND_INS: [&str; 7] = [
    "protoc-gen-go",
    "protoc-gen-go-grpc",
    "grpc_java_plugin",
    "grpc_python_plugin",
    "protoc-gen-es",
    "grpc_ruby_plugin",
    "grpc_php_plugin",
];

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Runs `buf generate` with protoc itself, and with plugins that keep what they are asked and make nothing. Gives the
/// folder with what was made, in `gen`, and with what was asked, by the plugin's name.
fn generate(folder: &Path) {
    let programs = folder.join("programs");
    fs::create_dir(&programs).expect("a folder");
    std::os::unix::fs::symlink(tool("protoc"), programs.join("protoc")).expect("a link");
    for name in STAND_INS {
        // The answer of a plugin that knows optional fields: field 2 is 1.
        let asked = folder.join(name);
        write_program(
            &programs.join(name),
            &format!("cat >'{}'; printf '\\020\\001'", asked.display()),
        );
    }
    let mut buf = clean(&tool("buf"));
    let path = std::env::var("PATH").expect("a path");
    buf.env("PATH", format!("{}:{path}", programs.display()));
    buf.env("BUF_CACHE_DIR", scratch().join("buf-cache"));
    buf.current_dir(root()).arg("generate").arg("--output").arg(folder);
    finish(&mut buf, b"").success();
}

fn asked(folder: &Path, plugin: &str) -> CodeGeneratorRequest {
    let bytes = fs::read(folder.join(plugin)).unwrap_or_else(|_| panic!("{plugin} is in buf.gen.yaml"));
    CodeGeneratorRequest::decode(bytes.as_slice()).expect("a request")
}

#[test]
fn buf_makes_code_for_six_languages_by_the_names_that_the_files_give() {
    let folder = tempfile::tempdir().expect("a folder");
    generate(folder.path());
    let made: PathBuf = folder.path().join("gen");
    for (file, says) in [
        ("java/com/tandem/v1/PredictRequest.java", "package com.tandem.v1;"),
        ("java/com/tandem/v1/AdminServiceProto.java", "package com.tandem.v1;"),
        ("python/tandem/v1/prediction_pb2.py", "tandem.v1"),
        ("python/tandem/v1/prediction_pb2.pyi", "class PredictRequest("),
        ("ruby/tandem/v1/prediction_pb.rb", "module Tandem\n  module V1\n"),
        ("php/Tandem/V1/PredictRequest.php", "namespace Tandem\\V1;"),
        (
            "php/Tandem/V1/GPBMetadata/Prediction.php",
            "namespace Tandem\\V1\\GPBMetadata;",
        ),
    ] {
        let text = fs::read_to_string(made.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(says), "{file} says {says}");
    }
    // Google's messages are left to each language's own library.
    for file in [
        "java/com/google/rpc/Status.java",
        "python/google",
        "ruby/google",
        "php/Google",
    ] {
        assert!(!made.join(file).exists(), "{file}");
    }
    for plugin in STAND_INS {
        let mut files = Vec::new();
        // buf asks some plugins once a folder: here all of ours are in one.
        files.extend(asked(folder.path(), plugin).file_to_generate);
        files.sort();
        let ours = ["admin_service", "model_service", "prediction"];
        assert_eq!(files, ours.map(|name| format!("tandem/v1/{name}.proto")), "{plugin}");
    }
}

#[test]
fn managed_mode_names_everything_as_the_files_do_but_for_the_module_of_go() {
    let folder = tempfile::tempdir().expect("a folder");
    generate(folder.path());
    let ours = FileDescriptorSet::decode(DESCRIPTOR_SET)
        .expect("a descriptor set")
        .file;
    let managed = asked(folder.path(), "protoc-gen-go").proto_file;
    let mut compared = 0;
    for file in ours.iter().filter(|file| file.package() == "tandem.v1") {
        let managed = managed.iter().find(|managed| managed.name() == file.name());
        let mut options = managed.expect("the same files").options.clone().expect("options");
        assert_eq!(options.go_package(), "example.com/gen/tandem/v1;tandemv1");
        options.go_package = Some("tandem/v1;tandemv1".to_owned());
        assert_eq!(Some(&options), file.options.as_ref(), "{}", file.name());
        compared += 1;
    }
    assert_eq!(compared, 3);
}
