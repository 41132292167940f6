//! Whether a canary stays: counts in, a verdict out. Pure.

use std::time::Duration;

use crate::config::Settings;

/// How far a canary may be worse than the stable version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// How many requests, and how many compared texts, it takes to tell.
    pub least_count: u64,
    /// By how much the share of its requests that fail may be above the stable version's.
    pub max_failures: f64,
    /// How far its answers and its times may be from the stable version's.
    pub comparison: ComparisonBounds,
}

/// How far one version's answers to the same texts may be from another's, and its times: for a shadow and for a canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComparisonBounds {
    /// The largest share of compared texts with another label.
    pub max_disagreement: f64,
    /// How many times as long as the version that serves it may take for the middle one of the compared texts.
    pub max_slowdown: f64,
}

impl From<&Settings> for Bounds {
    fn from(settings: &Settings) -> Self {
        Self {
            least_count: settings.canary_min_count,
            max_failures: settings.canary_max_failures,
            comparison: ComparisonBounds {
                max_disagreement: settings.canary_max_disagreement,
                max_slowdown: settings.canary_max_slowdown,
            },
        }
    }
}

/// How the requests of a version went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Those that failed because the model did.
    pub failed: u64,
}

/// What came of texts that both versions answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Texts.
    pub texts: u64,
    /// Those with different labels.
    pub differing: u64,
    /// Those for which the canary took longer than it may.
    pub slower: u64,
    /// The canary's time for them.
    pub canary_time: Duration,
    /// The stable version's time for them.
    pub stable_time: Duration,
}

/// What was seen of a canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its requests.
    pub canary: Tally,
    /// The stable version's, in the same time.
    pub stable: Tally,
    /// Texts of the canary's that both answered.
    pub compared: Compared,
}

/// Why a canary does not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its requests fail.
    Failures,
    /// It says something else.
    Disagreement,
    /// It is slow.
    Slowness,
}

impl Fault {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Failures => "failures",
            Fault::Disagreement => "disagreement",
            Fault::Slowness => "slowness",
        }
    }
}

impl Tally {
    /// The share that failed, of at least `least` requests.
    fn failed_of(&self, least: u64) -> f64 {
        ratio(self.failed, self.requests.max(least))
    }
}

impl Compared {
    /// The canary's time by the stable version's; 0 where nothing was measured.
    pub fn time_ratio(&self) -> f64 {
        if self.stable_time.is_zero() {
            return 0.0;
        }
        self.canary_time.as_secs_f64() / self.stable_time.as_secs_f64()
    }

    /// The share of texts with different labels.
    pub fn disagreement(&self) -> f64 {
        ratio(self.differing, self.texts)
    }

    /// Counts more texts.
    pub fn add(&mut self, more: Self) {
        self.texts += more.texts;
        self.differing += more.differing;
        self.slower += more.slower;
        self.canary_time += more.canary_time;
        self.stable_time += more.stable_time;
    }

    /// Why a version that did so does not stay, in one line too; nothing if it does. Where fewer than `least` texts were seen, so
    /// many must differ that it would be too many of the least count.
    pub fn fault(&self, bounds: &ComparisonBounds, least: u64) -> Option<(Fault, String)> {
        let Compared {
            texts,
            differing,
            slower,
            ..
        } = *self;
        if ratio(differing, texts.max(least)) > bounds.max_disagreement {
            let at_most = percent(bounds.max_disagreement);
            return Some((
                Fault::Disagreement,
                format!(
                    "it gave {differing} of {texts} texts another label than the stable version, at most {at_most} may"
                ),
            ));
        }
        // By the number of texts, not by sums of time: on a busy machine a few runs wait for a processor, and take as long as all others.
        if texts >= least && 2 * slower > texts {
            let most = bounds.max_slowdown;
            return Some((
                Fault::Slowness,
                format!(
                    "it took more than {most:.2} times as long as the stable version for {slower} of {texts} texts, at most half may"
                ),
            ));
        }
        None
    }
}

