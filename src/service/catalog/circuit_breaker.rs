//! Circuit breaker of a version: after how many failures it is examined, and for how long it gets no requests if it is
//! broken. Time is passed in.
//!
//! Failures alone prove nothing: one caller's texts may be at fault. So a burst of failures only has the model examined
//! on the server's own texts. A model that fails those is taken out and comes back when a pause is over: while it gets
//! no requests, it can't show that it works. A relapse right after the pause makes the next pause longer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures within this time count as one burst.
const WINDOW: Duration = Duration::from_secs(10);
/// The fewest failures that are a burst.
const BURST: u32 = 5;
/// The pause after a first burst; each relapse doubles it, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The shortest time between two examinations: a limit on the work that callers' texts can cause.
pub const REST: Duration = Duration::from_secs(5);

/// What an examination found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It answered every text.
    Sound,
    /// It failed a text.
    Broken,
    /// It had no room or no time, or no text is known that it should answer.
    Unknown,
}

impl Finding {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Finding::Sound => "sound",
            Finding::Broken => "broken",
            Finding::Unknown => "unknown",
        }
    }
}

/// The circuit breaker of one version.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    failures: Mutex<Option<Failures>>,
    /// Whether there are failures to remember. Lets an answer skip the lock in the usual case.
    remembers: AtomicBool,
}

impl CircuitBreaker {
    /// Counts a request that was answered.
    pub fn answered(&self, now: Instant) {
        if !self.remembers() {
            return;
        }
        let mut failures = self.failures.lock();
        if let Some(known) = &mut *failures {
            known.answered(now);
            if known.forgotten(now) {
                *failures = None;
            }
        }
        self.remembers.store(failures.is_some(), Ordering::Relaxed);
    }

    /// Counts a request that the model failed on; returns whether an examination is now due.
    pub fn failed(&self, now: Instant) -> bool {
        let mut failures = self.failures.lock();
        self.remembers.store(true, Ordering::Relaxed);
        failures.get_or_insert_with(|| Failures::new(now)).failed(now)
    }

    /// Begins an examination if one is due; returns whether it did. [`CircuitBreaker::found`] must end it, whatever
    /// comes of it.
    pub fn begin_examination(&self) -> bool {
        self.remembers() && self.failures.lock().as_mut().is_some_and(Failures::begin_examination)
    }

    /// Ends an examination with its finding; returns the pause if the version is taken out.
    pub fn found(&self, finding: Finding, now: Instant) -> Option<Duration> {
        let mut failures = self.failures.lock();
        failures.get_or_insert_with(|| Failures::new(now)).found(finding, now)
    }

    /// When the pause is over; `None` if the version is not taken out.
    pub fn back_at(&self, now: Instant) -> Option<Instant> {
        if !self.remembers() {
            return None;
        }
        self.failures.lock().as_ref()?.back_at(now)
    }

    fn remembers(&self) -> bool {
        self.remembers.load(Ordering::Relaxed)
    }
}

/// Whether an examination is due or under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Examination {
    None,
    Due,
    Running,
}

/// The recent failures of one version.
#[derive(Debug)]
struct Failures {
    window_started: Instant,
    answered: u32,
    failed: u32,
    examination: Examination,
    rests_until: Option<Instant>,
    out_until: Option<Instant>,
    next_pause: Duration,
}

impl Failures {
    fn new(now: Instant) -> Self {
        Self {
            window_started: now,
            answered: 0,
            failed: 0,
            examination: Examination::None,
            rests_until: None,
            out_until: None,
            next_pause: FIRST_PAUSE,
        }
    }

    /// Counts a request that was answered.
    fn answered(&mut self, now: Instant) {
        self.move_window(now);
        self.answered += 1;
    }

    /// Counts a request that the model failed on; returns whether an examination is now due.
    fn failed(&mut self, now: Instant) -> bool {
        self.move_window(now);
        self.failed += 1;
        let rests = self.examination != Examination::None || self.rests_until.is_some_and(|until| now < until);
        // A few bad requests among many good ones are the requests' own fault.
        if rests || self.back_at(now).is_some() || self.failed < BURST || self.failed < self.answered {
            return false;
        }
        self.examination = Examination::Due;
        true
    }

