//! Escalation drift: the share of texts that a task escalated within the last hour, and whether it is in the range that
//! the calibration expects.
//!
//! Plain state; time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::audit::AuditWatch;
use super::cascade_calibration::EscalationRange;
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
}

impl EscalationWindow {
    /// Counts a request's texts, and returns the state after it. `range` is absent where none was measured.
    pub fn record(
        &mut self,
        texts: usize,
        escalated: usize,
        range: Option<EscalationRange>,
        now: Instant,
    ) -> WindowState {
        self.forget(now);
        match self.steps.back_mut() {
            Some(step) if now.saturating_duration_since(step.since) < STEP => {
                step.texts += texts as u64;
                step.escalated += escalated as u64;
            }
            _ => self.steps.push_back(Step {
                since: now,
                texts: texts as u64,
                escalated: escalated as u64,
            }),
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
        let changed = outside != self.outside;
        self.outside = outside;
        WindowState {
            share,
            outside,
            changed,
        }
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

    const RANGE: Option<EscalationRange> = Some(EscalationRange {
        share: 0.3,
        low: 0.2,
        high: 0.4,
    });

    #[test]
    fn leaving_the_range_and_coming_back_are_news_once_each() {
        let start = Instant::now();
        let mut window = EscalationWindow::default();
        let mut at = |minute: u64, escalated: usize| {
            window.record(1000, escalated, RANGE, start + Duration::from_secs(60 * minute))
        };
        assert_eq!(
            at(0, 300),
            WindowState {
                share: 0.3,
                outside: false,
                changed: false
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
                changed: true
            }
        );
    }

    #[test]
    fn few_texts_say_nothing() {
        let now = Instant::now();
        let mut window = EscalationWindow::default();
        let few = usize::try_from(LEAST_TEXTS).expect("small") - 1;
        assert!(!window.record(few, few, RANGE, now).outside);
        assert!(window.record(1, 1, RANGE, now).outside);
        assert!(!window.record(1, 1, None, now).outside);
    }

    #[test]
    fn the_window_holds_a_bounded_number_of_steps() {
        let start = Instant::now();
        let mut window = EscalationWindow::default();
        for second in 0..20_000 {
            window.record(1, 0, RANGE, start + Duration::from_secs(second));
        }
        assert!(window.steps.len() <= 61, "{}", window.steps.len());
    }
}
