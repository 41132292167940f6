//! One small object of a bucket that several servers write: read whole, and exchanged only while it is as it was read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use tokio::runtime::{Builder, Runtime};

use super::cloud;
use super::place::{Kind, NOT_SHARED, Place};
use super::told::{told, without_secrets};
use super::wanted::{Content, Stamp};

/// The longest that one request may take, with a second try: whoever asks waits for it.
const LONGEST: Duration = Duration::from_secs(2);
/// A tag that no object has.
const NOBODYS_TAG: &str = "\"00000000000000000000000000000000\"";

type Store = Arc<dyn ObjectStore>;

/// An object that servers share; cheap to clone. Its connections and its thread end with the last clone.
#[derive(Clone)]
pub struct SharedObject(Arc<Inner>);

struct Inner {
    /// As the settings have it.
    place: String,
    path: Path,
    /// Kept, so that credentials are fetched when they end and not for each request.
    store: Store,
    /// The thread that asks it. There until this is dropped.
    runtime: Option<Runtime>,
    /// Whether the store was seen to refuse a wrong tag.
    keeps_to_tags: AtomicBool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A look-up of a name may still hang.
            runtime.shutdown_background();
        }
    }
}

impl SharedObject {
    /// The object of this address. Asks nobody. The error is a part of a line.
    pub fn of(place: &Place) -> Result<Self, String> {
        let Kind::Cloud { cloud, bucket, prefix } = &place.kind else {
            return Err(NOT_SHARED.to_owned());
        };
        let path = Path::parse(prefix).map_err(|error| told(&error))?;
        if path.as_ref().is_empty() || place.pin.is_some() {
            return Err(NOT_SHARED.to_owned());
        }
        let store = cloud::store(*cloud, bucket, cloud::tried_once_more(LONGEST)).map_err(|error| told(&error))?;
        Self::in_store(store, place.to_string(), path)
    }

    fn in_store(store: Store, place: String, path: Path) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("shared-object")
            .enable_all()
            .build();
        let runtime = Some(runtime.map_err(|error| error.to_string())?);
        Ok(Self(Arc::new(Inner {
            place,
            path,
            store,
            runtime,
            keeps_to_tags: AtomicBool::new(false),
        })))
    }

    /// What it holds now, of at most `most` bytes; `None` if it is not there, though its bucket is. Blocks for at most 2 s.
    pub fn read(&self, most: u64) -> Result<Option<Content>, String> {
        let path = self.0.path.clone();
        self.ask(async move |store: Store| {
            let got = match store.get(&path).await {
                Ok(got) => got,
                Err(error @ Error::NotFound { .. }) if is_of_object(&error) => return Ok(None),
                Err(error) => return Err(told(&error)),
            };
            let stamp = Stamp {
                tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            let body = got.into_stream().map_err(|error| told(&error)).boxed();
            let bytes = cloud::whole(body, most).await?;
            Ok(Some(Content { bytes, stamp }))
        })
    }

    /// Puts other bytes in place of what was seen, or makes the object where none was; whether it did. It does not if another
    /// server was faster. Blocks for at most 2 s, the first time for 4. After an error it may have been done.
    pub fn exchange(&self, bytes: Vec<u8>, seen: Option<&Content>) -> Result<bool, String> {
        let Some(seen) = seen else {
            return self.put(bytes, PutMode::Create);
        };
        let Stamp { tag, version } = seen.stamp.clone();
        if tag.is_none() && version.is_none() {
            return Err("the store gives its objects no tags (ETag), so servers can't share one there".into());
        }
        if tag.as_ref().is_some_and(|tag| tag.starts_with("W/")) {
            return Err(
                "the tag (ETag) of the object is a weak one, as a proxy makes it, so servers can't share it".into(),
            );
        }
        if !self.0.keeps_to_tags.load(Ordering::Relaxed) {
            // Where the store does not look, this puts what is there.
            let version = version.as_ref().map(|_| "1".to_owned());
            let e_tag = Some(NOBODYS_TAG.to_owned());
            let wrong = PutMode::Update(UpdateVersion { e_tag, version });
            if self.put(seen.bytes.clone(), wrong)? {
                return Err(
                    "the store does not look at tags (If-Match), so servers would undo what others said".into(),
                );
            }
            self.0.keeps_to_tags.store(true, Ordering::Relaxed);
        }
        self.put(bytes, PutMode::Update(UpdateVersion { e_tag: tag, version }))
    }

    fn put(&self, bytes: Vec<u8>, mode: PutMode) -> Result<bool, String> {
        let path = self.0.path.clone();
        let updates = mode != PutMode::Create;
        self.ask(async move |store: Store| {
            let options = PutOptions {
                mode,
                ..PutOptions::default()
            };
            match store.put_opts(&path, bytes.into(), options).await {
                Ok(_) => Ok(true),
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(false),
                // Some say so of what was removed since.
                Err(error @ Error::NotFound { .. }) if updates && is_of_object(&error) => Ok(false),
                Err(error) => Err(told(&error)),
            }
        })
    }

    /// Does one request on the thread of this object, and waits for it.
    fn ask<T: Send + 'static, F>(&self, work: impl FnOnce(Store) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let Some(runtime) = &self.0.runtime else {
            return Err("its thread has ended".into());
        };
        let (sender, answer) = mpsc::sync_channel(1);
        let work = work(Arc::clone(&self.0.store));
        let task = runtime.spawn(async move {
            // Nobody waits for it any more, where it can't be sent.
            let _ = sender.send(work.await);
        });
        let outcome = answer.recv_timeout(LONGEST);
        task.abort();
        match outcome {
            Ok(outcome) => outcome.map_err(|problem| without_secrets(&problem)),
            Err(RecvTimeoutError::Timeout) => Err(format!(
                "gives no answer within {}",
                humantime::format_duration(LONGEST)
            )),
            // A library's bug.
            Err(RecvTimeoutError::Disconnected) => Err("asking for it panicked".into()),
        }
    }
}

