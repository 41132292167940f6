//! What a manifest says of golden examples: where they are, and how far answers may be from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The `source` of golden examples that Tandem itself wrote: they detect later changes, not a wrong export.
pub const OWN_GOLDEN: &str = "onnxruntime";

/// Texts with known outputs: the training framework's, unless `source` says that Tandem wrote them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The path of the JSON Lines file in the folder.
    pub file: String,
    /// What wrote it.
    #[serde(default)]
    pub source: String,
    /// The largest difference that is allowed for a logit of a text that runs alone.
    pub logit_tolerance: f32,
    /// The largest difference that is allowed for a logit of a text that runs in a batch.
    pub batched_logit_tolerance: f32,
    /// The differences that are allowed where an execution provider runs the graph, by its name; the above where it has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Tolerances>,
}

/// The differences that are allowed on one execution provider.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerances {
    /// For a logit of a text that runs alone.
    pub logit_tolerance: f32,
    /// For a logit of a text that runs in a batch.
    pub batched_logit_tolerance: f32,
}

impl Golden {
    /// With the tolerances of the first of these execution providers that has some.
    pub fn on(&self, providers: &[&str]) -> Self {
        let mut golden = self.clone();
        if let Some(of_it) = providers.iter().find_map(|name| self.providers.get(*name)) {
            golden.logit_tolerance = of_it.logit_tolerance;
            golden.batched_logit_tolerance = of_it.batched_logit_tolerance;
        }
        golden
    }

    /// All tolerances, each with its key.
    pub(super) fn tolerances(&self) -> impl Iterator<Item = (String, f32)> {
        let of_providers = self.providers.iter().flat_map(|(name, of_it)| {
            [
                (
                    format!("golden.providers.{name}.logit_tolerance"),
                    of_it.logit_tolerance,
                ),
                (
                    format!("golden.providers.{name}.batched_logit_tolerance"),
                    of_it.batched_logit_tolerance,
                ),
            ]
        });
        [
            ("golden.logit_tolerance".to_owned(), self.logit_tolerance),
            (
                "golden.batched_logit_tolerance".to_owned(),
                self.batched_logit_tolerance,
            ),
        ]
        .into_iter()
        .chain(of_providers)
    }
}
