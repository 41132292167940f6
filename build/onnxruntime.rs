//! Puts the pinned ONNX Runtime library, with its licences, into
//! `<target folder>/onnxruntime/<version>-<arch>/`, and tells the crate where the library is
//! (`TANDEM_ORT_BUILD_PATH`, empty if nowhere). It comes out of a Python wheel, because package
//! registries answer in places where a project's download page does not.
//! Must not touch the network when the library is there, when another one is named, or when
//! offline is asked for.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};

use crate::wheel::{self, Wheel, describe};

/// From 1.29 on the Linux wheels carry telemetry that is on by default, which
/// tools/onnxruntime-telemetry.py shows: ask it before this changes. A new version needs new
/// checksums below, and those of its wheels in the requirements file.
const VERSION: &str = "1.28.0";
const REQUIREMENTS: &str = "build/onnxruntime-requirements.txt";
const LICENCES: [&str; 2] = ["LICENSE", "ThirdPartyNotices.txt"];

/// The checksum of the library itself, by architecture.
fn checksum(os: &str, arch: &str) -> Option<&'static str> {
    match (os, arch) {
        ("linux", "x86_64") => Some("aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083"),
        ("linux", "aarch64") => Some("23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d"),
        _ => None,
    }
}

pub fn provide() -> Result<(), String> {
    for name in ["ORT_DYLIB_PATH", "TANDEM_OFFLINE", "CARGO_NET_OFFLINE"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let library = match env::var_os("CARGO_FEATURE_ORT_DYNAMIC") {
        Some(_) => find_or_fetch()?,
        None => None,
    };
    let library = library.unwrap_or_default();
    let path = library.to_str().ok_or("the target folder's path is not UTF-8")?;
    println!("cargo:rustc-env=TANDEM_ORT_BUILD_PATH={path}");
    if !path.is_empty() {
        // Brings the library back after somebody has deleted it.
        println!("cargo:rerun-if-changed={path}");
    }
    Ok(())
}

fn find_or_fetch() -> Result<Option<PathBuf>, String> {
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let parent = target_folder().join("onnxruntime");
    let folder = parent.join(format!("{VERSION}-{arch}"));
    let pinned = checksum(&os, &arch);
    if pinned.is_some_and(|checksum| is_complete(&folder, checksum)) {
        return Ok(Some(folder.join(library_name())));
    }
    if env::var_os("ORT_DYLIB_PATH").is_some_and(|path| !path.is_empty()) {
        return Ok(None);
    }
    let Some(checksum) = pinned else {
        return Ok(go_without(&format!("no ONNX Runtime is pinned for {os} on {arch}")));
    };
    if is_set("TANDEM_OFFLINE") || is_set("CARGO_NET_OFFLINE") {
        return Ok(go_without("offline: ONNX Runtime was not fetched"));
    }
    // On the same file system as its destination, so that the rename at the end is atomic: a build
    // that is cut off leaves no half of a library, and one that runs at the same time sees none.
    let temporary = parent.join(format!(".fetch-{}", process::id()));
    let result = fetch(&temporary, &arch, checksum).and_then(|new| put_in_place(&new, &folder, checksum));
    // Best effort: nothing reads what stays behind.
    let _ = fs::remove_dir_all(&temporary);
    result.map_err(|error| {
        format!(
            "ONNX Runtime {VERSION} could not be fetched: {error}\n\n\
             The build needs python3 with pip, and a package registry that pip reaches.\n\
             If you have the library (1.24 or later), name it:\n    \
             ORT_DYLIB_PATH=/path/to/libonnxruntime.so cargo build\n\
             To build without it, and set ORT_DYLIB_PATH when tandem runs:\n    \
             TANDEM_OFFLINE=1 cargo build"
        )
    })?;
    Ok(Some(folder.join(library_name())))
}

fn go_without(reason: &str) -> Option<PathBuf> {
    println!("cargo:warning={reason}; set ORT_DYLIB_PATH to a libonnxruntime when tandem runs");
    None
}

fn fetch(temporary: &Path, arch: &str, checksum: &str) -> Result<PathBuf, String> {
    let new = temporary.join("new");
    fs::create_dir_all(&new).map_err(describe(&new))?;
    let source = Wheel {
        requirements: REQUIREMENTS,
        platform: format!("manylinux_2_28_{arch}"),
        // The library is the same in the wheels of every Python version; one has to be named.
        python: "3.12",
    };
    let mut members = vec![format!("onnxruntime/capi/{}", library_name())];
    members.extend(LICENCES.map(|name| format!("onnxruntime/{name}")));
    wheel::unpack(&source, &members, temporary, &new)?;
    if !is_complete(&new, checksum) {
        return Err(format!("{} is not the pinned one", library_name()));
    }
    // Older than this run of the build script: what Cargo finds newer it takes for a change, and
    // the next build would run the script again.
    let library = new.join(library_name());
    fs::File::options()
        .append(true)
        .open(&library)
        .and_then(|file| file.set_modified(SystemTime::now() - Duration::from_hours(1)))
        .map_err(describe(&library))?;
    Ok(new)
}

/// Another build may do the same at the same time: whoever comes second keeps what is there.
fn put_in_place(new: &Path, folder: &Path, checksum: &str) -> Result<(), String> {
    if folder.exists() && !is_complete(folder, checksum) {
        // Damaged: out of the way, into the temporary folder, which is removed at the end.
        let _ = fs::rename(folder, new.with_file_name("damaged"));
    }
    match fs::rename(new, folder) {
        Err(_) if is_complete(folder, checksum) => Ok(()),
        result => result.map_err(describe(folder)),
    }
}

fn is_complete(folder: &Path, checksum: &str) -> bool {
    LICENCES.iter().all(|name| folder.join(name).is_file())
        && sha256(&folder.join(library_name())).is_ok_and(|found| found == checksum)
}

/// `OUT_DIR` is `<target folder>[/<triple>]/<profile>/build/<package>/out`: debug and release share
/// what lies above their folders.
fn target_folder() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it for build scripts"));
    let build = out.ancestors().find(|path| path.ends_with("build"));
    let Some(above) = build.and_then(Path::parent).and_then(Path::parent) else {
        return out;
    };
    match (above.file_name(), above.parent(), env::var_os("TARGET")) {
        (Some(name), Some(parent), Some(triple)) if name == triple => parent.to_owned(),
        _ => above.to_owned(),
    }
}

fn library_name() -> String {
    format!("libonnxruntime.so.{VERSION}")
}

fn is_set(name: &str) -> bool {
    env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

fn sha256(path: &Path) -> io::Result<String> {
    let digest = Sha256::digest(fs::read(path)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
