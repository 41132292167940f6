//! Verdict on a canary: counts in, whether it stays out. Pure.

use std::time::Duration;

use crate::config::Settings;

/// How much worse than the stable version a canary may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The fewest requests, and the fewest compared texts, from which anything is concluded.
    pub least_count: u64,
    /// The most by which the canary's share of failed requests may exceed the stable version's, from 0 to 1.
    pub max_failures: f64,
    /// How far its answers and times may differ from the stable version's.
    pub comparison: ComparisonBounds,
}

/// How far one version's answers to the same texts, and their times, may differ from another's. For shadows and
/// canaries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ComparisonBounds {
    /// The largest share of compared texts with another label, from 0 to 1.
    pub max_disagreement: f64,
    /// The most times as long as the serving version that it may take, for at least half of the compared texts.
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
    pub requests: u64,
    /// Requests that failed because the model failed.
    pub failed: u64,
}

/// The counts of texts that both versions answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    pub texts: u64,
    /// Texts with different labels.
    pub differing: u64,
    /// Texts for which the canary took longer than it may.
    pub slower: u64,
    /// The time that the canary took for them.
    pub canary_time: Duration,
    /// The time that the stable version took for them.
    pub stable_time: Duration,
}

/// Everything counted of a canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The canary's requests.
    pub canary: Tally,
    /// The stable version's requests in the same time.
    pub stable: Tally,
    /// The canary's texts that both versions answered.
    pub compared: Compared,
}

/// Why a canary does not stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Too many of its requests fail.
    Failures,
    /// It gives other labels to too many texts.
    Disagreement,
    /// It takes too long for more than half of the texts.
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
    /// The share of requests that failed, counted as if there were at least `least` of them.
    fn failed_of(&self, least: u64) -> f64 {
        ratio(self.failed, self.requests.max(least))
    }
}

impl Compared {
    /// The canary's time divided by the stable version's; 0 where nothing was measured.
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

    pub fn add(&mut self, more: Self) {
        self.texts += more.texts;
        self.differing += more.differing;
        self.slower += more.slower;
        self.canary_time += more.canary_time;
        self.stable_time += more.stable_time;
    }

    /// The fault of a version with these counts, and a line that explains it; `None` if it stays. Below `least` texts,
    /// the share of different labels is taken of `least`: a few texts alone condemn nobody.
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
        // By the number of texts, not by sums of time: on a busy machine a few runs wait for a processor and take as
        // long as all the others.
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
    /// Half of every count, so that new counts weigh more than old ones.
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

    /// The fault of the canary, and a line that explains it; `None` if it stays. Below the least count, shares are
    /// taken of the least count: a few failures alone condemn nobody.
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

/// A share as a percentage with one decimal.
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
