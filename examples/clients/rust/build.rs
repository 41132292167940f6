//! Makes a client of the protocol files: `OUT_DIR/client/tandem.v1.rs`.

use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../../proto";
    println!("cargo:rerun-if-changed={proto}");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("client");
    fs::create_dir_all(&out)?;
    // Without protoc.
    let files = protox::compile(["tandem/v1/prediction.proto"], [proto])?;
    tonic_prost_build::configure()
        .build_server(false)
        // One type for a status, and with it what decodes its details.
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .out_dir(out)
        .compile_fds(files)?;
    Ok(())
}
