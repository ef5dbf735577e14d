//! The description of a network as it comes from Python: layers, how they are connected, what their weights are.
//!
//! It is plain data with a closed set of layer kinds; unknown kinds and fields are refused.

use crate::activations::Activation;
use crate::constraints::Constraint;
use crate::regularizers::Regularizer;
use crate::tensor::{DType, Shape};
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

/// What a node computes. Names and meanings are Keras's.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Layer {
    /// An array that the caller passes.
    Input {
        /// Its element type.
        dtype: DType,
        /// Its shape without the batch axis; `None` is any length.
        shape: Vec<Option<usize>>,
        /// Whether a mask (batch, time) comes with it.
        masked: bool,
    },
    /// Rows of a table, picked by token ids. Weights: embeddings (`input_dim`, `output_dim`).
    Embedding {
        /// Rows of the table.
        input_dim: usize,
        /// Columns of the table.
        output_dim: usize,
        /// Whether id 0 is padding, which later layers skip.
        mask_zero: bool,
    },
    /// `activation(x · kernel + bias)` over the last axis. Weights: kernel (in, units), bias (units).
    Dense {
        /// Columns of the kernel.
        units: usize,
        /// Applied to the sum.
        activation: Activation,
        /// Whether a bias is added.
        use_bias: bool,
    },
    /// An element-wise function, or softmax over the last axis.
    Activation {
        /// The function.
        activation: Activation,
    },
    /// Zeroes elements at random in training and scales the others by `1 / (1 - rate)`.
    Dropout {
        /// The share of elements that are zeroed.
        rate: f32,
        /// Which random numbers.
        seed: u64,
        /// The shape of the mask where it differs from the input's; `None` axes follow the input, axes of 1 are shared.
        noise_shape: Option<Vec<Option<usize>>>,
    },
    /// All axes but the batch axis become one.
    Flatten {},
    /// Adds `(l1·Σ|x| + l2·Σx²) / batch` to the loss and passes its input on.
    ActivityRegularization {
        /// Weight of the absolute values.
        l1: f32,
        /// Weight of the squares.
        l2: f32,
    },
    /// See [`crate::cells::simple_rnn`]. Weights: kernel (in, units), `recurrent_kernel` (units, units), bias (units).
    SimpleRnn(Recurrent),
    /// See [`crate::cells::lstm`]. Weights: kernel (in, 4·units), `recurrent_kernel` (units, 4·units), bias (4·units).
    Lstm(Recurrent),
    /// See [`crate::cells::gru`]. Weights: kernel (in, 3·units), `recurrent_kernel` (units, 3·units), bias (2, 3·units), or
    /// (3·units) without `reset_after`.
    Gru(Recurrent),
}

/// The options of a recurrent layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
// Each flag is one of Keras's constructor arguments.
#[allow(clippy::struct_excessive_bools)]
pub struct Recurrent {
    /// The size of the state.
    pub units: usize,
    /// The activation of the candidate and the output.
    pub activation: Activation,
    /// The activation of the gates; a `SimpleRNN` has none.
    #[serde(default)]
    pub recurrent_activation: Option<Activation>,
    /// Whether biases are added.
    pub use_bias: bool,
    /// The share of inputs that is dropped, the same ones at every time step.
    pub dropout: f32,
    /// The share of the previous state that is dropped on its way into the recurrent product, the same at every step.
    pub recurrent_dropout: f32,
    /// Whether every step's output is returned, or the last one only.
    pub return_sequences: bool,
    /// Whether the final states are returned, too.
    pub return_state: bool,
    /// Whether time runs backwards; the outputs stay in the order of processing.
    pub go_backwards: bool,
    /// Whether outputs at masked steps are zero; otherwise they repeat the previous output.
    pub zero_output_for_mask: bool,
    /// Which random numbers dropout uses.
    pub seed: u64,
    /// GRU only: whether the reset gate acts after the recurrent product.
    #[serde(default)]
    pub reset_after: Option<bool>,
}

impl Recurrent {
    /// Whether training drops inputs. A rate of 1 is no dropout: Keras tests 0 < rate < 1.
    #[must_use]
    pub fn drops_inputs(&self) -> bool {
        self.dropout > 0.0 && self.dropout < 1.0
    }

    /// Whether training drops parts of the state; the same rule.
    #[must_use]
    pub fn drops_states(&self) -> bool {
        self.recurrent_dropout > 0.0 && self.recurrent_dropout < 1.0
    }
}

