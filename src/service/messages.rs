//! What goes into the service and what comes out, free of any protocol.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::batching::{ClientKey, Priority, SubmitOptions, Weight};
use crate::error::Error;
use crate::model::Tier;
use crate::model::manifest::Truncation;
use crate::telemetry::call_span::CallSpan;

/// Which model a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// The task's configured default.
    #[default]
    Default,
    /// The fast model.
    Fast,
    /// The deep model.
    Deep,
    /// The fast model, and the deep one for the texts of which the fast one is not sure enough.
    Cascade,
}

impl Route {
    /// Its name; empty for the default.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Fast => "fast",
            Self::Deep => "deep",
            Self::Cascade => "cascade",
        }
    }
}

/// What a score is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScoreKind {
    /// Calibrated probabilities.
    #[default]
    Probability,
    /// The model's outputs before softmax, uncalibrated.
    Logit,
}

/// A request as it came through a door: its enumerations are known, nothing else is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictInput {
    pub texts: Vec<String>,
    /// The second texts, for models that classify pairs.
    pub text_pairs: Vec<String>,
    /// The task; empty for the default.
    pub task: String,
    pub route: Route,
    /// The model to ask, as `name` or `name@version`; empty for none.
    pub model: String,
    /// How many labels to list, at most.
    pub top_k: i32,
    /// What the listed scores are.
    pub score_kind: ScoreKind,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
    /// The confidence, from 0 to 1, at which a cascade's fast answer stands.
    pub min_confidence: Option<f32>,
    /// Whether the fast model may answer where the deep one can't.
    pub allow_fallback: Option<bool>,
    /// Requests of higher priority go first.
    pub priority: Priority,
    /// Whether the answers list windows.
    pub include_windows: bool,
    /// The least share of a cascade's given answers that must be right.
    pub min_precision: Option<f32>,
    /// Several tasks for the same texts, or `*` for all; empty for a request for one.
    pub tasks: Vec<String>,
}

/// A request for explanations as it came through a door: its enumerations are known, nothing else is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExplainInput {
    pub texts: Vec<String>,
    /// The task; empty for the default.
    pub task: String,
    /// Whose answer to explain; the default is the fast model's.
    pub route: Route,
    /// The model, as `name` or `name@version`; empty for none.
    pub model: String,
    /// How many n-grams to list for each label, and how many against it; 0 for ten.
    pub max_contributions: i32,
    /// What happens to a text that is too long; absent for the model's own setting.
    pub truncation: Option<Truncation>,
}

#[derive(Clone, Debug)]
pub struct ExplainOutput {
    /// One for each text, in order.
    pub explanations: Vec<Explanation>,
    /// The model whose answers are explained.
    pub model: ModelRef,
    /// From arrival to answer.
    pub total: Duration,
}

/// Why the answer to one text is what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The winning label.
    pub label: String,
    /// Its calibrated probability.
    pub confidence: f32,
    /// How many features the model saw.
    pub feature_count: usize,
    /// Whether it saw only a part of the text.
    pub truncated: bool,
    /// For each label, in the model's order.
    pub labels: Vec<LabelExplanation>,
}

/// What makes up the logit of one label: `bias`, all listed contributions and `rest` add up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelExplanation {
    pub label: String,
    pub logit: f32,
    /// The logit for an empty text.
    pub bias: f32,
    /// The sum of the contributions that are not listed.
    pub rest: f32,
    /// The largest positive ones, the largest first.
    pub supporting: Vec<Contribution>,
    /// The largest negative ones, the largest first.
    pub opposing: Vec<Contribution>,
}

/// What one feature adds to a logit.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// Amount added to the logit.
    pub contribution: f32,
    /// Where the feature's n-grams lie in the original text, in bytes; the first of them, at most 16.
    pub spans: Vec<Range<usize>>,
    /// How many places there are in all.
    pub span_count: usize,
}

/// When a request arrived, when its caller stops waiting, and who calls.
#[derive(Clone, Debug)]
pub struct CallTimes {
    pub arrived: Instant,
    /// After this nobody waits for the answer.
    pub deadline: Instant,
    /// Fair shares are counted for this client.
    pub client: ClientKey,
    /// Who is behind the client, and can't pretend to be many: the key's owner, or else the peer's address.
    pub caller: ClientKey,
    /// The client's weight in fair shares.
    pub weight: Weight,
    /// Notes what is done for the request, if it is sampled.
    pub span: CallSpan,
}

