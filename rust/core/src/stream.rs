//! A network that takes its sequences piece by piece, down to single time steps, and carries all states on.

use crate::graph::Graph;
use crate::layers::Layer;
use crate::parameter::Parameter;
use crate::plan::{Purpose, Wanted};
use crate::program::{Array, Batch, Program, Values};
use crate::steps::{Pieces, Steps};
use crate::tensor::Shape;
use crate::{Error, Result};
use std::sync::Arc;

/// A session: its own states and memory, and the weights of the layers.
///
/// Weights that change meanwhile count from the next step on.
pub struct Stream {
    program: Program,
    batch: usize,
    /// What each output tells.
    outputs: Vec<Pieces>,
    /// What a single step is planned for.
    single: Purpose,
    /// The outputs' shapes after a single step, and those that a caller sees, without a time axis.
    shapes: Vec<(Shape, Vec<usize>)>,
    /// Products of a weight and a value in a single step, for whoever wonders whether it takes long.
    work: usize,
}

impl Stream {
    /// A session for `batch` sequences at a time, which begins with states of zero. `axes` are those of each input behind batch
    /// and time.
    ///
    /// # Errors
    /// When a layer needs whole sequences, and as [`Program::new`].
    pub fn new(graph: &str, parameters: Vec<Arc<Parameter>>, batch: usize, axes: &[Vec<usize>]) -> Result<Self> {
        if batch == 0 {
            return Err(Error::value("batch_size", "a positive integer", "0"));
        }
        let mut graph = Graph::parse(graph)?;
        let steps = Steps::of(&graph, "a stream")?;
        for node in &mut graph.nodes {
            // The states of stateful layers stay theirs.
            node.states.clear();
            if let Layer::Input(input) = &mut node.layer {
                input.shape[0] = None;
            }
        }
        let size = |&index: &usize| parameters.get(index).map_or(0, |parameter| parameter.len());
        // An embedding reads a row for each token.
        let multiplying = graph.nodes.iter().filter(|node| !matches!(node.layer, Layer::Embedding(_)));
        let work = batch * multiplying.flat_map(|node| &node.parameters).map(size).sum::<usize>();
        let shape_of = |axes: &Vec<usize>| Shape::known(&[&[batch, 1], &axes[..]].concat());
        let single =
            Purpose { inputs: axes.iter().map(shape_of).collect(), training: false, gradients: Wanted::Nothing };
        if single.inputs.len() != graph.input_nodes().count() {
            let expected = format!("the axes of {} inputs", graph.input_nodes().count());
            return Err(Error::value("axes", expected, axes.len().to_string()));
        }
        let mut program = Program::of_graph(graph, parameters, &[])?;
        program.begin_sequences(&steps, batch);
        let shapes =
            program.output_shapes_for(&single.inputs)?.into_iter().zip(&steps.outputs).map(|(shape, pieces)| {
                let axes = shape.0.iter().enumerate().filter(|(axis, _)| *axis != 1 || *pieces != Pieces::Steps);
                let seen = axes.map(|(_, length)| length.unwrap_or(0)).collect();
                (shape, seen)
            });
        let shapes = shapes.collect();
        Ok(Self { program, batch, outputs: steps.outputs, single, shapes, work })
    }

    /// The shapes of what [`Stream::step`] takes: the inputs without their time axes.
    pub fn step_inputs(&self) -> impl Iterator<Item = Vec<usize>> {
        self.single.inputs.iter().map(|shape| {
            let axes = shape.0.iter().enumerate().filter(|(axis, _)| *axis != 1);
            axes.map(|(_, length)| length.unwrap_or(0)).collect()
        })
    }

    /// The shapes of what [`Stream::step`] writes.
    pub fn step_outputs(&self) -> impl Iterator<Item = &[usize]> {
        self.shapes.iter().map(|(_, seen)| &seen[..])
    }

    /// How many products of a weight and a value a step has.
    #[must_use]
    pub fn work(&self) -> usize {
        self.work
    }

    /// One time step of each sequence: inputs (batch, ...) without a time axis. Asks for no memory from the second step on.
    ///
    /// # Errors
    /// When arrays have other shapes than they should, or hold token ids that do not exist; the states stay then.
    pub fn step(&mut self, inputs: &[Array<'_>], outputs: &mut [&mut [f32]]) -> Result<()> {
        if inputs.len() != self.single.inputs.len() {
            return Err(Error::value("x", format!("{} arrays", self.single.inputs.len()), inputs.len().to_string()));
        }
        for (array, wanted) in inputs.iter().zip(&self.single.inputs) {
            let axes =
                wanted.0.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, length)| length.unwrap_or(0));
            if !array.shape.iter().copied().eq(axes.clone()) {
                let expected = format!("one time step, shape {:?}", axes.collect::<Vec<_>>());
                return Err(Error::value("x", expected, format!("shape {:?}", array.shape)));
            }
        }
        let lengths = self.shapes.iter().map(|(_, seen)| seen.iter().product::<usize>());
        if !outputs.iter().map(|output| output.len()).eq(lengths.clone()) {
            let received = outputs.iter().map(|output| output.len()).collect::<Vec<_>>();
            let expected = format!("arrays of {:?} values", lengths.collect::<Vec<_>>());
            return Err(Error::value("out", expected, format!("{received:?}")));
        }
        for array in inputs {
            if let Values::Float(values) = array.values
                && let Some(value) = values.iter().find(|value| !value.is_finite())
            {
                return Err(Error::value("x", "finite numbers", value.to_string()));
            }
        }
        self.program.infer_into(&self.single, inputs, outputs)
    }

    /// A piece of each sequence: inputs (batch, time, ...) of any length. Returns the outputs for each step, or those that
    /// hold for the sequences so far, with their shapes.
    ///
    /// # Errors
    /// As [`Stream::step`].
    pub fn run(&mut self, inputs: &[Array<'_>]) -> Result<Vec<(Vec<usize>, Vec<f32>)>> {
        let time = inputs.first().and_then(|array| array.shape.get(1)).copied().unwrap_or(0);
        if let Some(array) = inputs.iter().find(|array| !array.shape.starts_with(&[self.batch, time])) {
            let expected = format!("sequences of shape ({}, {time}, ...)", self.batch);
            return Err(Error::value("x", expected, format!("shape {:?}", array.shape)));
        }
        self.program.forward(Batch { inputs, masks: &[], rows: None }, false, 0)
    }

    /// Lets new sequences begin.
    pub fn reset(&mut self) {
        for (_, states) in self.program.carried() {
            for state in states {
                state.write().fill(0.0);
            }
        }
    }

    /// The states (batch, units) of each recurrent layer, by the layer's name.
    pub fn states(&self) -> impl Iterator<Item = (&str, &[Arc<Parameter>])> {
        self.program.carried()
    }

    /// Whether each output comes for each time step, rather than for the sequences so far.
    pub fn returns_steps(&self) -> impl Iterator<Item = bool> {
        self.outputs.iter().map(|pieces| *pieces == Pieces::Steps)
    }
}
