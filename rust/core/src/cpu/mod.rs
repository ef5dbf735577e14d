//! The CPU backend: one file for each kind of layer.

mod at_once;
mod attention;
mod batch_normalization;
mod columns;
mod concatenate;
mod conv;
mod dense;
mod dot;
mod elementwise;
mod embedding;
mod fold;
mod masking;
mod memory;
mod merge;
mod noise;
mod places;
mod pooling;
mod prelu;
mod recurrent;
mod row_normalization;
mod shape;

use crate::backend::{Backend, Call, LossJob, MemorySize, Update, Workspace};
use crate::graph::{Node, ParameterSpec};
use crate::layers::{Input, Layer};
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::optimizers::{Optimizer, Part};
use crate::parameter::Parameter;
use crate::tensor::Span;
use crate::threads;
use crate::{Error, Result};
use foliot_simd::dispatch::Level;
pub(crate) use memory::Memory;
use memory::{Buffers, disjoint};
use std::env::VarError;
use std::sync::{Arc, RwLockWriteGuard};

/// The environment variable that turns algebra that changes results by rounding only off (`0`), so that its gain can be
/// measured and its results compared.
const EXACT_ALGEBRA_VARIABLE: &str = "FOLIOT_EXACT_ALGEBRA";

/// Rows or elements below which sharing work costs more than it brings: a task should last some microseconds.
pub(crate) const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// What a node keeps from one call to the next, such as packed weights; each kind of layer has its own part.
#[derive(Default)]
struct Kept {
    recurrent: recurrent::State,
    dense: dense::State,
    conv: conv::State,
}

/// What a layer computes with.
struct Context<'a> {
    level: Level,
    /// Whether algebra that changes results by rounding only is on.
    exact_algebra: bool,
    memory: &'a mut Memory,
    kept: &'a mut Kept,
}

/// What the CPU computes for a kind of layer.
trait Compute {
    /// The memory that a call needs. `call` has shapes and gradients wanted, but no spans yet.
    fn workspace(&self, _call: &Call<'_>) -> Workspace {
        Workspace::default()
    }

    /// Writes the outputs. Returns what the layer adds to the loss, zero for most.
    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64>;

    /// Overwrites the gradients of the inputs, adds to those of the weights.
    fn backward(&self, context: Context<'_>, call: &Call<'_>);

    /// What a backward pass adds to gradients that another layer's may add to at the same time; called after it, for one layer after
    /// the other.
    fn finish_backward(&self, _context: Context<'_>, _call: &Call<'_>) {}

    /// See [`Backend::settle`].
    fn settle(&self, _memory: &Memory, _call: &Call<'_>) {}
}

fn compute(layer: &Layer) -> &dyn Compute {
    match layer {
        Layer::Input(layer) => layer,
        Layer::Embedding(layer) => layer,
        Layer::Dense(layer) => layer,
        Layer::Activation(layer) => layer,
        Layer::GatedLinearUnit(layer) => layer,
        Layer::Dropout(layer) => layer,
        Layer::Flatten(layer) => layer,
        Layer::Reshape(layer) => layer,
        Layer::Permute(layer) => layer,
        Layer::RepeatVector(layer) => layer,
        Layer::RepeatParts(layer) => layer,
        Layer::Cropping1d(layer) => layer,
        Layer::ZeroPadding1d(layer) => layer,
        Layer::Masking(layer) => layer,
        Layer::RowNormalization(layer) => layer,
        Layer::BatchNormalization(layer) => layer,
        Layer::GlobalPooling1d(layer) => layer,
        Layer::Pooling1d(layer) => layer,
        Layer::Conv1d(layer) => layer,
        Layer::Noise(layer) => layer,
        Layer::PRelu(layer) => layer,
        Layer::FoldTime(layer) => layer,
        Layer::UnfoldTime(layer) => layer,
        Layer::ActivityRegularization(layer) => layer,
        Layer::Merge(layer) => layer,
        Layer::Concatenate(layer) => layer,
        Layer::Dot(layer) => layer,
        Layer::Reverse(layer) => layer,
        Layer::Attention(layer) => layer,
        Layer::SimpleRnn(options)
        | Layer::Lstm(options)
        | Layer::Gru(options)
        | Layer::LayerNormLstm(options)
        | Layer::LayerNormGru(options)
        | Layer::MinGru(options)
        | Layer::MinLstm(options) => options,
    }
}

impl Compute for Input {
    fn forward(&self, _context: Context<'_>, _call: &Call<'_>) -> Result<f64> {
        Ok(0.0)
    }

