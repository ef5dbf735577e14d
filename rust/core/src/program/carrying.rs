//! States that outlive a call: those of stateful layers, of streams, and of sequences that are trained on piece by piece.

use super::{Array, Batch, Expected, Program};
use crate::graph::Node;
use crate::layers::CellLayer;
use crate::optimizers::OptimizerState;
use crate::parameter::Parameter;
use crate::plan::Purpose;
use crate::steps::{Pieces, Steps};
use crate::tensor::for_each_run;
use crate::{Error, Result};
use std::sync::Arc;

/// A part of the time steps of a batch's sequences.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The first step.
    pub(super) start: usize,
    /// How many steps.
    pub(super) len: usize,
    /// How many there are in all.
    pub(super) total: usize,
}

/// The states that a node carries, checked.
pub(super) fn carried_by(node: &Node, states: &[Arc<Parameter>]) -> Result<Vec<Arc<Parameter>>> {
    let find = |&index: &usize| {
        let state = states.get(index).cloned();
        state.ok_or_else(|| node.error(format!("states below {}", states.len()), index.to_string()))
    };
    let found = node.states.iter().map(find).collect::<Result<Vec<_>>>()?;
    let layer = node.layer.recurrent().map(|(kind, options)| CellLayer { kind, options });
    let sizes: Vec<usize> = layer.iter().flat_map(CellLayer::state_sizes).collect();
    let batch = found.first().and_then(|state| state.shape().first().copied()).unwrap_or(0);
    let fits = found.iter().zip(&sizes).all(|(state, &size)| state.shape() == [batch, size]);
    if !found.is_empty() && (found.len() != sizes.len() || !fits) {
        let shapes: Vec<_> = found.iter().map(|state| state.shape()).collect();
        return Err(node.error(format!("states of shape (batch, size) of the sizes {sizes:?}"), format!("{shapes:?}")));
    }
    Ok(found)
}

impl Program {
    /// Truncated backpropagation through time: takes the sequences of a batch in pieces of `len` time steps, the last of which
    /// may be shorter, and trains on each as [`Program::train`] does. States are carried from piece to piece, gradients are
    /// not. The memory that it takes depends on the length of a piece.
    ///
    /// # Errors
    /// As [`Program::train`], and when a layer needs whole sequences or gives one output for a sequence. The weights keep what
    /// they have learned from the pieces before.
    pub fn train_pieces(
        &mut self,
        optimizer: &mut OptimizerState,
        batch: Batch<'_>,
        expected: Expected<'_>,
        len: usize,
    ) -> Result<Vec<f64>> {
        let steps = Steps::of(&self.graph, "tbptt")?;
        if let Some((_, output)) =
            steps.outputs.iter().zip(&self.graph.outputs).find(|(pieces, _)| **pieces != Pieces::Steps)
        {
            let name = &self.graph.nodes[output.node].name;
            let expected = "outputs for each time step, whose targets are cut as the inputs are";
            return Err(Error::value("tbptt", expected, format!("one output for a sequence, from {name:?}")));
        }
        let total = batch.inputs.first().and_then(|array| array.shape.get(1)).copied().unwrap_or(0);
        if let Some(array) = batch.inputs.iter().find(|array| array.shape.get(1) != Some(&total)) {
            return Err(Error::value("x", format!("sequences of {total} time steps"), format!("{:?}", array.shape)));
        }
        let rows = batch.rows.map_or_else(|| batch.inputs.first().map_or(0, |array| array.shape[0]), <[i64]>::len);
        let carrying = self.begin_sequences(&steps, rows);
        let mut results = self.results();
        for start in (0..total).step_by(len.max(1)) {
            let window = Window { start, len: len.min(total - start), total };
            results = self.train_part(optimizer, batch, expected, Some(window));
            if results.is_err() {
                break;
            }
        }
        for node in carrying {
            self.carried[node].clear();
        }
        results
    }

    /// Gives every layer that carries states, and has none of its own, states of zero for `batch` rows. Returns these nodes.
    pub fn begin_sequences(&mut self, steps: &Steps, batch: usize) -> Vec<usize> {
        let mut begun = Vec::new();
        for (index, (node, carried)) in self.graph.nodes.iter().zip(&mut self.carried).enumerate() {
            let Some((kind, options)) = node.layer.recurrent().filter(|_| steps.carries[index]) else { continue };
            if carried.is_empty() {
                let zeros = |size| Arc::new(Parameter::zeros("rnn_state", vec![batch, size]));
                carried.extend(CellLayer { kind, options }.state_sizes().map(zeros));
                begun.push(index);
            }
        }
        begun
    }

    /// What each layer carries from call to call, by the layers' names.
    pub fn carried(&self) -> impl Iterator<Item = (&str, &[Arc<Parameter>])> {
        let pairs = self.graph.nodes.iter().zip(&self.carried).filter(|(_, states)| !states.is_empty());
        pairs.map(|(node, states)| (&node.name[..], &states[..]))
    }

    /// The outputs of a batch of a known purpose, written where the caller wants them. The arrays hold as many values as the
    /// purpose says, in the order of memory if they are sequences of one step. Asks for no memory if the purpose was met before.
    ///
    /// # Errors
    /// As [`Program::forward`].
    pub fn infer_into(&mut self, purpose: &Purpose, inputs: &[Array<'_>], outputs: &mut [&mut [f32]]) -> Result<()> {
        let plan = self.plan_for(purpose)?;
        let batch = Batch { inputs, masks: &[], rows: None };
        self.fill(plan, batch, None)?;
        self.carry(|program| program.run(plan, batch, None, 0))?;
        let plan = &self.plans[plan];
        for (output, target) in self.graph.outputs.iter().zip(outputs) {
            let tensor = &plan.tensors[output.node][output.output];
            self.backend.read(tensor.value, &mut |stored| {
                for_each_run(&tensor.shape, tensor.shape.axis(0), |to, from, run| {
                    target[to..to + run].copy_from_slice(&stored[from..from + run]);
                });
            })?;
        }
        Ok(())
    }

    /// Does what may change the carried states; they are as before if it fails.
    pub(super) fn carry<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.carried_before.clear();
        for state in self.carried.iter().flatten() {
            self.carried_before.extend_from_slice(&state.read());
        }
        let result = body(self);
        if result.is_err() {
            let mut before = &self.carried_before[..];
            for state in self.carried.iter().flatten() {
                let mut values = state.write();
                let (own, rest) = before.split_at(values.len());
                values.copy_from_slice(own);
                before = rest;
            }
        }
        result
    }
}
