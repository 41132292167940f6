//! Seen: what earlier reloads saw in each folder, so that the same files are neither read nor refused twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::low_priority::LowPriority;
use crate::model::repository::VerifiedModel;
use crate::model::repository::signature::{self, Signature};
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::catalog::sources;

#[derive(Default)]
pub struct Seen {
    folders: BTreeMap<PathBuf, Folder>,
    /// The signature of everything when a reload last acted on it. `looked_at`: when one last looked at it.
    acted_on: Option<Signature>,
    looked_at: Option<Signature>,
}

struct Folder {
    signature: Signature,
    verified: Result<VerifiedModel, Refusal>,
    /// Why the version does not serve, and the signature of everything at that time.
    refused: Option<(Refusal, Signature)>,
}

/// The content of a version's folder.
pub enum Content {
    /// A verified model.
    Model(Box<VerifiedModel>),
    /// A version that is refused for the first time.
    Refused(Refusal),
    /// A version that was refused before and has not changed since.
    RefusedBefore(Refusal),
}

impl Seen {
    /// Whether a regular look should lead to a reload: something changed, but not since the look before.
    pub fn settled(&mut self, everything: Signature) -> bool {
        let quiet = self.looked_at.replace(everything) == Some(everything);
        quiet && self.acted_on != Some(everything)
    }

    /// Records the signature of everything that a reload acts on, and forgets folders that are gone.
    pub fn act_on(&mut self, everything: Signature) {
        self.acted_on = Some(everything);
        self.looked_at = Some(everything);
        self.folders.retain(|folder, _| folder.is_dir());
    }

    /// Verifies the files in a folder against their checksums; skips it if they look as they did.
    pub fn look_into(
        &mut self,
        folder: &Path,
        everything: Signature,
        settings: &Settings,
        called_off: &dyn Fn() -> bool,
    ) -> Content {
        let signature = signature::of([folder]);
        if let Some(seen) = self.folders.get(folder).filter(|seen| seen.signature == signature) {
            let known = seen
                .refused
                .as_ref()
                .filter(|(refusal, then)| lasts(refusal, *then == everything));
            return match (&seen.verified, known) {
                (Err(refusal), _) | (_, Some((refusal, _))) => Content::RefusedBefore(refusal.clone()),
                (Ok(model), None) => Content::Model(Box::new(model.clone())),
            };
        }
        let verified = sources::read(settings, folder, Some(LowPriority::Loading), called_off)
            .map_err(|error| Refusal::of_file(Stage::NotReady, &error, folder));
        let content = match &verified {
            Ok(model) => Content::Model(Box::new(model.clone())),
            Err(refusal) => Content::Refused(refusal.clone()),
        };
        let seen = Folder {
            signature,
            verified,
            refused: None,
        };
        self.folders.insert(folder.to_owned(), seen);
        content
    }

    /// Records that a version was refused.
    pub fn refuse(&mut self, folder: &Path, refusal: &Refusal, everything: Signature) {
        if let Some(seen) = self.folders.get_mut(folder) {
            seen.refused = Some((refusal.clone(), everything));
        }
    }
}

/// Whether a refusal still holds for a folder that has not changed. `rest_is_same`: nothing else has changed either.
fn lasts(refusal: &Refusal, rest_is_same: bool) -> bool {
    match refusal.stage {
        // The fault is in the version itself.
        Stage::NotReady | Stage::Load | Stage::Shadow => true,
        // The version does not fit with others, which may have changed.
        Stage::Mismatch | Stage::Uncalibrated => rest_is_same,
        // Free RAM always changes, and checking it costs nothing.
        Stage::Memory | Stage::Stopping => false,
    }
}