    fn backward(&self, _context: Context<'_>, _call: &Call<'_>) {}
}

/// Executes plans with the vector instructions of one level.
pub struct Cpu {
    level: Level,
    exact_algebra: bool,
    memory: Buffers,
    /// What each node keeps from one call to the next.
    kept: Vec<Kept>,
    /// What losses and metrics have come to.
    judged: Vec<Vec<f64>>,
}

impl Cpu {
    /// A backend for a network of `nodes` layers.
    ///
    /// # Errors
    /// `FOLIOT_EXACT_ALGEBRA` is neither 0 nor 1.
    pub fn new(level: Level, nodes: usize) -> Result<Self> {
        let exact_algebra = match std::env::var(EXACT_ALGEBRA_VARIABLE).as_deref() {
            Ok("1") | Err(VarError::NotPresent) => true,
            Ok("0") => false,
            Ok(text) => return Err(Error::value(EXACT_ALGEBRA_VARIABLE, "0 or 1", format!("{text:?}"))),
            Err(error) => return Err(Error::value(EXACT_ALGEBRA_VARIABLE, "0 or 1", error.to_string())),
        };
        Ok(Self {
            level,
            exact_algebra,
            memory: Buffers::default(),
            kept: (0..nodes).map(|_| Kept::default()).collect(),
            judged: Vec::new(),
        })
    }

    /// See [`Compute::finish_backward`].
    fn finish_backward(&mut self, call: &Call<'_>) {
        let Self { level, exact_algebra, memory, kept, .. } = self;
        let (memory, kept) = (&mut *memory.view(), &mut kept[call.node]);
        compute(call.layer)
            .finish_backward(Context { level: *level, exact_algebra: *exact_algebra, memory, kept }, call);
    }
}

/// Brings the weights and states of a call here. Where a device that has newer values is gone, this is an error; nothing after it
/// could report it.
fn fetch(call: &Call<'_>) -> Result<()> {
    call.parameters.iter().chain(&*call.states).try_for_each(|parameter| parameter.fetch())
}

impl Backend for Cpu {
    fn name(&self) -> String {
        "CPU".into()
    }

    fn refuses(&self, _node: &Node, _parameters: &[ParameterSpec]) -> Option<String> {
        None
    }

    fn refuses_optimizer(&self, _optimizer: &Optimizer) -> Option<String> {
        None
    }

    fn alignment(&self) -> usize {
        // 16 floats are a cache line.
        16
    }

    fn folds_embeddings(&self) -> bool {
        self.exact_algebra
    }

    fn borrows_inputs(&self) -> bool {
        true
    }

    fn workspace(&self, call: &Call<'_>) -> Workspace {
        compute(call.layer).workspace(call)
    }

    fn resize(&mut self, size: MemorySize) -> Result<()> {
        self.memory.resize(size)
    }

    fn size(&self) -> MemorySize {
        self.memory.size()
    }

    fn write(&mut self, span: Span, fill: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
        fill(self.memory.view().floats_mut(span))
    }

    fn write_integers(&mut self, span: Span, fill: &mut dyn FnMut(&mut [i32]) -> Result<()>) -> Result<()> {
        fill(self.memory.view().integers_mut(span))
    }

    fn write_mask(&mut self, span: Span, fill: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        fill(self.memory.view().mask_mut(span))
    }

    fn read(&mut self, span: Span, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        take(self.memory.view().floats(span));
        Ok(())
    }

