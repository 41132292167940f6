//! What figures say, in plain words: one sentence each, with the numbers that it rests on. Pure.

use super::classes::RELIABLE;
use super::contest::{Difference, Evaluation};
use super::interval::Interval;

/// How many labels one sentence names.
const NAMED: usize = 5;
/// How far the mean confidence may be from the share of right answers, either way, before it is said.
const APART: f64 = 0.05;
/// With fewer answers, a label that is never given is nothing to speak of.
const MANY: usize = 100;
/// With fewer texts to learn from, more of them may make a student much better.
const FEW_TO_LEARN_FROM: usize = 2_000;
/// A fast model that agrees with the deep one on less than this has not learnt the task.
const LEARNT: f64 = 0.75;
/// A cascade that costs more than this, where the deep model alone costs 1, is not worth its second model.
const WORTH: f64 = 0.85;

/// What one contender is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The fast model alone.
    Fast,
    /// The deep model alone.
    Deep,
    /// Both.
    Cascade,
    /// A model that was named by itself.
    Model,
}

/// One contender, and how it does.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// Its name for people.
    pub name: &'a str,
    pub kind: Kind,
    pub evaluation: &'a Evaluation,
}

/// What is so with one contender alone.
pub fn of_one(standing: &Standing<'_>, labels: &[String]) -> Vec<String> {
    let Standing { name, evaluation, .. } = standing;
    let single = evaluation.confusions.iter().map(|pair| pair.texts).sum::<usize>() > 0
        || evaluation.accuracy.value == evaluation.micro_f1.value;
    let mut found = Vec::new();
    let texts = evaluation.tally.texts;
    let commonest = evaluation
        .tally
        .counts
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.truth.total_cmp(&b.1.truth));
    if let Some((label, count)) = commonest.filter(|_| single && texts > 0.0) {
        let share = count.truth / texts;
        let accuracy = evaluation.accuracy;
        if labels.len() == 2 && accuracy.high < 0.5 {
            found.push(format!(
                "{name} is wrong more often than right ({}): the labels are probably the wrong way round; say what they mean \
                 with --map",
                percent(accuracy.value)
            ));
        } else if accuracy.value <= share && share < 1.0 {
            found.push(format!(
                "{name} is no better than always saying `{}`: accuracy {} against {}",
                labels[label],
                percent(accuracy.value),
                percent(share)
            ));
        }
    }
    let given: Vec<usize> = evaluation.classes.iter().map(|class| class.given).collect();
    let answered = given.iter().sum();
    let has: Vec<usize> = evaluation.classes.iter().map(|class| class.texts).collect();
    found.extend(never_given(name, labels, &given, answered, Some(&has)));
    let bins = evaluation.tally.reliability.bins.iter();
    let (all, sure, right) = bins.fold((0.0, 0.0, 0.0), |(all, sure, right), bin| {
        (all + bin.texts, sure + bin.confidence, right + bin.right)
    });
    let (sure, right) = (sure / all.max(f64::MIN_POSITIVE), right / all.max(f64::MIN_POSITIVE));
    if single && (sure - right).abs() > APART && !evaluation.accuracy.holds(sure) {
        found.push(format!(
            "{name} is {}: its confidence is {} on average, and {} of its answers are right; `tandem calibrate` fits it for a \
             cascade",
            if sure > right { "too sure" } else { "surer than it says" },
            percent(sure),
            percent(right)
        ));
    }
    found
}

/// What is so with the classes, whoever answers: which have too few texts for their figures to be believed.
pub fn of_classes(evaluation: &Evaluation, labels: &[String]) -> Option<String> {
    let few = evaluation
        .classes
        .iter()
        .zip(labels)
        .filter(|(class, _)| class.is_unreliable());
    let few: Vec<String> = few
        .map(|(class, label)| format!("`{label}` ({})", class.texts))
        .collect();
    (!few.is_empty()).then(|| {
        format!(
            "fewer than {RELIABLE} texts, so the figures are not reliable: {}",
            folded(&few)
        )
    })
}

/// The labels that are never given, of all that could be. `has` says how many texts have each label, where that is known;
/// then labels that no text has are passed over.
pub fn never_given(
    name: &str,
    labels: &[String],
    given: &[usize],
    texts: usize,
    has: Option<&[usize]>,
) -> Option<String> {
    if texts < MANY {
        return None;
    }
    let wanted = |label: usize| has.is_none_or(|has| has[label] > 0);
    let never = (0..labels.len()).filter(|&label| given[label] == 0 && wanted(label));
    let never: Vec<String> = never
        .map(|label| match has {
            Some(has) if has[label] == 1 => format!("`{}` (1 has it)", labels[label]),
            Some(has) => format!("`{}` ({} have it)", labels[label], has[label]),
            None => format!("`{}`", labels[label]),
        })
        .collect();
    (!never.is_empty()).then(|| format!("{name} never says {} on {} texts", folded(&never), thousands(texts)))
}

