//! Requests of `/classify`: the bodies, and what they ask the service for.

use serde::Deserialize;

use crate::api::http::texts::Texts;
use crate::api::http::whole::whole;
use crate::api::object::Object;
use crate::api::scores::EVERY_LABEL;
use crate::api::target_name::TargetName;
use crate::error::Error;
use crate::model::manifest::Truncation;
use crate::service::catalog::Catalog;
use crate::service::messages::{PredictInput, ScoreKind};

/// A body of vLLM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VllmRequest {
    /// A model's name or a task's; absent for the default task.
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    input: Texts,
    /// Names the caller's own user. Has no effect.
    #[serde(default, rename = "user")]
    _user: Option<String>,
    /// -1 cuts a text to what the model reads.
    #[serde(default, deserialize_with = "whole")]
    truncate_prompt_tokens: Option<i64>,
    /// Whether scores are probabilities; absent for true.
    #[serde(default)]
    use_activation: Option<bool>,
}

impl VllmRequest {
    pub const FIELDS: &'static [&'static str] = &["model", "input", "user", "truncate_prompt_tokens", "use_activation"];

    /// What it means, and what it asks for.
    pub fn ask(self, catalog: &Catalog) -> Result<(TargetName, PredictInput), Error> {
        let truncation = match self.truncate_prompt_tokens {
            None => None,
            Some(-1) => Some(Truncation::End),
            Some(_) => {
                let problem = "must be absent, or -1 to cut texts to what the model reads";
                return Err(Error::invalid_field("truncate_prompt_tokens", problem));
            }
        };
        let target = TargetName::find(self.model.as_deref().unwrap_or_default(), catalog)?;
        let input = PredictInput {
            texts: self.input.0,
            top_k: EVERY_LABEL,
            score_kind: match self.use_activation {
                Some(false) => ScoreKind::Logit,
                None | Some(true) => ScoreKind::Probability,
            },
            truncation,
            ..PredictInput::default()
        };
        Ok((target.clone(), target.ask(input)))
    }
}

/// A body of Hugging Face's inference API.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRequest {
    /// A model's name or a task's; absent for the default task.
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    inputs: Texts,
    #[serde(default)]
    parameters: Option<Object<Parameters>>,
}

/// Its options.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    #[serde(default, deserialize_with = "whole")]
    top_k: Option<i32>,
    #[serde(default)]
    function_to_apply: Option<String>,
}

impl Parameters {
    /// Has a request ask for what the options say.
    pub fn apply(self, input: PredictInput) -> Result<PredictInput, Error> {
        let score_kind = match self.function_to_apply.as_deref() {
            None => input.score_kind,
            Some("none") => ScoreKind::Logit,
            Some(_) => {
                let problem = "must be absent, for the function that belongs to the model, or none";
                return Err(Error::invalid_field("parameters.function_to_apply", problem));
            }
        };
        Ok(PredictInput {
            top_k: self.top_k.unwrap_or(input.top_k),
            score_kind,
            ..input
        })
    }
}

impl PipelineRequest {
    pub const FIELDS: &'static [&'static str] = &["model", "inputs", "parameters"];

    /// What it asks for.
    pub fn ask(self, catalog: &Catalog) -> Result<PredictInput, Error> {
        let target = TargetName::find(self.model.as_deref().unwrap_or_default(), catalog)?;
        let input = PredictInput {
            texts: self.inputs.0,
            top_k: EVERY_LABEL,
            ..PredictInput::default()
        };
        self.parameters.unwrap_or_default().0.apply(target.ask(input))
    }
}
