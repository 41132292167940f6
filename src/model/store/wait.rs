//! Waits for what is asked of a store, on a thread of its own: the caller's may be one that runs such work.

use std::time::Duration;

/// How often it looks whether it was called off.
const LOOK: Duration = Duration::from_millis(100);

/// Does async work to its end. Ends with an error when the time is over, or when it is called off.
pub fn wait<T: Send>(
    longest: Duration,
    over: impl Fn() -> String + Send,
    called_off: &(dyn Fn() -> bool + Sync),
    work: impl AsyncFnOnce() -> Result<T, String> + Send,
) -> Result<T, String> {
    let on_thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(async {
            let called_off = async {
                while !called_off() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                outcome = work() => outcome,
                () = tokio::time::sleep(longest) => Err(over()),
                () = called_off => Err("the server is stopping".into()),
            }
        });
        // A look-up of a name may still hang.
        runtime.shutdown_background();
        outcome
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("model-fetch".into())
            .spawn_scoped(scope, on_thread);
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|_| Err("fetching panicked".into()))
    })
}
