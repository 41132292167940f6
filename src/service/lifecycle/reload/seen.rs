//! What was seen in which folder, from one reload to the next, so that the same files are neither read nor refused twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::low_priority::LowPriority;
use crate::model::repository::VerifiedModel;
use crate::model::repository::signature::{self, Signature};
use crate::service::catalog::refusal::{Refusal, Stage};
use crate::service::catalog::sources;

/// What reloads saw.
#[derive(Default)]
pub struct Seen {
    folders: BTreeMap<PathBuf, Folder>,
    /// What the whole looked like when it was last acted on, and when it was last looked at.
    acted_on: Option<Signature>,
    looked_at: Option<Signature>,
}

struct Folder {
    signature: Signature,
    verified: Result<VerifiedModel, Refusal>,
    /// Why it does not serve, and what the whole looked like then.
    refused: Option<(Refusal, Signature)>,
}

/// What is in a version's folder.
pub enum Content {
    /// A model, checked.
    Model(Box<VerifiedModel>),
    /// Something that was refused just now.
    Refused(Refusal),
    /// Something that was refused before, and has not changed since.
    RefusedBefore(Refusal),
}

impl Seen {
    /// Whether a look by time should be acted on: something changed, and has been quiet since the look before.
    pub fn settled(&mut self, whole: Signature) -> bool {
        let quiet = self.looked_at.replace(whole) == Some(whole);
        quiet && self.acted_on != Some(whole)
    }

    /// Takes note of what the whole looks like, and forgets folders that are gone.
    pub fn act_on(&mut self, whole: Signature) {
        self.acted_on = Some(whole);
        self.looked_at = Some(whole);
        self.folders.retain(|folder, _| folder.is_dir());
    }

    /// Checks the files in a folder against their checksums, unless they look as they did.
    pub fn look_into(
        &mut self,
        folder: &Path,
        whole: Signature,
        settings: &Settings,
        called_off: &dyn Fn() -> bool,
    ) -> Content {
        let signature = signature::of([folder]);
        if let Some(seen) = self.folders.get(folder).filter(|seen| seen.signature == signature) {
            let known = seen
                .refused
                .as_ref()
                .filter(|(refusal, then)| lasts(refusal, *then == whole));
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

    /// Takes note that a version was refused.
    pub fn refuse(&mut self, folder: &Path, refusal: &Refusal, whole: Signature) {
        if let Some(seen) = self.folders.get_mut(folder) {
            seen.refused = Some((refusal.clone(), whole));
        }
    }
}

/// Whether a refusal still holds for a folder that has not changed, where everything else has not either, or has.
fn lasts(refusal: &Refusal, whole_is_same: bool) -> bool {
    match refusal.stage {
        // The version itself is wrong.
        Stage::NotReady | Stage::Load | Stage::Shadow => true,
        // It does not fit with others, which may have changed.
        Stage::Mismatch | Stage::Uncalibrated => whole_is_same,
        // What is free changes with everything, and asking costs nothing.
        Stage::Memory | Stage::Stopping => false,
    }
}
