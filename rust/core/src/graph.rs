//! The description of a network as it comes from Python: layers, how they are connected, what their weights are.
//!
//! It is plain data with a closed set of layer kinds; unknown kinds and fields are refused.

use crate::constraints::Constraint;
use crate::layers::{Input, Layer, WeightShape};
use crate::regularizers::Regularizer;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// A network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// The layers, each after the ones it reads from.
    pub nodes: Vec<Node>,
    /// What the network returns.
    pub outputs: Vec<TensorId>,
    /// How each weight is trained.
    pub parameters: Vec<ParameterSpec>,
}

/// Which output of which node.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "(usize, usize)")]
pub struct TensorId {
    /// The node.
    pub node: usize,
    /// Its output.
    pub output: usize,
}

impl From<(usize, usize)> for TensorId {
    fn from((node, output): (usize, usize)) -> Self {
        Self { node, output }
    }
}

/// One call of a layer. A layer that is called twice is two nodes with the same parameters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The layer's name, for messages.
    pub name: String,
    /// What it computes.
    pub layer: Layer,
    /// What it reads.
    pub inputs: Vec<TensorId>,
    /// Its weights: indices into [`Graph::parameters`].
    pub parameters: Vec<usize>,
    /// Where a recurrent layer that is stateful starts from and leaves its final states: indices into the states that the
    /// program is given. Empty for every other layer.
    #[serde(default)]
    pub states: Vec<usize>,
}

/// How one weight is trained.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterSpec {
    /// Whether the optimizer changes it.
    pub trainable: bool,
    /// A penalty that is added to the loss.
    pub regularizer: Option<Regularizer>,
    /// What is enforced after each update.
    pub constraint: Option<Constraint>,
}

impl Node {
    /// The shapes of the node's outputs, and a check of its inputs.
    ///
    /// # Errors
    /// When the inputs do not fit the layer; the message names the layer and the axes.
    pub fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let arity = self.layer.describe().arity();
        if !arity.contains(&inputs.len()) {
            let (fewest, most) = (arity.start(), arity.end());
            let expected = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
            return Err(self.error(format!("{expected} inputs"), inputs.len().to_string()));
        }
        self.layer.describe().output_shapes(&self.name, inputs)
    }

    /// The weight shapes that the layer needs, each with its name.
    ///
    /// # Errors
    /// When the number of input features is not known.
    pub fn weight_shapes(&self, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        self.layer.describe().weight_shapes(&self.name, inputs)
    }

    /// An error about this layer's input or options.
    #[must_use]
    pub fn error(&self, expected: impl Into<String>, received: impl Into<String>) -> Error {
        Error::value(&self.name, expected, received)
    }
}

impl Graph {
    /// Reads a description and checks that it hangs together.
    ///
    /// # Errors
    /// When it is not valid JSON, has unknown kinds or fields, or refers to nodes that do not precede the referring one.
    pub fn parse(json: &str) -> Result<Self> {
        let graph: Self = serde_json::from_str(json)
            .map_err(|error| Error::value("graph", "a description of a network", error.to_string()))?;
        for (position, node) in graph.nodes.iter().enumerate() {
            if let Some(input) = node.inputs.iter().find(|input| input.node >= position) {
                return Err(node.error("inputs from earlier nodes", format!("node {}", input.node)));
            }
            node.layer.describe().validate(&node.name)?;
            let ids = |id: &TensorId| graph.nodes[id.node].layer.is_integer_input();
            if node.inputs.iter().any(|input| ids(input) != matches!(node.layer, Layer::Embedding(_))) {
                return Err(node
                    .error("token ids (an int32 input) for an Embedding, floats for every other layer", "the other"));
            }
            if let Some(index) = node.parameters.iter().find(|&&index| index >= graph.parameters.len()) {
                return Err(node.error(format!("parameters below {}", graph.parameters.len()), index.to_string()));
            }
        }
        if let Some(output) = graph.outputs.iter().find(|output| output.node >= graph.nodes.len()) {
            return Err(Error::value("graph", "outputs of existing nodes", format!("node {}", output.node)));
        }
        for parameter in &graph.parameters {
            if let Some(regularizer) = &parameter.regularizer {
                regularizer.validate()?;
            }
            if let Some(constraint) = &parameter.constraint {
                constraint.validate()?;
            }
        }
        Ok(graph)
    }

    /// The shapes of all outputs of all nodes, given those of the input nodes in order.
    ///
    /// # Errors
    /// When an array does not fit its input node, or a layer cannot work on what it is given.
    pub fn shapes(&self, inputs: &[Shape]) -> Result<Vec<Vec<Shape>>> {
        let mut given = inputs.iter();
        let mut shapes: Vec<Vec<Shape>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            if let Layer::Input(Input { shape, .. }) = &node.layer {
                let array = given.next().ok_or_else(|| node.error("an array", "none"))?;
                let fits = array.rank() == shape.len() + 1
                    && array.0[1..]
                        .iter()
                        .zip(shape)
                        .all(|(axis, fixed)| fixed.is_none() || axis.is_none() || axis == fixed);
                if !fits {
                    let mut expected = vec![None];
                    expected.extend(shape);
                    return Err(node.error(format!("an array of shape {}", Shape(expected)), array.to_string()));
                }
                shapes.push(vec![array.clone()]);
                continue;
            }
            let read = |id: &TensorId| {
                let shape: Option<&Shape> = shapes[id.node].get(id.output);
                shape.cloned().ok_or_else(|| node.error("an output that exists", format!("{id:?}")))
            };
            let sources = node.inputs.iter().map(read).collect::<Result<Vec<_>>>()?;
            shapes.push(node.output_shapes(&sources)?);
        }
        Ok(shapes)
    }

    /// The shapes of all outputs of all nodes, with unknown axes where the data decide.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn symbolic_shapes(&self) -> Result<Vec<Vec<Shape>>> {
        let inputs: Vec<Shape> = self
            .input_nodes()
            .filter_map(|(_, node)| node.output_shapes(&[]).ok().map(|mut shapes| shapes.swap_remove(0)))
            .collect();
        self.shapes(&inputs)
    }

    /// The penalty of a weight; a frozen one has none.
    #[must_use]
    pub fn regularizer(&self, parameter: usize) -> Option<&Regularizer> {
        let spec = &self.parameters[parameter];
        spec.regularizer.as_ref().filter(|_| spec.trainable)
    }

    /// The input nodes in order.
    pub fn input_nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes.iter().enumerate().filter(|(_, node)| matches!(node.layer, Layer::Input(_)))
    }
}
