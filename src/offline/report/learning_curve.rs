//! The section that shows what more texts would bring: quality over the number of texts, and the law that it follows.
//!
//! The error of a learner falls with the number of its examples n as `a · n^−b + c` (Cortes, Jackel, Solla, Vapnik and
//! Denker, 1994, Learning curves: asymptotic values and rate of convergence): c is what no number of texts removes.

use super::chart::{Axis, Chart, Layer};
use super::page::{Block, Section};
use super::palette::Ink;
use super::words::{count, percent, points};

/// How many values of `c` are tried.
const TRIES: usize = 200;
/// The fewest points that a law is fitted to.
const LEAST_POINTS: usize = 3;
/// How much further than the data the curve is drawn.
const BEYOND: f64 = 4.0;
/// A gain below this, as a share, is told as being below it.
const LEAST_GAIN: f64 = 0.001;
/// How many points the drawn curve has.
const DRAWN: usize = 60;

/// What a number of texts gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// The number of texts trained on.
    pub rows: u64,
    /// The share of right answers on texts that took no part.
    pub quality: f64,
}

/// The law of an error: `a · n^−b + c`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerLaw {
    pub a: f64,
    pub b: f64,
    pub c: f64,
}

impl PowerLaw {
    /// The quality that this many texts should give.
    pub fn quality(&self, rows: f64) -> f64 {
        (1.0 - self.c - self.a * rows.powf(-self.b)).clamp(0.0, 1.0)
    }

    /// Fits the law by least squares: for each of many values of `c`, the logarithm of what is left is a straight line
    /// over that of the rows. `None` with fewer than three numbers of texts, or if more texts were no better.
    pub fn fit(learned: &[Learned]) -> Option<Self> {
        let known = |one: &&Learned| one.rows > 0 && one.quality.is_finite() && one.quality < 1.0;
        let points: Vec<(f64, f64)> = learned
            .iter()
            .filter(known)
            .map(|one| (one.rows as f64, 1.0 - one.quality))
            .collect();
        let mut sizes: Vec<f64> = points.iter().map(|(rows, _)| *rows).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        if sizes.len() < LEAST_POINTS {
            return None;
        }
        let least = points.iter().map(|(_, error)| *error).fold(f64::INFINITY, f64::min);
        let laws = (0..TRIES).filter_map(|at| Self::with_rest(&points, least * at as f64 / TRIES as f64));
        let misses = |law: &PowerLaw| -> f64 {
            let miss = |(rows, error): &(f64, f64)| (1.0 - law.quality(*rows) - error).powi(2);
            points.iter().map(miss).sum()
        };
        // Of equally good laws, the first has the smallest c.
        laws.min_by(|a, b| misses(a).total_cmp(&misses(b)))
    }

    /// The law with this `c`: a straight line through logarithms.
    fn with_rest(points: &[(f64, f64)], c: f64) -> Option<Self> {
        let logs: Vec<(f64, f64)> = points
            .iter()
            .map(|(rows, error)| (rows.ln(), (error - c).ln()))
            .collect();
        let number = logs.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / number;
        let (x, y) = (mean(|log| log.0), mean(|log| log.1));
        let spread: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
        let slope = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum::<f64>() / spread;
        let law = Self {
            a: (y - slope * x).exp(),
            b: -slope,
            c,
        };
        (law.b > 0.0 && law.a.is_finite()).then_some(law)
    }
}

/// What more texts would bring, in a sentence: "10,000 more texts: about +0.4 points". `None` without a law.
pub fn forecast(learned: &[Learned]) -> Option<String> {
    let law = PowerLaw::fit(learned)?;
    let rows = learned.iter().map(|one| one.rows).max()?;
    let more = round(rows);
    let gain = law.quality((rows + more) as f64) - law.quality(rows as f64);
    Some(if gain < LEAST_GAIN {
        format!("{} more texts: less than {}", count(more), points(LEAST_GAIN))
    } else {
        format!("{} more texts: about {}", count(more), points(gain))
    })
}

/// The largest round number that is not above this one, of 1, 2 and 5 with noughts.
fn round(number: u64) -> u64 {
    let size = 10_u64.pow(number.max(1).ilog10());
    let fits = [5, 2, 1]
        .map(|times| times * size)
        .into_iter()
        .find(|round| *round <= number);
    fits.unwrap_or(1)
}

