//! When failures of a model are so many that it should get no more requests: a state machine without a clock.
//!
//! A burst turns a model out, one failure does not, and it comes back by time alone: a model that is asked nothing can
//! prove nothing. A relapse right after that keeps it out for longer.

use std::time::{Duration, Instant};

/// Over what time failures count as one burst.
const WINDOW: Duration = Duration::from_secs(10);
/// The fewest failures that are a burst.
const BURST: u32 = 5;
/// How long a model is out for its first burst; for each relapse twice as long, up to the most.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The failures of one model.
#[derive(Debug)]
pub struct Failures {
    window_started: Instant,
    answered: u32,
    failed: u32,
    out_until: Option<Instant>,
    next_pause: Duration,
}

impl Failures {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self {
            window_started: now,
            answered: 0,
            failed: 0,
            out_until: None,
            next_pause: FIRST_PAUSE,
        }
    }

    /// Takes note of a request that was answered.
    pub fn answered(&mut self, now: Instant) {
        self.move_window(now);
        self.answered += 1;
    }

    /// Takes note of a request that the model failed on; says for how long the model is turned out, if it is just now.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        self.move_window(now);
        self.failed += 1;
        let out = self.back_at(now).is_some();
        // Some bad requests among many good ones are the requests' fault.
        if out || self.failed < BURST || self.failed < self.answered {
            return None;
        }
        let pause = self.next_pause;
        let back_at = now + pause;
        self.next_pause = (pause * 2).min(LONGEST_PAUSE);
        self.out_until = Some(back_at);
        // What comes after the pause is judged afresh.
        self.start_window(back_at);
        Some(pause)
    }

    /// When the model is back; nothing if it is not out.
    pub fn back_at(&self, now: Instant) -> Option<Instant> {
        self.out_until.filter(|&until| now < until)
    }

    /// Whether there is nothing to remember any more.
    pub fn forgotten(&self, now: Instant) -> bool {
        self.back_at(now).is_none() && now.saturating_duration_since(self.window_started) >= WINDOW
    }

    fn move_window(&mut self, now: Instant) {
        if self.forgotten(now) {
            // A whole window without a burst: the next one is a first one.
            self.next_pause = FIRST_PAUSE;
            self.start_window(now);
        }
    }

    fn start_window(&mut self, at: Instant) {
        self.window_started = at;
        self.answered = 0;
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(failures: &mut Failures, at: Instant) -> Option<Duration> {
        (0..BURST).filter_map(|_| failures.failed(at)).next()
    }

    #[test]
    fn a_burst_turns_a_model_out_and_time_brings_it_back() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for _ in 1..BURST {
            assert_eq!(failures.failed(start), None);
        }
        assert_eq!(failures.failed(start), Some(FIRST_PAUSE));
        assert_eq!(failures.failed(start), None, "it is out already");
        assert!(
            failures
                .back_at(start + FIRST_PAUSE - Duration::from_millis(1))
                .is_some()
        );
        assert_eq!(failures.back_at(start + FIRST_PAUSE), None);
    }

    #[test]
    fn scattered_failures_and_a_few_among_many_answers_do_not() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for times in 0..100 {
            assert_eq!(failures.failed(start + times * Duration::from_secs(3)), None);
        }
        let mut failures = Failures::new(start);
        for _ in 0..100 {
            failures.answered(start);
        }
        assert_eq!(burst(&mut failures, start), None);
    }

    #[test]
    fn a_relapse_takes_longer_up_to_a_limit_and_a_good_window_is_forgiven() {
        let mut now = Instant::now();
        let mut failures = Failures::new(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let pause = burst(&mut failures, now).expect("a burst");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert!(!failures.forgotten(now));
        now += WINDOW;
        assert!(failures.forgotten(now));
        assert_eq!(burst(&mut failures, now), Some(FIRST_PAUSE));
    }
}
