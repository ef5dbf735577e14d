//! Which sequences of a graph can be cut into pieces: what a stream of single time steps and truncated backpropagation
//! through time need to know.

use crate::graph::{Graph, Node};
use crate::layers::{Input, Layer, inner_axis};
use crate::tensor::{DType, Shape};
use crate::{Error, Result};

/// What the pieces of its inputs tell of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    /// Its own piece: (batch, time, ...), and a time step of it is made of that of the inputs and of what is carried.
    Steps,
    /// The same with the time steps as samples: (batch·time, ...).
    Samples,
    /// What holds for the sequences so far; the last piece tells what the whole tells.
    SoFar,
}

/// How a graph works on pieces of sequences.
#[derive(Clone, Debug)]
pub struct Steps {
    /// For each node whether it carries states from piece to piece.
    pub carries: Vec<bool>,
    /// For each output of the network what a piece tells.
    pub outputs: Vec<Pieces>,
}

impl Steps {
    /// How a graph works on pieces; `purpose` is what they are for, in messages.
    ///
    /// # Errors
    /// When a layer needs whole sequences; the message names it.
    pub fn of(graph: &Graph, purpose: &str) -> Result<Self> {
        let shapes = graph.symbolic_shapes()?;
        let mut pieces: Vec<Vec<Pieces>> = Vec::with_capacity(graph.nodes.len());
        let mut carries = Vec::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.iter().enumerate() {
            let given: Vec<Pieces> = node.inputs.iter().map(|input| pieces[input.node][input.output]).collect();
            let input = node.inputs.first().map(|input| &shapes[input.node][input.output]);
            let (first, carried) = of_node(node, &given, input).map_err(|reason| {
                let expected = format!("a layer that goes on from time step to time step, for {purpose}");
                Error::value(&node.name, expected, format!("one that {reason}"))
            })?;
            let mut outputs = vec![if carried { Pieces::SoFar } else { first }; shapes[index].len()];
            outputs[0] = first;
            pieces.push(outputs);
            carries.push(carried);
        }
        let outputs = graph.outputs.iter().map(|output| pieces[output.node][output.output]).collect();
        Ok(Self { carries, outputs })
    }
}

/// What a node makes of pieces, and whether it carries states; or what stands against it.
fn of_node(node: &Node, given: &[Pieces], input: Option<&Shape>) -> std::result::Result<(Pieces, bool), &'static str> {
    if let Layer::Input(Input { dtype, shape, .. }) = &node.layer {
        let axes = if *dtype == DType::Int32 { 1 } else { 2 };
        return if shape.len() < axes { Err("takes arrays without a time axis") } else { Ok((Pieces::Steps, false)) };
    }
    if let Layer::UnfoldTime(_) = node.layer {
        return Ok((given[0], false));
    }
    if given.iter().any(|&other| other != given[0]) {
        let state = node.layer.recurrent().is_some();
        return Err(if state { "is given an initial state" } else { "brings sequences together with single results" });
    }
    if given[0] != Pieces::Steps {
        // Samples by themselves, or functions of what was found out so far.
        return Ok((given[0], false));
    }
    match &node.layer {
        Layer::SimpleRnn(options)
        | Layer::Lstm(options)
        | Layer::Gru(options)
        | Layer::LayerNormLstm(options)
        | Layer::LayerNormGru(options)
        | Layer::MinGru(options)
        | Layer::MinLstm(options) => {
            if options.go_backwards {
                Err("goes through the sequence from its end (go_backwards)")
            } else if given.len() > 1 {
                Err("is given an initial state")
            } else {
                Ok((if options.return_sequences { Pieces::Steps } else { Pieces::SoFar }, true))
            }
        }
        Layer::FoldTime(_) => Ok((Pieces::Samples, false)),
        Layer::Embedding(_)
        | Layer::Dense(_)
        | Layer::Activation(_)
        | Layer::GatedLinearUnit(_)
        | Layer::RepeatParts(_)
        | Layer::Dropout(_)
        | Layer::Masking(_)
        | Layer::RowNormalization(_)
        | Layer::BatchNormalization(_)
        | Layer::Noise(_)
        | Layer::ActivityRegularization(_)
        | Layer::Merge(_) => Ok((Pieces::Steps, false)),
        Layer::PRelu(options) if options.shared_axes.contains(&1) => Ok((Pieces::Steps, false)),
        Layer::PRelu(_) => Err("has a slope for each time step"),
        Layer::Concatenate(options) if input.is_some_and(|shape| inner_axis(options.axis, shape.rank()) > 1) => {
            Ok((Pieces::Steps, false))
        }
        Layer::Concatenate(_) => Err("puts sequences one after another"),
        Layer::Reverse(_) => Err("goes through the sequence from its end"),
        Layer::GlobalPooling1d(_) => Err("brings all time steps together"),
        Layer::Pooling1d(_) | Layer::Conv1d(_) => Err("has windows of several time steps"),
        Layer::Flatten(_) | Layer::Reshape(_) | Layer::Permute(_) => Err("moves the time axis"),
        Layer::Cropping1d(_) | Layer::ZeroPadding1d(_) => Err("changes which time steps there are"),
        _ => Err("needs the whole sequence"),
    }
}
