//! Prints the peak rate of multiply-adds, in GFLOP/s, of as many threads as the argument says, at the level that foliot
//! chooses: `cargo run --release -p foliot-simd --example peak -- 2`.

#![allow(clippy::inline_always, reason = "only what is inlined into the trampoline is compiled with its CPU features")]
#![allow(clippy::print_stdout, reason = "the figure is what the program is for")]

#[path = "../benches/support/peak.rs"]
mod peak;

use foliot_simd::{active, dispatch};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// The best of these counts: others on the machine only make a run slower.
const ROUNDS: usize = 30;
/// Runs in a round: some tens of milliseconds, against which starting together takes nothing.
const RUNS: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads: usize = std::env::args().nth(1).map_or(Ok(1), |argument| argument.parse())?;
    let level = active()?;
    let barrier = Barrier::new(threads);
    let best = std::thread::scope(|scope| {
        let worker = || {
            let mut best = f64::INFINITY;
            for _ in 0..ROUNDS {
                barrier.wait();
                let start = Instant::now();
                for _ in 0..RUNS {
                    black_box(dispatch(level, peak::Peak));
                }
                best = best.min(start.elapsed().as_secs_f64());
            }
            best
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).fold(0.0, f64::max)
    });
    let operations = peak::operations(level) as f64 * RUNS as f64 * threads as f64;
    println!("{:.1}", operations / best / 1e9);
    Ok(())
}
