//! What `tandem calibrate` writes of its report: the calibration that the next start reads, the report as JSON, the curve.

use std::path::Path;

use super::calibration_report::{Report, down};
use super::output::outln;
use crate::model::repository::VerifiedModel;
use crate::offline::calibration::abstention::Answered;
use crate::offline::calibration::certificate::Certificate;
use crate::offline::calibration::curve::Point;
use crate::offline::report::{draw, quality_curve};
use crate::offline::whole_files;
use crate::service::catalog::cascade_calibration::{
    AbstainRule, AnsweredPoint, CalibratedModel, Calibration, CertifiedShare, CurvePoint, DataFacts, EscalationRange,
    GainRule, SCHEMA_VERSION,
};

impl Report<'_> {
    fn calibration(&self, models: [&VerifiedModel; 2]) -> Calibration {
        let model = |tier: usize| CalibratedModel {
            model: models[tier].manifest.name.clone(),
            version: models[tier].manifest.version.clone(),
            fingerprint: models[tier].fingerprint.clone(),
            temperature: self.temperatures[tier] as f32,
        };
        let point = |point: &Point| CurvePoint {
            min_confidence: point.min_confidence.unwrap_or(1.0),
            escalated: point.escalated,
            cost: rounded(point.cost.value),
            cost_low: Some(rounded(point.cost.low)),
            cost_high: Some(rounded(point.cost.high)),
            accuracy: rounded(point.accuracy.value),
            accuracy_low: rounded(point.accuracy.low),
            accuracy_high: rounded(point.accuracy.high),
            macro_f1: rounded(point.macro_f1.value),
            ece: rounded(point.ece.value),
        };
        let chosen = self.calibrated.chosen.min_confidence.unwrap_or(1.0);
        let (gain, by_confidence) = (
            self.calibrated.fitted.gain.as_ref(),
            self.calibrated.by_confidence.as_ref(),
        );
        Calibration {
            schema_version: SCHEMA_VERSION,
            task: self.task.to_owned(),
            min_confidence: by_confidence.map_or(chosen, |by| by.min_confidence),
            each_label: self.each_label,
            escalation: EscalationRange::around(self.calibrated.chosen.escalated),
            fast: model(0),
            deep: model(1),
            blend: self.blend.clone(),
            certificates: self
                .calibrated
                .all_certificates()
                .map(|one| certificate(one, gain.is_some()))
                .collect(),
            data: DataFacts {
                file: self.file.clone(),
                fitted_on: self.calibrated.fitted_on,
                measured_on: self.calibrated.measured_on,
                seed: self.seed,
                against_deep: self.against_deep,
                measured_at: Some(self.measured_at.clone()),
            },
            abstain: self.calibrated.abstention.as_ref().map(|abstention| AbstainRule {
                min_confidence: abstention.min_confidence,
            }),
            answered: self.calibrated.answered.iter().map(answered).collect(),
            curve: by_confidence
                .map_or(&self.calibrated.curve, |by| &by.curve)
                .iter()
                .map(point)
                .collect(),
            gain: gain.map(|gain| GainRule::of(gain, chosen)),
        }
    }

    /// Writes the calibration, and the report as JSON and the curve next to it. The error is one line that names the file.
    pub fn write(&self, path: &Path, models: [&VerifiedModel; 2]) -> Result<(), String> {
        let json = serde_json::to_string_pretty(self).expect("numbers and names") + "\n";
        let files = [
            (path.to_path_buf(), self.calibration(models).to_toml()),
            (path.with_extension("json"), json),
            (
                path.with_extension("svg"),
                draw::svg(&quality_curve::chart(&self.quality_curve())),
            ),
        ];
        let files = files.map(|(path, content)| (path, content.into_bytes()));
        whole_files::write(&files)?;
        for (path, _) in &files {
            outln!("wrote {}", path.display());
        }
        Ok(())
    }
}

fn certificate(certificate: &Certificate, by_gain: bool) -> CertifiedShare {
    CertifiedShare {
        of: certificate.of.name().to_owned(),
        label: certificate.label.clone(),
        at_least: down(certificate.at_least),
        confidence: certificate.confidence,
        min_confidence: certificate.min_confidence,
        answers_from: certificate.answers_from,
        by_gain,
        texts: certificate.seen.texts,
        errors: certificate.seen.errors,
    }
}

fn answered(point: &Answered) -> AnsweredPoint {
    AnsweredPoint {
        min_confidence: point.min_confidence,
        coverage: rounded(point.coverage),
        precision: rounded(point.precision),
        precision_low: down(point.precision_low),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}
