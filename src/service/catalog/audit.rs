//! The live audit of a cascade: some of the texts that the fast model was sure of go to the deep model too, afterwards, and
//! whether both agree is held against what was certified. Here are its findings; `audit_queue.rs` has the way there.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use super::cascade_calibration::CascadeSetup;
use super::evidence::Evidence;

/// How many texts are remembered, by their hashes alone: the latest.
const REMEMBERED: usize = 8192;

/// What the audit of a task's cascade has found, since this calibration serves.
#[derive(Debug, Default)]
pub struct AuditWatch {
    state: Mutex<Option<State>>,
    seen: Mutex<Seen>,
    hasher: RandomState,
}

/// The hashes of the texts that were drawn last.
#[derive(Debug, Default)]
struct Seen {
    hashes: HashSet<u64>,
    /// The same, the oldest first.
    in_order: VecDeque<u64>,
}

impl Seen {
    /// Whether it is remembered; remembers it in place of the oldest.
    fn add(&mut self, hash: u64) -> bool {
        if !self.hashes.insert(hash) {
            return true;
        }
        if self.in_order.len() == REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        self.in_order.push_back(hash);
        false
    }
}

#[derive(Debug)]
struct State {
    /// Against what was certified; absent if nothing is.
    evidence: Option<Evidence>,
    texts: u64,
    differ: u64,
}

/// What an audit has found until now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Findings {
    /// The number of audited texts, and of those that got another answer than the deep model's.
    pub texts: u64,
    pub differ: u64,
    /// The share that may differ by the certificate; absent if none covers the threshold.
    pub certified_risk: Option<f64>,
    /// How strongly the texts speak against the certificate: 1 at the start, 1/δ at the alarm; absent without one.
    pub evidence: Option<f64>,
    /// Whether the certificate no longer holds.
    pub alarm: bool,
}

impl AuditWatch {
    /// Whether a text, or a pair, was drawn lately; remembers that it is now.
    pub fn was_seen(&self, text: &str, pair: Option<&str>) -> bool {
        let hash = self.hasher.hash_one((text, pair));
        self.seen.lock().add(hash)
    }

    /// Counts audited texts, by whether each got another answer than the deep model's, in an order that does not depend on
    /// that: whoever counted the differing ones first would win his bets by the order alone. Gives what was found, and
    /// whether these raised the alarm.
    pub fn add(&self, setup: &CascadeSetup, differs: impl IntoIterator<Item = bool>) -> (Findings, bool) {
        let mut state = self.state.lock();
        let state = state.get_or_insert_with(|| State {
            evidence: setup
                .certified_agreement()
                .map(|(risk, delta)| Evidence::new(risk, delta)),
            texts: 0,
            differ: 0,
        });
        let mut raised = false;
        for differs in differs {
            state.texts += 1;
            state.differ += u64::from(differs);
            raised |= state.evidence.as_mut().is_some_and(|evidence| evidence.add(differs));
        }
        (state.findings(), raised)
    }

    /// What was found until now; `None` if nothing was audited.
    pub fn findings(&self) -> Option<Findings> {
        self.state.lock().as_ref().map(State::findings)
    }
}

impl State {
    fn findings(&self) -> Findings {
        Findings {
            texts: self.texts,
            differ: self.differ,
            certified_risk: self.evidence.as_ref().map(Evidence::risk),
            evidence: self.evidence.as_ref().map(Evidence::value),
            alarm: self.evidence.as_ref().is_some_and(Evidence::alarm),
        }
    }
}

impl Findings {
    /// What an operator should know, if the alarm was raised.
    pub fn remark(&self, task: &str) -> Option<String> {
        let Self { texts, differ, .. } = self;
        let risk = self.certified_risk.filter(|_| self.alarm)?;
        Some(format!(
            "the audit of the cascade of `{task}` found that {differ} of {texts} texts got another answer than the deep model's, \
             which certified at most {}%: calibrate anew",
            (risk * 1e4).round() / 1e2
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_texts_are_remembered_and_no_more() {
        let watch = AuditWatch::default();
        let text = |number: usize| format!("text {number}");
        for number in 0..REMEMBERED {
            assert!(!watch.was_seen(&text(number), None));
        }
        for number in 0..REMEMBERED {
            assert!(watch.was_seen(&text(number), None), "{number}");
        }
        assert!(!watch.was_seen(&text(0), Some("a pair is another text")));
        assert!(watch.was_seen(&text(1), None));
        assert!(!watch.was_seen(&text(0), None), "the oldest makes room");
        let seen = watch.seen.lock();
        assert_eq!((seen.hashes.len(), seen.in_order.len()), (REMEMBERED, REMEMBERED));
    }
}
