//! The build script: two independent steps, each in a file of its own. It must do nothing that a plain `cargo build` of
//! an unchanged tree would repeat: every step says exactly what makes it run again.

#[path = "build/onnxruntime.rs"]
mod onnxruntime;
#[path = "build/proto.rs"]
mod proto;
#[path = "build/wheel.rs"]
mod wheel;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    let steps = [proto::compile, onnxruntime::provide];
    for step in steps {
        if let Err(message) = step() {
            // One message, no panic's backtrace around it: Cargo prints what a failed build script wrote here.
            eprintln!("\n{message}\n");
            std::process::exit(1);
        }
    }
}
