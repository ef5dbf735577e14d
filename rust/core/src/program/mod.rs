//! A network that runs: it keeps plans for the shapes it meets and takes batches through them.

mod carrying;
mod judging;
mod loading;
mod passes;
mod record;

pub use record::Seen;

use crate::backend::{Backend, Update, UpdateParameter};
use crate::cpu::Cpu;
use crate::graph::Graph;
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::optimizers::OptimizerState;
use crate::parameter::Parameter;
use crate::plan::{Plan, Purpose, Wanted};
use crate::tensor::{Shape, Span, for_each_run, too_large};
use crate::{Error, Result};
use carrying::{Window, carried_by};
use serde::Deserialize;
use std::sync::Arc;

/// An array that a caller passes, in C order, batch first.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    /// The axes.
    pub shape: &'a [usize],
    /// The elements.
    pub values: Values<'a>,
}

/// The elements of an [`Array`].
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// Floats.
    Float(&'a [f32]),
    /// Token ids or labels.
    Integer(&'a [i32]),
    /// Mask flags.
    Flag(&'a [u8]),
}

/// What a call works on. `rows` picks the rows of the arrays that make up the batch; all of them without.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// One array for each input node.
    pub inputs: &'a [Array<'a>],
    /// One mask (batch, time) for each input node that has one; may be shorter than `inputs`.
    pub masks: &'a [Option<Array<'a>>],
    /// Which rows.
    pub rows: Option<&'a [i64]>,
}

/// What the outputs of a batch should have been.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// One array for each output.
    pub targets: &'a [Array<'a>],
    /// Weights (batch) or (batch, time) for each output.
    pub weights: &'a [Option<Array<'a>>],
}

/// How outputs are judged, as `compile` says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// A loss for each output.
    pub losses: Vec<LossSpec>,
    /// What each loss counts; 1 without.
    pub loss_weights: Option<Vec<f32>>,
    /// Metrics of each output, without sample weights.
    pub metrics: Vec<Vec<Metric>>,
    /// Metrics of each output, with sample weights.
    pub weighted_metrics: Vec<Vec<Metric>>,
}

/// A loss and how the rows' values become one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSpec {
    /// The formula.
    pub loss: Loss,
    /// How rows are summed up.
    pub reduction: Reduction,
}

/// How the losses of rows become one number.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// The weighted sum over the number of rows.
    SumOverBatchSize,
    /// The weighted sum.
    Sum,
    /// The weighted sum over the sum of the weights.
    MeanWithSampleWeight,
}

/// A mean that grows batch by batch.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn result(self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.sum / self.weight }
    }
}

/// A loss, and gradients by parameter and by input node; none where there is no such gradient.
pub struct GradientReport {
    /// The loss.
    pub loss: f64,
    /// For each parameter: the shape and the values.
    pub parameters: Vec<(Vec<usize>, Vec<f32>)>,
    /// For each input node: the shape and the values.
    pub inputs: Vec<Option<(Vec<usize>, Vec<f32>)>>,
}

/// A network with its weights and memory.
pub struct Program {
    graph: Graph,
    parameters: Vec<Arc<Parameter>>,
    /// What each node carries from call to call.
    carried: Vec<Vec<Arc<Parameter>>>,
    /// What was carried before the call that runs.
    carried_before: Vec<f32>,
    backend: Box<dyn Backend + Send>,
    plans: Vec<Plan>,
    training: Option<Training>,
    loss: Mean,
    /// The loss of each output by itself, without its weight; none for a single output, whose loss is the whole one.
    losses: Vec<Mean>,
    /// What each metric has gathered.
    metrics: Vec<Vec<f64>>,
    record: record::Record,
}

impl Program {
    /// A program on the CPU. `states` (batch, units) are those that stateful layers carry from call to call; they may be
    /// shared with other programs, as weights are.
    ///
    /// # Errors
    /// When the graph is not valid, weights or states are missing or have the wrong shape, or the environment asks for an instruction
    /// set or a number of threads that cannot be.
    pub fn new(graph: &str, parameters: Vec<Arc<Parameter>>, states: &[Arc<Parameter>]) -> Result<Self> {
        Self::of_graph(Graph::parse(graph)?, parameters, states)
    }

