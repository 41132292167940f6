//! Gears: the thresholds of a cascade among which its load chooses. The first is the task's own; under load lower ones
//! follow, so that more fast answers stand and the deep model has less to do, down to a floor that the operator sets.
//!
//! The time that the deep model needs for one more text decides. While it is longer than a limit, the next gear is taken,
//! one after the other; once it was less than a quarter of the limit for a second, the one before. Between the two nothing
//! changes. Plain state; time is passed in.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::cascade_calibration::{Calibration, CascadeSetup};
use crate::config::settings::GearSettings;

/// The least time in one gear before the next lower one.
const DOWN_AFTER: Duration = Duration::from_millis(100);
/// How long the wait must have been short before the next higher one.
const UP_AFTER: Duration = Duration::from_secs(1);
/// The wait is short when it is at most the limit divided by this.
const SHORT: u32 = 4;

/// The gears of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Gears {
    /// The thresholds, falling; the first is the task's own, and there are two at least.
    thresholds: Vec<f32>,
    /// The longest wait for the deep model in any gear but the last.
    longest_wait: Duration,
}

/// Which gear a task is in.
#[derive(Debug, Default)]
pub struct GearState(Mutex<Option<State>>);

#[derive(Clone, Copy, Debug)]
struct State {
    gear: usize,
    /// When it was taken.
    since: Instant,
    /// Since when the wait is short; `None` while it is not.
    short_since: Option<Instant>,
}

/// One gear, which the load chose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gear {
    pub threshold: f32,
    /// 0 for the task's own threshold.
    pub number: usize,
    /// Whether it was taken just now.
    pub changed: bool,
}

impl Gears {
    /// The gears that the operator wants. `None` where a calibration is there but does not hold for the models: nothing is
    /// known of lower thresholds then. The error is a sentence without the setting's key.
    pub fn find(set: &GearSettings, cascade: Option<&CascadeSetup>) -> Result<Option<Self>, String> {
        let setup = cascade.ok_or("the task has one tier only, and no cascade")?;
        let (Some(calibration), Some(own)) = (setup.measured.as_deref(), setup.min_confidence) else {
            return match setup.unused {
                Some(_) => Ok(None),
                None => Err("the cascade is not calibrated; run `tandem calibrate`".to_owned()),
            };
        };
        if set.floor >= own {
            return Err(format!(
                "floor is {}, it must be below the threshold of the cascade, {own}",
                set.floor
            ));
        }
        Ok(Some(Self::new(own, set.floor, calibration, set.queue_time.0)))
    }

    /// The points of the measured curve from the task's own threshold down to `floor`, which is the last. `own` is above
    /// it.
    fn new(own: f32, floor: f32, calibration: &Calibration, longest_wait: Duration) -> Self {
        let points = calibration.curve.iter().map(|point| point.min_confidence);
        let mut thresholds: Vec<f32> = points.filter(|&point| floor < point && point < own).collect();
        thresholds.extend([own, floor]);
        thresholds.sort_by(|a, b| b.total_cmp(a));
        Self {
            thresholds,
            longest_wait,
        }
    }

    /// The thresholds, falling; the first is the task's own.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Chooses the threshold of a request, where the deep model needs `wait` for one more text.
    pub fn choose(&self, state: &GearState, wait: Duration, now: Instant) -> Gear {
        let mut state = state.0.lock();
        let state = state.get_or_insert(State {
            gear: 0,
            since: now,
            short_since: Some(now),
        });
        let last = self.thresholds.len() - 1;
        let before = state.gear;
        // A reload may have left fewer.
        state.gear = before.min(last);
        if wait > self.longest_wait / SHORT {
            state.short_since = None;
        } else {
            state.short_since.get_or_insert(now);
        }
        let for_long = |since: Instant, least: Duration| now.saturating_duration_since(since) >= least;
        let is_long = wait > self.longest_wait;
        if is_long && state.gear < last && (state.gear == 0 || for_long(state.since, DOWN_AFTER)) {
            state.gear += 1;
        } else if state.gear > 0 && state.short_since.is_some_and(|since| for_long(since, UP_AFTER)) {
            state.gear -= 1;
            state.short_since = Some(now);
        }
        if state.gear != before {
            state.since = now;
        }
        Gear {
            threshold: self.thresholds[state.gear],
            number: state.gear,
            changed: state.gear != before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gears() -> Gears {
        Gears {
            thresholds: vec![0.9, 0.8, 0.7],
            longest_wait: Duration::from_millis(40),
        }
    }

    const LONG: Duration = Duration::from_millis(41);
    const MIDDLE: Duration = Duration::from_millis(20);
    const SHORT: Duration = Duration::from_millis(10);

    #[test]
    fn a_long_wait_lowers_it_step_by_step_and_a_short_one_raises_it_again() {
        let (gears, state, start) = (gears(), GearState::default(), Instant::now());
        let at = |millis: u64, wait: Duration| {
            let chosen = gears.choose(&state, wait, start + Duration::from_millis(millis));
            (chosen.threshold, chosen.changed)
        };
        assert_eq!(at(0, SHORT), (0.9, false));
        assert_eq!(at(1, LONG), (0.8, true));
        assert_eq!(at(50, LONG), (0.8, false));
        assert_eq!(at(101, LONG), (0.7, true));
        assert_eq!(at(900, LONG), (0.7, false), "the floor");
        assert_eq!(at(1000, SHORT), (0.7, false));
        assert_eq!(at(1500, MIDDLE), (0.7, false), "not short: it is counted anew");
        assert_eq!(at(1600, SHORT), (0.7, false));
        assert_eq!(at(2599, SHORT), (0.7, false));
        assert_eq!(at(2600, SHORT), (0.8, true));
        assert_eq!(at(3599, SHORT), (0.8, false));
        assert_eq!(at(3600, SHORT), (0.9, true));
        assert_eq!(
            at(9000, MIDDLE),
            (0.9, false),
            "what is neither long nor short changes nothing"
        );
    }

    #[test]
    fn the_gears_are_the_points_of_the_curve_between_both_ends() {
        let text = include_str!("../../../models/sentiment.cascade.toml");
        let calibration: Calibration = toml::from_str(text).expect("the shipped calibration");
        let gears = Gears::new(calibration.min_confidence, 0.69, &calibration, MIDDLE);
        assert_eq!(gears.thresholds(), [0.8381, 0.8299, 0.7894, 0.7438, 0.69]);
    }

    proptest! {
        #[test]
        fn it_stays_between_both_ends_and_moves_by_one(
            steps in prop::collection::vec((0_u64..2_000, 0_u64..100), 1..200),
        ) {
            let (gears, state, mut now) = (gears(), GearState::default(), Instant::now());
            let mut before = 0_usize;
            for (pause, wait) in steps {
                now += Duration::from_millis(pause);
                let chosen = gears.choose(&state, Duration::from_millis(wait), now);
                prop_assert!(chosen.number < 3 && chosen.number.abs_diff(before) <= 1);
                prop_assert_eq!(chosen.changed, chosen.number != before);
                prop_assert_eq!(chosen.threshold, gears.thresholds()[chosen.number]);
                before = chosen.number;
            }
        }
    }
}
