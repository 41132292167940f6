//! A cascade's calibration: the file that `tandem calibrate` writes and a start reads, and what the service takes from
//! it.
//!
//! It holds only for the two versions that it was measured on, told by their fingerprints. With other versions it is
//! not used, and a warning says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cascade_tables;
pub use super::cascade_tables::{AbstainRule, AnsweredPoint, CertifiedShare, CurvePoint, DataFacts, GainRule};
use crate::config::Settings;
use crate::model::blend::Blend;
use crate::model::files;
use crate::model::gain::Gain;
use crate::model::manifest::{Manifest, ProblemType};
use crate::model::repository::VerifiedModel;

/// The format version that this build reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What the file says to people of models that give each label by itself.
const EACH_LABEL: &str = "\
# Each label is given or not by itself: a text is as sure as its least sure label, and its answer is right if all labels are.\n\
# A text that is not sure enough gets the deep model's own answer: nothing is blended, and the temperatures are the models' own.\n";

/// The file: the chosen point of a measured curve, and the curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub schema_version: u32,
    pub task: String,
    /// The confidence, from 0 to 1, from which on the fast answer is final.
    pub min_confidence: f32,
    /// Whether the models give each label by itself: an answer is then as sure as its least sure label, right if all its
    /// labels are, and an escalated text gets the deep model's own answer. Older files lack it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub each_label: bool,
    /// The share of texts that was escalated at that threshold, and the range outside which the server warns.
    pub escalation: EscalationRange,
    pub fast: CalibratedModel,
    pub deep: CalibratedModel,
    /// How an escalated answer is blended of both models' answers.
    pub blend: BlendWeights,
    /// What the calibration was measured on.
    pub data: DataFacts,
    /// What is certified of the cascade. Older files lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertifiedShare>,
    /// What the task's own threshold is compared with in place of confidence; absent where that is confidence, and in older
    /// files. `min_confidence` and `curve` are those of confidence all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<GainRule>,
    /// How sure a final answer must be to be given. Written where a precision was asked for and certified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abstain: Option<AbstainRule>,
    /// What is answered, and how rightly, by the confidence of final answers. Written where labels are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answered: Vec<AnsweredPoint>,
    /// The curve, starting with the fast model alone. Measured on texts that nothing was fitted to.
    #[serde(default)]
    pub curve: Vec<CurvePoint>,
}

/// One of the two models that a calibration holds for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedModel {
    pub model: String,
    pub version: String,
    pub fingerprint: String,
    /// In the cascade, logits are divided by this before softmax. Elsewhere the manifest's own temperature holds.
    pub temperature: f32,
}

/// The weights of [`Blend`], and the bias of each label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlendWeights {
    /// The weight of the fast model's log-probabilities.
    pub fast: f64,
    /// The weight of the deep model's log-probabilities.
    pub deep: f64,
    /// The amount added for each label.
    pub bias: BTreeMap<String, f64>,
}

/// The share of escalated texts, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationRange {
    /// The measured share.
    pub share: f64,
    /// The server warns below this.
    pub low: f64,
    /// The server warns above this.
    pub high: f64,
}

impl EscalationRange {
    /// The range that is expected around a share: a quarter of it, plus one percentage point, either way.
    pub fn around(share: f64) -> Self {
        Self {
            share,
            low: (share * 0.75 - 0.01).max(0.0),
            high: (share * 1.25 + 0.01).min(1.0),
        }
    }
}

impl Calibration {
    /// Reads and checks a file. The error is one line, without the path.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = files::read_text(path, files::MOST_OF_TOML)?;
        let calibration: Self = toml::from_str(&text).map_err(|error| error.message().replace('\n', " "))?;
        calibration.check()?;
        Ok(calibration)
    }

    /// The text of the file.
    pub fn to_toml(&self) -> String {
        let body = toml::to_string(self).expect("numbers and names");
        let each_label = if self.each_label { EACH_LABEL } else { "" };
        format!(
            "# Written by `tandem calibrate`. min_confidence may be changed by hand, to any point of the curve below: what is\n\
             # certified, and what is withheld, hold for the measured threshold alone.\n\
             {each_label}{body}"
        )
    }

    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!(
                "schema_version is {}, this build reads {SCHEMA_VERSION}",
                self.schema_version
            ));
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return Err("min_confidence must be from 0 to 1".into());
        }
        for (key, value) in [
            ("fast.temperature", self.fast.temperature),
            ("deep.temperature", self.deep.temperature),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("{key} must be a number above 0"));
            }
        }
        let weights = [self.blend.fast, self.blend.deep];
        if !weights
            .iter()
            .chain(self.blend.bias.values())
            .all(|value| value.is_finite())
        {
            return Err("blend must hold numbers".into());
        }
        let EscalationRange { low, high, .. } = self.escalation;
        if !(low >= 0.0 && low <= high && high <= 1.0) {
            return Err("escalation.low and high must satisfy 0 <= low <= high <= 1".into());
        }
        if let Some(rule) = &self.gain {
            rule.gain()?;
            if self.each_label {
                return Err("gain: models that give each label by itself are escalated by confidence alone".into());
            }
        }
        cascade_tables::check(self.abstain.as_ref(), &self.answered)
    }

    /// The share of texts that a threshold is expected to escalate, by the curve; `None` if there is no curve.
    fn expected_share(&self, min_confidence: f32) -> Option<f64> {
        let above = self
            .curve
            .iter()
            .position(|point| point.min_confidence >= min_confidence);
        let above = above.unwrap_or(self.curve.len().checked_sub(1)?);
        let (a, b) = (&self.curve[above.saturating_sub(1)], &self.curve[above]);
        let width = f64::from(b.min_confidence - a.min_confidence);
        if width <= 0.0 {
            return Some(b.escalated);
        }
        let along = (f64::from(min_confidence - a.min_confidence) / width).clamp(0.0, 1.0);
        Some(a.escalated + along * (b.escalated - a.escalated))
    }
}

