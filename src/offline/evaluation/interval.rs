//! A figure and how sure it is. Pure.

use serde::Serialize;

/// The 97.5% quantile of the normal distribution: 95% lie within so many standard errors to both sides.
const Z: f64 = 1.96;

/// A figure with its interval: of 95%, or, for what was timed, the middle, the least and the most of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// A figure without uncertainty.
    pub fn exact(value: f64) -> Self {
        let (low, high) = (value, value);
        Self { value, low, high }
    }

    /// Whether a value lies in the interval.
    pub fn holds(self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The same figure with the other sign.
    pub fn turned(self) -> Self {
        Self {
            value: -self.value,
            low: -self.high,
            high: -self.low,
        }
    }

    /// The middle, the least and the most of what the rounds gave; zero if there were none.
    pub fn of_rounds(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        let at = |place: usize| rounds.get(place).copied().unwrap_or(0.0);
        Self {
            value: at(rounds.len() / 2),
            low: at(0),
            high: at(rounds.len().saturating_sub(1)),
        }
    }

    /// A figure, and what it was in each draw of the bootstrap: the interval leaves 2.5% of the draws out at each end.
    pub fn of_draws(value: f64, mut drawn: Vec<f64>) -> Self {
        drawn.sort_by(f64::total_cmp);
        let at = |place: usize| drawn.get(place).copied().unwrap_or(value);
        Self {
            value,
            low: at(drawn.len() * 25 / 1000),
            high: at(drawn.len() * 975 / 1000),
        }
    }

    /// The share of `right` in `all` independent trials, with Wilson's 95% interval (E. B. Wilson, 1927). Both may be
    /// sums of weights; then `trials` says how many equal weights tell as much: see [`equal_weights`]. `None` without
    /// any trial.
    pub fn of_share(right: f64, all: f64, trials: f64) -> Option<Self> {
        if all <= 0.0 || trials <= 0.0 {
            return None;
        }
        let share = right / all;
        let (middle, spread) = (
            share + Z * Z / (2.0 * trials),
            Z * (share * (1.0 - share) / trials + Z * Z / (4.0 * trials * trials)).sqrt(),
        );
        let scale = 1.0 + Z * Z / trials;
        Some(Self {
            value: share,
            low: ((middle - spread) / scale).max(0.0),
            high: ((middle + spread) / scale).min(1.0),
        })
    }
}

/// How many rows of equal weight tell as much as rows whose weights and squares of weights have these sums (L. Kish,
/// Survey Sampling, 1965): the number of rows where all weights are equal, fewer otherwise.
pub fn equal_weights(sum: f64, sum_of_squares: f64) -> f64 {
    if sum_of_squares > 0.0 {
        sum * sum / sum_of_squares
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_few_trials_has_a_wide_interval() {
        // Wilson's interval of 0 of 10, by the formula: from 0 to z² / (n + z²).
        let none = Interval::of_share(0.0, 10.0, 10.0).expect("it has trials");
        assert_eq!((none.value, none.low), (0.0, 0.0));
        assert!((none.high - 3.8416 / 13.8416).abs() < 1e-9, "{none:?}");
        assert_eq!(Interval::of_share(0.0, 0.0, 0.0), None);
    }

    #[test]
    fn unequal_weights_tell_less_than_their_number() {
        assert_eq!(equal_weights(30.0, 30.0), 30.0);
        // Ten rows of weight 2 are ten rows.
        assert_eq!(equal_weights(20.0, 40.0), 10.0);
        // One row of weight 9 beside one of weight 1: 100 / 82.
        assert!((equal_weights(10.0, 82.0) - 1.2195).abs() < 1e-4);
        assert_eq!(equal_weights(0.0, 0.0), 0.0);
    }
}
