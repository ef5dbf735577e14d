//! What executes a plan. The plan asks a backend for whole layers, never for single operations or time steps.

use crate::Result;
use crate::graph::{Node, ParameterSpec};
use crate::layers::Layer;
use crate::losses::{self, Loss, Targets, Units};
use crate::metrics::Metric;
use crate::optimizers::{Optimizer, WeightState};
use crate::parameter::Parameter;
use crate::tensor::{Shape, Span};
use std::ops::Deref;

/// How many items a [`Few`] holds without memory of its own.
const FEW: usize = 8;

/// A list that is almost always short and then asks for no memory: a stream makes calls for every time step.
pub struct Few<T> {
    /// The items, and the first one again where there are fewer than the room is for.
    short: Option<[T; FEW]>,
    len: usize,
    /// All of them where they are too many.
    long: Vec<T>,
}

impl<T: Copy> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let mut few = Self { short: None, len: 0, long: Vec::new() };
        let Some(first) = items.next() else { return few };
        let mut short = [first; FEW];
        few.len = 1;
        while few.len < FEW {
            let Some(item) = items.next() else { break };
            short[few.len] = item;
            few.len += 1;
        }
        match items.next() {
            Some(next) => few.long = short.into_iter().chain([next]).chain(items).collect(),
            None => few.short = Some(short),
        }
        few
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.short.as_ref().map_or(&self.long, |short| &short[..self.len])
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A tensor of a plan: its shape and where its values, gradient and mask lie.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Batch first, every axis known.
    pub shape: Shape,
    /// In the float memory, or in the integer memory for token ids.
    pub value: Span,
    /// In the float memory; none where no gradient is wanted.
    pub gradient: Option<Span>,
    /// (batch, time) flags in the mask memory; none where every step counts.
    pub mask: Option<Span>,
    /// Whether only its shape and mask exist: the layers that read it are [`Folded`] with the embedding that makes it.
    pub folded: bool,
    /// The input array from which the layers that read it take its values, [`Lent`] by the caller: nothing is in the float
    /// memory then.
    pub lent: Option<usize>,
}

/// An embedding (batch, time, features) that is part of the recurrent layer that reads it. `table[id]·kernel + bias` is then
/// formed once for each distinct token instead of once for each element, and the same holds for the gradients.
#[derive(Clone, Copy)]
pub struct Folded<'a> {
    /// The tokens (batch, time).
    pub ids: &'a Tensor,
    /// The table (tokens, features).
    pub table: &'a Parameter,
    /// Where to add the table's gradient; none for a frozen one.
    pub table_gradient: Option<Span>,
}

/// Sequences (batch, time, features) that stay where the caller has them.
#[derive(Clone, Copy)]
pub struct Lent<'a> {
    /// The caller's array in C order, of which the batch may be a part.
    pub values: &'a [f32],
    /// Which of the array's rows make up the batch; all of them without.
    pub rows: Option<&'a [i64]>,
    /// The time steps of the array, and the one with which the batch begins.
    pub time: usize,
    /// See `time`.
    pub start: usize,
    /// Values of a step.
    pub features: usize,
}

impl<'a> Lent<'a> {
    /// The values of a row of the batch, step after step, from its first one on.
    #[inline]
    #[must_use]
    pub fn row(&self, row: usize) -> &'a [f32] {
        let row = self.rows.map_or(row, |rows| rows[row] as usize);
        let steps = (row * self.time + self.start) * self.features..(row + 1) * self.time * self.features;
        &self.values[steps]
    }

    /// The values of a row of the batch at a time step.
    #[inline]
    #[must_use]
    pub fn at(&self, row: usize, step: usize) -> &'a [f32] {
        let row = self.rows.map_or(row, |rows| rows[row] as usize);
        &self.values[(row * self.time + self.start + step) * self.features..][..self.features]
    }
}

/// One layer call with all that it reads and writes.
pub struct Call<'a> {
    /// The node, for what a backend keeps between calls.
    pub node: usize,
    /// The layer's name, for messages.
    pub name: &'a str,
    /// What to compute.
    pub layer: &'a Layer,
    /// What it reads.
    pub inputs: Few<&'a Tensor>,
    /// The embedding that makes its first input, where the two are one.
    pub folded: Option<Folded<'a>>,
    /// The values of its first input, where the caller lends them.
    pub lent: Option<Lent<'a>>,
    /// What it writes.
    pub outputs: Few<&'a Tensor>,
    /// Its weights.
    pub parameters: Few<&'a Parameter>,
    /// What a recurrent layer carries from call to call, an array (batch, units) for each state: it starts from it, unless
    /// an input says otherwise, and leaves its final states there. Empty for a layer that starts anew.
    pub states: Few<&'a Parameter>,
    /// Where to add the weights' gradients; none for frozen ones.
    pub parameter_gradients: Few<Option<Span>>,
    /// What the forward pass leaves for the backward pass (training), or its scratch memory.
    pub saved: Span,
    /// Scratch memory of the backward pass.
    pub scratch: Span,
    /// Whether dropout is on and a backward pass may follow.
    pub training: bool,
    /// The number of the training step, which picks the random numbers.
    pub step: u32,
    /// Which rows of the caller's arrays make up the batch, for messages; all of them without.
    pub rows: Option<&'a [i64]>,
}

