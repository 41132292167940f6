//! Evidence that a certified share no longer holds: a test that may be looked at after every text, for ever.
//!
//! Each audited text goes wrong or does not. While the certificate holds, the chance of that is at most its `risk`. A
//! gambler who starts with 1 and bets against that, at fair odds, can't expect to win: the chance that he ever has more
//! than 1/δ is at most δ (J. Ville, 1939; G. Shafer, "Testing by betting", 2021; A. Ramdas et al., "Game-theoretic
//! statistics and safe anytime-valid inference", 2023). So an alarm at 1/δ is false with a chance of at most δ, however
//! long the audit runs.
//!
//! How often texts go wrong after a change is not known, so the money is divided among several guesses. When the change
//! comes is not known either, and a gambler who has bet from the first text on has lost most of his money by then: so a
//! part is kept back for each text to come, 1/(n (n + 1)) of it for the bets that begin with the n-th, which is 1 in all.
//! That keeps the delay short, at the price of about 2 ln n in the exponent.
//!
//! Plain state without a clock.

/// The guesses of how often texts go wrong after a change, as multiples of the certified risk.
const MULTIPLES: [f64; 5] = [1.25, 1.5, 2.0, 3.0, 6.0];
/// No guess is above this.
const MOST: f64 = 0.9;
/// What a gambler has at most: far beyond every alarm, and far below what a number holds.
const RICHEST: f64 = 1e100;

/// The evidence against one certified share.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    risk: f64,
    delta: f64,
    texts: u64,
    errors: u64,
    /// What the gambler has of each guess, of all bets that have begun.
    bets: [f64; MULTIPLES.len()],
    alarm: bool,
}

impl Evidence {
    /// Nothing seen yet. `risk` is the share that may go wrong, `delta` the greatest chance of a false alarm; both are
    /// above 0 and below 1.
    pub fn new(risk: f64, delta: f64) -> Self {
        Self {
            risk,
            delta,
            texts: 0,
            errors: 0,
            bets: [0.0; MULTIPLES.len()],
            alarm: false,
        }
    }

    /// Counts a text. Gives whether this one raises the alarm; once raised it stays.
    pub fn add(&mut self, wrong: bool) -> bool {
        self.texts += 1;
        self.errors += u64::from(wrong);
        let at = self.texts as f64;
        let begins = 1.0 / (at * (at + 1.0)) / MULTIPLES.len() as f64;
        for (bet, multiple) in self.bets.iter_mut().zip(MULTIPLES) {
            let guess = (self.risk * multiple).min(MOST).max(self.risk);
            let odds = if wrong {
                guess / self.risk
            } else {
                (1.0 - guess) / (1.0 - self.risk)
            };
            *bet = ((*bet + begins) * odds).min(RICHEST);
        }
        let raised = !self.alarm && self.value() >= 1.0 / self.delta;
        self.alarm |= raised;
        raised
    }

    /// What the gambler has, from 0: large values speak against the certificate.
    pub fn value(&self) -> f64 {
        // What is kept for the texts to come.
        let kept = 1.0 / (self.texts as f64 + 1.0);
        kept + self.bets.iter().sum::<f64>()
    }

    /// Whether the certificate no longer holds, with a chance of at most delta that this is false.
    pub fn alarm(&self) -> bool {
        self.alarm
    }

    /// The number of texts seen, and how many of them went wrong.
    pub fn seen(&self) -> (u64, u64) {
        (self.texts, self.errors)
    }

    /// The share that may go wrong.
    pub fn risk(&self) -> f64 {
        self.risk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RISK: f64 = 0.01;
    const DELTA: f64 = 0.05;

    /// The number of the text at which the alarm comes; `None` if none does.
    fn run(random: &mut fastrand::Rng, before: (f64, usize), after: (f64, usize)) -> Option<usize> {
        let mut evidence = Evidence::new(RISK, DELTA);
        let rates = std::iter::repeat_n(before.0, before.1).chain(std::iter::repeat_n(after.0, after.1));
        rates
            .enumerate()
            .find_map(|(at, rate)| evidence.add(random.f64() < rate).then_some(at + 1))
    }

    #[test]
    fn at_the_edge_of_the_certificate_false_alarms_are_rarer_than_delta() {
        let mut random = fastrand::Rng::with_seed(1);
        let alarms = (0..400)
            .filter(|_| run(&mut random, (RISK, 20_000), (0.0, 0)).is_some())
            .count();
        // At most 5% are meant: 20 of 400, and three standard deviations of chance. And some: a test that never fires
        // would be a weak one.
        assert!((1..=33).contains(&alarms), "{alarms}");
    }

    #[test]
    fn a_change_is_noticed_soon_however_late_it_comes() {
        let mut random = fastrand::Rng::with_seed(2);
        for before in [0, 1_000, 30_000] {
            let mut delays: Vec<usize> = (0..100)
                .map(|_| {
                    let found = run(&mut random, (RISK / 2.0, before), (RISK * 4.0, 5_000));
                    found.expect("an alarm").saturating_sub(before)
                })
                .collect();
            delays.sort_unstable();
            // Four times as many errors as certified: some hundreds of audited texts.
            assert!((50..1_000).contains(&delays[50]), "{before}: {}", delays[50]);
        }
    }

    #[test]
    fn fewer_errors_than_certified_are_no_evidence() {
        let mut evidence = Evidence::new(RISK, DELTA);
        for _ in 0..10_000 {
            assert!(!evidence.add(false));
        }
        assert!(evidence.value() < 0.01, "{}", evidence.value());
        assert_eq!(evidence.seen(), (10_000, 0));
    }

    #[test]
    fn an_alarm_stays_and_comes_once() {
        let mut evidence = Evidence::new(0.5, DELTA);
        let raised = (0..100_000).filter(|_| evidence.add(true)).count();
        assert_eq!((raised, evidence.alarm()), (1, true));
        assert!(evidence.value().is_finite());
        for _ in 0..100 {
            evidence.add(false);
        }
        assert!(evidence.alarm());
    }
}
