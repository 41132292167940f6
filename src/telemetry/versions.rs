//! The metrics of versions of models: their states, and what became of new ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::device_memory::LoadedMemory;
use crate::model::device_memory::DeviceMemory;
use crate::model::providers::Assigned;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    model: String,
    version: String,
    fingerprint: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VersionLabels {
    model: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    model: String,
    version: String,
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NameLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ArmLabels {
    model: String,
    role: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    model: String,
    fault: &'static str,
}

/// What runs each version, by its model and version.
type KnownProviders = BTreeMap<(String, String), Vec<String>>;

/// The metrics of every version of every model; cheap to clone.
#[derive(Clone)]
pub struct VersionMetrics {
    state: Family<StateLabels, Gauge>,
    verified: Family<VersionLabels, Gauge>,
    memory: Family<VersionLabels, Gauge>,
    providers: Family<ProviderLabels, Gauge>,
    /// So that what no longer runs a version can be taken back.
    known_providers: Arc<Mutex<KnownProviders>>,
    device_memory: LoadedMemory,
    reloads: Family<OutcomeLabels, Counter>,
    refused: Family<NameLabels, Gauge>,
    examinations: Family<OutcomeLabels, Counter>,
    canary_requests: Family<ArmLabels, Counter>,
    canary_rollbacks: Family<FaultLabels, Counter>,
}

impl VersionMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            state: Family::default(),
            verified: Family::default(),
            memory: Family::default(),
            providers: Family::default(),
            known_providers: Arc::default(),
            device_memory: LoadedMemory::default(),
            reloads: Family::default(),
            refused: Family::default(),
            examinations: Family::default(),
            canary_requests: Family::default(),
            canary_rollbacks: Family::default(),
        };
        registry.register(
            "model_state",
            "1 for the state that a model is in",
            metrics.state.clone(),
        );
        registry.register(
            "model_verified",
            "1 for a version that is held to golden examples of its training framework, 0 for one that nobody compared",
            metrics.verified.clone(),
        );
        registry.register(
            "model_memory_bytes",
            "Memory that a loaded version is expected to take, estimated from its files before it was loaded",
            metrics.memory.clone(),
        );
        registry.register_collector(Box::new(metrics.device_memory.clone()));
        registry.register(
            "model_execution_provider",
            "1 for each execution provider that runs a loaded version or a part of its graph",
            metrics.providers.clone(),
        );
        registry.register(
            "model_reloads",
            "New versions of a model: exchanged, or the step that refused them",
            metrics.reloads.clone(),
        );
        registry.register(
            "model_version_refused",
            "1 while the newest version of a model in the repository was refused and another one serves",
            metrics.refused.clone(),
        );
        registry.register(
            "model_examinations",
            "Examinations of a model that failed on callers' texts, by what was found",
            metrics.examinations.clone(),
        );
        registry.register(
            "canary_requests",
            "Requests of a model while it has a canary, by the version that they got",
            metrics.canary_requests.clone(),
        );
        registry.register(
            "canary_rollbacks",
            "Canaries that the server rolled back, by what was wrong",
            metrics.canary_rollbacks.clone(),
        );
        metrics
    }

    /// A model is loaded: what may happen to it is there from now on, with 0.
    pub fn open(&self, model: &str) {
        for outcome in ["sound", "broken", "unknown"] {
            let model = model.to_owned();
            drop(self.examinations.get_or_create_owned(&OutcomeLabels { model, outcome }));
        }
        for fault in ["failures", "disagreement", "slowness"] {
            let model = model.to_owned();
            drop(self.canary_rollbacks.get_or_create_owned(&FaultLabels { model, fault }));
        }
        let model = model.to_owned();
        drop(self.refused.get_or_create_owned(&NameLabels { model }));
    }

    /// Sets which of `states` a version of a model (name, version, fingerprint) is in.
    pub fn set_state(&self, model: [&str; 3], state: &'static str, states: &[&'static str]) {
        for &candidate in states {
            let gauge = self.state.get_or_create_owned(&labels(model, candidate));
            gauge.set(i64::from(candidate == state));
        }
    }

    /// Removes the states of a version that is gone.
    pub fn forget(&self, model: [&str; 3], states: &[&'static str]) {
        for &state in states {
            self.state.remove(&labels(model, state));
        }
    }

    /// Sets whether a version has golden examples of its training framework; `None` removes a version that is gone.
    pub fn set_verified(&self, model: &str, version: &str, verified: Option<bool>) {
        let labels = VersionLabels {
            model: model.to_owned(),
            version: version.to_owned(),
        };
        match verified {
            Some(verified) => {
                self.verified.get_or_create_owned(&labels).set(i64::from(verified));
            }
            None => {
                self.verified.remove(&labels);
            }
        }
    }

    /// Sets what memory a version is expected to take, in bytes; `None` removes a version that is gone.
    pub fn set_memory(&self, model: &str, version: &str, bytes: Option<u64>) {
        let labels = VersionLabels {
            model: model.to_owned(),
            version: version.to_owned(),
        };
        match bytes {
            Some(bytes) => {
                let gauge = self.memory.get_or_create_owned(&labels);
                gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
            None => {
                self.memory.remove(&labels);
            }
        }
    }

    /// Sets what runs a version; `None` removes a version that is gone.
    pub fn set_providers(&self, model: &str, version: &str, providers: Option<&[Assigned]>) {
        let labels = |provider: &str| ProviderLabels {
            model: model.to_owned(),
            version: version.to_owned(),
            provider: provider.to_owned(),
        };
        let key = (model.to_owned(), version.to_owned());
        let mut known = self.known_providers.lock();
        for gone in known.remove(&key).unwrap_or_default() {
            self.providers.remove(&labels(&gone));
        }
        let Some(providers) = providers else { return };
        for one in providers {
            self.providers.get_or_create_owned(&labels(&one.provider)).set(1);
        }
        known.insert(key, providers.iter().map(|one| one.provider.clone()).collect());
    }

    /// From now on tells what the sessions of a version hold on each device; `None` ends it.
    pub fn set_device_memory(&self, model: &str, version: &str, memory: Option<DeviceMemory>) {
        self.device_memory.set(model, version, memory);
    }

    /// Counts a new version by its outcome: exchanged, or the step that refused it.
    pub fn reloaded(&self, model: &str, outcome: &'static str) {
        let model = model.to_owned();
        self.reloads
            .get_or_create_owned(&OutcomeLabels { model, outcome })
            .inc();
    }

    /// Counts an examination of a model by what it found.
    pub fn examined(&self, model: &str, outcome: &'static str) {
        let model = model.to_owned();
        self.examinations
            .get_or_create_owned(&OutcomeLabels { model, outcome })
            .inc();
    }

    /// Counts a request of a model that has a canary.
    pub fn canary_request(&self, model: &str, canary: bool, failed: bool) {
        let labels = ArmLabels {
            model: model.to_owned(),
            role: if canary { "canary" } else { "stable" },
            outcome: if failed { "failed" } else { "answered" },
        };
        self.canary_requests.get_or_create_owned(&labels).inc();
    }

    /// Counts a canary that the server rolled back.
    pub fn canary_rolled_back(&self, model: &str, fault: &'static str) {
        let model = model.to_owned();
        let labels = FaultLabels { model, fault };
        self.canary_rollbacks.get_or_create_owned(&labels).inc();
    }

    /// Sets whether the newest version of a model was refused.
    pub fn set_refused(&self, model: &str, refused: bool) {
        let model = model.to_owned();
        let gauge = self.refused.get_or_create_owned(&NameLabels { model });
        gauge.set(i64::from(refused));
    }
}

fn labels([model, version, fingerprint]: [&str; 3], state: &'static str) -> StateLabels {
    StateLabels {
        model: model.to_owned(),
        version: version.to_owned(),
        fingerprint: fingerprint.to_owned(),
        state,
    }
}
