//! The core's backend on a GPU: it collects dispatches until somebody asks for a number. Losses and metrics with kernels give
//! the host a few sums; the others are formed there, in its precision, from the network's outputs.

use crate::host::{Buffer, Device, Memories};
use crate::lower::{self, ALIGNMENT, Judging, Known, Step};
use crate::plan::{Dispatch, Source};
use foliot_core::Result;
use foliot_core::backend::{Backend, Call, LossJob, MemorySize, Update, Workspace};
use foliot_core::graph::{Node, ParameterSpec};
use foliot_core::losses::Loss;
use foliot_core::metrics::Metric;
use foliot_core::optimizers::Optimizer;
use foliot_core::parameter::{DeviceCopy, Parameter};
use foliot_core::tensor::Span;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// A weight on a device.
struct Copy {
    device: Arc<Device>,
    buffer: Buffer,
}

impl DeviceCopy for Copy {
    fn device(&self) -> u64 {
        self.device.id()
    }

    fn read(&self, values: &mut [f32]) -> Result<()> {
        self.device.download(&self.buffer, 0, values)
    }

    fn write(&self, values: &[f32]) -> Result<()> {
        self.device.upload(&self.buffer, 0, values)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The memory of a weight that this crate has put on a device.
fn buffer_of(copy: &dyn DeviceCopy) -> Option<&Buffer> {
    copy.as_any().downcast_ref::<Copy>().map(|copy| &copy.buffer)
}

/// Runs plans on a device.
pub struct Gpu {
    adapter: usize,
    device: Arc<Device>,
    floats: Option<Buffer>,
    scratch: Option<Buffer>,
    known: Known,
    pending: Vec<Dispatch>,
    /// The weights that pending dispatches work on.
    weights: HashMap<u64, Arc<dyn DeviceCopy>>,
    /// What was read last, as long as nothing has been asked for since.
    seen: Option<(Span, Vec<f32>)>,
    /// Losses and metrics that nobody has fetched yet.
    judged: Vec<Judged>,
    /// How many places of the memory for sums they use.
    places: usize,
}

/// What a loss or a metric has come to.
enum Judged {
    Known(Vec<f64>),
    /// The sum of places on the device from one on, times a factor; then a number that the host knows, for a metric.
    Summed {
        first: usize,
        places: usize,
        factor: f64,
        rest: Option<f64>,
    },
}

impl Gpu {
    /// A backend on an adapter, by its number in [`crate::host::adapters`].
    ///
    /// # Errors
    /// When the adapter does not exist or has not what the kernels need.
    pub fn new(adapter: usize) -> Result<Self> {
        Ok(Self {
            adapter,
            device: Device::open(adapter)?,
            floats: None,
            scratch: None,
            known: Known::default(),
            pending: Vec::new(),
            weights: HashMap::new(),
            seen: None,
            judged: Vec::new(),
            places: 0,
        })
    }

    /// Sees to it that a weight's values are on the device.
    fn hold(&mut self, parameter: &Parameter) -> Result<()> {
        if self.weights.contains_key(&parameter.id()) {
            return Ok(());
        }
        let device = &self.device;
        let copy = parameter.on_device(device.id(), |values| {
            let buffer = device.buffer(parameter.name(), values.len())?;
            let copy: Arc<dyn DeviceCopy> = Arc::new(Copy { device: device.clone(), buffer });
            copy.write(values)?;
            Ok(copy)
        })?;
        self.weights.insert(parameter.id(), copy);
        Ok(())
    }

    /// Executes what is pending.
    fn flush(&mut self) -> Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let weights = std::mem::take(&mut self.weights);
        if !pending.is_empty() {
            self.seen = None;
        }
        let buffers = weights.iter().filter_map(|(id, copy)| Some((*id, buffer_of(copy.as_ref())?)));
        let memories =
            Memories { floats: self.floats.as_ref(), scratch: self.scratch.as_ref(), weights: buffers.collect() };
        self.device.execute(&pending, &memories)
    }

    /// Sees to it that there is scratch memory for so many numbers.
    fn reserve_scratch(&mut self, what: &str, len: usize) -> Result<()> {
        if self.scratch.as_ref().is_none_or(|memory| memory.len() < len) {
            self.scratch = Some(self.device.buffer(what, len)?);
        }
        Ok(())
    }

    /// Room for the sum of a loss or metric: all places, and the first free one.
    fn room(&mut self) -> Result<(Span, usize)> {
        if self.places + lower::PLACES > lower::SUMS {
            self.fetch_sums()?;
        }
        self.reserve_scratch("sums of losses", lower::SUMS)?;
        Ok((Span { offset: 0, len: lower::SUMS }, self.places))
    }

    fn ask(&mut self, judging: Judging, factor: f64, rest: Option<f64>) {
        let Judging { dispatch, places } = judging;
        self.pending.push(dispatch);
        self.judged.push(Judged::Summed { first: self.places, places, factor, rest });
        self.places += places;
    }

    /// Brings all sums to the host.
    fn fetch_sums(&mut self) -> Result<()> {
        let mut sums = vec![0.0; std::mem::take(&mut self.places)];
        if sums.is_empty() {
            return Ok(());
        }
        self.flush()?;
        if let Some(scratch) = self.scratch.as_ref() {
            self.device.download(scratch, 0, &mut sums)?;
        }
        for judged in &mut self.judged {
            if let Judged::Summed { first, places, factor, rest } = *judged {
                let sum: f64 = sums[first..first + places].iter().map(|&sum| f64::from(sum)).sum();
                *judged = Judged::Known([sum * factor].into_iter().chain(rest).collect());
            }
        }
        Ok(())
    }

    /// Lets `take` see a span as the host.
    fn fetched(&mut self, span: Span) -> Result<&[f32]> {
        let known = self.seen.take().filter(|(seen, _)| *seen == span && self.pending.is_empty());
        let values = if let Some((_, values)) = known {
            values
        } else {
            self.flush()?;
            let mut values = vec![0.0; span.len];
            if let Some(floats) = self.floats.as_ref() {
                self.device.download(floats, span.offset, &mut values)?;
            }
            values
        };
        Ok(&self.seen.insert((span, values)).1)
    }
}

impl Backend for Gpu {
    fn name(&self) -> String {
        format!("GPU {}", self.device.name)
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
        // What a failed call has left is not wanted any more.
        self.pending.clear();
        self.weights.clear();
        self.seen = None;
        self.judged.clear();
        self.places = 0;
        if self.device.is_lost() {
            // Whoever asked before has got the error; weights go on from what the host has.
            self.device = Device::open(self.adapter)?;
            (self.floats, self.scratch) = (None, None);
        }
        if self.floats.as_ref().is_none_or(|floats| floats.len() < size.floats) {
            // First the old one goes, so that both need not fit.
            self.floats = None;
            self.floats = Some(self.device.buffer("a batch", size.floats)?);
        }
        self.known.integers.resize(size.integers, 0);
        self.known.masks.resize(size.masks, 0);
        Ok(())
    }

