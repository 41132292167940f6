//! The bootstrap (B. Efron, 1979): rows are drawn again with repeats. Contenders are measured on the same draws, so that
//! differences between them are paired. Pure.

/// How many times rows are drawn.
pub const DRAWS: usize = 1000;

/// What `figures` says of each draw: it gets how many times each of the rows was drawn. Of no rows nothing is drawn.
pub fn draws<T>(rows: usize, seed: u64, figures: impl Fn(&[u32]) -> T) -> Vec<T> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut times = vec![0; rows];
    let mut draw = || {
        times.fill(0);
        for _ in 0..rows {
            times[random.usize(..rows)] += 1;
        }
        figures(&times)
    };
    let count = if rows == 0 { 0 } else { DRAWS };
    (0..count).map(|_| draw()).collect()
}
