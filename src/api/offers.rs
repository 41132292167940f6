//! Offers: what the doors offer besides Tandem's own API, each of which can be switched off.

use crate::config::Settings;

/// A protocol of others, or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Open Inference Protocol v2, over gRPC and HTTP.
    OpenInference,
    /// The API of text-embeddings-inference, over gRPC and HTTP.
    TextEmbeddingsInference,
    /// `/classify` as vLLM has it.
    Classify,
    /// `/v1/models/{name}:predict` as `KServe` has it.
    KserveV1,
    /// gRPC-Web, at the HTTP port.
    GrpcWeb,
    /// Connect, at the HTTP port.
    Connect,
    /// The page for people.
    Page,
}

impl Offer {
    /// Whether the settings have it on.
    pub fn is_on(self, settings: &Settings) -> bool {
        !match self {
            Self::OpenInference => settings.no_open_inference,
            Self::TextEmbeddingsInference => settings.no_tei,
            Self::Classify => settings.no_classify,
            Self::KserveV1 => settings.no_kserve_v1,
            Self::GrpcWeb => settings.no_grpc_web,
            Self::Connect => settings.no_connect,
            Self::Page => settings.no_page,
        }
    }

    const ALL: [Self; 7] = [
        Self::OpenInference,
        Self::TextEmbeddingsInference,
        Self::Classify,
        Self::KserveV1,
        Self::GrpcWeb,
        Self::Connect,
        Self::Page,
    ];
}

/// What the doors of a server offer.
#[derive(Clone, Copy, Debug)]
pub struct Offers([bool; Offer::ALL.len()]);

impl Offers {
    pub fn new(settings: &Settings) -> Self {
        Self(Offer::ALL.map(|offer| offer.is_on(settings)))
    }

    /// Nothing besides Tandem's own API: the port for operators.
    pub fn none() -> Self {
        Self([false; Offer::ALL.len()])
    }

    pub fn has(&self, offer: Offer) -> bool {
        let at = Offer::ALL.iter().position(|&known| known == offer);
        at.is_some_and(|at| self.0[at])
    }
}
