//! A repository at Hugging Face, or at what speaks its API (`HF_ENDPOINT`). A private one needs `HF_TOKEN`.
//!
//! A branch or a tag is looked up first: the files are those of one commit, whatever happens to the branch meanwhile.

use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;

use super::client::Http;
use super::listing::{Body, Entry, Listing};
use super::place::is_loopback;
use super::told::told;
use super::web::encoded;
use crate::model::files;

/// The most pages of a list.
const MOST_PAGES: usize = 100;
/// What Tandem never reads: the weights of other frameworks, by the ends of their names.
const OTHERS: [&str; 12] = [
    ".safetensors",
    ".h5",
    ".msgpack",
    ".ot",
    ".pt",
    ".pth",
    ".ckpt",
    ".gguf",
    ".tflite",
    ".pkl",
    ".mlmodel",
    "pytorch_model.bin",
];
/// The folders of other runtimes.
const OTHER_FOLDERS: [&str; 3] = ["openvino/", "coreml/", "runs/"];

/// The hub where the environment names none.
const USUAL: &str = "https://huggingface.co";

/// A folder of a repository.
pub struct Hub {
    http: Http,
    endpoint: String,
    repository: String,
    revision: String,
    folder: String,
    is_commit: bool,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<Large>,
}

/// A file that is not in git itself.
#[derive(Deserialize)]
struct Large {
    /// Its SHA-256.
    oid: String,
    size: Option<u64>,
}

impl Hub {
    pub fn new(repository: &str, revision: &str, folder: &str, is_commit: bool) -> Result<Self, String> {
        let endpoint = endpoint();
        let plain = match endpoint.split_once("://") {
            Some(("https", _)) => false,
            Some(("http", rest)) if is_loopback(rest.split('/').next().unwrap_or_default()) => true,
            _ => return Err("HF_ENDPOINT must begin with https:// (or with http:// for this machine)".into()),
        };
        if endpoint.contains(['?', '#', '@']) {
            return Err("HF_ENDPOINT must be an address alone, without a user or a query".into());
        }
        Ok(Self {
            http: Http::new(plain, variable("HF_TOKEN"))?,
            endpoint,
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            folder: folder.to_owned(),
            is_commit,
        })
    }

    pub async fn list(&self) -> Result<Listing, String> {
        let commit = if self.is_commit {
            self.revision.clone()
        } else {
            self.commit().await?
        };
        let api = format!("{}/api/models/{}", self.endpoint, self.repository);
        let below = if self.folder.is_empty() {
            String::new()
        } else {
            format!("/{}", encoded(&self.folder))
        };
        let mut page = Some(format!("{api}/tree/{commit}{below}?recursive=true"));
        let mut listing = Listing {
            revision: Some(commit),
            ..Listing::default()
        };
        for _ in 0..MOST_PAGES {
            let Some(address) = page.take() else { break };
            let (bytes, link) = self.http.read(&address, files::MOST_OF_JSON, "link").await?;
            let items: Vec<Item> =
                serde_json::from_slice(&bytes).map_err(|error| format!("{api}/tree is no list of files: {error}"))?;
            for item in items.into_iter().filter(|item| item.kind == "file") {
                self.add(&mut listing, item)?;
            }
            page = link.as_deref().and_then(next_page);
            if page
                .as_ref()
                .is_some_and(|page| !page.starts_with(&format!("{api}/tree/")))
            {
                return Err(format!("{api}/tree leads to another host for its next page"));
            }
        }
        if page.is_some() {
            return Err(format!("{api}/tree has more than {MOST_PAGES} pages"));
        }
        if listing.files.is_empty() {
            return Err("holds no files that a model is made of".into());
        }
        Ok(listing)
    }

    /// The commit that a branch or a tag is at.
    async fn commit(&self) -> Result<String, String> {
        let Self {
            endpoint,
            repository,
            revision,
            ..
        } = self;
        let address = format!("{endpoint}/api/models/{repository}/revision/{revision}");
        let (bytes, _) = self.http.read(&address, files::MOST_OF_JSON, "link").await?;
        let found: Revision = serde_json::from_slice(&bytes).map_err(|error| format!("{address}: {error}"))?;
        let is_commit = found.sha.len() == 40 && found.sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_commit {
            Ok(found.sha.to_ascii_lowercase())
        } else {
            Err(format!("{address} names no commit"))
        }
    }

    fn add(&self, listing: &mut Listing, item: Item) -> Result<(), String> {
        let path = match self.folder.as_str() {
            "" => item.path.as_str(),
            folder => match item.path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) {
                Some(path) => path,
                None => return Ok(()),
            },
        };
        let is_hidden = path.split('/').any(|part| part.starts_with('.'));
        let is_other = OTHERS.iter().any(|end| path.ends_with(end))
            || OTHER_FOLDERS.iter().any(|folder| path.starts_with(folder))
            || path.contains("pytorch_model-");
        if is_hidden || is_other {
            listing.left_out += 1;
            return Ok(());
        }
        let entry = match item.lfs {
            Some(Large { oid, size }) => Entry {
                size: size.or(Some(item.size)),
                sha256: Some(oid.strip_prefix("sha256:").unwrap_or(&oid).to_ascii_lowercase()),
                ..Entry::default()
            },
            None => Entry {
                size: Some(item.size),
                git: Some(item.oid.to_ascii_lowercase()),
                ..Entry::default()
            },
        };
        listing.add(path, entry)
    }

    pub async fn open(&self, listing: &Listing, path: &str) -> Result<Body, String> {
        let commit = listing.revision.as_deref().unwrap_or(&self.revision);
        let whole = if self.folder.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.folder)
        };
        let address = format!(
            "{}/{}/resolve/{commit}/{}",
            self.endpoint,
            self.repository,
            encoded(&whole)
        );
        let response = self.http.get(&address).await?;
        Ok(response
            .bytes_stream()
            .map_err(|error| told(&error.without_url()))
            .boxed())
    }
}

/// Another hub than the usual one, as the environment says.
pub fn other_endpoint() -> Option<String> {
    Some(endpoint()).filter(|endpoint| endpoint != USUAL)
}

fn endpoint() -> String {
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| USUAL.to_owned());
    endpoint.trim_end_matches('/').to_owned()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The address of the next page in a header `Link`.
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    let (address, _) = next.trim().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}