/// The section. `quality` is what is measured: `accuracy`, `macro-F1`.
pub fn section(quality: &str, learned: &[Learned]) -> Section {
    let law = PowerLaw::fit(learned);
    let range = || learned.iter().map(|one| one.rows.max(1) as f64);
    let (least, most) = (range().fold(f64::INFINITY, f64::min), range().fold(1.0, f64::max));
    let mut layers = Vec::new();
    if let Some(law) = law {
        let at = |part: usize| {
            let rows = least * (most * BEYOND / least).powf(part as f64 / (DRAWN - 1) as f64);
            [rows, law.quality(rows)]
        };
        layers.push(Layer::Line {
            name: "the law that they follow".to_owned(),
            ink: Ink::Aim,
            points: (0..DRAWN).map(at).collect(),
        });
    }
    layers.push(Layer::Dots {
        name: "measured".to_owned(),
        ink: Ink::Main,
        points: learned.iter().map(|one| [one.rows as f64, one.quality]).collect(),
    });
    let measured: Vec<String> = learned
        .iter()
        .map(|one| format!("{} with {} texts", percent(one.quality, 1), count(one.rows)))
        .collect();
    let chart = Chart {
        name: "learning",
        title: format!("{quality} by number of texts"),
        description: format!("Measured on texts that took no part: {}.", measured.join(", ")),
        x: Axis {
            logarithmic: true,
            includes: Vec::new(),
            bounds: [1.0, f64::INFINITY],
            ..Axis::number("texts trained on")
        },
        y: Axis::share(quality),
        layers,
    };
    let told = match forecast(learned) {
        Some(forecast) => format!("{forecast}, if it goes on as it went."),
        None => "No law fits: more texts were no better, or there are fewer than three points.".to_owned(),
    };
    let section = Section::new("What more texts would bring").text(told);
    if learned.len() < 2 {
        return section;
    }
    section.with(Block::Chart(chart))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_law(law: PowerLaw, rows: &[u64]) -> Vec<Learned> {
        let learned = |rows: &u64| Learned {
            rows: *rows,
            quality: law.quality(*rows as f64),
        };
        rows.iter().map(learned).collect()
    }

    #[test]
    fn the_fit_finds_the_law_that_made_the_points() {
        for (a, b, c) in [(0.9, 0.3, 0.0), (1.5, 0.4, 0.05), (2.0, 0.5, 0.1)] {
            let made = PowerLaw { a, b, c };
            let found = PowerLaw::fit(&of_law(made, &[1000, 2000, 4000, 8000, 16000])).expect("a law");
            for rows in [16_000.0, 32_000.0, 100_000.0] {
                let (made, found) = (made.quality(rows), found.quality(rows));
                assert!((made - found).abs() < 0.002, "{made} {found}");
            }
        }
    }

    #[test]
    fn the_forecast_is_a_sentence_of_round_numbers() {
        let law = PowerLaw {
            a: 0.9,
            b: 0.3,
            c: 0.05,
        };
        let told = forecast(&of_law(law, &[2500, 5000, 10_003])).expect("a law");
        assert_eq!(told, "10,000 more texts: about +1.1 points");
        let told = forecast(&of_law(law, &[100, 300, 654])).expect("a law");
        assert!(told.starts_with("500 more texts: about +"), "{told}");
        let flat = PowerLaw {
            a: 0.5,
            b: 1.5,
            c: 0.05,
        };
        let told = forecast(&of_law(flat, &[1000, 4000, 20_000])).expect("a law");
        assert_eq!(told, "20,000 more texts: less than +0.1 points");
        assert_eq!([0, 1, 9, 10, 49, 99, 654].map(round), [1, 1, 5, 10, 20, 50, 500]);
    }

    #[test]
    fn points_that_follow_no_law_give_none() {
        let learned = |rows: &[(u64, f64)]| -> Vec<Learned> {
            rows.iter().map(|&(rows, quality)| Learned { rows, quality }).collect()
        };
        for points in [
            learned(&[]),
            learned(&[(100, 0.8), (200, 0.9)]),
            learned(&[(100, 0.8), (100, 0.81), (100, 0.82)]),
            learned(&[(100, 0.9), (200, 0.85), (400, 0.8)]),
            learned(&[(0, 0.5), (100, f64::NAN), (200, 1.0), (400, 0.8)]),
        ] {
            assert_eq!(PowerLaw::fit(&points), None, "{points:?}");
            assert_eq!(forecast(&points), None);
            section("accuracy", &points);
        }
    }
}
