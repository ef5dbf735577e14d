use super::{Describe, MaskRule, WeightShape, features, finite, positive};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// The options of a recurrent layer. Weights, with as many column blocks as the cell has gates: kernel (in, gates·units),
/// `recurrent_kernel` (units, gates·units), bias (gates·units); a GRU that resets after the product has a bias
/// (2, gates·units). Peepholes are three more, (units) each, of the gates i, f and o.
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
    /// Whether the input is one time step (batch, features): a cell by itself.
    #[serde(default)]
    pub single_step: bool,
    /// LSTM only: whether the gates see c, too.
    #[serde(default)]
    pub use_peepholes: bool,
    /// GRU only: whether the reset gate acts after the recurrent product.
    #[serde(default)]
    pub reset_after: Option<bool>,
    /// Which steps' states training keeps, to run the steps between them again in the backward pass; without it, training
    /// keeps all that a step has computed.
    #[serde(default)]
    pub checkpoint_every: Option<Checkpoints>,
}

/// How far apart checkpoints are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Checkpoints {
    /// The root of the number of time steps, which keeps about as many states as steps between two of them.
    Auto,
    /// So many steps.
    Steps(usize),
}

impl Checkpoints {
    /// The steps from one checkpoint to the next in sequences of `time` steps.
    #[must_use]
    pub fn steps(self, time: usize) -> usize {
        match self {
            Self::Auto => time.isqrt() + usize::from(time.isqrt().pow(2) < time),
            Self::Steps(steps) => steps.min(time),
        }
    }
}

/// What tf.keras called them.
const PEEPHOLES: [&str; 3] =
    ["input_gate_peephole_weights", "forget_gate_peephole_weights", "output_gate_peephole_weights"];

impl Recurrent {
    /// Where the bias stands among the weights, if there is one.
    #[must_use]
    pub fn bias(&self) -> Option<usize> {
        self.use_bias.then_some(2)
    }

    /// Where the peepholes start among the weights, if there are any.
    #[must_use]
    pub fn peepholes(&self) -> Option<usize> {
        self.use_peepholes.then_some(2 + usize::from(self.use_bias))
    }

    /// Whether training drops inputs. A rate of 1 is no dropout: Keras tests 0 < rate < 1.
    #[must_use]
    pub fn drops_inputs(&self) -> bool {
        self.dropout > 0.0 && self.dropout < 1.0
    }

    /// Batch, time and features of an input.
    #[must_use]
    pub fn input_sizes(&self, input: &Shape) -> [usize; 3] {
        if self.single_step { [input.axis(0), 1, input.axis(1)] } else { [input.axis(0), input.axis(1), input.axis(2)] }
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

/// A recurrent layer: its cell and its options.
#[derive(Clone, Copy)]
pub struct CellLayer<'a> {
    /// The cell.
    pub kind: CellKind,
    /// The options.
    pub options: &'a Recurrent,
}

impl Describe for CellLayer<'_> {
    fn validate(&self, name: &str) -> Result<()> {
        let Self { kind, options } = *self;
        options.activation.validate()?;
        options.recurrent_activation.map_or(Ok(()), |activation| activation.validate())?;
        finite(name, "dropout", options.dropout)?;
        finite(name, "recurrent_dropout", options.recurrent_dropout)?;
        positive(name, "units", options.units)?;
        if let Some(Checkpoints::Steps(steps)) = options.checkpoint_every {
            positive(name, "checkpoint_every", steps)?;
        }
        if options.recurrent_activation.is_none() != (kind == CellKind::SimpleRnn) {
            let received = format!("{:?}", options.recurrent_activation);
            return Err(Error::value(name, "recurrent_activation for LSTM and GRU only", received));
        }
        if options.use_peepholes && kind != CellKind::Lstm {
            return Err(Error::value(name, "use_peepholes for LSTM only", "use_peepholes"));
        }
        if options.single_step && options.return_sequences {
            return Err(Error::value(name, "return_sequences of sequences only", "single_step"));
        }
        if options.reset_after.is_some() != (kind == CellKind::Gru) {
            return Err(Error::value(name, "reset_after for GRU only", format!("{:?}", options.reset_after)));
        }
        Ok(())
    }

    fn arity(&self) -> RangeInclusive<usize> {
        1..=1 + self.kind.states()
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let Self { kind, options } = *self;
        if inputs.len() != 1 && inputs.len() != 1 + kind.states() {
            let expected = "one input, and one initial state for each state of the cell";
            return Err(Error::value(name, expected, format!("{} inputs", inputs.len())));
        }
        let (rank, axes) = if options.single_step { (2, "(batch, features)") } else { (3, "(batch, time, features)") };
        if inputs[0].rank() != rank {
            let hint = if inputs[0].rank() + 1 == rank { ": add an axis with x[..., None]" } else { "" };
            let expected = format!("{} expects {axes}", kind.class_name());
            return Err(Error::value(name, expected, format!("{}{hint}", inputs[0])));
        }
        let state = Shape(vec![inputs[0].0[0], Some(options.units)]);
        for given in &inputs[1..] {
            if given.rank() != 2 || given.0[1] != state.0[1] {
                let expected = format!("(batch, {})", options.units);
                return Err(Error::value(format!("{name}: initial_state"), expected, given.to_string()));
            }
        }
        let mut output = inputs[0].clone();
        output.0[rank - 1] = Some(options.units);
        let mut outputs = vec![if options.return_sequences { output } else { state.clone() }];
        if options.return_state {
            outputs.extend(std::iter::repeat_n(state, kind.states()));
        }
        Ok(outputs)
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let Self { kind, options } = *self;
        let columns = kind.gates() * options.units;
        let mut shapes = vec![
            ("kernel", vec![features(name, &inputs[0])?, columns]),
            ("recurrent_kernel", vec![options.units, columns]),
        ];
        if options.use_bias {
            let two = options.reset_after == Some(true);
            shapes.push(("bias", if two { vec![2, columns] } else { vec![columns] }));
        }
        if options.use_peepholes {
            shapes.extend(PEEPHOLES.map(|name| (name, vec![options.units])));
        }
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        if self.options.return_sequences { MaskRule::Pass } else { MaskRule::Drop }
    }
}
