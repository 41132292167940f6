//! Fetch: one revision of a place, into the cache.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::{StreamExt, TryStreamExt, stream};

use super::cache::{PlaceFolder, not_written};
use super::download::download;
use super::kept;
use super::listing::{Entry, Listing};
use super::place::{Kind, Place};
use super::record::{Record, Revision, models_of, version_of};
use super::room::Room;
use super::source::Source;
use super::sums::Sums;
use super::wanted::Wanted;
use crate::model::discover::as_name;
use crate::model::repository;

/// How many files come at a time.
const AT_A_TIME: usize = 4;

/// A revision, and what it took to have it here.
pub struct Fetched {
    pub revision: Revision,
    /// The files and bytes that came from the place; the rest was in the cache.
    pub files: usize,
    pub bytes: u64,
    /// Files of the place that are not fetched.
    pub left_out: usize,
}

/// Fetches what a place has now, or what it is pinned to. What the cache has of it already is taken from there.
pub async fn fetch(
    wanted: &Wanted,
    folder: &PlaceFolder,
    source: &Source,
    listing: &Listing,
) -> Result<Fetched, String> {
    check_pin(&wanted.place, listing.revision.as_deref())?;
    let _lock = folder.lock().await?;
    let latest = folder.latest();
    let name = listing.revision.as_deref().or(wanted.place.pin.as_deref());
    let named = name.and_then(|name| folder.revision(name));
    // What was fetched last serves if this fails, unless it is not what is pinned.
    let stays = latest.as_ref().filter(|_| wanted.place.pin.is_none());
    let stays = stays.map(|latest| latest.record.revision.clone());
    let bases: Vec<Revision> = named.into_iter().chain(latest).collect();
    let stamp = listing.stamp();
    let is_same = |base: &Revision| base.record.stamp == stamp && base.damaged().is_empty();
    if let Some(at) = bases.iter().position(is_same) {
        let revision = bases.into_iter().nth(at).expect("it was found");
        check_pin(&wanted.place, Some(&revision.record.revision))?;
        folder.set_latest(&revision.record.revision)?;
        return Ok(Fetched {
            revision,
            files: 0,
            bytes: 0,
            left_out: listing.left_out,
        });
    }
    kept::remove_leftovers(folder.cache());
    let new = folder.begin()?;
    let gathering = Gathering {
        source,
        listing,
        room: Room::new(folder.cache(), wanted.most_bytes, bases, stays),
        to: models_of(&new),
        made: RefCell::default(),
    };
    gathering.all().await?;
    let (mut sums, mut sizes, mut files, mut bytes) = (Sums::default(), BTreeMap::new(), 0, 0);
    let Gathering { room, made, .. } = gathering;
    for (path, made) in made.into_inner() {
        if made.came {
            files += 1;
            bytes += made.bytes;
        }
        sizes.insert(path.clone(), made.bytes);
        sums.0.insert(path, made.sha256);
    }
    let name = listing.revision.clone().unwrap_or_else(|| sums.digest());
    check_pin(&wanted.place, Some(&name))?;
    let told = |error: std::io::Error| not_written(folder.cache(), &error);
    let below = arrange(&wanted.place, listing, &name, &models_of(&new)).map_err(told)?;
    let record = Record::new(wanted.place.unpinned(), listing, &sums, &sizes, below);
    record.write(&new, &sums).map_err(told)?;
    let revision = folder.finish(&new, &name)?;
    folder.set_latest(&name)?;
    // What was fetched before was held until now.
    drop(room);
    Ok(Fetched {
        revision,
        files,
        bytes,
        left_out: listing.left_out,
    })
}

fn check_pin(place: &Place, found: Option<&str>) -> Result<(), String> {
    match (&place.pin, found) {
        (Some(pin), Some(found)) if pin != found => Err(match place.kind {
            Kind::Hub { .. } => format!("the commit is {found}"),
            Kind::Cloud { .. } | Kind::Web { .. } => {
                format!(
                    "the list of its files, in order of their paths, has the SHA-256 {found}: it is not what is pinned"
                )
            }
        }),
        _ => Ok(()),
    }
}

/// A file in its place.
struct Made {
    sha256: String,
    bytes: u64,
    /// Whether it came from the place.
    came: bool,
}

/// Puts together the files of a revision.
struct Gathering<'a> {
    source: &'a Source,
    listing: &'a Listing,
    room: Room,
    to: PathBuf,
    made: RefCell<BTreeMap<String, Made>>,
}

impl Gathering<'_> {
    async fn all(&self) -> Result<(), String> {
        let mut missing = Vec::new();
        for (path, entry) in &self.listing.files {
            let target = self.to.join(path);
            let folder = target.parent().unwrap_or(&self.to);
            std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
            if !self.reuse(path, entry, &target)? {
                missing.push((path, entry, target));
            }
        }
        let sizes = missing.iter().filter_map(|(_, entry, _)| entry.size);
        // A place may list what it likes.
        let bytes = sizes.fold(0, u64::saturating_add);
        self.room.check(&self.to, bytes)?;
        self.room.check_disk(bytes)?;
        let downloads = missing.iter().map(|(path, entry, target)| async move {
            let came = download(self.source, self.listing, (path, entry), target, &self.room).await?;
            self.note(path, came.sha256, came.bytes, true);
            Ok::<(), String>(())
        });
        stream::iter(downloads)
            .buffer_unordered(AT_A_TIME)
            .try_collect::<()>()
            .await
    }

    /// Takes a file from a revision in the cache, if one has it whole. Both share the bytes then, where the disk can.
    fn reuse(&self, path: &str, entry: &Entry, target: &Path) -> Result<bool, String> {
        let taken = self.room.in_bases(|base| {
            let like = base.like(path, entry).filter(|like| base.has(like))?;
            let from = base.file(like);
            let linked = std::fs::hard_link(&from, target).is_ok();
            let copied = if linked { 0 } else { std::fs::copy(&from, target).ok()? };
            Some((base.sums.0[like].clone(), base.record.files.get(like)?.size, copied))
        });
        let Some((sha256, bytes, copied)) = taken else {
            return Ok(false);
        };
        self.room.take(copied)?;
        self.note(path, sha256, bytes, false);
        Ok(true)
    }

    fn note(&self, path: &str, sha256: String, bytes: u64, came: bool) {
        let made = Made { sha256, bytes, came };
        self.made.borrow_mut().insert(path.to_owned(), made);
    }
}

/// Makes a repository of one model: puts its files into `name/version`, which is the answer. Empty for a repository.
fn arrange(place: &Place, listing: &Listing, revision: &str, models: &Path) -> std::io::Result<String> {
    if !listing.is_one_model() {
        return Ok(String::new());
    }
    let (name, version) = match repository::manifest_in(models) {
        Some(manifest) => (manifest.name, manifest.version),
        None => (as_name(place.last_part()), version_of(revision).to_owned()),
    };
    let aside = models.with_file_name("one");
    std::fs::rename(models, &aside)?;
    std::fs::create_dir_all(models.join(&name))?;
    std::fs::rename(&aside, models.join(&name).join(&version))?;
    Ok(format!("{name}/{version}"))
}
