//! Handle: the models of a place as the rest of the program has them: a folder, which a reload may exchange for another.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::cache::PlaceFolder;
use super::fetch::{Fetched, fetch};
use super::record::Revision;
use super::source::{Source, whereabouts};
use super::told::without_secrets;
use super::wanted::{StoreError, Wanted};

/// How often a fetch looks whether it was called off.
const LOOK: Duration = Duration::from_millis(100);

/// Models from a store; cheap to clone.
#[derive(Clone, Debug)]
pub struct ModelStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wanted: Wanted,
    folder: PlaceFolder,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Revision,
    /// Held because versions of them may serve.
    earlier: Vec<Revision>,
    /// What the place listed at the last look, if that is not what is here.
    seen: Option<String>,
    told: String,
}

impl ModelStore {
    /// Has the models here: from the cache where they are pinned and it has them whole, else from the place, and where that
    /// can't be read, what was fetched last. Blocks.
    pub fn open(wanted: Wanted) -> Result<Self, StoreError> {
        let told = |problem: String| StoreError::new(&wanted.place, without_secrets(&problem));
        let folder = PlaceFolder::open(&wanted.cache, &wanted.place, &whereabouts(&wanted.place)).map_err(told)?;
        let pinned = wanted.place.pin.as_deref().and_then(|pin| folder.revision(pin));
        let fetched = match pinned.filter(is_whole) {
            Some(revision) => Ok(of_cache(revision)),
            // What the environment says wrong is no reason to use what was fetched before.
            None => {
                Source::new(&wanted.place).map_err(told)?;
                now(&wanted, &folder, &|| false)
            }
        };
        let is_pinned = wanted.place.pin.is_some();
        let fetched = fetched.or_else(|problem| {
            let latest = folder.latest().filter(|revision| !is_pinned && is_whole(revision));
            let problem = without_secrets(&problem);
            let Some(revision) = latest else {
                return Err(StoreError::new(&wanted.place, problem));
            };
            let (place, revision_name) = (&wanted.place, &revision.record.revision);
            tracing::warn!(%place, problem, revision = revision_name, "the models can't be fetched, those that were fetched last are used");
            Ok(of_cache(revision))
        })?;
        tell(&wanted, &fetched);
        let state = State {
            told: told_of(&wanted, &fetched),
            current: fetched.revision,
            earlier: Vec::new(),
            seen: None,
        };
        let state = Mutex::new(state);
        Ok(Self(Arc::new(Inner { wanted, folder, state })))
    }

    /// The repository, as of now.
    pub fn folder(&self) -> PathBuf {
        self.0.state.lock().current.models()
    }

    /// Where pins are kept if the settings name no other place: beside the revisions, for all of them. Where the revision
    /// makes the version, no other revision has the versions that pins name, so there it is for the one that is here now.
    pub fn labels_file(&self) -> PathBuf {
        let state = self.0.state.lock();
        let record = &state.current.record;
        let own = record.makes_the_version().then_some(record.revision.as_str());
        self.0.folder.labels(own)
    }

    /// What is here, from where and how much, in one line for people.
    pub fn told(&self) -> String {
        self.0.state.lock().told.clone()
    }

    /// Fetches what the place has now; whether that is something new. With `settle`, only what it has had since the look
    /// before. What is pinned is never asked for again. Blocks; for one caller at a time.
    pub fn refresh(&self, settle: bool, called_off: &(dyn Fn() -> bool + Sync)) -> Result<bool, StoreError> {
        let Inner { wanted, folder, state } = &*self.0;
        if wanted.place.pin.is_some() {
            return Ok(false);
        }
        let told = |problem: String| StoreError::new(&wanted.place, without_secrets(&problem));
        let stamp = || state.lock().current.record.stamp.clone();
        let work = async || {
            let source = Source::new(&wanted.place)?;
            let listing = source.list().await?;
            let listed = listing.stamp();
            if listed == stamp() {
                state.lock().seen = None;
                return Ok(None);
            }
            let before = state.lock().seen.replace(listed.clone());
            if settle && before.as_ref() != Some(&listed) {
                return Ok(None);
            }
            fetch(wanted, folder, &source, &listing).await.map(Some)
        };
        let fetched = run(wanted, called_off, work).map_err(told)?;
        let Some(fetched) = fetched else { return Ok(false) };
        tell(wanted, &fetched);
        let mut state = state.lock();
        state.seen = None;
        state.told = told_of(wanted, &fetched);
        let is_new = state.current.folder != fetched.revision.folder;
        let earlier = std::mem::replace(&mut state.current, fetched.revision);
        state.earlier.push(earlier);
        Ok(is_new)
    }

