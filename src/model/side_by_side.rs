//! Instances at work side by side: while a model is loaded, none of them waits for another.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::runner::Runner;

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
            .map(|runner| scope.spawn(move || work(*runner)))
            .collect();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        ended
            .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
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
        let beside = scope.spawn(beside);
        let here = here();
        let beside = beside.join();
        (here, beside.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Makes `count` of something, each on a thread of its own that ends when it is made. Blocks. A panic is a panic here.
pub fn make<T: Send, E: Send>(count: usize, make: impl Fn() -> Result<T, E> + Sync) -> Result<Vec<T>, E> {
    let make = &make;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..count).map(|_| scope.spawn(make)).collect();
        let own = make();
        let ended = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        let others: Vec<_> = ended
            .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        std::iter::once(own).chain(others).collect()
    })
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
    fn all_are_made_at_once_and_the_first_failure_is_told() {
        let all = Barrier::new(3);
        assert_eq!(
            make(3, || Ok::<_, ()>(all.wait().is_leader())).map(|made| made.len()),
            Ok(3)
        );
        assert_eq!(make(1, || Err::<(), _>("no")), Err("no"));
        assert_eq!(make(0, || Ok::<_, ()>(())), Ok(vec![()]));
    }
}