/// The values that a task's cascade works with.
#[derive(Clone, Debug, PartialEq)]
pub struct CascadeSetup {
    /// The confidence from which on the fast answer is final; absent where it was neither measured nor set.
    pub min_confidence: Option<f32>,
    /// What fast answers are final by where a request names no threshold of its own, and the least score; absent where that
    /// is their confidence.
    pub gain: Option<(Gain, f32)>,
    /// The temperatures of the fast and the deep model.
    pub temperatures: [f32; 2],
    /// How an escalated answer is blended of both models' answers.
    pub blend: Blend,
    /// The position of each of the deep model's labels among the fast model's labels.
    pub fast_of_deep: Vec<usize>,
    /// The expected share of escalated texts at the threshold; absent where it was not measured.
    pub escalation: Option<EscalationRange>,
    /// Whether these values come from a calibration.
    pub calibrated: bool,
    /// The calibration, as it was read; absent where none is used.
    pub measured: Option<Arc<Calibration>>,
    /// Why the calibration that was found is not used; absent if it is used, or if there is none.
    pub unused: Option<String>,
}

impl CascadeSetup {
    /// Reads the task's calibration, if there is one, and fits it to the task's models, which have the same set of
    /// labels. The error is one line that names the file.
    pub fn find(task: &str, settings: &Settings, fast: &VerifiedModel, deep: &VerifiedModel) -> Result<Self, String> {
        let configured = settings.tasks.get(task).map(|task| &task.cascade);
        let named = configured.and_then(|cascade| cascade.calibration.clone());
        let usual = Some(file_of(&settings.models, task)).filter(|path| path.is_file());
        let (mut found, mut unused) = (None, None);
        if let Some(path) = named.or(usual) {
            let in_file = |problem| format!("{}: {problem}", path.display());
            let calibration = Calibration::read(&path).map_err(in_file)?;
            let named = |why| match path.file_name() {
                Some(name) => format!("{}: {why}", name.display()),
                None => why,
            };
            unused = calibration.mismatch(task, fast, deep).map(named);
            found = Some(calibration).filter(|_| unused.is_none());
        }
        let set = configured.and_then(|cascade| cascade.min_confidence);
        let setup = Self::new(found.as_ref(), set, &fast.manifest, &deep.manifest)?;
        Ok(Self { unused, ..setup })
    }

    fn new(
        calibration: Option<&Calibration>,
        set: Option<f32>,
        fast: &Manifest,
        deep: &Manifest,
    ) -> Result<Self, String> {
        let fast_of_deep = deep
            .labels
            .iter()
            .map(|label| fast.labels.iter().position(|other| other == label))
            .collect::<Option<Vec<_>>>()
            .ok_or("the labels of both models are not the same set")?;
        let Some(calibration) = calibration else {
            return Ok(Self {
                min_confidence: set,
                gain: None,
                temperatures: [fast.calibration.temperature, deep.calibration.temperature],
                blend: Blend::deep_alone(deep.labels.len()),
                fast_of_deep,
                escalation: None,
                calibrated: false,
                measured: None,
                unused: None,
            });
        };
        let bias = |label: &String| calibration.blend.bias.get(label).copied().unwrap_or(0.0);
        let escalation = match set {
            None => Some(calibration.escalation),
            Some(confidence) => calibration.expected_share(confidence).map(EscalationRange::around),
        };
        Ok(Self {
            min_confidence: Some(set.unwrap_or(calibration.min_confidence)),
            // A threshold that the configuration sets is one of confidence.
            gain: match &calibration.gain {
                Some(rule) if set.is_none() => Some((rule.gain()?, rule.min_score)),
                _ => None,
            },
            temperatures: [calibration.fast.temperature, calibration.deep.temperature],
            blend: Blend {
                fast: calibration.blend.fast,
                deep: calibration.blend.deep,
                bias: deep.labels.iter().map(bias).collect(),
            },
            fast_of_deep,
            escalation,
            calibrated: true,
            measured: Some(Arc::new(calibration.clone())),
            unused: None,
        })
    }
}

