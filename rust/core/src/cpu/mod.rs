//! The CPU backend: one file for each kind of layer.

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
use crate::tensor::{Buffer, Span};
use crate::threads;
use crate::{Error, Result};
use foliot_simd::dispatch::Level;
use std::env::VarError;
use std::sync::{Arc, RwLockWriteGuard};

/// The environment variable that turns algebra that changes results by rounding only off (`0`), so that its gain can be
/// measured and its results compared.
const EXACT_ALGEBRA_VARIABLE: &str = "FOLIOT_EXACT_ALGEBRA";

/// Rows or elements below which sharing work costs more than it brings: a task should last some microseconds.
pub(crate) const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// The memories of a plan.
#[derive(Default)]
pub(crate) struct Memory {
    floats: Buffer,
    integers: Vec<i32>,
    masks: Vec<u8>,
}

impl Memory {
    pub(crate) fn floats(&self, span: Span) -> &[f32] {
        &self.floats.as_slice()[span.offset..span.offset + span.len]
    }

    pub(crate) fn integers(&self, span: Span) -> &[i32] {
        &self.integers[span.offset..span.offset + span.len]
    }

    pub(crate) fn mask(&self, span: Span) -> &[u8] {
        &self.masks[span.offset..span.offset + span.len]
    }

    /// Where a span starts, for the kernels.
    pub(crate) fn pointer(&mut self, span: Span) -> *mut f32 {
        assert!(span.offset + span.len <= self.floats.len());
        // SAFETY: the span lies inside the buffer.
        unsafe { self.floats.as_mut_ptr().add(span.offset) }
    }

    pub(crate) fn floats_mut(&mut self, span: Span) -> &mut [f32] {
        &mut self.floats.as_mut_slice()[span.offset..span.offset + span.len]
    }

    pub(crate) fn mask_mut(&mut self, span: Span) -> &mut [u8] {
        &mut self.masks[span.offset..span.offset + span.len]
    }

    /// Token ids beside disjoint spans of floats.
    pub(crate) fn integers_and_many<const N: usize>(
        &mut self,
        ids: Span,
        spans: [Span; N],
    ) -> (&[i32], [&mut [f32]; N]) {
        let Self { floats, integers, .. } = self;
        (&integers[ids.offset..ids.offset + ids.len], disjoint(floats, spans))
    }

    /// All flags, and floats to read, in spans that may overlap, beside disjoint ones to write.
    ///
    /// # Panics
    /// When a span to write overlaps another one, or one lies outside: a fault of the plan.
    pub(crate) fn flags_and_floats<const R: usize, const W: usize>(
        &mut self,
        reads: [Span; R],
        writes: [Span; W],
    ) -> (&[u8], [&[f32]; R], [&mut [f32]; W]) {
        let len = self.floats.len();
        let apart =
            |a: Span, b: Span| a.len == 0 || b.len == 0 || a.offset + a.len <= b.offset || b.offset + b.len <= a.offset;
        for (position, span) in writes.iter().enumerate() {
            let others = reads.iter().chain(&writes[..position]);
            assert!(others.into_iter().all(|other| apart(*span, *other)), "the plan's spans {reads:?} and {writes:?}");
        }
        assert!(reads.iter().chain(&writes).all(|span| span.offset + span.len <= len), "{reads:?} and {writes:?}");
        let base = self.floats.as_mut_ptr();
        // SAFETY: the spans lie inside the buffer, which stays borrowed, and what is written overlaps nothing: both checked
        // above.
        let (reads, writes) = unsafe {
            (
                reads.map(|span| std::slice::from_raw_parts(base.add(span.offset).cast_const(), span.len)),
                writes.map(|span| std::slice::from_raw_parts_mut(base.add(span.offset), span.len)),
            )
        };
        (&self.masks, reads, writes)
    }

    /// Disjoint spans at once.
    ///
    /// # Panics
    /// When spans overlap or lie outside: a fault of the plan.
    pub(crate) fn many<const N: usize>(&mut self, spans: [Span; N]) -> [&mut [f32]; N] {
        disjoint(&mut self.floats, spans)
    }
}

