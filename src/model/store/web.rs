//! A folder of a web server. Such a server has no lists that programs can read, so the folder has one: `SHA256SUMS`.

use futures::{StreamExt, TryStreamExt};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::Http;
use super::listing::{Body, Entry, Listing};
use super::sums::{SUMS_FILE, Sums};
use super::told::told;
use crate::model::files;

/// What is written as it is in the path of an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// A path as it stands in an address.
pub fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PLAIN).to_string()
}

/// A folder of a web server.
pub struct Web {
    http: Http,
    address: String,
}

impl Web {
    pub fn new(address: &str) -> Result<Self, String> {
        Ok(Self {
            http: Http::new(address.starts_with("http://"), None)?,
            address: address.to_owned(),
        })
    }

    pub async fn list(&self) -> Result<Listing, String> {
        let address = format!("{}/{SUMS_FILE}", self.address);
        let (bytes, _) = self.http.read(&address, files::MOST_OF_TOML, "etag").await?;
        let sums = Sums::parse(&bytes).map_err(|problem| format!("{SUMS_FILE}: {problem}"))?;
        let mut listing = Listing {
            revision: Some(sums.digest()),
            ..Listing::default()
        };
        for (path, sha256) in sums.0 {
            let sha256 = Some(sha256);
            listing.add(
                &path,
                Entry {
                    sha256,
                    ..Entry::default()
                },
            )?;
        }
        Ok(listing)
    }

    pub async fn open(&self, path: &str) -> Result<Body, String> {
        let response = self.http.get(&format!("{}/{}", self.address, encoded(path))).await?;
        Ok(response
            .bytes_stream()
            .map_err(|error| told(&error.without_url()))
            .boxed())
    }
}