    /// Begins an examination if one is due; returns whether it did.
    fn begin_examination(&mut self) -> bool {
        let due = self.examination == Examination::Due;
        if due {
            self.examination = Examination::Running;
        }
        due
    }

    /// Ends an examination at `now`; returns the pause if the version is taken out.
    fn found(&mut self, finding: Finding, now: Instant) -> Option<Duration> {
        self.examination = Examination::None;
        if finding != Finding::Broken {
            self.rests_until = Some(now + REST);
            self.start_window(now);
            return None;
        }
        let pause = self.next_pause;
        let back_at = now + pause;
        self.next_pause = (pause * 2).min(LONGEST_PAUSE);
        self.out_until = Some(back_at);
        // A new window begins after the pause.
        self.start_window(back_at);
        Some(pause)
    }

    /// When the pause is over; `None` if the version is not taken out.
    fn back_at(&self, now: Instant) -> Option<Instant> {
        self.out_until.filter(|&until| now < until)
    }

    /// Whether nothing is left to remember.
    fn forgotten(&self, now: Instant) -> bool {
        self.examination == Examination::None
            && self.back_at(now).is_none()
            && now.saturating_duration_since(self.window_started) >= WINDOW
    }

    fn move_window(&mut self, now: Instant) {
        if self.forgotten(now) {
            // A whole window without a burst: the next burst counts as a first one.
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

    /// Adds a burst at `at`; returns whether an examination is due.
    fn burst(failures: &mut Failures, at: Instant) -> bool {
        (0..BURST).any(|_| failures.failed(at))
    }

    #[test]
    fn a_burst_has_a_model_examined_and_one_that_is_broken_is_out_until_time_brings_it_back() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for _ in 1..BURST {
            assert!(!failures.failed(start));
        }
        assert!(failures.failed(start));
        assert!(!burst(&mut failures, start), "it is examined already");
        assert_eq!(failures.back_at(start), None, "it serves meanwhile");
        assert!(!failures.forgotten(start + 2 * WINDOW), "the finding is still to come");
        assert_eq!(failures.found(Finding::Broken, start), Some(FIRST_PAUSE));
        assert!(!burst(&mut failures, start), "it is out already");
        let last = start + FIRST_PAUSE.saturating_sub(Duration::from_millis(1));
        assert!(failures.back_at(last).is_some());
        assert_eq!(failures.back_at(start + FIRST_PAUSE), None);
    }

    #[test]
    fn one_that_is_sound_stays_however_often_it_fails_and_is_left_alone_for_a_while() {
        let mut now = Instant::now();
        let mut failures = Failures::new(now);
        for finding in [Finding::Sound, Finding::Unknown, Finding::Sound] {
            assert!(burst(&mut failures, now));
            assert_eq!(failures.found(finding, now), None);
            assert_eq!(failures.back_at(now), None);
            for _ in 0..100 {
                assert!(!failures.failed(now + REST.saturating_sub(Duration::from_millis(1))));
            }
            now += REST;
        }
    }

    #[test]
    fn scattered_failures_and_a_few_among_many_answers_do_not() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for times in 0..100 {
            assert!(!failures.failed(start + times * Duration::from_secs(3)));
        }
        let mut failures = Failures::new(start);
        for _ in 0..100 {
            failures.answered(start);
        }
        assert!(!burst(&mut failures, start));
    }

    #[test]
    fn a_relapse_takes_longer_up_to_a_limit_and_a_good_window_is_forgiven() {
        let mut now = Instant::now();
        let mut failures = Failures::new(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert!(burst(&mut failures, now));
            let pause = failures.found(Finding::Broken, now).expect("it is broken");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        assert!(!failures.forgotten(now));
        now += WINDOW;
        assert!(failures.forgotten(now));
        assert!(burst(&mut failures, now));
        assert_eq!(failures.found(Finding::Broken, now), Some(FIRST_PAUSE));
    }
}
