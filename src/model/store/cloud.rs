//! Buckets of S3, Google Cloud Storage and Azure. Credentials come from the variables that their own tools read.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, ObjectStoreExt, RetryConfig};

use super::client::{Connector, PAUSE, TRIES};
use super::listing::{Body, Entry, Listing};
use super::place::{Cloud, is_loopback};
use super::sums::{SUMS_FILE, Sums};
use super::told::told;
use crate::model::files;

/// The longest that a request is tried again.
const LONGEST: Duration = Duration::from_mins(1);
/// The most objects that are looked at, those that are left out included.
const MOST_LISTED: usize = 50_000;

/// A prefix in a bucket.
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Bucket {
    pub fn new(cloud: Cloud, bucket: &str, prefix: &str) -> Result<Self, String> {
        let store = store(cloud, bucket, tried_often()).map_err(|error| told(&error))?;
        let prefix = Path::parse(prefix).map_err(|error| told(&error))?;
        Ok(Self { store, prefix })
    }

    /// What lies below the prefix: all of it, or what `SHA256SUMS` there names.
    pub async fn list(&self) -> Result<Listing, String> {
        let mut listing = Listing::default();
        let mut has_sums = false;
        let mut objects = self.store.list(Some(&self.prefix));
        let mut count = 0;
        while let Some(object) = objects.try_next().await.map_err(|error| told(&error))? {
            count += 1;
            if count > MOST_LISTED {
                return Err(format!("has more than {MOST_LISTED} objects"));
            }
            let Some(parts) = object.location.prefix_match(&self.prefix) else {
                continue;
            };
            let path = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            if path == SUMS_FILE {
                has_sums = true;
            } else if path.is_empty() || path.split('/').any(|part| part.starts_with('.')) {
                listing.left_out += 1;
            } else {
                let entry = Entry {
                    size: Some(object.size),
                    tag: object.e_tag,
                    ..Entry::default()
                };
                listing.add(&path, entry)?;
            }
        }
        without_folders(&mut listing);
        if has_sums {
            let bytes = self.read(SUMS_FILE, files::MOST_OF_TOML).await?;
            let sums = Sums::parse(&bytes).map_err(|problem| format!("{SUMS_FILE}: {problem}"))?;
            let digest = sums.digest();
            listing.only(&sums, digest)?;
        }
        if listing.files.is_empty() {
            return Err("holds no files".into());
        }
        Ok(listing)
    }

    pub async fn open(&self, path: &str) -> Result<Body, String> {
        let got = self.store.get(&self.at(path)?).await.map_err(|error| told(&error))?;
        Ok(got.into_stream().map_err(|error| told(&error)).boxed())
    }

    async fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, String> {
        let body = self.open(path).await?;
        whole(body, most).await.map_err(|problem| format!("{path} {problem}"))
    }

    fn at(&self, path: &str) -> Result<Path, String> {
        let prefix = self.prefix.as_ref();
        let whole = if prefix.is_empty() {
            path.to_owned()
        } else {
            format!("{prefix}/{path}")
        };
        Path::parse(whole).map_err(|error| told(&error))
    }
}

/// A body of at most `most` bytes.
pub async fn whole(mut body: Body, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(part) = body.try_next().await? {
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > most {
            return Err(files::too_large(most));
        }
    }
    Ok(bytes)
}

/// Leaves out the empty objects by which consoles show folders.
fn without_folders(listing: &mut Listing) {
    let is_folder = |path: &String| {
        let below = format!("{path}/");
        let mut after = listing.files.range(below.clone()..);
        after.next().is_some_and(|(next, _)| next.starts_with(&below))
    };
    let empty = listing.files.iter().filter(|(_, entry)| entry.size == Some(0));
    let folders: Vec<String> = empty.map(|(path, _)| path.clone()).filter(is_folder).collect();
    for folder in folders {
        listing.files.remove(&folder);
        listing.left_out += 1;
    }
}

/// The endpoint and the account that the environment names, by whichever of their names it does: buckets of one name lie in
/// many of them. No secrets.
pub fn whereabouts(cloud: Cloud) -> Vec<String> {
    let named: Vec<Option<String>> = match cloud {
        Cloud::S3 => {
            let builder = AmazonS3Builder::from_env();
            // The one for S3 alone goes before the one for all.
            let own = builder.get_config_value(&AmazonS3ConfigKey::S3Endpoint);
            vec![own.or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint))]
        }
        Cloud::Google => vec![GoogleCloudStorageBuilder::from_env().get_config_value(&GoogleConfigKey::BaseUrl)],
        Cloud::Azure => {
            let builder = MicrosoftAzureBuilder::from_env();
            let emulated = builder.get_config_value(&AzureConfigKey::UseEmulator);
            let emulated = emulated.filter(|value| value != "false");
            vec![
                builder.get_config_value(&AzureConfigKey::AccountName),
                builder.get_config_value(&AzureConfigKey::Endpoint),
                emulated.map(|_| std::env::var("AZURITE_BLOB_STORAGE_URL").unwrap_or_else(|_| "emulator".into())),
            ]
        }
    };
    let named = named.into_iter().flatten().filter(|value| !value.is_empty());
    named.map(|value| value.trim_end_matches('/').to_owned()).collect()
}

/// For what nobody waits for.
fn tried_often() -> RetryConfig {
    RetryConfig {
        max_retries: TRIES as usize - 1,
        ..tried_once_more(LONGEST)
    }
}

/// For what somebody waits for, so long.
pub fn tried_once_more(longest: Duration) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: PAUSE,
            ..BackoffConfig::default()
        },
        max_retries: 1,
        retry_timeout: longest,
    }
}

/// The client of a bucket, with the credentials of the environment.
pub fn store(cloud: Cloud, bucket: &str, retry: RetryConfig) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(match cloud {
        Cloud::S3 => {
            check_endpoints()?;
            let mut builder = AmazonS3Builder::from_env();
            if is_local(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            let builder = builder.with_bucket_name(bucket).with_retry(retry);
            Arc::new(builder.with_http_connector(Connector).build()?)
        }
        Cloud::Google => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            Arc::new(builder.with_retry(retry).with_http_connector(Connector).build()?)
        }
        Cloud::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env();
            if is_local(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]) {
                builder = builder.with_allow_http(true);
            }
            let builder = builder.with_container_name(bucket).with_retry(retry);
            Arc::new(builder.with_http_connector(Connector).build()?)
        }
    })
}

/// The variables with an address of S3; object_store takes any text for one, and panics later.
fn check_endpoints() -> object_store::Result<()> {
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        let Ok(value) = std::env::var(name) else { continue };
        let is_one = reqwest::Url::parse(&value).is_ok_and(|url| url.has_host() && url.scheme().starts_with("http"));
        if !is_one {
            return Err(object_store::Error::Generic {
                store: "S3",
                source: format!("{name} is no address, as https://HOST:PORT").into(),
            });
        }
    }
    Ok(())
}

/// Whether the first of these variables that is set names this machine, which needs no TLS.
fn is_local(variables: &[&str]) -> bool {
    let endpoint = variables.iter().find_map(|name| std::env::var(name).ok());
    let authority = endpoint
        .as_deref()
        .and_then(|endpoint| endpoint.strip_prefix("http://"));
    authority.is_some_and(|rest| is_loopback(rest.split('/').next().unwrap_or_default()))
}
