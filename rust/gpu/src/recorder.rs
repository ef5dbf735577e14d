//! A backend without a device: it writes down what one would be asked to do, in order and with all numbers, so that any other
//! host of WGSL can do it.

use crate::lower::{self, ALIGNMENT, Known, Step};
use crate::plan::{Dispatch, Source};
use foliot_core::backend::{Backend, Call, LossJob, MemorySize, Update, Workspace};
use foliot_core::graph::{Node, ParameterSpec};
use foliot_core::losses::Loss;
use foliot_core::metrics::Metric;
use foliot_core::optimizers::Optimizer;
use foliot_core::parameter::Parameter;
use foliot_core::tensor::Span;
use foliot_core::{Error, Result};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a device is asked to do.
#[derive(Clone, Debug)]
pub enum Event {
    /// Keep a weight with these values, before it is used for the first time.
    Hold {
        /// Whose number [`Source::Weight`] has.
        weight: u64,
        /// All of them.
        values: Vec<f32>,
    },
    /// Copy numbers into the float memory.
    Write {
        /// Where the first one goes.
        offset: usize,
        /// What is copied.
        values: Vec<f32>,
    },
    /// Execute.
    Dispatch(Dispatch),
    /// Hand numbers over: floats, or scratch memory that holds sums of losses.
    Read(Source),
}

/// All that a device was asked to do.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// In order.
    pub events: Vec<Event>,
    /// How many numbers the float memory holds.
    pub floats: usize,
    /// How many numbers the scratch memory holds.
    pub scratch: usize,
}

/// Writes down what it is asked for. All numbers that it is asked for are zero.
#[derive(Default)]
pub struct Recorder {
    tape: Arc<Mutex<Tape>>,
    known: Known,
    size: MemorySize,
    held: HashSet<u64>,
    pending: Vec<Dispatch>,
    /// For each loss and metric that nobody has fetched yet, how many numbers it comes to.
    judged: Vec<usize>,
    places: usize,
}

impl Recorder {
    /// What it has written down so far, and will.
    #[must_use]
    pub fn tape(&self) -> Arc<Mutex<Tape>> {
        self.tape.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&mut self, event: Event) {
        let pending = std::mem::take(&mut self.pending).into_iter().map(Event::Dispatch);
        self.lock().events.extend(pending.chain([event]));
    }

    fn hold(&mut self, parameter: &Parameter) {
        if self.held.insert(parameter.id()) {
            let values = parameter.read().clone();
            self.put(Event::Hold { weight: parameter.id(), values });
        }
    }

    fn reserve_scratch(&mut self, len: usize) -> Span {
        let mut tape = self.lock();
        tape.scratch = tape.scratch.max(len);
        Span { offset: 0, len }
    }

    /// All places for sums; those behind the first ones that are taken are free.
    fn places(&mut self, name: &str) -> Result<Span> {
        if self.places + lower::PLACES > lower::SUMS {
            let expected = format!("at most {} losses and metrics of a batch", lower::SUMS / lower::PLACES);
            return Err(Error::value(name, expected, "more"));
        }
        Ok(self.reserve_scratch(lower::SUMS))
    }

    fn ask(&mut self, judging: Option<lower::Judging>, name: &str, numbers: usize) -> Result<()> {
        let Some(lower::Judging { dispatch, places }) = judging else {
            return Err(Error::value(name, "one that the device forms", "one that the host forms"));
        };
        self.pending.push(dispatch);
        self.places += places;
        self.judged.push(numbers);
        Ok(())
    }
}

impl Backend for Recorder {
    fn name(&self) -> String {
        "plan".into()
    }

    fn refuses(&self, node: &Node, parameters: &[ParameterSpec]) -> Option<String> {
        lower::refuses(node, parameters)
    }

    fn refuses_optimizer(&self, optimizer: &Optimizer) -> Option<String> {
        lower::refuses_optimizer(optimizer)
    }

    fn alignment(&self) -> usize {
        ALIGNMENT
    }

    fn folds_embeddings(&self) -> bool {
        false
    }