/// The float memory that a layer call needs beside its inputs and outputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Workspace {
    /// Lives from the forward pass to the backward pass.
    pub saved: usize,
    /// Lives during the backward pass only.
    pub scratch: usize,
}

/// The sizes of a backend's memories, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemorySize {
    /// Values, gradients and workspaces.
    pub floats: usize,
    /// Token ids.
    pub integers: usize,
    /// Masks.
    pub masks: usize,
}

impl MemorySize {
    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.floats * size_of::<f32>() + self.integers * size_of::<i32>() + self.masks
    }
}

/// A device that runs layers.
pub trait Backend {
    /// Its name, for messages.
    fn name(&self) -> String;
    /// Why it cannot run a node with its weights; none if it can.
    fn refuses(&self, node: &Node, parameters: &[ParameterSpec]) -> Option<String>;
    /// Why it cannot update weights in this way; none if it can.
    fn refuses_optimizer(&self, optimizer: &Optimizer) -> Option<String>;
    /// Spans begin at multiples of so many elements.
    fn alignment(&self) -> usize;
    /// Whether its recurrent layers take embeddings [`Folded`] into them.
    fn folds_embeddings(&self) -> bool;
    /// Whether its recurrent layers, and [`Masking`](crate::layers::Masking), read sequences that are [`Lent`].
    fn borrows_inputs(&self) -> bool;
    /// Whether it runs recurrent layers at once that do not need each other.
    fn runs_at_once(&self) -> bool {
        false
    }
    /// The memory that a call of this layer needs. `call` has shapes and gradients wanted, but no spans yet.
    fn workspace(&self, call: &Call<'_>) -> Workspace;
    /// Makes room. What the memories held may be lost.
    ///
    /// # Errors
    /// When there is not so much memory.
    fn resize(&mut self, size: MemorySize) -> Result<()>;
    /// The room that there is, which does not shrink.
    fn size(&self) -> MemorySize;
    /// Lets `fill` write floats.
    ///
    /// # Errors
    /// What `fill` reports.
    fn write(&mut self, span: Span, fill: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()>;
    /// Lets `fill` write integers.
    ///
    /// # Errors
    /// What `fill` reports.
    fn write_integers(&mut self, span: Span, fill: &mut dyn FnMut(&mut [i32]) -> Result<()>) -> Result<()>;
    /// Lets `fill` write mask flags.
    ///
    /// # Errors
    /// What `fill` reports.
    fn write_mask(&mut self, span: Span, fill: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()>;
    /// Lets `take` read floats.
    ///
    /// # Errors
    /// When what was asked for before has failed.
    fn read(&mut self, span: Span, take: &mut dyn FnMut(&[f32])) -> Result<()>;
    /// Lets `take` read mask flags.
    fn read_mask(&self, span: Span, take: &mut dyn FnMut(&[u8]));
    /// Runs a layer forward. Returns what the layer adds to the loss: its activity penalty, zero for most.
    ///
    /// # Errors
    /// When the data cannot be processed, such as a token id outside an embedding.
    fn forward(&mut self, call: &Call<'_>) -> Result<f64>;
    /// Runs layers forward that do not need each other, of which no two share weights or states.
    ///
    /// # Errors
    /// As [`Backend::forward`].
    fn forward_all(&mut self, calls: &[Call<'_>]) -> Result<f64> {
        calls.iter().map(|call| self.forward(call)).sum()
    }
    /// Runs a layer backward: overwrites the gradients of its inputs, adds to those of its weights.
    fn backward(&mut self, call: &Call<'_>);
    /// Runs layers backward that have run [forward](Backend::forward_all) together, the last one first.
    fn backward_all(&mut self, calls: &[Call<'_>]) {
        calls.iter().rev().for_each(|call| self.backward(call));
    }
    /// Takes over into a layer's weights what its last forward pass in training has found out beside its outputs: the
    /// moving means of a batch normalization. Called once the whole step has succeeded; what the forward pass has left in
    /// the saved memory is still there. [`Backend::synchronize`] follows.
    fn settle(&mut self, call: &Call<'_>);
    /// Zeroes a span.
    fn clear(&mut self, span: Span);
    /// `target += source`
    fn add(&mut self, target: Span, source: Span);
    /// Asks for Σ weight·loss over the rows of a prediction; forms the gradient when `gradient` is given.
    ///
    /// # Errors
    /// When a target cannot be used, such as a class that does not exist.
    fn loss(&mut self, loss: &Loss, job: &LossJob<'_>) -> Result<()>;
    /// Asks for what a metric gathers from a prediction.
    ///
    /// # Errors
    /// As [`Backend::loss`].
    fn metric(&mut self, metric: &Metric, job: &LossJob<'_>) -> Result<()>;
    /// What losses and metrics have come to that were asked for since this was called last, in their order: one number for a
    /// loss.
    ///
    /// # Errors
    /// When a device has failed.
    fn judged(&mut self) -> Result<Vec<Vec<f64>>>;
    /// Accumulates and clips the gradients, updates the weights, their slots and means, enforces the constraints.
    ///
    /// # Errors
    /// When a constraint names an axis that a weight does not have.
    fn update(&mut self, update: Update<'_>) -> Result<()>;
    /// Sees to it that everything that was asked for is done, before the values are asked for next.
    ///
    /// # Errors
    /// When a device has failed.
    fn synchronize(&mut self) -> Result<()>;
}

/// A prediction and what it is compared with.
pub struct LossJob<'a> {
    /// The prediction.
    pub prediction: Span,
    /// Its gradient, to overwrite.
    pub gradient: Option<Span>,
    /// What it should have been.
    pub targets: Targets<'a>,
    /// The number of rows.
    pub rows: usize,
    /// The samples to which the rows belong.
    pub samples: usize,
    /// Values in a row of the prediction.
    pub features: usize,
    /// How rows belong together, for a loss that is not one of rows.
    pub units: Option<Units>,
    /// A weight for each row, or unit.
    pub weights: Option<&'a [f32]>,
    /// What the gradient is multiplied with: 1 / rows for a mean.
    pub scale: f32,
}

impl LossJob<'_> {
    /// The loss of a prediction that the host has.
    ///
    /// # Errors
    /// As [`Backend::loss`].
    pub fn evaluate(&self, loss: &Loss, prediction: &[f32], gradient: Option<&mut [f32]>) -> Result<f64> {
        let (targets, features, weights, scale) = (self.targets, self.features, self.weights, self.scale);
        match self.units {
            Some(units) => {
                loss.evaluate_units(targets, prediction, features, units, weights, scale, gradient, &mut Vec::new())
            }
            None => loss.evaluate(targets, prediction, self.rows, features, weights, scale, gradient),
        }
    }

    /// Refuses targets and weights that a loss cannot use, where the device has the prediction.
    ///
    /// # Errors
    /// As [`Backend::loss`].
    pub fn check(&self, loss: &Loss) -> Result<()> {
        loss.check(self.targets, self.prediction.len, self.rows, self.features, self.weights)
    }

    /// Refuses targets and weights of sizes that do not fit the prediction. `indices` says that the targets are class indices.
    ///
    /// # Errors
    /// As [`Backend::metric`].
    pub fn check_sizes(&self, indices: bool) -> Result<()> {
        losses::check_sizes(indices, self.targets, self.prediction.len, [self.rows, self.features], self.weights)
    }

    /// What a metric gathers from a prediction that the host has.
    ///
    /// # Errors
    /// As [`Backend::metric`].
    pub fn measure(&self, metric: &Metric, prediction: &[f32]) -> Result<Vec<f64>> {
        metric.update(self.targets, prediction, self.rows, self.features, self.weights, self.samples)
    }
}

/// A step of the optimizer.
pub struct Update<'a> {
    /// The formula.
    pub optimizer: &'a Optimizer,
    /// The current learning rate.
    pub learning_rate: f32,
    /// 1 for the first step.
    pub iteration: u64,
    /// The weights with their gradients and slots.
    pub parameters: Vec<UpdateParameter<'a>>,
}

/// One weight in an optimizer step.
pub struct UpdateParameter<'a> {
    /// The weight.
    pub parameter: &'a Parameter,
    /// Its gradient.
    pub gradient: Span,
    /// What the optimizer keeps for it.
    pub state: WeightState<'a>,
    /// A penalty whose gradient is added.
    pub regularizer: Option<&'a crate::regularizers::Regularizer>,
    /// What is enforced afterwards.
    pub constraint: Option<&'a crate::constraints::Constraint>,
}

#[cfg(test)]
mod tests {
    use super::Few;

    #[test]
    fn few_items_are_those_that_were_given() {
        for len in 0..20_usize {
            let few: Few<usize> = (0..len).collect();
            assert!(few.iter().copied().eq(0..len) && few.len() == len);
        }
    }
}
