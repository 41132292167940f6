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
    match (agreement < LEARNT, cost > WORTH) {
        (true, true) => Some(format!(
            "n-grams can't learn this: agreement {agree}, the cascade costs {cost:.2} of the deep model, not worth it; serve \
             the deep model alone"
        )),
        (false, true) => Some(format!(
            "the cascade costs {cost:.2} of the deep model though both agree on {agree}: not worth it at this target; a lower \
             one may be"
        )),
        _ => None,
    }
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
mod tests {
    use super::*;
    use crate::offline::evaluation::answer::{Answer, Known};
    use crate::offline::evaluation::contest::{Contest, Measured, hold};
    use crate::offline::evaluation::tally::Labels;

    const TEXTS: usize = 400;

    fn labels() -> Vec<String> {
        ["no", "yes", "other"].map(str::to_owned).to_vec()
    }

    /// Texts of `no` and `yes` in turn, and three of `other`.
    fn texts() -> Vec<Known> {
        let label = |at: usize| if at < 3 { 2 } else { (at % 2) as u32 };
        let known = |at| Known {
            truth: Labels::One(label(at)),
            weight: 1.0,
        };
        (0..TEXTS).map(known).collect()
    }

    /// A contender that is wrong on one of so many texts, and on `other`, which it never says.
    fn answers(wrong_every: usize, confidence: f64) -> Vec<Answer> {
        let answer = |(at, known): (usize, &Known)| {
            let right = at % 2;
            let given = if at.is_multiple_of(wrong_every) {
                1 - right
            } else {
                right
            };
            let mut probabilities = [1.0 - confidence, 1.0 - confidence, 0.0];
            probabilities[given] = confidence;
            Answer::new(Labels::One(given as u32), &probabilities, &known.truth)
        };
        texts().iter().enumerate().map(answer).collect()
    }

    fn held(contenders: &[&[Answer]]) -> Contest {
        let measured = Measured {
            labels: 3,
            precisions: &[],
            seed: 1,
        };
        hold(&texts(), contenders, &measured)
    }

    fn standing<'a>(name: &'a str, kind: Kind, evaluation: &'a Evaluation) -> Standing<'a> {
        Standing { name, kind, evaluation }
    }

    #[test]
    fn a_fast_model_that_beats_the_deep_one_is_said() {
        let contest = held(&[&answers(3, 0.7), &answers(10, 0.9)]);
        let [worse, better] = &contest.evaluations[..] else {
            panic!("two")
        };
        let difference = contest.difference.expect("two");
        let (deep, fast) = (
            standing("deep", Kind::Deep, worse),
            standing("fast", Kind::Fast, better),
        );
        let told = of_two(&deep, &fast, &difference, TEXTS);
        assert!(told.starts_with("your fast model beats the deep one (+"), "{told}");
        let told = of_two(
            &standing("a", Kind::Deep, worse),
            &standing("b", Kind::Deep, better),
            &difference,
            TEXTS,
        );
        assert!(told.starts_with("b is better than a (+"), "{told}");
        let same = held(&[&answers(10, 0.9), &answers(10, 0.9)]).difference.expect("two");
        assert_eq!(of_two(&deep, &fast, &same, TEXTS), "deep and fast give the same labels");
        let near = held(&[&answers(10, 0.9), &answers(11, 0.9)]).difference.expect("two");
        let told = of_two(&deep, &fast, &near, TEXTS);
        assert!(
            told.starts_with("no difference in accuracy is shown between deep and fast (+"),
            "{told}"
        );
    }

    #[test]
    fn a_label_that_one_finds_less_often_is_said() {
        // It says `no` wherever the other says `yes` rightly on every other text of it.
        let mut blind = answers(1000, 0.9);
        for (at, answer) in blind.iter_mut().enumerate() {
            if at % 4 == 1 {
                answer.given = Labels::One(0);
            }
        }
        let contest = held(&[&answers(1000, 0.9), &blind]);
        let [seeing, blind] = &contest.evaluations[..] else {
            panic!("two")
        };
        let (seeing, blind) = (
            standing("deep", Kind::Deep, seeing),
            standing("cascade", Kind::Cascade, blind),
        );
        let told = of_labels(&seeing, &blind, &labels()).expect("a label");
        assert_eq!(
            told,
            "cascade finds `yes` less often than deep: recall 0.497 against 1.000"
        );
        assert_eq!(of_labels(&seeing, &seeing, &labels()), None);
    }

    #[test]
    fn a_label_that_is_never_given_and_classes_of_few_texts_are_said() {
        let contest = held(&[&answers(10, 0.9)]);
        let evaluation = &contest.evaluations[0];
        let told = of_one(&standing("deep", Kind::Deep, evaluation), &labels());
        assert_eq!(told, ["deep never says `other` (3 have it) on 400 texts"]);
        assert_eq!(
            of_classes(evaluation, &labels()).expect("a class of three texts"),
            "fewer than 10 texts, so the figures are not reliable: `other` (3)"
        );
        let told = never_given("deep", &labels(), &[60_000, 40_000, 0], 100_000, None);
        assert_eq!(told.as_deref(), Some("deep never says `other` on 100,000 texts"));
        assert_eq!(never_given("deep", &labels(), &[30, 20, 0], 50, None), None);
    }

    #[test]
    fn answers_that_are_too_sure_or_no_better_than_one_label_are_said() {
        let told = |wrong_every, confidence| {
            let contest = held(&[&answers(wrong_every, confidence)]);
            of_one(&standing("fast", Kind::Fast, &contest.evaluations[0]), &labels())
        };
        assert!(
            told(4, 0.99)
                .iter()
                .any(|told| told.starts_with("fast is too sure: its confidence is 99.0% on average"))
        );
        assert!(
            told(20, 0.6)
                .iter()
                .any(|told| told.starts_with("fast is surer than it says"))
        );
        // All right, at 80%.
        assert!(
            told(1000, 0.8)[1].starts_with("fast is surer than it says: its confidence is 80.0% on average, and 99.")
        );
        // It is wrong on every text.
        assert!(
            told(1, 0.6)
                .iter()
                .any(|told| told.starts_with("fast is no better than always saying `"))
        );
    }

    #[test]
    fn a_cascade_that_is_not_worth_it_is_said() {
        let told = of_cascade(0.61, 0.93).expect("not worth it");
        assert!(
            told.starts_with("n-grams can't learn this: agreement 61.0%, the cascade costs 0.93"),
            "{told}"
        );
        assert!(
            of_cascade(0.95, 0.93)
                .expect("not worth it")
                .contains("both agree on 95.0%")
        );
        assert_eq!(of_cascade(0.95, 0.3), None);
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(100), "100");
    }
}
