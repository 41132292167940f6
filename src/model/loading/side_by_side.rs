//! Instances at work side by side: while a model is loaded, none of them waits for another.

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
