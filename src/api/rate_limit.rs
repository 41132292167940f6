//! Rate limits: what a key may do: its texts per second, and its weight on a busy server. Time comes from a clock that
//! is passed in.

use std::num::NonZeroU32;
use std::str::FromStr;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::error::{Error, Reason};
use crate::service::messages::Weight;

/// The largest value for texts per second and for the burst; more would be no limit.
const MOST_TEXTS: u32 = 1_000_000;
/// The largest weight.
const MOST_WEIGHT: u32 = 100;

/// The limits of one key, as its line gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// The texts that it may send; absent for no limit.
    pub rate: Option<Rate>,
    /// Its weight in fair shares; absent for 1.
    pub weight: Option<Weight>,
    /// Whether it is good for `/metrics` alone.
    pub metrics_only: bool,
}

/// Texts over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub texts_per_second: NonZeroU32,
    /// At once, after a pause.
    pub burst: NonZeroU32,
}

impl FromStr for KeyLimits {
    type Err = String;

    /// Parses `texts_per_second=100 burst=200 weight=2 only=metrics`, each at most once, in any order. The error quotes no
    /// value.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut per_second, mut burst, mut weight) = (None, None, None);
        let mut metrics_only = false;
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            if name == "only" {
                if value != "metrics" {
                    return Err("has an only that is not metrics".into());
                }
                if std::mem::replace(&mut metrics_only, true) {
                    return Err("has only twice".into());
                }
                continue;
            }
            let (place, most) = match name {
                "texts_per_second" => (&mut per_second, MOST_TEXTS),
                "burst" => (&mut burst, MOST_TEXTS),
                "weight" => (&mut weight, MOST_WEIGHT),
                _ => return Err("has a limit that is not texts_per_second, burst, weight or only".into()),
            };
            let number = value.parse().ok().filter(|number: &NonZeroU32| number.get() <= most);
            let number = number.ok_or_else(|| format!("has a {name} that is not a number from 1 to {most}"))?;
            if place.replace(number).is_some() {
                return Err(format!("has {name} twice"));
            }
        }
        let rate = match (per_second, burst) {
            (None, Some(_)) => return Err("has burst without texts_per_second".into()),
            (per_second, burst) => per_second.map(|texts_per_second| Rate {
                texts_per_second,
                burst: burst.unwrap_or(texts_per_second),
            }),
        };
        Ok(Self {
            rate,
            weight: weight.map(Weight::new),
            metrics_only,
        })
    }
}

#[derive(Debug)]
pub struct RateLimit<C: Clock = MonotonicClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    rate: Rate,
}

impl<C: Clock + Clone> RateLimit<C> {
    /// Begins with a whole burst.
    pub fn new(rate: Rate, clock: C) -> Self {
        let quota = Quota::per_second(rate.texts_per_second).allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            rate,
        }
    }

    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes the texts of one request, all or none. A request without texts counts as one text.
    pub fn take(&self, texts: usize) -> Result<(), Error> {
        let texts = u32::try_from(texts).unwrap_or(u32::MAX);
        let texts = NonZeroU32::new(texts).unwrap_or(NonZeroU32::MIN);
        let Rate {
            texts_per_second,
            burst,
        } = self.rate;
        match self.limiter.check_n(texts) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(later)) => Err(Error {
                retry_after: Some(later.wait_time_from(self.clock.now())),
                ..refused(format!(
                    "the key's limit of {texts_per_second} texts a second is reached"
                ))
            }
            .with_fact("texts_per_second", texts_per_second)),
            // Waiting would not help: this many are never allowed at once.
            Err(_) => Err(refused(format!("the key may send at most {burst} texts at once")).with_fact("burst", burst)),
        }
    }
}

fn refused(message: String) -> Error {
    Error::new(Reason::RateLimited, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(text: &str) -> KeyLimits {
        text.parse().expect(text)
    }

    #[test]
    fn a_burst_passes_and_what_follows_comes_by_time() {
        let clock = FakeRelativeClock::default();
        let rate = limits("texts_per_second=10 burst=30").rate.expect("a rate");
        let rate_limit = RateLimit::new(rate, clock.clone());
        rate_limit.take(29).expect("within the burst");
        rate_limit.take(1).expect("the last of it");
        let refused = rate_limit.take(5).expect_err("nothing is left");
        assert_eq!(refused.reason, Reason::RateLimited);
        assert_eq!(
            refused.retry_after,
            Some(Duration::from_millis(500)),
            "five texts take so long"
        );
        clock.advance(Duration::from_millis(499));
        rate_limit.take(5).expect_err("not yet");
        clock.advance(Duration::from_millis(1));
        rate_limit.take(5).expect("now");
        clock.advance(Duration::from_hours(1));
        rate_limit.take(30).expect("a burst again, and no more than that");
        rate_limit.take(0).expect_err("a request without texts counts too");
    }

    #[test]
    fn more_than_a_burst_at_once_is_never_allowed_and_nobody_is_told_to_wait() {
        let rate = limits("texts_per_second=10").rate.expect("a rate");
        let rate_limit = RateLimit::new(rate, FakeRelativeClock::default());
        let refused = rate_limit.take(11).expect_err("too many");
        assert_eq!(refused.retry_after, None);
        assert_eq!(refused.fact("burst"), Some("10"));
        rate_limit.take(10).expect("none were taken");
    }

    #[test]
    fn words_that_say_no_limit_are_refused_without_their_value() {
        for (text, expected) in [
            ("rate=5", "has a limit that is not"),
            ("SECRET", "has a limit that is not"),
            (
                "texts_per_second=SECRET",
                "has a texts_per_second that is not a number from 1 to 1000000",
            ),
            ("texts_per_second=0", "not a number from 1"),
            ("weight=101", "has a weight that is not a number from 1 to 100"),
            ("burst=5", "has burst without texts_per_second"),
            ("weight=1 weight=1", "has weight twice"),
        ] {
            let problem = text.parse::<KeyLimits>().expect_err(text);
            assert!(problem.contains(expected) && !problem.contains("SECRET"), "{problem}");
        }
        assert_eq!(limits(""), KeyLimits::default());
    }
}