    fn size(&self) -> MemorySize {
        let Known { integers, masks, .. } = &self.known;
        let floats = self.floats.as_ref().map_or(0, Buffer::len);
        MemorySize { floats, integers: integers.capacity(), masks: masks.capacity() }
    }

    fn write(&mut self, span: Span, fill: &mut dyn FnMut(&mut [f32]) -> Result<()>) -> Result<()> {
        let mut values = vec![0.0; span.len];
        fill(&mut values)?;
        self.flush()?;
        if let Some(floats) = self.floats.as_ref() {
            self.device.upload(floats, span.offset, &values)?;
        }
        // A layer that makes a mask of them asks for them next.
        self.seen = Some((span, values));
        Ok(())
    }

    fn write_integers(&mut self, span: Span, fill: &mut dyn FnMut(&mut [i32]) -> Result<()>) -> Result<()> {
        fill(&mut self.known.integers[span.offset..span.offset + span.len])
    }

    fn write_mask(&mut self, span: Span, fill: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        fill(&mut self.known.masks[span.offset..span.offset + span.len])
    }

    fn read(&mut self, span: Span, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        take(self.fetched(span)?);
        Ok(())
    }

    fn read_mask(&self, span: Span, take: &mut dyn FnMut(&[u8])) {
        take(&self.known.masks[span.offset..span.offset + span.len]);
    }

