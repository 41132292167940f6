//! The bytes of an ONNX file and of the files with its weights, as they were when their SHA-256 was checked. Sessions
//! are made of these bytes only, so that no file can be exchanged in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::bytes::Bytes;

use super::rewrite;
use crate::model::listed_files::{beside, check_weights, read_listed};
use crate::model::manifest::Manifest;
use crate::model::model_error::ModelError;
use crate::model::{files, scan};

/// The place where the bytes can be read again.
#[derive(Clone)]
pub(super) struct Origin(Arc<(PathBuf, Manifest)>);

/// The bytes of an ONNX file and of the files with its weights.
pub struct OnnxBytes {
    pub(super) model: Bytes,
    /// The files that hold its weights, by the names that the ONNX file uses.
    pub(super) external: Vec<(String, Arc<[u8]>)>,
    origin: Origin,
}

impl OnnxBytes {
    /// Reads the manifest's ONNX file and the files with its weights. Each must have the SHA-256 that the manifest
    /// lists.
    pub fn read(folder: &Path, manifest: &Manifest) -> Result<Self, ModelError> {
        Origin(Arc::new((folder.to_owned(), manifest.clone()))).read()
    }

    /// The bytes of the ONNX file, if all of its weights are in it.
    pub fn whole(&self) -> Option<&[u8]> {
        self.external.is_empty().then_some(&self.model)
    }

    /// How many bytes there are in all files.
    pub fn size(&self) -> usize {
        self.model.len() + self.external.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// The bytes of a file, by the name that the ONNX file uses.
    pub(super) fn beside(&self, location: &str) -> Option<&[u8]> {
        let found = self.external.iter().find(|(name, _)| name == location);
        found.map(|(_, bytes)| &**bytes)
    }

    /// A copy whose graph has these of its values as outputs too.
    pub(super) fn with_outputs(&self, values: &[&str]) -> Self {
        Self {
            model: Bytes::from(rewrite::with_outputs(self.model.to_vec(), values)),
            external: self.external.clone(),
            origin: self.origin.clone(),
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

impl Origin {
    /// Reads the bytes again; they must have the same SHA-256.
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
