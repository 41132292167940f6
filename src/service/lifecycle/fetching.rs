//! Fetching: models that come from elsewhere are fetched anew, and what goes wrong meanwhile is told once.

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::model::store::ModelStore;

/// Why the models are fetched anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// An operator asks for it.
    Asked,
    /// It is time to look. Only what the place has had since the look before is fetched.
    Polled,
    /// Another server was told something that this one can't do with what is here.
    Missed,
}

/// Fetches, one after the other.
pub struct Fetching {
    store: ModelStore,
    last_problem: Mutex<LastProblem>,
    stop: CancellationToken,
}

impl Fetching {
    /// Fetches from where a start did, until `stop`.
    pub fn new(store: ModelStore, stop: CancellationToken) -> Self {
        Self {
            store,
            last_problem: Mutex::default(),
            stop,
        }
    }

    /// Fetches the models anew; the problem if that fails, which is in the log too. On a thread of its own, which ends when
    /// the server stops.
    pub async fn fetch(&self, when: When) -> Option<String> {
        // One fetch at a time.
        let mut last_problem = self.last_problem.lock().await;
        let (store, stop) = (self.store.clone(), self.stop.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let fetch = move || {
            // No error if nobody waits any more.
            let _ = sender.send(store.refresh(when == When::Polled, &|| stop.is_cancelled()));
        };
        let started = std::thread::Builder::new().name("model-refresh".into()).spawn(fetch);
        let outcome = match started {
            Ok(_) => receiver.await.map_err(|_| "fetching panicked".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let problem = outcome
            .and_then(|fetched| fetched.map_err(|error| error.to_string()))
            .err();
        match last_problem.news(problem.as_deref(), when) {
            Some(News::Problem(problem)) => {
                tracing::error!(problem, "the models can't be fetched anew, what serves goes on");
            }
            Some(News::Over) => tracing::info!("the models can be fetched again"),
            None => {}
        }
        problem
    }
}

/// The problem that was told last, if it is not over. A place that is away may be asked every second, and is told once.
#[derive(Default)]
struct LastProblem(Option<String>);

#[derive(Debug, PartialEq, Eq)]
enum News<'a> {
    Problem(&'a str),
    Over,
}

impl LastProblem {
    /// What is to be told of the outcome of a fetch.
    fn news<'a>(&mut self, problem: Option<&'a str>, when: When) -> Option<News<'a>> {
        let Some(problem) = problem else {
            return self.0.take().map(|_| News::Over);
        };
        let is_known = self.0.as_deref() == Some(problem);
        self.0 = Some(problem.to_owned());
        (!is_known || when == When::Asked).then_some(News::Problem(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_once_and_to_who_asks_and_its_end_is_told() {
        let mut last = LastProblem::default();
        let (away, refused) = ("it is away", "it refuses");
        for (problem, when, expected) in [
            (None, When::Polled, None),
            (Some(away), When::Polled, Some(News::Problem(away))),
            (Some(away), When::Polled, None),
            (Some(away), When::Missed, None),
            (Some(away), When::Asked, Some(News::Problem(away))),
            (Some(away), When::Polled, None),
            (Some(refused), When::Polled, Some(News::Problem(refused))),
            (Some(away), When::Polled, Some(News::Problem(away))),
            (None, When::Polled, Some(News::Over)),
            (None, When::Asked, None),
            // What is over and begins again is told again.
            (Some(away), When::Polled, Some(News::Problem(away))),
        ] {
            assert_eq!(last.news(problem, when), expected, "{problem:?} {when:?}");
        }
    }
}