    /// A program of a graph that has been read, on the CPU.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub fn of_graph(graph: Graph, parameters: Vec<Arc<Parameter>>, states: &[Arc<Parameter>]) -> Result<Self> {
        let level = foliot_simd::active()
            .map_err(|error| Error::value("FOLIOT_ISA", "an instruction set of this CPU", error.to_string()))?;
        crate::threads::num_threads()?;
        let backend = Box::new(Cpu::new(level, graph.nodes.len())?);
        Self::on(backend, graph, parameters, states)
    }

    /// A program that runs on a backend.
    ///
    /// # Errors
    /// As [`Program::new`], and when the backend does not have a layer.
    pub fn on(
        backend: Box<dyn Backend + Send>,
        graph: Graph,
        parameters: Vec<Arc<Parameter>>,
        states: &[Arc<Parameter>],
    ) -> Result<Self> {
        if parameters.len() != graph.parameters.len() {
            let expected = format!("{} weights", graph.parameters.len());
            return Err(Error::value("parameters", expected, parameters.len().to_string()));
        }
        check_weights(&graph, &parameters)?;
        let carried = graph.nodes.iter().map(|node| carried_by(node, states)).collect::<Result<_>>()?;
        for node in &graph.nodes {
            if let Some(received) = backend.refuses(node, &graph.parameters) {
                return Err(node.error(format!("a layer that the {} has", backend.name()), received));
            }
        }
        let loss = Mean::default();
        let (plans, losses, metrics) = (Vec::new(), Vec::new(), Vec::new());
        let (carried_before, record) = (Vec::new(), record::Record::default());
        Ok(Self {
            graph,
            parameters,
            carried,
            carried_before,
            backend,
            plans,
            training: None,
            loss,
            losses,
            metrics,
            record,
        })
    }

    /// The shapes of the outputs; `None` where the data decide.
    ///
    /// # Errors
    /// When the layers do not fit together.
    pub fn output_shapes(&self) -> Result<Vec<Shape>> {
        Ok(self.select_outputs(&self.graph.symbolic_shapes()?))
    }

    /// The shapes of the outputs for inputs of the given shapes.
    ///
    /// # Errors
    /// When the layers do not fit together.
    pub fn output_shapes_for(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        Ok(self.select_outputs(&self.graph.shapes(inputs)?))
    }

    fn select_outputs(&self, shapes: &[Vec<Shape>]) -> Vec<Shape> {
        self.graph.outputs.iter().map(|output| shapes[output.node][output.output].clone()).collect()
    }

    /// The bytes that a batch with inputs of the given shapes takes: all values of the layers and, for training, what they save
    /// and the gradients. Weights and the optimizer's state are not counted.
    ///
    /// # Errors
    /// When the shapes do not fit the network.
    pub fn memory(&self, inputs: &[Vec<usize>], training: bool) -> Result<usize> {
        let count = self.graph.input_nodes().count();
        if inputs.len() != count {
            return Err(Error::value("inputs", format!("{count} shapes"), inputs.len().to_string()));
        }
        let gradients = if training { Wanted::Weights } else { Wanted::Nothing };
        let inputs = inputs.iter().map(|shape| Shape::known(shape)).collect();
        let purpose = Purpose { inputs, training, gradients };
        Ok(Plan::new(&self.graph, &self.parameters, self.backend.as_ref(), purpose)?.size.bytes())
    }

    /// The bytes that the batches so far have made it take, of which the largest decides; counted as by [`Program::memory`].
    #[must_use]
    pub fn held_memory(&self) -> usize {
        self.backend.size().bytes()
    }

    /// Sets losses and metrics.
    ///
    /// # Errors
    /// When the description is not valid or does not fit the number of outputs.
    pub fn compile(&mut self, json: &str) -> Result<()> {
        let training: Training = serde_json::from_str(json)
            .map_err(|error| Error::value("training", "losses and metrics", error.to_string()))?;
        let outputs = self.graph.outputs.len();
        let counts = [training.losses.len(), training.metrics.len(), training.weighted_metrics.len()];
        let weights = training.loss_weights.as_ref().map_or(outputs, Vec::len);
        if counts.iter().chain([&weights]).any(|count| *count != outputs) {
            return Err(Error::value(
                "training",
                format!("an entry for each of {outputs} outputs"),
                format!("{counts:?}"),
            ));
        }
        training.losses.iter().try_for_each(|spec| spec.loss.validate())?;
        training.metrics.iter().chain(&training.weighted_metrics).flatten().try_for_each(Metric::validate)?;
        let count = training.metrics.iter().chain(&training.weighted_metrics).map(Vec::len).sum();
        self.metrics = vec![Vec::new(); count];
        self.losses = vec![Mean::default(); if outputs > 1 { outputs } else { 0 }];
        self.loss = Mean::default();
        self.training = Some(training);
        Ok(())
    }

    /// Starts loss and metrics anew.
    pub fn reset_metrics(&mut self) {
        self.loss = Mean::default();
        self.losses.fill(Mean::default());
        self.metrics.iter_mut().for_each(Vec::clear);
        self.forget_failure();
    }

    /// What the means of losses and the metrics have gathered since [`Program::reset_metrics`], for
    /// [`Program::set_gathered`].
    #[must_use]
    pub fn gathered(&self) -> Vec<Vec<f64>> {
        let means = [self.loss].into_iter().chain(self.losses.iter().copied());
        means.map(|mean| vec![mean.sum, mean.weight]).chain(self.metrics.iter().cloned()).collect()
    }

    /// Goes on from what another program of the same losses and metrics gathered.
    ///
    /// # Errors
    /// When it is of other losses and metrics.
    pub fn set_gathered(&mut self, gathered: Vec<Vec<f64>>) -> Result<()> {
        let (means, metrics) = (1 + self.losses.len(), self.metrics.len());
        let received = gathered.iter().map(Vec::len).collect::<Vec<_>>();
        if gathered.len() != means + metrics || received[..means].iter().any(|length| *length != 2) {
            let expected = format!("the sums of {means} losses, two numbers each, and of {metrics} metrics");
            return Err(Error::value("gathered", expected, format!("{received:?} numbers")));
        }
        let mut gathered = gathered.into_iter();
        for mean in std::iter::once(&mut self.loss).chain(&mut self.losses) {
            if let Some([sum, weight]) = gathered.next().as_deref() {
                *mean = Mean { sum: *sum, weight: *weight };
            }
        }
        self.metrics = gathered.collect();
        Ok(())
    }

    /// The outputs of a batch, batch first.
    ///
    /// # Errors
    /// When the arrays do not fit the network.
    pub fn forward(&mut self, batch: Batch<'_>, training: bool, step: u32) -> Result<Vec<(Vec<usize>, Vec<f32>)>> {
        let plan = self.load(batch, None, training, Wanted::Nothing)?;
        self.carry(|program| program.run(plan, batch, None, step))?;
        if training {
            self.settle(plan, step)?;
        }
        let plan = &self.plans[plan];
        let backend = self.backend.as_mut();
        let outputs = self.graph.outputs.iter().map(|output| &plan.tensors[output.node][output.output]);
        outputs.map(|tensor| read_out(backend, &tensor.shape, tensor.value)).collect()
    }

    /// One step of training. Returns the means since [`Program::reset_metrics`]: the loss, the losses of the outputs where
    /// there are several, the metrics.
    ///
    /// # Errors
    /// When the arrays do not fit the network or the losses; no weight has changed then.
    pub fn train(
        &mut self,
        optimizer: &mut OptimizerState,
        batch: Batch<'_>,
        expected: Expected<'_>,
    ) -> Result<Vec<f64>> {
        self.train_part(optimizer, batch, expected, None)
    }

    /// One step of training on the batch, or on a window of its sequences.
    fn train_part(
        &mut self,
        optimizer: &mut OptimizerState,
        batch: Batch<'_>,
        expected: Expected<'_>,
        window: Option<Window>,
    ) -> Result<Vec<f64>> {
        self.check_optimizer(optimizer)?;
        let plan = self.load(batch, window, true, Wanted::Weights)?;
        let step = optimizer.iterations as u32;
        let results = self.carry(|program| {
            let loss = program.differentiate(plan, step, batch, expected, window)?;
            program.record_failure(loss);
            // Known before a weight changes, for a metric may be refused.
            let results = program.results()?;
            program.update(plan, optimizer)?;
            Ok(results)
        })?;
        self.settle(plan, step)?;
        Ok(results)
    }

    /// Loss and metrics of a batch, without training. Returns means as [`Program::train`].
    ///
    /// # Errors
    /// As [`Program::train`].
    pub fn test(&mut self, batch: Batch<'_>, expected: Expected<'_>) -> Result<Vec<f64>> {
        let plan = self.load(batch, None, false, Wanted::Nothing)?;
        self.carry(|program| {
            let penalty = program.run(plan, batch, None, 0)?;
            let judging = program.judge(plan, batch.rows, expected, None)?;
            program.conclude(judging, penalty)?;
            program.results()
        })
    }

    /// The loss of a batch and its gradients with respect to all weights and float inputs.
    ///
    /// # Errors
    /// As [`Program::train`].
    pub fn gradients(
        &mut self,
        batch: Batch<'_>,
        expected: Expected<'_>,
        training: bool,
        step: u32,
    ) -> Result<GradientReport> {
        let index = self.load(batch, None, training, Wanted::Everything)?;
        let loss = self.carry(|program| program.differentiate(index, step, batch, expected, None))?;
        let plan = &self.plans[index];
        let mut parameters = Vec::with_capacity(self.parameters.len());
        for (position, span) in plan.parameter_gradients.iter().enumerate() {
            let mut values = Vec::new();
            self.backend.read(span.unwrap_or_default(), &mut |gradient| values = gradient.to_vec())?;
            if let (Some(regularizer), true) = (self.graph.regularizer(position), span.is_some()) {
                let parameter = &self.parameters[position];
                regularizer.add_gradient(parameter.shape(), &parameter.read(), &mut values);
            }
            parameters.push((self.parameters[position].shape().to_vec(), values));
        }
        let backend = self.backend.as_mut();
        let inputs = self.graph.input_nodes().map(|(node, _)| {
            let tensor = &plan.tensors[node][0];
            tensor.gradient.map(|gradient| read_out(backend, &tensor.shape, gradient)).transpose()
        });
        Ok(GradientReport { loss, parameters, inputs: inputs.collect::<Result<_>>()? })
    }

    fn results(&self) -> Result<Vec<f64>> {
        let mut results: Vec<f64> = [self.loss].iter().chain(&self.losses).map(|mean| mean.result()).collect();
        let metrics =
            self.training.iter().flat_map(|training| training.metrics.iter().chain(&training.weighted_metrics));
        for (metric, state) in metrics.flatten().zip(&self.metrics) {
            let values = metric.result(state);
            let [value] = *values else {
                let expected = "metrics of one number each, in a model that trains";
                return Err(Error::value("metrics", expected, format!("{} numbers from {metric:?}", values.len())));
            };
            results.push(value);
        }
        Ok(results)
    }

    fn check_optimizer(&self, state: &OptimizerState) -> Result<()> {
        match self.backend.refuses_optimizer(state.optimizer()) {
            None => Ok(()),
            Some(received) => {
                Err(Error::value("optimizer", format!("one that the {} has", self.backend.name()), received))
            }
        }
    }

    fn update(&mut self, index: usize, state: &mut OptimizerState) -> Result<()> {
        let plan = &self.plans[index];
        let trained: Vec<usize> =
            (0..self.parameters.len()).filter(|&index| plan.parameter_gradients[index].is_some()).collect();
        let weights: Vec<Arc<Parameter>> = trained.iter().map(|&index| self.parameters[index].clone()).collect();
        let learning_rate = state.learning_rate();
        state.iterations += 1;
        let (optimizer, learning_rate, iteration) = (state.optimizer().clone(), learning_rate, state.iterations);
        let states = state.state_of(&weights);
        let entries = trained.iter().zip(&weights).zip(states).filter_map(|((&index, parameter), state)| {
            Some(UpdateParameter {
                parameter,
                gradient: plan.parameter_gradients[index]?,
                state,
                regularizer: self.graph.regularizer(index),
                constraint: self.graph.parameters[index].constraint.as_ref(),
            })
        });
        let parameters = entries.collect();
        self.backend.update(Update { optimizer: &optimizer, learning_rate, iteration, parameters })?;
        self.backend.synchronize()
    }
}

