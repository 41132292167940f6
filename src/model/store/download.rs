//! Download: one file, into its place, checked while it comes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use futures::TryStreamExt;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::cache::not_written;
use super::client::PAUSE;
use super::listing::{Entry, Listing};
use super::room::Room;
use super::source::Source;
use crate::model::files;

/// How often a file is fetched that comes broken.
const TRIES: u32 = 3;

/// A file that came, whole.
pub struct Came {
    pub sha256: String,
    pub bytes: u64,
}

/// Why a file did not come.
enum Failed {
    /// On the way: another try may do better.
    OnTheWay(String),
    /// For good.
    Here(String),
}

/// Fetches a file to `target`, which is not there yet.
pub async fn download(
    source: &Source,
    listing: &Listing,
    (path, entry): (&str, &Entry),
    target: &Path,
    room: &Room,
) -> Result<Came, String> {
    let mut tries = 1;
    loop {
        let mut taken = 0;
        match once(source, listing, (path, entry), target, room, &mut taken).await {
            Ok(came) => return Ok(came),
            Err(Failed::Here(problem)) => return Err(format!("{path}: {problem}")),
            Err(Failed::OnTheWay(problem)) if tries == TRIES => {
                return Err(format!("{path}: {problem} ({TRIES} tries)"));
            }
            Err(Failed::OnTheWay(_)) => {}
        }
        room.give_back(taken);
        tokio::time::sleep(PAUSE * tries).await;
        tries += 1;
    }
}

async fn once(
    source: &Source,
    listing: &Listing,
    (path, entry): (&str, &Entry),
    target: &Path,
    room: &Room,
    taken: &mut u64,
) -> Result<Came, Failed> {
    // It was tried again where that may help.
    let mut body = source.open(listing, path).await.map_err(Failed::Here)?;
    let written = |error: std::io::Error| Failed::Here(not_written(target, &error));
    let mut file = BufWriter::new(File::create(target).map_err(written)?);
    let (mut sha256, mut git) = (Sha256::new(), Sha1::new());
    git.update(format!("blob {}\0", entry.size.unwrap_or_default()));
    while let Some(part) = body.try_next().await.map_err(Failed::OnTheWay)? {
        let bytes = part.len() as u64;
        *taken += bytes;
        room.take(bytes).map_err(Failed::Here)?;
        if let Some(size) = entry.size.filter(|size| *taken > *size) {
            return Err(Failed::OnTheWay(format!(
                "is longer than the {size} bytes that were listed"
            )));
        }
        sha256.update(&part);
        if entry.git.is_some() {
            git.update(&part);
        }
        file.write_all(&part).map_err(written)?;
    }
    file.flush().map_err(written)?;
    let came = Came {
        sha256: files::hex(&sha256.finalize()),
        bytes: *taken,
    };
    if let Some(size) = entry.size.filter(|size| *size != came.bytes) {
        let problem = format!("came with {} bytes of {size}", came.bytes);
        return Err(Failed::OnTheWay(problem));
    }
    if entry.sha256.as_ref().is_some_and(|listed| *listed != came.sha256) {
        return Err(Failed::OnTheWay("its SHA-256 is not the one that is listed".into()));
    }
    if entry
        .git
        .as_ref()
        .is_some_and(|listed| *listed != files::hex(&git.finalize()))
    {
        return Err(Failed::OnTheWay("its content is not the one of the commit".into()));
    }
    Ok(came)
}
