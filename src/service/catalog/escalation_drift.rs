//! Escalation drift: the share of texts that a task escalated within the last hour, whether it is in the range that the
//! calibration expects, and how far the fast model's confidences are from those of the calibration.
//!
//! Plain state; time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::audit::AuditWatch;
use super::cascade_calibration::EscalationRange;
use super::cascade_tables::CurvePoint;
use super::gears::GearState;

/// The share is taken over this time.
const WINDOW: Duration = Duration::from_hours(1);
/// The window moves in steps of this length, which bounds the number of counts that it holds.
const STEP: Duration = Duration::from_mins(1);
/// With fewer texts in the window nothing is reported: chance alone would leave the range.
pub const LEAST_TEXTS: u64 = 500;

/// The counts of a task's cascade. A reload that leaves the task as it was keeps them.
#[derive(Debug, Default)]
pub struct CascadeWatch {
    pub window: Mutex<EscalationWindow>,
    pub gear: GearState,
    pub audit: AuditWatch,
}

/// The counts of the last hour.
#[derive(Debug, Default)]
pub struct EscalationWindow {
    steps: VecDeque<Step>,
    outside: bool,
}

#[derive(Debug)]
struct Step {
    since: Instant,
    texts: u64,
    escalated: u64,
    /// How many were less sure than each threshold of the curve.
    below: Vec<u64>,
}

/// What the calibration says of the task's texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected<'a> {
    /// The range of the share; absent where none was measured.
    pub range: Option<EscalationRange>,
    /// The curve, which says how many are less sure than each of its thresholds; empty where none was measured.
    pub curve: &'a [CurvePoint],
}

/// The state of the window after a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowState {
    /// The share of the last hour, from 0 to 1.
    pub share: f64,
    /// Whether the share is outside the expected range.
    pub outside: bool,
    /// Whether `outside` has just changed.
    pub changed: bool,
    /// The largest difference, at any threshold of the curve, between the share of texts that are less sure than it in the
    /// last hour and in the calibration (Kolmogorov and Smirnov's distance), from 0 to 1; absent with too few texts or
    /// without a curve.
    pub distance: Option<f64>,
}

impl EscalationWindow {
    /// Counts a request's texts, by the confidences of their fast answers, and returns the state after it.
    pub fn record(
        &mut self,
        confidences: &[f32],
        escalated: usize,
        Expected { range, curve }: Expected<'_>,
        now: Instant,
    ) -> WindowState {
        self.forget(now);
        let is_new = |step: &Step| now.saturating_duration_since(step.since) >= STEP || step.below.len() != curve.len();
        if self.steps.back().is_none_or(is_new) {
            self.steps.push_back(Step {
                since: now,
                texts: 0,
                escalated: 0,
                below: vec![0; curve.len()],
            });
        }
        if let Some(step) = self.steps.back_mut() {
            step.texts += confidences.len() as u64;
            step.escalated += escalated as u64;
            for (below, point) in step.below.iter_mut().zip(curve) {
                let less_sure = confidences.iter().filter(|&&sure| sure < point.min_confidence);
                *below += less_sure.count() as u64;
            }
        }
        let texts: u64 = self.steps.iter().map(|step| step.texts).sum();
        let escalated: u64 = self.steps.iter().map(|step| step.escalated).sum();
        let share = escalated as f64 / texts.max(1) as f64;
        let outside = match range {
            Some(range) if texts >= LEAST_TEXTS => !(range.low..=range.high).contains(&share),
            // Too few texts to conclude anything new.
            Some(_) => self.outside,
            None => false,
        };
        let distance = (texts >= LEAST_TEXTS && !curve.is_empty()).then(|| self.distance(texts, curve));
        let changed = outside != self.outside;
        self.outside = outside;
        WindowState {
            share,
            outside,
            changed,
            distance,
        }
    }

    fn distance(&self, texts: u64, curve: &[CurvePoint]) -> f64 {
        let difference = |(at, point): (usize, &CurvePoint)| {
            let below: u64 = self.steps.iter().filter_map(|step| step.below.get(at)).sum();
            (below as f64 / texts as f64 - point.escalated).abs()
        };
        curve.iter().enumerate().map(difference).fold(0.0, f64::max)
    }

    fn forget(&mut self, now: Instant) {
        let old = |step: &Step| now.saturating_duration_since(step.since) >= WINDOW;
        while self.steps.front().is_some_and(old) {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Expected<'_> = Expected {
        range: Some(EscalationRange {
            share: 0.3,
            low: 0.2,
            high: 0.4,
        }),
        curve: &[],
    };

    #[test]
    fn leaving_the_range_and_coming_back_are_news_once_each() {
        let start = Instant::now();
        let mut window = EscalationWindow::default();
        let mut at = |minute: u64, escalated: usize| {
            window.record(&[0.5; 1000], escalated, RANGE, start + Duration::from_secs(60 * minute))
        };
        assert_eq!(
            at(0, 300),
            WindowState {
                share: 0.3,
                outside: false,
                changed: false,
                distance: None
            }
        );
        assert!(!at(1, 350).changed);
        let left = at(2, 900);
        assert!(left.outside && left.changed && (left.share - 1550.0 / 3000.0).abs() < 1e-12);
        assert!(!at(3, 900).changed);
        // An hour later the bad minutes have left the window.
        let back = at(64, 300);
        assert_eq!(
            back,
            WindowState {
                share: 0.3,
                outside: false,
                changed: true,
                distance: None
            }
        );
    }

    #[test]
    fn few_texts_say_nothing() {
        let now = Instant::now();
        let mut window = EscalationWindow::default();
        let few = usize::try_from(LEAST_TEXTS).expect("small") - 1;
        assert!(!window.record(&vec![0.5; few], few, RANGE, now).outside);
        assert!(window.record(&[0.5], 1, RANGE, now).outside);
        assert!(!window.record(&[0.5], 1, Expected::default(), now).outside);
    }

    #[test]
    fn the_window_holds_a_bounded_number_of_steps() {
        let start = Instant::now();
        let mut window = EscalationWindow::default();
        for second in 0..20_000 {
            window.record(&[0.5], 0, RANGE, start + Duration::from_secs(second));
        }
        assert!(window.steps.len() <= 61, "{}", window.steps.len());
    }

    #[test]
    fn confidences_are_held_against_those_of_the_calibration() {
        let point = |min_confidence, escalated| CurvePoint {
            min_confidence,
            escalated,
            ..CurvePoint::default()
        };
        let curve = [point(0.0, 0.0), point(0.7, 0.2), point(0.9, 0.5)];
        let expected = Expected {
            range: None,
            curve: &curve,
        };
        let now = Instant::now();
        let mut window = EscalationWindow::default();
        let as_measured = [[0.6; 20].as_slice(), &[0.8; 30], &[0.95; 50]].concat();
        for _ in 0..4 {
            assert_eq!(window.record(&as_measured, 20, expected, now).distance, None, "too few");
        }
        let close = window.record(&as_measured, 20, expected, now).distance;
        assert!(close.expect("enough texts") < 1e-9);
        // As many again that are all unsure: 60% below 0.7, where 20% were.
        let other = window.record(&[0.5; 500], 500, expected, now).distance;
        assert!((other.expect("enough texts") - 0.4).abs() < 1e-9, "{other:?}");
    }
}