/// Which recurrent cell a layer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// One tanh layer.
    SimpleRnn,
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

impl CellKind {
    /// Column blocks of the kernel.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::SimpleRnn => 1,
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// Arrays that are carried from step to step.
    #[must_use]
    pub fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }

    fn class_name(self) -> &'static str {
        match self {
            Self::SimpleRnn => "SimpleRNN",
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
        }
    }
}

impl Layer {
    /// The cell and options of a recurrent layer.
    #[must_use]
    pub fn recurrent(&self) -> Option<(CellKind, &Recurrent)> {
        match self {
            Self::SimpleRnn(options) => Some((CellKind::SimpleRnn, options)),
            Self::Lstm(options) => Some((CellKind::Lstm, options)),
            Self::Gru(options) => Some((CellKind::Gru, options)),
            _ => None,
        }
    }

    /// Whether a mask of the first input is also the mask of the first output.
    #[must_use]
    pub fn passes_mask(&self) -> bool {
        match self {
            Self::Dense { .. }
            | Self::Activation { .. }
            | Self::Dropout { .. }
            | Self::ActivityRegularization { .. } => true,
            Self::Input { .. } | Self::Embedding { .. } | Self::Flatten {} => false,
            Self::SimpleRnn(options) | Self::Lstm(options) | Self::Gru(options) => options.return_sequences,
        }
    }
}

/// Whether a mask of the noise shape can be repeated to the shape of the input.
fn broadcasts(noise: &[Option<usize>], input: &Shape) -> bool {
    let fits = |(noise, axis): (&Option<usize>, &Option<usize>)| match (noise, axis) {
        (Some(noise), Some(axis)) => *noise == 1 || noise == axis,
        _ => true,
    };
    noise.len() == input.rank() && noise.iter().zip(&input.0).all(fits)
}

impl Node {
    /// Checks sizes and rates.
    fn validate(&self) -> Result<()> {
        let positive = |name: &str, size: usize| match size {
            0 => Err(Error::value(format!("{}: {name}", self.name), "a positive integer", "0")),
            _ => Ok(()),
        };
        let number = |name: &str, value: f32| {
            if value.is_finite() {
                return Ok(());
            }
            Err(Error::value(format!("{}: {name}", self.name), "a finite number", value.to_string()))
        };
        if let Some((_, options)) = self.layer.recurrent() {
            options.activation.validate()?;
            options.recurrent_activation.map_or(Ok(()), |activation| activation.validate())?;
            number("dropout", options.dropout)?;
            number("recurrent_dropout", options.recurrent_dropout)?;
            return positive("units", options.units);
        }
        match &self.layer {
            Layer::Embedding { input_dim, output_dim, .. } => {
                positive("input_dim", *input_dim)?;
                positive("output_dim", *output_dim)
            }
            Layer::Dense { units, activation, .. } => {
                activation.validate()?;
                positive("units", *units)
            }
            Layer::Activation { activation } => activation.validate(),
            Layer::Dropout { rate, .. } if !(0.0..=1.0).contains(rate) => {
                Err(Error::value(format!("{}: rate", self.name), "a number from 0 to 1", rate.to_string()))
            }
            Layer::ActivityRegularization { l1, l2 } => {
                number("l1", *l1)?;
                number("l2", *l2)
            }
            _ => Ok(()),
        }
    }