/// Whether it is the object that is not there, and not its bucket: S3, Azure and Google say which.
fn is_of_object(error: &Error) -> bool {
    let told = told(error);
    let of_bucket = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];
    !of_bucket.iter().any(|words| told.contains(words))
}

impl fmt::Display for SharedObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.place)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn in_memory() -> SharedObject {
        let store = Arc::new(InMemory::new());
        SharedObject::in_store(store, "s3://bucket/labels.toml".into(), Path::from("labels.toml")).expect("a thread")
    }

    #[test]
    fn it_is_exchanged_only_while_it_is_as_it_was_read() {
        let object = in_memory();
        assert!(object.read(10).expect("read").is_none());
        assert!(object.exchange(b"one".to_vec(), None).expect("put"));
        assert!(
            !object.exchange(b"other".to_vec(), None).expect("asked"),
            "another made it"
        );
        let seen = object.read(10).expect("read").expect("it is there");
        assert_eq!(seen.bytes, b"one");
        assert!(object.exchange(b"two".to_vec(), Some(&seen)).expect("put"));
        assert!(
            !object.exchange(b"three".to_vec(), Some(&seen)).expect("asked"),
            "it is another one"
        );
        assert_eq!(object.read(3).expect("read").expect("it is there").bytes, b"two");
        let too_large = object.read(2).expect_err("it has three bytes");
        assert!(too_large.contains("larger than"), "{too_large}");
    }

    #[test]
    fn tags_that_nobody_can_exchange_by_are_refused() {
        for (tag, problem) in [(None, "no tags (ETag)"), (Some("W/\"1\""), "a weak one")] {
            let seen = Content {
                bytes: Vec::new(),
                stamp: Stamp {
                    tag: tag.map(str::to_owned),
                    version: None,
                },
            };
            let refused = in_memory().exchange(Vec::new(), Some(&seen)).expect_err("it can't");
            assert!(refused.contains(problem), "{refused}");
        }
    }

    #[test]
    fn only_an_object_in_a_bucket_can_be_shared() {
        for (address, is_one) in [
            ("s3://bucket/models/labels.toml", true),
            ("s3://bucket", false),
            ("https://host/labels.toml", false),
            ("hf://owner/name", false),
        ] {
            let place = Place::of(address.as_ref()).expect("legal").expect("an address");
            assert_eq!(SharedObject::of(&place).is_ok(), is_one, "{address}");
        }
    }
}