    fn borrows_inputs(&self) -> bool {
        false
    }

    fn workspace(&self, call: &Call<'_>) -> Workspace {
        lower::workspace(call)
    }

    fn resize(&mut self, size: MemorySize) -> Result<()> {
        self.size = size;
        self.known.integers.resize(size.integers, 0);
        self.known.masks.resize(size.masks, 0);
        let mut tape = self.lock();
        tape.floats = tape.floats.max(size.floats);
        Ok(())
    }

    fn size(&self) -> MemorySize {
        self.size
    }

    fn write(&mut self, span: Span, fill: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
        let mut values = vec![0.0; span.len];
        fill(&mut values)?;
        self.put(Event::Write { offset: span.offset, values });
        Ok(())
    }

    fn write_integers(&mut self, span: Span, fill: &mut dyn FnMut(&mut [i32]) -> Result<()>) -> Result<()> {
        fill(&mut self.known.integers[span.offset..span.offset + span.len])
    }

    fn write_mask(&mut self, span: Span, fill: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        fill(&mut self.known.masks[span.offset..span.offset + span.len])
    }

    fn read(&mut self, span: Span, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        self.put(Event::Read(Source::Floats(span)));
        take(&vec![0.0; span.len]);
        Ok(())
    }

    fn read_mask(&self, span: Span, take: &mut dyn FnMut(&[u8])) {
        take(&self.known.masks[span.offset..span.offset + span.len]);
    }

    fn forward(&mut self, call: &Call<'_>) -> Result<f64> {
        call.parameters.iter().chain(&*call.states).for_each(|parameter| self.hold(parameter));
        if lower::wants_values(call) {
            let span = call.inputs[0].value;
            let tape = self.lock();
            let written = tape.events.iter().rev().find_map(|event| match event {
                Event::Write { offset, values } if *offset == span.offset => Some(values.clone()),
                _ => None,
            });
            drop(tape);
            let missing = || Error::value(call.name, "an array of the caller's", "what another layer makes");
            self.known.values = written.ok_or_else(missing)?;
        }
        lower::forward(call, &mut self.known, &mut self.pending)?;
        Ok(0.0)
    }

    fn backward(&mut self, call: &Call<'_>) {
        lower::backward(call, &self.known, &mut self.pending);
    }

    fn settle(&mut self, call: &Call<'_>) {
        lower::settle(call, &mut self.pending);
    }

    fn clear(&mut self, span: Span) {
        lower::clear(&mut self.pending, span);
    }

    fn add(&mut self, target: Span, source: Span) {
        lower::add(&mut self.pending, target, source);
    }

    fn loss(&mut self, loss: &Loss, job: &LossJob<'_>) -> Result<()> {
        let all = self.places("loss")?;
        let judging = lower::loss(loss, job, self.places, all)?;
        self.ask(judging, "loss", 1)
    }

    fn metric(&mut self, metric: &Metric, job: &LossJob<'_>) -> Result<()> {
        let all = self.places("metrics")?;
        let judging = lower::metric(metric, job, self.places, all)?;
        self.ask(judging, "metrics", 2)
    }

    fn judged(&mut self) -> Result<Vec<Vec<f64>>> {
        let sums = Span { offset: 0, len: std::mem::take(&mut self.places) };
        if sums.len > 0 {
            self.put(Event::Read(Source::Scratch(sums)));
        }
        Ok(std::mem::take(&mut self.judged).into_iter().map(|numbers| vec![0.0; numbers]).collect())
    }

    fn update(&mut self, update: Update<'_>) -> Result<()> {
        let Update { optimizer, learning_rate, iteration, parameters } = update;
        for entry in &parameters {
            entry.state.slots.iter().for_each(|slot| self.hold(slot));
        }
        let steps: Vec<Step> = parameters.iter().map(Step::of).collect();
        self.reserve_scratch(lower::optimizer_scratch(steps.len()));
        lower::update(optimizer, learning_rate, iteration, &steps, &mut self.pending);
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending).into_iter().map(Event::Dispatch);
        self.lock().events.extend(pending);
        Ok(())
    }
}
