//! Arguments of commands that choose a point of a cascade.

use crate::offline::calibration::options::Deferral;
use crate::offline::calibration::target::{Least, Target, Wanted};
use crate::offline::evaluation::quality::{Quality, share};

/// How far below the deep model's accuracy a point may be where nothing else is asked for.
const USUAL: Least = Least::Deep(-0.002);

/// What an operator wants of a cascade.
#[derive(clap::Args)]
pub struct TargetArgs {
    /// The cheapest point with FIGURE>=LEAST (accuracy, macro-f1, recall:LABEL; 0.9, 90%, deep-0.2pt), or the dearest with cost<=MOST; certified: agreement>=LEAST, risk<=MOST, and precision>=LEAST or precision:LABEL>=LEAST by withholding unsure answers; may be repeated [default: accuracy>=deep-0.2pt]
    #[arg(long, value_name = "TARGET", group = "wanted")]
    target: Vec<Target>,
    /// The same as --target accuracy>=ACCURACY
    #[arg(long, value_name = "ACCURACY", group = "wanted", allow_hyphen_values = true)]
    target_accuracy: Option<Least>,
    /// The same as --target cost<=COST
    #[arg(long, value_name = "COST", group = "wanted", value_parser = cost)]
    target_cost: Option<Target>,
    /// This threshold
    #[arg(long, value_name = "CONFIDENCE", group = "wanted")]
    min_confidence: Option<f32>,
    /// How sure what is certified must be, above 0 and below 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = confidence)]
    pub confidence: f64,
}

fn confidence(text: &str) -> Result<f64, String> {
    let share = share(text).filter(|share| *share > 0.0 && *share < 1.0);
    share.ok_or_else(|| "write a share above 0 and below 1, such as 0.95".to_owned())
}

fn cost(text: &str) -> Result<Target, String> {
    format!("cost<={text}").parse()
}

impl TargetArgs {
    /// The same in one form. The error is one line that names the flag.
    pub fn wanted(&self) -> Result<Wanted, String> {
        let accuracy = |least| Target::AtLeast(Quality::Accuracy, least);
        match self.min_confidence {
            Some(threshold) if (0.0..=1.0).contains(&threshold) => return Ok(Wanted::Threshold(threshold)),
            Some(_) => return Err("--min-confidence must be from 0 to 1".to_owned()),
            None => {}
        }
        let short = [self.target_accuracy.map(accuracy), self.target_cost.clone()];
        let mut targets: Vec<Target> = self.target.iter().cloned().chain(short.into_iter().flatten()).collect();
        if targets.iter().all(Target::is_of_answers) {
            targets.push(accuracy(USUAL));
        }
        Ok(Wanted::Targets(targets))
    }
}

/// By what texts are escalated. A threshold that is given is a confidence, and no score of a forecast.
pub fn deferral(asked: Deferral, wanted: &Wanted) -> Result<Deferral, String> {
    match (wanted, asked) {
        (Wanted::Threshold(_), Deferral::Gain) => Err(
            "--deferral gain does not go with --min-confidence, which is a confidence; say what you want by --target"
                .to_owned(),
        ),
        (Wanted::Threshold(_), _) => Ok(Deferral::Confidence),
        (Wanted::Targets(_), asked) => Ok(asked),
    }
}
