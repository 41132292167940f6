//! A moving average of what runs and texts take, which one disturbed observation does not spoil.

/// An observation counts for at most so many times the average: work of microseconds that lost the processor for some
/// milliseconds says nothing about the next.
const MOST: f64 = 4.0;

/// The average after one more observation of this weight, from 0 to 1.
pub fn after(average: f64, seen: f64, weight: f64) -> f64 {
    average + (seen.min(MOST * average) - average) * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_lasts_and_not_what_happens_once() {
        assert!(after(1.0, 1000.0, 1.0 / 16.0) < 1.2);
        let lasting = (0..200).fold(1.0, |average, _| after(average, 1000.0, 1.0 / 16.0));
        assert!((lasting - 1000.0).abs() < 1.0);
        let back = (0..200).fold(1000.0, |average, _| after(average, 1.0, 1.0 / 16.0));
        assert!((back - 1.0).abs() < 0.01);
    }
}