    fn forward(&mut self, call: &Call<'_>) -> Result<f64> {
        call.parameters.iter().chain(&*call.states).try_for_each(|parameter| self.hold(parameter))?;
        if lower::wants_values(call) {
            let values = self.fetched(call.inputs[0].value)?.to_vec();
            self.known.values = values;
            // Fetching has executed what came before.
            call.parameters.iter().chain(&*call.states).try_for_each(|parameter| self.hold(parameter))?;
        }
        lower::forward(call, &mut self.known, &mut self.pending)?;
        call.states.iter().for_each(|state| state.changed_on_device());
        Ok(0.0)
    }

    fn backward(&mut self, call: &Call<'_>) {
        // Reading outputs may have executed what the forward pass asked for.
        for parameter in &call.parameters {
            // It was there for the forward pass; if it is gone, so is the device, and the next flush says so.
            let _ = self.hold(parameter);
        }
        lower::backward(call, &self.known, &mut self.pending);
    }

    fn settle(&mut self, call: &Call<'_>) {
        for parameter in &call.parameters {
            // As in `backward`.
            let _ = self.hold(parameter);
        }
        let first = self.pending.len();
        lower::settle(call, &mut self.pending);
        let bound = || self.pending[first..].iter().flat_map(|dispatch| &dispatch.bindings);
        for parameter in &call.parameters {
            if bound().any(|binding| binding.source == Source::Weight(parameter.id())) {
                parameter.changed_on_device();
            }
        }
    }

    fn clear(&mut self, span: Span) {
        lower::clear(&mut self.pending, span);
    }

    fn add(&mut self, target: Span, source: Span) {
        lower::add(&mut self.pending, target, source);
    }

    fn loss(&mut self, loss: &Loss, job: &LossJob<'_>) -> Result<()> {
        let (all, first) = self.room()?;
        if let Some(judging) = lower::loss(loss, job, first, all)? {
            self.ask(judging, 1.0, None);
            return Ok(());
        }
        let prediction = self.fetched(job.prediction)?;
        let mut gradient = job.gradient.map(|span| vec![0.0; span.len]);
        let value = job.evaluate(loss, prediction, gradient.as_deref_mut())?;
        if let (Some(floats), Some(span), Some(gradient)) = (self.floats.as_ref(), job.gradient, gradient) {
            self.device.upload(floats, span.offset, &gradient)?;
        }
        self.judged.push(Judged::Known(vec![value]));
        Ok(())
    }

    fn metric(&mut self, metric: &Metric, job: &LossJob<'_>) -> Result<()> {
        let (all, first) = self.room()?;
        if let Some(judging) = lower::metric(metric, job, first, all)? {
            let [share, weight] = metric.share(job.targets, job.rows, job.weights, job.samples);
            let sign = if matches!(metric, Metric::Negative { .. }) { -1.0 } else { 1.0 };
            self.ask(judging, sign * share, Some(weight));
            return Ok(());
        }
        let prediction = self.fetched(job.prediction)?;
        let gathered = job.measure(metric, prediction)?;
        self.judged.push(Judged::Known(gathered));
        Ok(())
    }

    fn judged(&mut self) -> Result<Vec<Vec<f64>>> {
        let fetched = self.fetch_sums();
        let judged = std::mem::take(&mut self.judged);
        fetched?;
        let known = |judged| if let Judged::Known(values) = judged { values } else { Vec::new() };
        Ok(judged.into_iter().map(known).collect())
    }

    fn update(&mut self, update: Update<'_>) -> Result<()> {
        let Update { optimizer, learning_rate, iteration, parameters } = update;
        let mut steps = Vec::with_capacity(parameters.len());
        for entry in &parameters {
            self.hold(entry.parameter)?;
            entry.state.slots.iter().try_for_each(|slot| self.hold(slot))?;
            steps.push(Step::of(entry));
        }
        self.reserve_scratch("norms of gradients", lower::optimizer_scratch(steps.len()))?;
        lower::update(optimizer, learning_rate, iteration, &steps, &mut self.pending);
        self.flush()?;
        for entry in &parameters {
            entry.parameter.changed_on_device();
            entry.state.slots.iter().for_each(|slot| slot.changed_on_device());
        }
        Ok(())
    }

    fn synchronize(&mut self) -> Result<()> {
        self.flush()
    }
}