impl CascadeSetup {
    /// Whether a certificate of agreement covers a threshold, which is a confidence, and which: the one that promises most. One holds for every
    /// threshold above its own too if escalated texts get the deep model's answer alone.
    pub fn certificate_of(&self, threshold: f32) -> Option<&CertifiedShare> {
        let deep_alone = self.blend == Blend::deep_alone(self.blend.bias.len());
        let covers = |certificate: &&CertifiedShare| {
            certificate.of == "agreement"
                && !certificate.by_gain
                && (certificate.min_confidence == threshold || deep_alone && certificate.min_confidence < threshold)
        };
        let certificates = self.measured.iter().flat_map(|calibration| &calibration.certificates);
        certificates
            .filter(covers)
            .max_by(|a, b| a.at_least.total_cmp(&b.at_least))
    }

    /// The calibration, if the threshold in force is the one that it was measured at: one that was changed in the file or by a
    /// setting leaves what was certified, and what is right among sure answers, behind.
    pub fn as_measured(&self) -> Option<&Calibration> {
        let calibration = self.measured.as_deref()?;
        let (in_force, by_gain) = match &self.gain {
            Some((_, min_score)) => (*min_score, true),
            None => (self.min_confidence?, false),
        };
        let mut certificates = calibration.certificates.iter();
        let is_of_it = |one: &CertifiedShare| one.min_confidence == in_force && one.by_gain == by_gain;
        certificates.any(is_of_it).then_some(calibration)
    }

    /// What is certified of the agreement with the deep model at the task's own threshold: the share of texts that may
    /// differ, and the greatest chance that more do; both above 0 and below 1.
    pub fn certified_agreement(&self) -> Option<(f64, f64)> {
        let certificate = match self.gain {
            // The task's own threshold is then a score, and its certificates are for that.
            Some(_) => {
                let mut certificates = self.as_measured()?.certificates.iter();
                certificates.find(|certificate| certificate.of == "agreement" && certificate.by_gain)?
            }
            None => self.certificate_of(self.min_confidence?)?,
        };
        let (risk, delta) = (1.0 - certificate.at_least, 1.0 - certificate.confidence);
        let is_share = |share: f64| share > 0.0 && share < 1.0;
        (is_share(risk) && is_share(delta)).then_some((risk, delta))
    }
}

impl Calibration {
    /// Why the calibration does not hold for these models; `None` if it does.
    fn mismatch(&self, task: &str, fast: &VerifiedModel, deep: &VerifiedModel) -> Option<String> {
        if self.task != task {
            return Some(format!("it is for the task `{}`", self.task));
        }
        for (measured, present) in [(&self.fast, fast), (&self.deep, deep)] {
            let manifest = &present.manifest;
            if measured.fingerprint != present.fingerprint {
                return Some(format!(
                    "it was measured on {}@{} with the fingerprint {}; {}@{} with {} serves",
                    measured.model,
                    measured.version,
                    measured.fingerprint,
                    manifest.name,
                    manifest.version,
                    present.fingerprint
                ));
            }
        }
        let each_label = deep.manifest.problem_type == ProblemType::MultiLabel;
        if self.each_label != each_label {
            let models = if each_label {
                "give each label by itself"
            } else {
                "give one label of all"
            };
            return Some(format!(
                "each_label is {}, but the models of the task {models}",
                self.each_label
            ));
        }
        self.each_label.then(|| self.not_as_it_is(fast, deep)).flatten()
    }

    /// For models that give each label by itself: a blend or a temperature that somebody changed in the file, though nothing
    /// is blended and temperatures are the models' own; `None` if there is none.
    fn not_as_it_is(&self, fast: &VerifiedModel, deep: &VerifiedModel) -> Option<String> {
        let BlendWeights {
            fast: of_fast,
            deep: of_deep,
            bias,
        } = &self.blend;
        if *of_fast != 0.0 || *of_deep != 1.0 || bias.values().any(|bias| *bias != 0.0) {
            return Some("blend: nothing can be blended of models that give each label by itself".to_owned());
        }
        for (key, measured, present) in [("fast", &self.fast, fast), ("deep", &self.deep, deep)] {
            let own = present.manifest.calibration.temperature;
            if measured.temperature != own {
                return Some(format!(
                    "{key}.temperature is {}, but models that give each label by itself keep their own, {own}",
                    measured.temperature
                ));
            }
        }
        None
    }
}

/// Where a task's calibration is read and written, unless a setting names another place.
pub fn file_of(models: &Path, task: &str) -> PathBuf {
    models.join(format!("{task}.cascade.toml"))
}