    /// The shapes of the node's outputs, and a check of its inputs and options.
    ///
    /// # Errors
    /// When the inputs do not fit the layer; the message names the layer and the axes.
    pub fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let arity = match self.layer {
            Layer::Input { .. } => 0..=0,
            Layer::SimpleRnn(_) | Layer::Gru(_) => 1..=2,
            Layer::Lstm(_) => 1..=3,
            _ => 1..=1,
        };
        if !arity.contains(&inputs.len()) || (matches!(self.layer, Layer::Lstm(_)) && inputs.len() == 2) {
            return Err(self.error(
                "one input, and one initial state for each state of the cell",
                format!("{} inputs", inputs.len()),
            ));
        }
        if let Some((kind, options)) = self.layer.recurrent() {
            return self.recurrent_shapes(kind, options, inputs);
        }
        match &self.layer {
            Layer::Input { shape, .. } => {
                let mut axes = vec![None];
                axes.extend(shape);
                Ok(vec![Shape(axes)])
            }
            Layer::Embedding { output_dim, .. } => {
                let mut axes = inputs[0].0.clone();
                axes.push(Some(*output_dim));
                Ok(vec![Shape(axes)])
            }
            Layer::Dense { units, .. } => {
                if inputs[0].rank() < 2 {
                    return Err(self.error("an input of shape (batch, ..., features)", inputs[0].to_string()));
                }
                let mut axes = inputs[0].0.clone();
                axes.pop();
                axes.push(Some(*units));
                Ok(vec![Shape(axes)])
            }
            Layer::Flatten {} => {
                let features = inputs[0].0[1..].iter().try_fold(1, |product, axis| axis.map(|length| product * length));
                Ok(vec![Shape(vec![inputs[0].0[0], features])])
            }
            Layer::Dropout { noise_shape: Some(noise), .. } if !broadcasts(noise, &inputs[0]) => Err(Error::value(
                format!("{}: noise_shape", self.name),
                format!("the axes of the input {}, or 1 for those that share their mask", inputs[0]),
                Shape(noise.clone()).to_string(),
            )),
            _ => Ok(vec![inputs[0].clone()]),
        }
    }

    fn recurrent_shapes(&self, kind: CellKind, options: &Recurrent, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() != 3 {
            let hint = if inputs[0].rank() == 2 { ": add an axis with x[..., None]" } else { "" };
            let expected = format!("{} expects (batch, time, features)", kind.class_name());
            return Err(self.error(expected, format!("{}{hint}", inputs[0])));
        }
        for activation in [Some(&options.activation), options.recurrent_activation.as_ref()].into_iter().flatten() {
            if !activation.has_slope_from_output() {
                let expected = "an activation whose derivative follows from its output (tanh, sigmoid, relu, ...) inside a recurrent cell";
                return Err(Error::value(format!("{}: activation", self.name), expected, format!("{activation:?}")));
            }
        }
        if options.recurrent_activation.is_none() != (kind == CellKind::SimpleRnn) {
            return Err(
                self.error("recurrent_activation for LSTM and GRU only", format!("{:?}", options.recurrent_activation))
            );
        }
        if options.reset_after.is_some() != (kind == CellKind::Gru) {
            return Err(self.error("reset_after for GRU only", format!("{:?}", options.reset_after)));
        }
        let state = Shape(vec![inputs[0].0[0], Some(options.units)]);
        for given in &inputs[1..] {
            if given.rank() != 2 || given.0[1] != state.0[1] {
                let expected = format!("(batch, {})", options.units);
                return Err(Error::value(format!("{}: initial_state", self.name), expected, given.to_string()));
            }
        }
        let mut output = inputs[0].clone();
        output.0[2] = Some(options.units);
        let mut outputs = vec![if options.return_sequences { output } else { state.clone() }];
        if options.return_state {
            outputs.extend(std::iter::repeat_n(state, kind.states()));
        }
        Ok(outputs)
    }

    /// The weight shapes that the layer needs, each with its name.
    ///
    /// # Errors
    /// When the number of input features is not known.
    pub fn weight_shapes(&self, inputs: &[Shape]) -> Result<Vec<(&'static str, Vec<usize>)>> {
        let features = || {
            let last = inputs[0].0.last().copied().flatten();
            last.ok_or_else(|| self.error("an input whose last axis is known", inputs[0].to_string()))
        };
        match &self.layer {
            Layer::Embedding { input_dim, output_dim, .. } => Ok(vec![("embeddings", vec![*input_dim, *output_dim])]),
            Layer::Dense { units, use_bias, .. } => {
                let mut shapes = vec![("kernel", vec![features()?, *units])];
                if *use_bias {
                    shapes.push(("bias", vec![*units]));
                }
                Ok(shapes)
            }
            layer => {
                let Some((kind, options)) = layer.recurrent() else { return Ok(Vec::new()) };
                let columns = kind.gates() * options.units;
                let mut shapes =
                    vec![("kernel", vec![features()?, columns]), ("recurrent_kernel", vec![options.units, columns])];
                if options.use_bias {
                    let two = options.reset_after == Some(true);
                    shapes.push(("bias", if two { vec![2, columns] } else { vec![columns] }));
                }
                Ok(shapes)
            }
        }
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
            node.validate()?;
            let ids = |id: &TensorId| matches!(graph.nodes[id.node].layer, Layer::Input { dtype: DType::Int32, .. });
            if node.inputs.iter().any(|input| ids(input) != matches!(node.layer, Layer::Embedding { .. })) {
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
            if let Layer::Input { shape, .. } = &node.layer {
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
        self.nodes.iter().enumerate().filter(|(_, node)| matches!(node.layer, Layer::Input { .. }))
    }
}