impl CallTimes {
    /// The options for a queue, for a request of this priority.
    pub fn submit_options(&self, priority: Priority) -> SubmitOptions {
        SubmitOptions {
            deadline: self.deadline,
            priority,
            client: self.client,
            weight: self.weight,
        }
    }
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct PredictOutput {
    /// One for each text, in order.
    pub predictions: Vec<Prediction>,
    /// The models that took part, in order.
    pub models: Vec<ModelRef>,
    pub timing: Timing,
    /// How many texts were answered from the cache; absent where it is off.
    pub cache_hits: Option<usize>,
    /// The confidence from which on fast answers stood; absent where no cascade answered.
    pub min_confidence: Option<f32>,
}

/// What became of one task of a request with several.
#[derive(Debug)]
pub struct TaskOutput {
    pub task: String,
    pub outcome: Result<PredictOutput, Error>,
}

/// The answer for one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The winning label; empty where none is given.
    pub label: String,
    /// Its calibrated probability.
    pub confidence: f32,
    /// The tier that answered.
    pub tier: Tier,
    /// Why that tier answered.
    pub decision: Decision,
    /// The labels that were requested, best first.
    pub scores: Vec<LabelScore>,
    /// How many tokens or features the model saw.
    pub token_count: usize,
    /// Whether the model saw only a part of the text.
    pub truncated: bool,
    /// The output of a regression model; absent for a classifier.
    pub value: Option<f32>,
    /// The windows of a text that was read in windows, where they were asked for.
    pub windows: Vec<Window>,
    /// How many bytes of the text were read in windows; 0 where it was not.
    pub read_bytes: usize,
}

/// A part of a text that was read in windows, and its own answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Its place in the text.
    pub bytes: Range<usize>,
    pub label: String,
    pub confidence: f32,
    pub tier: Tier,
    pub scores: Vec<LabelScore>,
    pub token_count: usize,
    pub value: Option<f32>,
}

/// Why a tier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The request, or the task's default route, fixed the tier.
    Requested,
    /// Cascade: the fast model was sure enough.
    Confident,
    /// Cascade: the fast model was not sure enough, so the deep one answered.
    Escalated,
    /// The deep model could not have answered before the deadline, so the fast one did.
    FallbackDeadline,
    /// The deep model had no room, so the fast one answered.
    FallbackOverload,
    /// The answer was not sure enough to be given.
    Abstained,
}

impl Decision {
    pub const ALL: [Decision; 6] = [
        Decision::Requested,
        Decision::Confident,
        Decision::Escalated,
        Decision::FallbackDeadline,
        Decision::FallbackOverload,
        Decision::Abstained,
    ];

    /// The value of the metric label `decision`.
    pub fn name(self) -> &'static str {
        match self {
            Decision::Requested => "requested",
            Decision::Confident => "confident",
            Decision::Escalated => "escalated",
            Decision::FallbackDeadline => "fallback_deadline",
            Decision::FallbackOverload => "fallback_overload",
            Decision::Abstained => "abstained",
        }
    }
}

/// A label and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelScore {
    pub label: String,
    /// A probability or a logit, as requested.
    pub score: f32,
    /// Whether it is part of the answer: the winner, or a label over its threshold.
    pub selected: bool,
}

/// Names one version of a model. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRef {
    pub name: Arc<str>,
    pub version: Arc<str>,
    /// The first 16 hexadecimal digits of the SHA-256 over its files.
    pub fingerprint: Arc<str>,
    pub tier: Tier,
}

/// Where the time of one request went. The parts follow each other, so together they are at most the total; what is left of it is
/// routing, changes of thread, and waiting for texts that another request works on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From arrival to answer.
    pub total: Duration,
    /// Turning texts into model inputs; where two tiers did so one after the other, both together.
    pub preprocess: Duration,
    /// One entry for each tier that took part, in that order.
    pub tiers: Vec<(Tier, TierTiming)>,
}

/// Where the time went in one tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierTiming {
    /// Waiting for a place in a batch.
    pub queue: Duration,
    /// The ONNX Runtime call.
    pub inference: Duration,
    /// How many texts the largest batch held.
    pub batch_texts: usize,
}