/// Copies a tensor out of a backend, batch first.
fn read_out(backend: &mut dyn Backend, shape: &Shape, span: Span) -> Result<(Vec<usize>, Vec<f32>)> {
    let mut values = Vec::new();
    values.try_reserve_exact(shape.elements()).map_err(|_| too_large(shape.elements()))?;
    values.resize(shape.elements(), 0.0);
    backend.read(span, &mut |stored| {
        for_each_run(shape, shape.axis(0), |target, source, run| {
            values[target..target + run].copy_from_slice(&stored[source..source + run]);
        });
    })?;
    Ok(((0..shape.rank()).map(|axis| shape.axis(axis)).collect(), values))
}

/// Checks that every node has its weights, in their shapes.
fn check_weights(graph: &Graph, parameters: &[Arc<Parameter>]) -> Result<()> {
    let shapes = graph.symbolic_shapes()?;
    for node in &graph.nodes {
        let inputs: Vec<Shape> = node.inputs.iter().map(|input| shapes[input.node][input.output].clone()).collect();
        let wanted = node.weight_shapes(&inputs)?;
        if wanted.len() != node.parameters.len() {
            return Err(node.error(format!("{} weights", wanted.len()), node.parameters.len().to_string()));
        }
        for ((name, shape), &index) in wanted.iter().zip(&node.parameters) {
            if parameters[index].shape() != shape {
                let received = format!("{:?}", parameters[index].shape());
                return Err(Error::value(format!("{}: {name}", node.name), format!("shape {shape:?}"), received));
            }
            if let Some(constraint) = &graph.parameters[index].constraint {
                constraint.validate_for(shape)?;
            }
        }
    }
    Ok(())
}
