//! Instances at work side by side: while a model is loaded, none of them waits for another.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::limited;
use super::runner::Runner;

/// Does the same work on each runner, each on a thread of its own that ends with its work. Blocks. The outcomes come in the
/// order of the runners; a panic in the work is a panic here.
pub fn on_each<T: Send>(runners: &mut [&mut dyn Runner], work: impl Fn(&mut dyn Runner) -> T + Sync) -> Vec<T> {
    if let [only] = runners {
        return vec![work(*only)];
    }
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = runners
            .iter_mut()
            .map(|runner| spawn(scope, move || work(*runner)))
            .collect();
        threads.into_iter().map(joined).collect()
    })
}

/// Does so many jobs on these runners, each by the next one that is free. Blocks. The outcomes come in the order of the jobs.
pub fn share<T: Send>(
    runners: &mut [&mut dyn Runner],
    jobs: usize,
    job: impl Fn(&mut dyn Runner, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = on_each(runners, |runner| {
        let places = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&at| at < jobs));
        places.map(|at| (at, job(runner, at))).collect::<Vec<_>>()
    });
    let mut done: Vec<(usize, T)> = done.into_iter().flatten().collect();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Does two things at once. Blocks. A panic in one is a panic here.
pub fn both<A, B: Send>(here: impl FnOnce() -> A, beside: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let beside = spawn(scope, beside);
        let here = here();
        (here, joined(beside))
    })
}

/// Makes `count` of something, so many `at_once`, on threads that end when all are made or one could not be. Blocks. A panic
/// is a panic here.
pub fn make<T: Send, E: Send>(
    count: usize,
    at_once: usize,
    make: impl Fn() -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let left = AtomicUsize::new(count);
    let take = |left: usize| left.checked_sub(1);
    let work = || -> Result<Vec<T>, E> {
        let mut made = Vec::new();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            made.push(make().inspect_err(|_| left.store(0, Ordering::Relaxed))?);
        }
        Ok(made)
    };
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..at_once.min(count)).map(|_| spawn(scope, work)).collect();
        let own = work();
        std::iter::once(own).chain(threads.into_iter().map(joined)).collect()
    });
    Ok(parts
        .into_iter()
        .collect::<Result<Vec<_>, E>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// A thread with the stack that a load has: graphs and tokenizers that others made may go deep.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let thread = Builder::new().name("model-load".into()).stack_size(limited::STACK);
    let started = thread.spawn_scoped(scope, work);
    started.expect("the system has room for a thread while a model loads")
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use ndarray::Array2;

    use super::*;
    use crate::model::input::ModelInput;
    use crate::model::runner::RunError;

    struct Wide(usize);

    impl Runner for Wide {
        fn run(&mut self, inputs: &[&ModelInput]) -> Result<Array2<f32>, RunError> {
            Ok(Array2::zeros((inputs.len(), self.0)))
        }
    }

    #[test]
    fn all_runners_work_at_once_and_their_outcomes_keep_the_order() {
        let (mut one, mut two, mut three) = (Wide(1), Wide(2), Wide(3));
        // Whoever worked alone would wait for ever.
        let all = Barrier::new(3);
        let row = ModelInput::Features(vec![1]);
        let work = |runner: &mut dyn Runner| {
            all.wait();
            runner.run(&[&row]).expect("it runs").ncols()
        };
        assert_eq!(on_each(&mut [&mut one, &mut two, &mut three], work), [1, 2, 3]);
    }

    #[test]
    fn each_job_is_done_once_and_the_outcomes_keep_their_order() {
        for jobs in [0, 1, 2, 100] {
            let (mut one, mut two) = (Wide(1), Wide(2));
            let done = share(&mut [&mut one, &mut two], jobs, |_, at| at);
            assert_eq!(done, (0..jobs).collect::<Vec<_>>());
        }
    }

    #[test]
    fn two_things_are_done_at_once() {
        let all = Barrier::new(2);
        let (here, beside) = both(|| all.wait().is_leader(), || all.wait().is_leader());
        assert_ne!(here, beside);
    }

    #[test]
    fn so_many_are_made_at_once_and_a_failure_ends_it() {
        let both = Barrier::new(2);
        let made = make(4, 2, || Ok::<_, ()>(both.wait().is_leader()));
        assert_eq!(made.map(|made| made.len()), Ok(4));
        let tries = AtomicUsize::new(0);
        let fails = || match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err("no"),
        };
        assert_eq!(make(5, 1, fails), Err("no"));
        assert_eq!(tries.into_inner(), 2);
        assert_eq!(make(0, 2, || Ok::<_, ()>(())), Ok(Vec::new()));
    }
}
