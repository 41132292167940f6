//! What answers cost, for the reports: measured when the work is done, on a few of its texts.

use std::time::Instant;

use super::output::complain;
use crate::cores;
use crate::model::loading::FastPath;
use crate::model::repository::VerifiedModel;
use crate::offline::dataset::Dataset;
use crate::offline::report::cost::{self, Way};
use crate::offline::report::page::Section;
use crate::offline::timing::{self, Timing};

/// Measures a model on texts of the dataset. A model that can't be measured is told, and is no failure.
pub fn measure(model: &VerifiedModel, dataset: &Dataset, fast_path: FastPath) -> Option<Timing> {
    let texts: Vec<_> = timing::sample(dataset.len()).map(|at| dataset.text(at)).collect();
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let started = Instant::now();
    match timing::of_model(model, &texts, cores::usable(), fast_path, &|| started.elapsed()) {
        Ok(timing) => timing,
        Err(problem) => {
            complain(&format!(
                "warning: the report does not tell what answers cost: {problem}"
            ));
            None
        }
    }
}

/// The section of one model; `None` if it was not measured.
pub fn of_model(name: &str, timing: Option<&Timing>) -> Option<Section> {
    let way = way(name, timing?, None);
    Some(cost::section(&machine(), &[way]))
}

/// A cascade, and what its calibration says of it.
pub struct OfCascade<'a> {
    pub fast: Option<&'a Timing>,
    pub deep: Option<&'a Timing>,
    /// The seconds of one core that a text takes: in the fast model, at the chosen point, in the deep model.
    pub core_seconds: [f64; 3],
    /// The share of texts that go to the deep model at the chosen point.
    pub escalated: f64,
}

/// The section of a cascade, its tiers and itself.
pub fn of_cascade(costs: &OfCascade<'_>) -> Section {
    let [fast, chosen, deep] = costs.core_seconds.map(Some);
    let of_tier = |name: &str, timing: Option<&Timing>, core_seconds: Option<f64>| match timing {
        Some(timing) => way(name, timing, core_seconds),
        None => Way {
            name: name.to_owned(),
            core_seconds,
            ..Way::default()
        },
    };
    let both = costs.fast.zip(costs.deep);
    let cascade = both.map(|(fast, deep)| timing::of_cascade(fast, deep, costs.escalated));
    let ways = [
        of_tier("fast alone", costs.fast, fast),
        Way {
            name: "chosen".to_owned(),
            core_seconds: chosen,
            texts_a_second: cascade.map(|cascade| cascade.texts_a_second),
            p99: cascade.and_then(|cascade| cascade.p99),
            chosen: true,
        },
        of_tier("deep alone", costs.deep, deep),
    ];
    let section = cost::section(&machine(), &ways);
    if cascade.is_none() {
        return section;
    }
    section.text(
        "The figures of the chosen point are computed: from those of both models, and from the share of texts that goes to the deep one.",
    )
}

fn way(name: &str, timing: &Timing, core_seconds: Option<f64>) -> Way {
    Way {
        name: name.to_owned(),
        core_seconds: Some(core_seconds.unwrap_or(timing.core_seconds)),
        texts_a_second: Some(timing.texts_a_second),
        p99: timing.one_by_one.p99(),
        chosen: false,
    }
}

/// Where it was measured.
fn machine() -> String {
    let cores = match cores::usable() {
        1 => "the one core".to_owned(),
        cores => format!("all {cores} cores"),
    };
    format!("this machine, without a server: texts a second in batches on {cores}, p99 with one text after the other")
}