/// The plan places what is alive at one time apart and a call reads its spans from there, whatever a user passes: shapes, options
/// and arrays are checked before there is a plan. So what cannot be split here is a fault of ours, and no more than a wrong answer
/// is to come of it.
fn disjoint<const N: usize>(floats: &mut Buffer, spans: [Span; N]) -> [&mut [f32]; N] {
    // An empty span may lie anywhere; an empty range at the start overlaps nothing.
    let ranges = spans.map(|span| if span.len == 0 { 0..0 } else { span.offset..span.offset + span.len });
    match floats.as_mut_slice().get_disjoint_mut(ranges) {
        Ok(slices) => slices,
        Err(error) => panic!("the plan's spans {spans:?}: {error}"),
    }
}

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
    memory: Memory,
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
            memory: Memory::default(),
            kept: (0..nodes).map(|_| Kept::default()).collect(),
            judged: Vec::new(),
        })
    }
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
        self.memory.floats.resize(size.floats)?;
        self.memory.integers.resize(size.integers, 0);
        self.memory.masks.resize(size.masks, 0);
        Ok(())
    }

    fn size(&self) -> MemorySize {
        let Memory { floats, integers, masks } = &self.memory;
        MemorySize { floats: floats.capacity(), integers: integers.capacity(), masks: masks.capacity() }
    }

    fn write(&mut self, span: Span, fill: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
        fill(self.memory.floats_mut(span))
    }

    fn write_integers(&mut self, span: Span, fill: &mut dyn FnMut(&mut [i32]) -> Result<()>) -> Result<()> {
        fill(&mut self.memory.integers[span.offset..span.offset + span.len])
    }

    fn write_mask(&mut self, span: Span, fill: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        fill(self.memory.mask_mut(span))
    }

    fn read(&mut self, span: Span, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        take(self.memory.floats(span));
        Ok(())
    }

    fn read_mask(&self, span: Span, take: &mut dyn FnMut(&[u8])) {
        take(self.memory.mask(span));
    }

    fn forward(&mut self, call: &Call<'_>) -> Result<f64> {
        // Where a device that has newer values is gone, this is an error; nothing below could report it.
        call.parameters.iter().chain(&*call.states).try_for_each(|parameter| parameter.fetch())?;
        let Self { level, memory, kept, .. } = self;
        compute(call.layer).forward(Context { level: *level, memory, kept: &mut kept[call.node] }, call)
    }

    fn backward(&mut self, call: &Call<'_>) {
        let Self { level, memory, kept, .. } = self;
        compute(call.layer).backward(Context { level: *level, memory, kept: &mut kept[call.node] }, call);
    }

    fn settle(&mut self, call: &Call<'_>) {
        compute(call.layer).settle(&self.memory, call);
    }

    fn clear(&mut self, span: Span) {
        self.memory.floats_mut(span).fill(0.0);
    }

    fn add(&mut self, target: Span, source: Span) {
        let [target, source] = self.memory.many([target, source]);
        target.iter_mut().zip(source).for_each(|(target, source)| *target += *source);
    }

    fn loss(&mut self, loss: &Loss, job: &LossJob<'_>) -> Result<()> {
        let (prediction, gradient) = match job.gradient {
            Some(gradient) => {
                let [prediction, gradient] = self.memory.many([job.prediction, gradient]);
                (&*prediction, Some(gradient))
            }
            None => (self.memory.floats(job.prediction), None),
        };
        let value = job.evaluate(loss, prediction, gradient)?;
        self.judged.push(vec![value]);
        Ok(())
    }

    fn metric(&mut self, metric: &Metric, job: &LossJob<'_>) -> Result<()> {
        let gathered = job.measure(metric, self.memory.floats(job.prediction))?;
        self.judged.push(gathered);
        Ok(())
    }

    fn judged(&mut self) -> Result<Vec<Vec<f64>>> {
        Ok(std::mem::take(&mut self.judged))
    }

    fn update(&mut self, update: Update<'_>) -> Result<()> {
        let Update { optimizer, learning_rate, iteration, mut parameters } = update;
        for entry in &parameters {
            if let Some(regularizer) = entry.regularizer {
                let (shape, gradient) = (entry.parameter.shape(), self.memory.floats_mut(entry.gradient));
                regularizer.add_gradient(shape, &entry.parameter.read(), gradient);
            }
        }
        // The plan gives each parameter its own span; sorted, they can be split off one after another.
        parameters.sort_by_key(|entry| entry.gradient.offset);
        let mut rest = self.memory.floats.as_mut_slice();
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
