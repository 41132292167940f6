//! Drift: the share of texts that a task escalated within the last hour, and whether it is where the calibration expects it.
//!
//! Plain state; time is passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cascade_calibration::EscalationRange;

/// How far back the share looks.
const WINDOW: Duration = Duration::from_hours(1);
/// The window moves by this much at a time, which bounds what it holds.
const STEP: Duration = Duration::from_mins(1);
/// With fewer texts than this in the window, nothing is said: chance alone would leave the range.
pub const LEAST_TEXTS: u64 = 500;

/// What is kept of a task's cascade while the task stays as it is.
#[derive(Debug, Default)]
pub struct CascadeWatch {
    /// How much it escalated of late.
    pub window: Mutex<EscalationWindow>,
}

/// The share of the last hour.
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

/// What the window says after a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowState {
    /// The share of the last hour, from 0 to 1.
    pub share: f64,
    /// Whether it is outside the range.
    pub outside: bool,
    /// Whether that is news.
    pub changed: bool,
}

impl EscalationWindow {
    /// Counts a request's texts, and says where the share is now. `range` is absent where none was measured.
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
            // Too few to say anything new.
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
        // An hour later the bad minutes are forgotten.
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