    fn read_mask(&self, span: Span, take: &mut dyn FnMut(&[u8])) {
        take(self.memory.mask(span));
    }

    fn runs_at_once(&self) -> bool {
        true
    }

    fn forward(&mut self, call: &Call<'_>) -> Result<f64> {
        fetch(call)?;
        let Self { level, exact_algebra, memory, kept, .. } = self;
        let (memory, kept) = (&mut *memory.view(), &mut kept[call.node]);
        compute(call.layer).forward(Context { level: *level, exact_algebra: *exact_algebra, memory, kept }, call)
    }

    fn forward_all(&mut self, calls: &[Call<'_>]) -> Result<f64> {
        calls.iter().try_for_each(fetch)?;
        match self.forward_at_once(calls) {
            Some(penalty) => penalty,
            None => calls.iter().map(|call| self.forward(call)).sum(),
        }
    }

    fn backward(&mut self, call: &Call<'_>) {
        let Self { level, exact_algebra, memory, kept, .. } = self;
        let (memory, kept) = (&mut *memory.view(), &mut kept[call.node]);
        compute(call.layer).backward(Context { level: *level, exact_algebra: *exact_algebra, memory, kept }, call);
        self.finish_backward(call);
    }

    fn backward_all(&mut self, calls: &[Call<'_>]) {
        if calls.len() > 1 && self.backward_at_once(calls) {
            calls.iter().rev().for_each(|call| self.finish_backward(call));
        } else {
            calls.iter().rev().for_each(|call| self.backward(call));
        }
    }

    fn settle(&mut self, call: &Call<'_>) {
        compute(call.layer).settle(&self.memory.view(), call);
    }

    fn clear(&mut self, span: Span) {
        self.memory.view().floats_mut(span).fill(0.0);
    }

    fn add(&mut self, target: Span, source: Span) {
        let mut memory = self.memory.view();
        let [target, source] = memory.many([target, source]);
        target.iter_mut().zip(source).for_each(|(target, source)| *target += *source);
    }

    fn loss(&mut self, loss: &Loss, job: &LossJob<'_>) -> Result<()> {
        let mut memory = self.memory.view();
        let (prediction, gradient) = match job.gradient {
            Some(gradient) => {
                let [prediction, gradient] = memory.many([job.prediction, gradient]);
                (&*prediction, Some(gradient))
            }
            None => (memory.floats(job.prediction), None),
        };
        let value = job.evaluate(loss, prediction, gradient)?;
        self.judged.push(vec![value]);
        Ok(())
    }

    fn metric(&mut self, metric: &Metric, job: &LossJob<'_>) -> Result<()> {
        let gathered = job.measure(metric, self.memory.view().floats(job.prediction))?;
        self.judged.push(gathered);
        Ok(())
    }

    fn judged(&mut self) -> Result<Vec<Vec<f64>>> {
        Ok(std::mem::take(&mut self.judged))
    }

    fn update(&mut self, update: Update<'_>) -> Result<()> {
        let Update { optimizer, learning_rate, iteration, mut parameters } = update;
        let mut memory = self.memory.view();
        for entry in &parameters {
            if let Some(regularizer) = entry.regularizer {
                let (shape, gradient) = (entry.parameter.shape(), memory.floats_mut(entry.gradient));
                regularizer.add_gradient(shape, &entry.parameter.read(), gradient);
            }
        }
        // The plan gives each parameter its own span; sorted, they can be split off one after another.
        parameters.sort_by_key(|entry| entry.gradient.offset);
        let mut rest = &mut *memory.floats;
        let mut start = 0;
        let mut gradients = Vec::with_capacity(parameters.len());
        for entry in &parameters {
            let (_, tail) = rest.split_at_mut(entry.gradient.offset - start);
            let (gradient, tail) = tail.split_at_mut(entry.gradient.len);
            start = entry.gradient.offset + entry.gradient.len;
            rest = tail;
            gradients.push(gradient);
        }
        if optimizer.gradient_accumulation_steps.is_some() {
            for (entry, gradient) in parameters.iter_mut().zip(&mut gradients) {
                optimizer.accumulate(iteration, gradient, &mut held(&mut written(entry.state.slots)));
            }
        }
        let moves = optimizer.is_update(iteration);
        if moves {
            optimizer.clip(&mut gradients);
        }
        for (entry, gradient) in parameters.iter_mut().zip(gradients) {
            if !moves && optimizer.ema_momentum.is_none() && entry.constraint.is_none() {
                // Nothing touches the weight, so what was derived from it (packed weights) stays good.
                continue;
            }
            let mut weight = entry.parameter.write();
            let mut slots = written(entry.state.slots);
            let mut slots = held(&mut slots);
            if moves {
                let (shape, decays) = (entry.parameter.shape(), entry.state.decays);
                let slots = &mut slots[..optimizer.rule_slots()];
                update_one(
                    self.level,
                    optimizer,
                    learning_rate,
                    iteration,
                    shape,
                    decays,
                    &mut weight,
                    gradient,
                    slots,
                );
            }
            optimizer.average(iteration, &mut weight, &mut slots);
            if let Some(constraint) = entry.constraint {
                constraint.apply(&mut weight, entry.parameter.shape())?;
            }
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The slots of a weight, to write.
fn written(slots: &[Arc<Parameter>]) -> Vec<RwLockWriteGuard<'_, Vec<f32>>> {
    slots.iter().map(|slot| slot.write()).collect()
}

fn held<'a>(slots: &'a mut [RwLockWriteGuard<'_, Vec<f32>>]) -> Vec<&'a mut [f32]> {
    slots.iter_mut().map(|slot| slot.as_mut_slice()).collect()
}

/// Updates one weight, in parts that the threads share where the formula is element-wise, so that the cuts change no bits.
fn update_one(
    level: Level,
    optimizer: &Optimizer,
    learning_rate: f32,
    iteration: u64,
    shape: &[usize],
    decays: bool,
    weight: &mut [f32],
    gradient: &[f32],
    slots: &mut [&mut [f32]],
) {
    if optimizer.needs_whole() {
        let part = Part { shape, decays, weight, gradient, slots };
        return optimizer.update(level, learning_rate, iteration, part);
    }
    let len = weight.len();
    let weight = Parts(weight.as_mut_ptr());
    let slot_parts: Vec<Parts> = slots.iter_mut().map(|slot| Parts(slot.as_mut_ptr())).collect();
    threads::for_each(len.div_ceil(ELEMENTS_PER_TASK), |task| {
        let start = task * ELEMENTS_PER_TASK;
        let count = ELEMENTS_PER_TASK.min(len - start);
        // SAFETY: the parts of different tasks are disjoint and lie inside the weight and its slots, which have its length.
        let (weight, mut slots) = unsafe {
            let slots: Vec<&mut [f32]> = slot_parts.iter().map(|slot| slot.part(start, count)).collect();
            (weight.part(start, count), slots)
        };
        let gradient = &gradient[start..start + count];
        optimizer.update(level, learning_rate, iteration, Part { shape, decays, weight, gradient, slots: &mut slots });
    });
}

/// An array that tasks share in disjoint parts.
#[derive(Clone, Copy)]
pub(crate) struct Parts<T = f32>(pub(crate) *mut T);

// SAFETY: whoever calls `part` answers for the parts being disjoint.
unsafe impl<T: Send> Sync for Parts<T> {}

impl<T> Parts<T> {
    /// # Safety
    /// The part lies inside the array, which outlives the tasks, and no other task touches it.
    // The elements belong to the array, not to this pointer.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part<'a>(&self, start: usize, len: usize) -> &'a mut [T] {
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

/// Cuts `rows` into tasks of at least `fewest` rows and calls `body(start, count)` for each, on all threads.
pub(crate) fn for_each_rows(rows: usize, fewest: usize, body: impl Fn(usize, usize) + Sync) {
    let size = fewest.max(1);
    threads::for_each(rows.div_ceil(size), |task| body(task * size, size.min(rows - task * size)));
}
