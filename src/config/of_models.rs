//! What the settings say of one model.

use super::settings::Settings;
use crate::model::Tier;
use crate::model::manifest::Manifest;
use crate::model::providers::ProviderList;

impl Settings {
    /// The most tokens of a text that a transformer may read; `None` if the settings leave it to the model.
    pub fn configured_max_tokens(&self) -> Option<usize> {
        (self.max_tokens > 0).then_some(self.max_tokens)
    }

    /// The execution providers of a model: its own, or else those of its tier; `None` if the settings leave it to the model.
    pub fn providers_of(&self, manifest: &Manifest) -> Option<ProviderList> {
        let of_tier = match manifest.tier {
            Tier::Fast => &self.fast_execution_providers,
            Tier::Deep => &self.deep_execution_providers,
        };
        self.execution_providers
            .get(&manifest.name)
            .or(of_tier.as_ref())
            .cloned()
    }
}
