//! Overload: what the server can do, and how much of that is left when many times as many calls arrive.

use std::sync::Arc;

use serde::Serialize;

use super::load::{Arrivals, Calls, Until};
use super::measure::{Measured, Target, measure};
use super::progress::Progress;

/// The figures of an overload.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    /// A closed loop, which shows what the server can do.
    pub capacity: Measured,
    /// Calls per second that arrived in the overload.
    pub offered_calls_per_second: f64,
    /// The overload.
    pub overloaded: Measured,
    /// Texts answered in time per second, divided by the texts per second of the closed loop.
    pub kept: f64,
}

/// Measures both. The deadline of the calls decides what is in time. The closed loop has no deadline, so that it shows
/// the most.
pub async fn run(
    server: &Target,
    calls: &Arc<Calls>,
    (callers, max_open): (usize, usize),
    factor: f64,
    until: Until,
    progress: &Progress,
) -> Result<Overload, String> {
    progress.say("what the server can do");
    let unhurried = Arc::new(Calls {
        timeout: None,
        ..Calls::clone(calls)
    });
    let capacity = measure(server, &unhurried, Arrivals::Closed { callers }, until, progress).await;
    let rate = capacity.rates.calls_per_second * factor;
    if rate <= 0.0 {
        return Err("the server answers no calls: there is nothing to multiply".into());
    }
    progress.say(format!("{rate:.0} calls/s"));
    let overloaded = measure(server, calls, Arrivals::Open { rate, max_open }, until, progress).await;
    Ok(Overload {
        kept: overloaded.texts_in_time_per_second / capacity.rates.texts_per_second,
        offered_calls_per_second: rate,
        capacity,
        overloaded,
    })
}