impl Seen {
    /// Halves everything, so that what comes weighs more than what was.
    pub fn halved(self) -> Self {
        let half = |tally: Tally| Tally {
            requests: tally.requests / 2,
            failed: tally.failed / 2,
        };
        Self {
            canary: half(self.canary),
            stable: half(self.stable),
            compared: Compared {
                texts: self.compared.texts / 2,
                differing: self.compared.differing / 2,
                slower: self.compared.slower / 2,
                canary_time: self.compared.canary_time / 2,
                stable_time: self.compared.stable_time / 2,
            },
        }
    }

    /// Why the canary does not stay, in one line too; nothing if it does. Where few were seen, so much must have gone wrong that
    /// it would be too much of the least count too.
    pub fn fault(&self, bounds: &Bounds) -> Option<(Fault, String)> {
        let least = bounds.least_count.max(1);
        let (failed, stable_failed) = (self.canary.failed_of(least), self.stable.failed_of(1));
        if failed > stable_failed + bounds.max_failures {
            let (of, at_most) = (self.canary.requests, percent(stable_failed + bounds.max_failures));
            let failed = self.canary.failed;
            return Some((
                Fault::Failures,
                format!("it failed {failed} of {of} requests, at most {at_most} may"),
            ));
        }
        self.compared.fault(&bounds.comparison, least)
    }
}

/// A share in words.
fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        least_count: 100,
        max_failures: 0.01,
        comparison: ComparisonBounds {
            max_disagreement: 0.1,
            max_slowdown: 2.0,
        },
    };

    fn tallies(canary: (u64, u64), stable: (u64, u64)) -> Seen {
        let tally = |(requests, failed)| Tally { requests, failed };
        Seen {
            canary: tally(canary),
            stable: tally(stable),
            ..Seen::default()
        }
    }

    fn compared(texts: u64, differing: u64, slower: u64) -> Seen {
        Seen {
            compared: Compared {
                texts,
                differing,
                slower,
                ..Compared::default()
            },
            ..Seen::default()
        }
    }

    fn fault(seen: Seen) -> Option<Fault> {
        seen.fault(&BOUNDS).map(|(fault, _)| fault)
    }

    #[test]
    fn one_failure_is_none_and_more_than_the_bound_of_the_least_count_are() {
        assert_eq!(fault(tallies((1, 1), (0, 0))), None);
        assert_eq!(fault(tallies((2, 2), (0, 0))), Some(Fault::Failures));
        assert_eq!(fault(tallies((1000, 10), (0, 0))), None);
        assert_eq!(fault(tallies((1000, 11), (0, 0))), Some(Fault::Failures));
    }

    #[test]
    fn what_the_stable_version_fails_too_is_not_the_canarys_fault() {
        assert_eq!(fault(tallies((1000, 50), (1000, 45))), None);
        assert_eq!(fault(tallies((1000, 50), (1000, 39))), Some(Fault::Failures));
    }

    #[test]
    fn another_label_for_too_many_texts_is_a_fault() {
        assert_eq!(fault(compared(10, 10, 0)), None);
        assert_eq!(fault(compared(11, 11, 0)), Some(Fault::Disagreement));
        assert_eq!(fault(compared(1000, 100, 0)), None);
        assert_eq!(fault(compared(1000, 101, 0)), Some(Fault::Disagreement));
    }

    #[test]
    fn slowness_is_told_by_enough_texts_alone() {
        assert_eq!(fault(compared(99, 0, 99)), None);
        assert_eq!(fault(compared(100, 0, 51)), Some(Fault::Slowness));
        assert_eq!(fault(compared(100, 0, 50)), None);
    }

    #[test]
    fn halving_keeps_shares_and_forgets() {
        let seen = tallies((1000, 40), (500, 2)).halved();
        assert_eq!(seen, tallies((500, 20), (250, 1)));
    }
}
