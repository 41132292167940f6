//! One small object of a bucket that several servers write: read whole, and exchanged only while it is as it was read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};

use super::cloud;
use super::place::{Kind, NOT_SHARED, Place};
use super::told::{told, without_secrets};
use super::wait::wait;
use super::wanted::{Content, Stamp};
use crate::model::files;

/// The longest that one request may take, with a second try: whoever asks waits for it.
const LONGEST: Duration = Duration::from_secs(2);

type Store = Arc<dyn ObjectStore>;

/// An object that servers share; cheap to clone.
#[derive(Clone)]
pub struct SharedObject {
    /// As the settings have it.
    place: String,
    path: Path,
    /// Connections belong to the thread that a request runs on.
    connect: Arc<dyn Fn() -> Result<Store, String> + Send + Sync>,
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
        let (cloud, bucket) = (*cloud, bucket.clone());
        let connect =
            move || cloud::store(cloud, &bucket, cloud::tried_once_more(LONGEST)).map_err(|error| told(&error));
        Ok(Self {
            place: place.to_string(),
            path,
            connect: Arc::new(connect),
        })
    }

    /// What it holds now, of at most `most` bytes; `None` if it is not there. Blocks for at most 2 s.
    pub fn read(&self, most: u64) -> Result<Option<Content>, String> {
        self.ask(async |store| {
            let got = match store.get(&self.path).await {
                Ok(got) => got,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(told(&error)),
            };
            let stamp = Stamp {
                tag: got.meta.e_tag.clone(),
                version: got.meta.version.clone(),
            };
            let mut bytes = Vec::new();
            let mut parts = got.into_stream();
            while let Some(part) = parts.try_next().await.map_err(|error| told(&error))? {
                bytes.extend_from_slice(&part);
                if bytes.len() as u64 > most {
                    return Err(files::too_large(most));
                }
            }
            Ok(Some(Content { bytes, stamp }))
        })
    }

    /// Puts other bytes in place of what was seen, or makes the object where none was; whether it did. It does not if another
    /// server was faster. Blocks for at most 2 s. After an error it may have been done.
    pub fn exchange(&self, bytes: Vec<u8>, seen: Option<&Stamp>) -> Result<bool, String> {
        let mode = match seen {
            None => PutMode::Create,
            Some(Stamp {
                tag: None,
                version: None,
            }) => {
                return Err("the store gives its objects no tags (ETag), so servers can't share one there".into());
            }
            Some(Stamp { tag, version }) => PutMode::Update(UpdateVersion {
                e_tag: tag.clone(),
                version: version.clone(),
            }),
        };
        self.ask(async |store| {
            let options = PutOptions {
                mode,
                ..PutOptions::default()
            };
            match store.put_opts(&self.path, bytes.into(), options).await {
                Ok(_) => Ok(true),
                Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Ok(false),
                // Some say so of what was removed since.
                Err(Error::NotFound { .. }) if seen.is_some() => Ok(false),
                Err(error) => Err(told(&error)),
            }
        })
    }

    fn ask<T: Send>(&self, work: impl AsyncFnOnce(Store) -> Result<T, String> + Send) -> Result<T, String> {
        let over = || format!("gives no answer within {}", humantime::format_duration(LONGEST));
        let connect = &self.connect;
        let asked = wait(LONGEST, over, &|| false, async || work(connect()?).await);
        asked.map_err(|problem| without_secrets(&problem))
    }
}

impl fmt::Display for SharedObject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.place)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn in_memory() -> SharedObject {
        let store: Store = Arc::new(InMemory::new());
        SharedObject {
            place: "s3://bucket/labels.toml".into(),
            path: Path::from("labels.toml"),
            connect: Arc::new(move || Ok(Arc::clone(&store))),
        }
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
        assert!(object.exchange(b"two".to_vec(), Some(&seen.stamp)).expect("put"));
        assert!(
            !object.exchange(b"three".to_vec(), Some(&seen.stamp)).expect("asked"),
            "it is another one"
        );
        assert_eq!(object.read(3).expect("read").expect("it is there").bytes, b"two");
        let too_large = object.read(2).expect_err("it has three bytes");
        assert!(too_large.contains("larger than"), "{too_large}");
    }

    #[test]
    fn a_store_without_tags_is_refused() {
        let none = Stamp {
            tag: None,
            version: None,
        };
        let refused = in_memory().exchange(Vec::new(), Some(&none)).expect_err("no tags");
        assert!(refused.contains("ETag"), "{refused}");
    }

    #[test]
    fn only_an_object_in_a_bucket_can_be_shared() {
        for (address, is_one) in [
            ("s3://bucket/models/labels.toml", true),
            ("az://container/labels.toml", true),
            ("gs://bucket/labels.toml", true),
            ("s3://bucket", false),
            ("https://host/labels.toml", false),
            ("hf://owner/name", false),
        ] {
            let place = Place::of(address.as_ref()).expect("legal").expect("an address");
            assert_eq!(SharedObject::of(&place).is_ok(), is_one, "{address}");
        }
    }
}