    /// Lets go of earlier revisions whose folders are not used any more: they may be removed from now on.
    pub fn keep_only(&self, is_used: &dyn Fn(&Path) -> bool) {
        self.0.state.lock().earlier.retain(|revision| is_used(&revision.folder));
    }
}

fn is_whole(revision: &Revision) -> bool {
    let damaged = revision.damaged();
    if let Some(file) = damaged.first() {
        let (count, folder) = (damaged.len(), revision.folder.display());
        tracing::warn!(%folder, file, count, "files in model_cache are not as they were fetched, they are fetched again");
    }
    damaged.is_empty()
}

fn of_cache(revision: Revision) -> Fetched {
    Fetched {
        revision,
        files: 0,
        bytes: 0,
        left_out: 0,
    }
}

/// Fetches what the place has now.
fn now(wanted: &Wanted, folder: &PlaceFolder, called_off: &(dyn Fn() -> bool + Sync)) -> Result<Fetched, String> {
    run(wanted, called_off, async || {
        let source = Source::new(&wanted.place)?;
        let listing = source.list().await?;
        fetch(wanted, folder, &source, &listing).await
    })
}

/// Does async work to its end, on a thread of its own, since the caller's may be one that runs such work. Ends when the time
/// is over or when it is called off.
fn run<T: Send>(
    wanted: &Wanted,
    called_off: &(dyn Fn() -> bool + Sync),
    work: impl AsyncFnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    let longest = wanted.longest;
    let on_thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(async {
            let called_off = async {
                while !called_off() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                outcome = work() => outcome,
                () = tokio::time::sleep(longest) => Err(format!("takes longer than model_fetch_time ({})", humantime::format_duration(longest))),
                () = called_off => Err("the server is stopping".into()),
            }
        });
        // A look-up of a name may still hang.
        runtime.shutdown_background();
        outcome
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("model-fetch".into())
            .spawn_scoped(scope, on_thread);
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("fetching panicked".into()))
    })
}

fn tell(wanted: &Wanted, fetched: &Fetched) {
    let Fetched {
        revision,
        files,
        bytes,
        left_out,
    } = fetched;
    let place = &wanted.place;
    tracing::info!(
        %place,
        revision = revision.record.revision,
        files = revision.sums.0.len(),
        bytes = revision.record.bytes,
        fetched_files = files,
        fetched_bytes = bytes,
        left_out,
        folder = %revision.folder.display(),
        "models are here"
    );
    if place.pin.is_none() {
        let pinned = place.at(&revision.record.revision);
        tracing::warn!(
            %place,
            pinned,
            "models is not pinned: each start and each reload takes what the place has then; the pinned address always gives what is here now"
        );
    }
}

fn told_of(wanted: &Wanted, fetched: &Fetched) -> String {
    let Fetched {
        revision, files, bytes, ..
    } = fetched;
    let record = &revision.record;
    let came = match files {
        0 => "all from the cache".to_owned(),
        files => format!("{files} fetched now ({bytes} bytes)"),
    };
    format!(
        "{} at {}: {} files, {} bytes, {came}{}",
        wanted.place.unpinned(),
        record.revision,
        revision.sums.0.len(),
        record.bytes,
        if wanted.place.pin.is_some() { "" } else { "; not pinned" }
    )
}