/// Which of two contenders is better, and whether that may be chance.
pub fn of_two(first: &Standing<'_>, second: &Standing<'_>, difference: &Difference, texts: usize) -> String {
    let apart = difference.accuracy;
    if difference.differing == 0 {
        return format!("{} and {} give the same labels", first.name, second.name);
    }
    if apart.holds(0.0) {
        let mean = difference.macro_f1;
        let but = if mean.holds(0.0) {
            String::new()
        } else {
            let (better, mean) = if mean.value > 0.0 {
                (second, mean)
            } else {
                (first, mean.turned())
            };
            let Interval { value, low, high } = mean;
            let name = better.name;
            format!(
                "; but {name} has the better macro-F1 ({value:+.3}, 95%: {low:+.3} to {high:+.3}): it does rare labels better"
            )
        };
        return format!(
            "no difference in accuracy is shown between {} and {} ({}) on {} texts, {} of which they label differently{but}",
            first.name,
            second.name,
            points(apart),
            thousands(texts),
            thousands(difference.differing)
        );
    }
    let (better, worse, ahead) = if apart.value > 0.0 {
        (second, first, apart)
    } else {
        (first, second, apart.turned())
    };
    match (better.kind, worse.kind) {
        (Kind::Fast, Kind::Deep) => fast_beats_deep(ahead).unwrap_or_default(),
        (Kind::Fast, Kind::Cascade) => format!(
            "your fast model beats the cascade ({}): asking the deep model makes it worse",
            points(ahead)
        ),
        _ => format!("{} is better than {} ({})", better.name, worse.name, points(ahead)),
    }
}

/// The label whose recall differs most between two contenders, beyond the intervals of both.
pub fn of_labels(first: &Standing<'_>, second: &Standing<'_>, labels: &[String]) -> Option<String> {
    let pairs = first
        .evaluation
        .classes
        .iter()
        .zip(&second.evaluation.classes)
        .zip(labels);
    let apart = pairs
        .filter(|((a, _), _)| a.texts >= RELIABLE)
        .filter_map(|((a, b), label)| {
            let (a, b) = (a.recall?, b.recall?);
            (a.high < b.low || b.high < a.low).then_some((label, a.value, b.value))
        });
    let most = apart.max_by(|one, other| (one.1 - one.2).abs().total_cmp(&(other.1 - other.2).abs()))?;
    let (label, a, b) = most;
    let (less, more, low, high) = if a < b {
        (first, second, a, b)
    } else {
        (second, first, b, a)
    };
    Some(format!(
        "{} finds `{label}` less often than {}: recall {low:.3} against {high:.3}",
        less.name, more.name
    ))
}

/// Whether the fast model beats the deep one, by its accuracy minus the deep model's.
pub fn fast_beats_deep(ahead: Interval) -> Option<String> {
    (ahead.low > 0.0).then(|| {
        format!(
            "your fast model beats the deep one ({}): it needs no cascade",
            points(ahead)
        )
    })
}

fn points(apart: Interval) -> String {
    let Interval { value, low, high } = apart;
    let [value, low, high] = [value, low, high].map(|share| share * 100.0);
    format!("{value:+.2} points of accuracy, 95%: {low:+.2} to {high:+.2}")
}

/// Whether a cascade is worth having: by the share of texts on which both models agree, and by the cost of its chosen
/// point, where the deep model alone costs 1.
pub fn of_cascade(agreement: f64, cost: f64) -> Option<String> {
    let agree = percent(agreement);
    if cost <= WORTH {
        return None;
    }
    Some(if agreement >= LEARNT {
        format!(
            "the cascade costs {cost:.2} of the deep model though both agree on {agree}: not worth it at this target; a lower \
             one may be"
        )
    } else {
        format!(
            "n-grams can't learn this: agreement {agree}, the cascade costs {cost:.2} of the deep model, not worth it; serve \
             the deep model alone"
        )
    })
}

/// Whether a student has learnt what its deep model knows, where no cascade can be certified.
pub fn not_learnt(agreement: f64, trained_on: usize) -> Option<String> {
    let agree = percent(agreement);
    if agreement >= LEARNT {
        return None;
    }
    Some(if trained_on < FEW_TO_LEARN_FROM {
        format!(
            "the student agrees on {agree} only, after {} texts to learn from: more may teach it more",
            thousands(trained_on)
        )
    } else {
        format!("n-grams can't learn this: agreement {agree}; serve the deep model alone")
    })
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A count with its thousands apart.
pub fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let apart = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        [comma.then_some(','), Some(digit)]
    };
    digits.chars().enumerate().flat_map(apart).flatten().collect()
}

fn folded(names: &[String]) -> String {
    let shown = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
