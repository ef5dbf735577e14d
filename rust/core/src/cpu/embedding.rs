//! Rows of a table.

use super::{Compute, Context, Memory, Parts, for_each_rows};
use crate::Result;
use crate::backend::{Call, Tensor};
use crate::layers::Embedding;
use crate::threads;

/// The number of ids, and where in the output the row of the id at a position in memory goes: ids (batch, time) lie batch
/// first, their vectors (batch, time, features) time first.
fn positions(ids: &Tensor) -> (usize, impl Fn(usize) -> usize + Sync + use<>) {
    let (batch, time) = if ids.shape.rank() == 2 { (ids.shape.axis(0), ids.shape.axis(1)) } else { (0, 0) };
    let map = move |index: usize| match (index.checked_div(time), batch) {
        (Some(row), 1..) => (index % time) * batch + row,
        _ => index,
    };
    (ids.shape.elements(), map)
}

impl Compute for Embedding {
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { memory, .. } = context;
        let Self { output_dim, mask_zero, .. } = *self;
        self.check(call, memory.integers(call.inputs[0].value))?;
        if !call.outputs[0].folded {
            look_up(memory, call, output_dim);
        }
        if let (true, Some(mask)) = (mask_zero, call.outputs[0].mask) {
            let ids = call.inputs[0].value;
            let Memory { integers, masks, .. } = memory;
            let flags = &mut masks[mask.offset..mask.offset + mask.len];
            flags.iter_mut().zip(&integers[ids.offset..]).for_each(|(flag, id)| *flag = u8::from(*id != 0));
        }
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { memory, .. } = context;
        let Self { input_dim, output_dim, .. } = *self;
        let (Some(table), Some(output)) = (call.parameter_gradients[0], call.outputs[0].gradient) else { return };
        let (_, source) = positions(call.inputs[0]);
        let (ids, [target, gradient]) = memory.integers_and_many(call.inputs[0].value, [table, output]);
        let (target, gradient) = (Parts(target.as_mut_ptr()), &*gradient);
        // Each task adds up the rows of its own part of the vocabulary, in the order of the ids: the sums do not depend on how
        // many tasks there are.
        let tasks = threads::count();
        let share = input_dim.div_ceil(tasks);
        threads::for_each(tasks, |task| {
            let range = task * share..(task + 1) * share;
            for (index, &id) in ids.iter().enumerate() {
                let id = id as usize;
                if range.contains(&id) {
                    // SAFETY: the rows of different tasks are disjoint; ids were checked in the forward pass.
                    let sums = unsafe { target.part(id * output_dim, output_dim) };
                    let row = &gradient[source(index) * output_dim..][..output_dim];
                    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
            }
        });
    }
}

/// Copies the vector of each token.
fn look_up(memory: &mut Memory, call: &Call<'_>, output_dim: usize) {
    let (count, target) = positions(call.inputs[0]);
    let output = Parts(memory.pointer(call.outputs[0].value));
    let ids = memory.integers(call.inputs[0].value);
    let table = call.parameters[0].read();
    for_each_rows(count, (super::ELEMENTS_PER_TASK / output_dim.max(1)).max(1), |start, rows| {
        for (index, &id) in ids.iter().enumerate().skip(start).take(rows) {
            // SAFETY: `target` is one to one, so each task writes its own rows of the output, which no one else uses now.
            let row = unsafe { output.part(target(index) * output_dim, output_dim) };
            row.copy_from_slice(&table[id as usize * output_dim..][..output_dim]);
        }
    });
}
