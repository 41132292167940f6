//! Which provider runs how many nodes of a session's graph: ONNX Runtime decides it when the session opens.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::session::Session;
use ort::sys::OrtStatusPtr;

use super::providers::name_of;
use crate::model::providers::Assigned;

/// The providers of an open session, those with the most nodes first. Empty if ONNX Runtime does not say.
#[expect(unsafe_code, reason = "ort has no function for it")]
pub(super) fn of(session: &Session) -> Vec<Assigned> {
    let api = ort::api();
    let release = |status: OrtStatusPtr| {
        let is_fine = status.0.is_null();
        if !is_fine {
            // SAFETY: a status that a call gave, freed once.
            unsafe { (api.ReleaseStatus)(status.0) };
        }
        is_fine
    };
    let mut nodes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut subgraphs, mut count) = (ptr::null(), 0);
    // SAFETY: the session is open and lent to us; what the calls give belongs to it, and is read before we return.
    unsafe {
        if !release((api.Session_GetEpGraphAssignmentInfo)(
            session.ptr(),
            &raw mut subgraphs,
            &raw mut count,
        )) || subgraphs.is_null()
        {
            return Vec::new();
        }
        for at in 0..count {
            let subgraph = *subgraphs.add(at);
            let mut name: *const c_char = ptr::null();
            let (mut list, mut of_it) = (ptr::null(), 0);
            let named = release((api.EpAssignedSubgraph_GetEpName)(subgraph, &raw mut name));
            let counted = release((api.EpAssignedSubgraph_GetNodes)(
                subgraph,
                &raw mut list,
                &raw mut of_it,
            ));
            if named && counted && !name.is_null() {
                let name = name_of(&CStr::from_ptr(name).to_string_lossy());
                *nodes.entry(name).or_default() += of_it;
            }
        }
    }
    let mut all: Vec<Assigned> = nodes
        .into_iter()
        .map(|(provider, nodes)| Assigned {
            provider,
            nodes: Some(nodes),
        })
        .collect();
    all.sort_by_key(|assigned| std::cmp::Reverse(assigned.nodes));
    all
}
