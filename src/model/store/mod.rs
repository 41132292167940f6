//! Models that lie elsewhere: in S3, Google Cloud Storage, Azure, at Hugging Face or on a web server. They are fetched into a
//! folder of the cache, and the rest of the program sees that folder.
//!
//! In reading order: [`place`] (what the setting says) → `sums.rs` (which files there are, by SHA-256) → `listing.rs` (what a
//! place says that it has) → `client.rs`, `cloud.rs`, `web.rs`, `hub.rs` (how places are asked) → `source.rs` (any of them) →
//! `cache.rs`, `record.rs` and `kept.rs` (what lies in the cache) → `room.rs` (how much may) → `download.rs` (one file) →
//! `fetch.rs` (one revision) → `handle.rs` ([`ModelStore`]: the start, and what a reload does). Beside them `shared_object.rs`
//! ([`SharedObject`]: one small object that servers write too) and `told.rs` (takes secrets out of errors).
//!
//! All of it is behind the feature `object-store`, but [`place`] and `absent.rs`, which stands in for it.

pub mod place;

#[cfg(feature = "object-store")]
mod cache;
#[cfg(feature = "object-store")]
mod client;
#[cfg(feature = "object-store")]
mod cloud;
#[cfg(feature = "object-store")]
mod download;
#[cfg(feature = "object-store")]
mod fetch;
#[cfg(feature = "object-store")]
mod handle;
#[cfg(feature = "object-store")]
mod hub;
#[cfg(feature = "object-store")]
mod kept;
#[cfg(feature = "object-store")]
mod listing;
#[cfg(feature = "object-store")]
mod record;
#[cfg(feature = "object-store")]
mod room;
#[cfg(feature = "object-store")]
mod shared_object;
#[cfg(feature = "object-store")]
mod source;
#[cfg(feature = "object-store")]
mod sums;
#[cfg(feature = "object-store")]
mod told;
#[cfg(feature = "object-store")]
mod web;

#[cfg(not(feature = "object-store"))]
mod absent;
pub mod wanted;

#[cfg(not(feature = "object-store"))]
pub use absent::{ModelStore, SharedObject};
#[cfg(feature = "object-store")]
pub use handle::ModelStore;
#[cfg(feature = "object-store")]
pub use shared_object::SharedObject;
