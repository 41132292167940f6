//! Source: any place, asked for what it has and for its files.

use super::cloud::{self, Bucket};
use super::hub::{self, Hub};
use super::listing::{Body, Listing};
use super::place::{Kind, Place};
use super::told::without_secrets;
use super::web::Web;

/// A place that can be asked.
pub enum Source {
    Bucket(Bucket),
    Web(Web),
    Hub(Hub),
}

impl Source {
    pub fn new(place: &Place) -> Result<Self, String> {
        match &place.kind {
            Kind::Cloud { cloud, bucket, prefix } => Bucket::new(*cloud, bucket, prefix).map(Self::Bucket),
            Kind::Web { address } => Web::new(address).map(Self::Web),
            Kind::Hub {
                repository,
                revision,
                folder,
            } => Hub::new(repository, revision, folder, place.pin.is_some()).map(Self::Hub),
        }
    }

    /// What the place has.
    pub async fn list(&self) -> Result<Listing, String> {
        match self {
            Self::Bucket(bucket) => bucket.list().await,
            Self::Web(web) => web.list().await,
            Self::Hub(hub) => hub.list().await,
        }
    }

    /// One of the files that were listed.
    pub async fn open(&self, listing: &Listing, path: &str) -> Result<Body, String> {
        match self {
            Self::Bucket(bucket) => bucket.open(path).await,
            Self::Web(web) => web.open(path).await,
            Self::Hub(hub) => hub.open(listing, path).await,
        }
    }
}

/// In which of many accounts or behind which of many endpoints a place is, as the environment says; empty where the address
/// of the place says all of it, or where it is the usual one. No secrets.
pub fn whereabouts(place: &Place) -> String {
    let named = match &place.kind {
        Kind::Cloud { cloud, .. } => cloud::whereabouts(*cloud),
        Kind::Hub { .. } => hub::other_endpoint().into_iter().collect(),
        Kind::Web { .. } => Vec::new(),
    };
    without_secrets(&named.join(" "))
}
