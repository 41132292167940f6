//! How many requests a server gets at a time: a little more with every answer that comes soon, half as many at a refusal, and
//! none for a while after it was lost. Pure; takes `now`.

use std::time::{Duration, Instant};

/// The most requests that are open at a server.
pub const MOST_OPEN: f64 = 64.0;
/// How many a server gets at first.
const FIRST_OPEN: f64 = 2.0;
/// Answers that take less let the number grow.
const SOON: Duration = Duration::from_secs(1);
/// Answers that take longer let it shrink.
const LATE: Duration = Duration::from_secs(4);
/// The pause after a refusal that names none.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// The pause after a server was lost; it doubles until it is tried again with success.
const LOST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, whoever asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pace of one server.
#[derive(Clone, Debug)]
pub struct Pace {
    limit: f64,
    open: u32,
    /// No request begins before this.
    held_until: Option<Instant>,
    /// Requests that began before this tell nothing new of what is wrong.
    cut: Option<Instant>,
    /// How often it was lost since its last answer.
    lost: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            limit: FIRST_OPEN,
            open: 0,
            held_until: None,
            cut: None,
            lost: 0,
        }
    }
}

impl Pace {
    /// How full it is, from 0; `None` if it gets no request now.
    pub fn load(&self, now: Instant) -> Option<f64> {
        let held = self.held_until.is_some_and(|until| until > now);
        // A server that was lost is tried with one request.
        let limit = if self.lost > 0 { 1.0 } else { self.limit.floor() };
        (!held && f64::from(self.open) < limit).then(|| f64::from(self.open) / self.limit)
    }

    /// When a pause ends, if there is one.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Whether it was lost and not found again.
    pub fn is_lost(&self) -> bool {
        self.lost > 0
    }

    /// A request begins.
    pub fn begin(&mut self) {
        self.open += 1;
    }

    /// A request ends, in whatever way.
    pub fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// It answered a request that took so long.
    pub fn answered(&mut self, took: Duration) {
        self.lost = 0;
        if took < SOON {
            self.limit = (self.limit + 1.0 / self.limit).min(MOST_OPEN);
        } else if took > LATE {
            self.limit = (self.limit * 0.9).max(1.0);
        }
    }

    /// It refused a request of `began` for want of room, and named a pause or none.
    pub fn refused(&mut self, now: Instant, began: Instant, pause: Option<Duration>) {
        self.lost = 0;
        self.hold(now + pause.unwrap_or(REFUSED_PAUSE).min(LONGEST_PAUSE));
        self.halve(now, began);
    }

    /// It was lost while a request of `began` was open, or could not be reached.
    pub fn lose(&mut self, now: Instant, began: Instant) {
        if !self.halve(now, began) {
            return;
        }
        let pause = LOST_PAUSE * 2_u32.pow(self.lost.min(10));
        self.lost = self.lost.saturating_add(1);
        self.hold(now + pause.min(LONGEST_PAUSE));
    }

    fn hold(&mut self, until: Instant) {
        self.held_until = self.held_until.max(Some(until));
    }

    /// Halves the limit once for all requests that were open at a time; whether it did.
    fn halve(&mut self, now: Instant, began: Instant) -> bool {
        if self.cut.is_some_and(|cut| began < cut) {
            return false;
        }
        self.cut = Some(now);
        self.limit = (self.limit / 2.0).max(1.0);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_grows_while_answers_come_soon_up_to_its_bound_and_shrinks_when_they_are_late() {
        let now = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.answered(MS);
        }
        assert_eq!(pace.limit, MOST_OPEN);
        (0..64).for_each(|_| pace.begin());
        assert_eq!(pace.load(now), None);
        pace.end();
        assert!(pace.load(now).is_some());
        pace.answered(SOON);
        assert_eq!(pace.limit, MOST_OPEN);
        for _ in 0..1000 {
            pace.answered(LATE + MS);
        }
        assert_eq!(pace.limit, 1.0);
    }

    #[test]
    fn a_refusal_halves_it_once_for_all_that_were_open_and_its_pause_is_kept() {
        let now = Instant::now();
        let mut pace = Pace {
            limit: 32.0,
            ..Pace::default()
        };
        for _ in 0..5 {
            pace.refused(now + MS, now, Some(700 * MS));
        }
        assert_eq!(pace.limit, 16.0);
        assert_eq!(pace.load(now + 700 * MS), None);
        assert!(pace.load(now + 701 * MS).is_some());
        pace.refused(now + 2 * MS, now + 2 * MS, Some(Duration::from_hours(1)));
        assert_eq!(pace.limit, 8.0);
        assert!(pace.load(now + LONGEST_PAUSE + 2 * MS).is_some());
    }

    #[test]
    fn a_server_that_is_lost_rests_ever_longer_and_is_tried_with_one_request() {
        let before = Instant::now();
        let mut now = before + MS;
        let mut pace = Pace {
            limit: 32.0,
            ..Pace::default()
        };
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pace.lose(now, now);
            // Others of the same moment add nothing.
            pace.lose(now, before);
            let until = pace.held_until().expect("a pause");
            pauses.push((until - now).as_millis());
            now = until;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert!(pace.is_lost() && pace.load(now).is_some());
        pace.begin();
        assert_eq!(pace.load(now), None);
        pace.answered(MS);
        assert!(!pace.is_lost() && pace.load(now).is_some());
    }
}
