//! The bytes of an ONNX file and of the weights beside it, as they were when their SHA-256 was taken: sessions are made of these and
//! of nothing else, so that no file can be exchanged in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::bytes::Bytes;

use super::rewrite;
use crate::model::listed_files::{beside, check_weights, read_listed};
use crate::model::manifest::Manifest;
use crate::model::model_error::ModelError;
use crate::model::{files, scan};

/// Where the bytes lie, to be read again.
#[derive(Clone)]
pub(super) struct Origin(Arc<(PathBuf, Manifest)>);

/// The bytes.
pub struct OnnxBytes {
    /// Those of the ONNX file.
    pub(super) model: Bytes,
    /// Those of the files that its weights lie in, as it names them.
    pub(super) external: Vec<(String, Arc<[u8]>)>,
    origin: Origin,
}

impl OnnxBytes {
    /// Reads the manifest's ONNX file and the files beside it. Each must be the one whose SHA-256 the manifest has.
    pub fn read(folder: &Path, manifest: &Manifest) -> Result<Self, ModelError> {
        Origin(Arc::new((folder.to_owned(), manifest.clone()))).read()
    }

    /// The bytes of a file that the ONNX file names.
    pub(super) fn beside(&self, location: &str) -> Option<&[u8]> {
        let found = self.external.iter().find(|(name, _)| name == location);
        found.map(|(_, bytes)| &**bytes)
    }

    /// The same with these values of the graph as outputs too.
    pub(super) fn with_outputs(&self, values: &[&str]) -> Self {
        Self {
            model: Bytes::from(rewrite::with_outputs(self.model.to_vec(), values)),
            external: self.external.clone(),
            origin: self.origin.clone(),
        }
    }

    /// Where they were read.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

impl Origin {
    /// Reads the same bytes again.
    pub(super) fn read(&self) -> Result<OnnxBytes, ModelError> {
        let (folder, manifest) = &*self.0;
        let file = &manifest.onnx.file;
        let model = read_listed(folder, manifest, file, files::MOST_OF_ONNX)?;
        let told = |problem: String| ModelError::new(&folder.join(file), problem);
        let scan = scan::bytes(&model).map_err(told)?;
        check_weights(manifest, &scan.external).map_err(told)?;
        let external = scan.external.into_iter().map(|location| {
            let bytes = read_listed(folder, manifest, &beside(file, &location), files::MOST_OF_ANY)?;
            Ok((location, Arc::from(bytes)))
        });
        Ok(OnnxBytes {
            model: Bytes::from(model),
            external: external.collect::<Result<_, ModelError>>()?,
            origin: self.clone(),
        })
    }
}
