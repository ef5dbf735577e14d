//! Recurrent layers that do not need each other, the two directions of a bidirectional layer above all: one after the other on
//! all threads, or each on a thread of its own. Results are the same, every sum included.

use super::memory::Memory;
use super::{Context, Cpu, Kept, Parts, compute};
use crate::Result;
use crate::backend::Call;
use crate::{scan, threads};

/// Below so many multiplications in all, some microseconds, the calls are over before another thread has woken up.
const WORTH_A_THREAD: f64 = 2e5;

/// A measure of a call's work: its multiplications, but for a constant factor.
fn work(call: &Call<'_>) -> f64 {
    let Some((_, options)) = call.layer.recurrent() else { return 0.0 };
    let [batch, time, _] = options.input_sizes(&call.inputs[0].shape);
    let weights: usize = call.parameters.iter().map(|parameter| parameter.shape().iter().product::<usize>()).sum();
    (batch * time) as f64 * weights as f64
}

/// The calls by their work, the largest first, if it pays to run each on one thread.
fn at_once(calls: &[Call<'_>]) -> Option<Vec<usize>> {
    let rows = |call: &Call<'_>| call.inputs[0].shape.axis(0);
    order(&calls.iter().map(|call| (work(call), rows(call))).collect::<Vec<_>>(), threads::count())
}

/// In which order to hand calls, each with its work and its rows, to the threads: if they are done no later than one after the
/// other, whose rows the threads share as far as rows go. At once, threads meet less often and go through more rows at a time.
fn order(calls: &[(f64, usize)], threads: usize) -> Option<Vec<usize>> {
    let all: f64 = calls.iter().map(|(work, _)| work).sum();
    if threads == 1 || all < WORTH_A_THREAD {
        return None;
    }
    let mut order: Vec<usize> = (0..calls.len()).collect();
    order.sort_by(|&one, &other| calls[other].0.total_cmp(&calls[one].0));
    let mut busy = vec![0.0_f64; threads];
    for &call in &order {
        // The thread that is free first takes the next call.
        if let Some(first) = busy.iter_mut().min_by(|one, other| one.total_cmp(other)) {
            *first += calls[call].0;
        }
    }
    let done = busy.into_iter().fold(0.0, f64::max);
    let in_turn: f64 = calls.iter().map(|&(work, rows)| work * scan::largest_share(rows, threads)).sum();
    (done <= in_turn).then_some(order)
}

/// A call with what it works on.
struct Task<'a> {
    call: &'a Call<'a>,
    memory: Memory,
    kept: &'a mut Kept,
    result: Result<f64>,
}

impl Cpu {
    /// Runs `body` for each call, in the given order on all threads. Returns the results in the order of the calls.
    fn run_tasks(
        &mut self,
        calls: &[Call<'_>],
        order: &[usize],
        body: impl Fn(Context<'_>, &Call<'_>) -> Result<f64> + Sync,
    ) -> Vec<Result<f64>> {
        let (level, exact_algebra) = (self.level, self.exact_algebra);
        let kept = Parts(self.kept.as_mut_ptr());
        let tasks = order.iter().map(|&index| {
            let call = &calls[index];
            assert!(call.node < self.kept.len());
            // SAFETY: `order` has each call once and the calls are of different nodes; `self` is borrowed until all are done.
            let kept = &mut unsafe { kept.part(call.node, 1) }[0];
            // SAFETY: as above. The plan has given each call memory of its own for all that it writes: outputs, workspaces and
            // gradients, for calls of one stage live at the same time. Recurrent layers ask for spans alone, and for what another
            // one may read too, their inputs, only to read it.
            let memory = unsafe { self.memory.share() };
            Task { call, memory, kept, result: Ok(0.0) }
        });
        let mut tasks: Vec<Task<'_>> = tasks.collect();
        threads::for_each_mut(&mut tasks, |_, Task { call, memory, kept, result }| {
            *result = body(Context { level, exact_algebra, memory, kept }, call);
        });
        let mut results: Vec<Result<f64>> = calls.iter().map(|_| Ok(0.0)).collect();
        order.iter().zip(tasks).for_each(|(&index, task)| results[index] = task.result);
        results
    }

    /// As [`Backend::forward_all`](crate::backend::Backend::forward_all); none where the calls had better run one after the other.
    pub(super) fn forward_at_once(&mut self, calls: &[Call<'_>]) -> Option<Result<f64>> {
        let order = at_once(calls)?;
        let results = self.run_tasks(calls, &order, |context, call| compute(call.layer).forward(context, call));
        Some(results.into_iter().sum())
    }

    /// As [`Backend::backward_all`](crate::backend::Backend::backward_all) without what finishes a call; says whether it has run
    /// them.
    pub(super) fn backward_at_once(&mut self, calls: &[Call<'_>]) -> bool {
        let Some(order) = at_once(calls) else { return false };
        self.run_tasks(calls, &order, |context, call| {
            compute(call.layer).backward(context, call);
            Ok(0.0)
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn directions_run_at_once_unless_rows_share_the_work_better() {
        let directions = |rows| [(1e6, rows); 2];
        // As good, with fewer meetings; and better, for few rows.
        assert_eq!(order(&directions(96), 2), Some(vec![0, 1]));
        assert_eq!(order(&directions(1), 16), Some(vec![0, 1]));
        // Sixteen threads have six rows each; two of them would have all.
        assert_eq!(order(&directions(192), 16), None);
        // The small one waits for the large one.
        assert_eq!(order(&[(1e5, 96), (9e6, 96)], 2), None);
        assert_eq!(order(&[(1e6, 1), (9e6, 1)], 2), Some(vec![1, 0]));
    }

    #[test]
    fn little_work_and_one_thread_stay_in_turn() {
        assert_eq!(order(&[(1e3, 1); 2], 2), None);
        assert_eq!(order(&[(1e6, 1); 2], 1), None);
    }
}
