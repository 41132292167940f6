//! Compiles proto/ into OUT_DIR: Rust types, gRPC server and client, and the descriptor set, with its comments, that
//! reflection and the JSON gateway read. Uses protox, so that nobody needs protoc; must not write outside OUT_DIR.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
};

use prost::Message;
use prost_types::FileDescriptorSet;

/// The files of our own API, and of the protocols of others that we speak. What they import is found under the same
/// root; google.protobuf comes with protox.
const FILES: &[&str] = &[
    "tandem/v1/prediction.proto",
    "tandem/v1/model_service.proto",
    "tandem/v1/admin_service.proto",
    // Nothing imports it: whoever has our descriptors can read the details of errors, a transcoding proxy say.
    "google/rpc/error_details.proto",
    "grpc/health/v1/health.proto",
    "tei/v1/tei.proto",
    "inference/grpc_service.proto",
    // Imports the report itself.
    "xds/service/orca/v3/orca.proto",
];
const ROOT: &str = "proto";

pub fn compile() -> Result<(), String> {
    println!("cargo:rerun-if-changed={ROOT}/tandem");
    println!("cargo:rerun-if-changed={ROOT}/google");
    println!("cargo:rerun-if-changed={ROOT}/grpc");
    println!("cargo:rerun-if-changed={ROOT}/tei");
    println!("cargo:rerun-if-changed={ROOT}/inference");
    println!("cargo:rerun-if-changed={ROOT}/xds");
    generate().map_err(|error| format!("could not compile the files under {ROOT}/: {error}"))
}

fn generate() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = protox::Compiler::new([ROOT])?
        .include_imports(true)
        // The comments: reflection shows them, and the generated types carry them as documentation.
        .include_source_info(true)
        .open_files(FILES)?
        .file_descriptor_set();
    std::fs::write(out.join("tandem_descriptor.bin"), files.encode_to_vec())?;

    client_example(&out, files.clone())?;

    let mut config = tonic_prost_build::Config::new();
    // `prost::Name` is how the JSON gateway finds a type in the descriptor set.
    config.enable_type_names();
    // Tensors as one piece of bytes are not copied out of the message.
    // Names in order, so that equal reports are equal bytes.
    config.btree_map([".xds"]);
    config.bytes([".inference.ModelInferRequest.raw_input_contents"]);
    tonic_prost_build::configure()
        // Decoding failures are the callers': our codec says so, the stock one calls them internal errors.
        .codec_path("crate::api::grpc::codec::ApiCodec")
        // One type for a status, on the stream and in the trailers.
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds_with_config(files, config)?;
    Ok(())
}

/// The code of a plain client, as the build script of `examples/clients/rust` makes it: the tests compile that example too.
fn client_example(out: &Path, files: FileDescriptorSet) -> Result<(), Box<dyn Error>> {
    let folder = out.join("client");
    std::fs::create_dir_all(&folder)?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .out_dir(folder)
        .compile_fds(files)?;
    Ok(())
}
