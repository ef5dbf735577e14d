use super::{Describe, MaskRule, WeightShape, features, finite, positive, share};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// The options of a recurrent layer. Weights, with as many column blocks as the cell has gates: kernel (in, gates·units),
/// `recurrent_kernel` (length of h, gates·units), with heads (heads, length of h/heads, gates·units/heads), unless the cell is
/// a minimal one, bias (gates·units); a GRU that resets after
/// the product has a bias (2, gates·units). Then `projection_kernel` (units, length of h), where h is a product of what the
/// cell makes, and the [vectors](CellLayer::vectors) of the cell.
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
    /// The probability of each element of h to keep its value of the step before.
    #[serde(default)]
    pub zoneout: f32,
    /// LSTM only: the same for c.
    #[serde(default)]
    pub zoneout_cell: f32,
    /// Whether zoneout takes its mean in training, too.
    #[serde(default)]
    pub zoneout_mean: bool,
    /// LSTM only: whether the gates see c, too.
    #[serde(default)]
    pub use_peepholes: bool,
    /// LSTM only: the length of h, which is then a product of the cell's output (see [`crate::scan::narrow`]).
    #[serde(default)]
    pub proj_size: Option<usize>,
    /// `SimpleRNN`, LSTM and GRU only: how many groups of units there are whose recurrent kernels are apart (see
    /// [`crate::cells::panels`]).
    #[serde(default = "one")]
    pub heads: usize,
    /// Cells with layer normalization only: what is added to the variance.
    #[serde(default)]
    pub norm_epsilon: Option<f32>,
    /// GRU only: whether the reset gate acts after the recurrent product.
    #[serde(default)]
    pub reset_after: Option<bool>,
    /// Which steps' states training keeps, to run the steps between them again in the backward pass; without it, training
    /// keeps all that a step has computed.
    #[serde(default)]
    pub checkpoint_every: Option<Checkpoints>,
}

fn one() -> usize {
    1
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

/// A weight of one axis that only the cell itself knows: its name and how many blocks of `units` values it has.
pub type Vector = (&'static str, usize);

/// What tf.keras called them.
const PEEPHOLES: &[Vector] =
    &[("input_gate_peephole_weights", 1), ("forget_gate_peephole_weights", 1), ("output_gate_peephole_weights", 1)];

/// The bias is added behind the norms.
const NORMS_OF_LSTM: &[Vector] = &[
    ("bias", 4),
    ("kernel_gamma", 4),
    ("kernel_beta", 4),
    ("recurrent_gamma", 4),
    ("recurrent_beta", 4),
    ("state_gamma", 1),
    ("state_beta", 1),
];
const NORMS_OF_GRU: &[Vector] =
    &[("kernel_gamma", 3), ("kernel_beta", 3), ("recurrent_gamma", 3), ("recurrent_beta", 3)];

impl Recurrent {
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

    /// The length of h.
    #[must_use]
    pub fn width(&self) -> usize {
        self.proj_size.unwrap_or(self.units)
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
    /// The LSTM with layer normalization.
    LayerNormLstm,
    /// The GRU with layer normalization.
    LayerNormGru,
    /// A GRU whose gates do not see the state.
    MinGru,
    /// An LSTM whose gates do not see the state.
    MinLstm,
}

impl CellKind {
    /// Column blocks of the kernel.
    #[must_use]
    pub fn gates(self) -> usize {
        match self {
            Self::SimpleRnn => 1,
            Self::MinGru => 2,
            Self::Gru | Self::LayerNormGru | Self::MinLstm => 3,
            Self::Lstm | Self::LayerNormLstm => 4,
        }
    }

    /// Whether the state is multiplied with a matrix.
    #[must_use]
    pub fn has_recurrent_kernel(self) -> bool {
        !matches!(self, Self::MinGru | Self::MinLstm)
    }

    /// Whether products and states are normalized.
    fn has_norms(self) -> bool {
        matches!(self, Self::LayerNormLstm | Self::LayerNormGru)
    }

    /// Arrays that are carried from step to step.
    #[must_use]
    pub fn states(self) -> usize {
        if matches!(self, Self::Lstm | Self::LayerNormLstm) { 2 } else { 1 }
    }

    fn class_name(self) -> &'static str {
        match self {
            Self::SimpleRnn => "SimpleRNN",
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
            Self::LayerNormLstm => "LayerNormLSTM",
            Self::LayerNormGru => "LayerNormGRU",
            Self::MinGru => "MinGRU",
            Self::MinLstm => "MinLSTM",
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

impl CellLayer<'_> {
    /// Where the bias stands among the weights, if there is one that is added to the input's product.
    #[must_use]
    pub fn bias(&self) -> Option<usize> {
        let before = 1 + usize::from(self.kind.has_recurrent_kernel());
        (self.options.use_bias && !self.kind.has_norms()).then_some(before)
    }

    /// Where the kernel that makes h of the cell's output stands among the weights, if there is one.
    #[must_use]
    pub fn projection_kernel(&self) -> Option<usize> {
        self.options.proj_size.map(|_| 2 + usize::from(self.bias().is_some()))
    }

    /// The sizes of the states: h, and c where there is one.
    #[must_use]
    pub fn state_sizes(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        [self.options.width(), self.options.units].into_iter().take(self.kind.states())
    }

    /// The weights that only the cell knows: the last ones.
    #[must_use]
    pub fn vectors(&self) -> &'static [Vector] {
        match self.kind {
            CellKind::LayerNormLstm if self.options.use_bias => NORMS_OF_LSTM,
            CellKind::LayerNormLstm => &NORMS_OF_LSTM[1..],
            CellKind::LayerNormGru => NORMS_OF_GRU,
            _ if self.options.use_peepholes => PEEPHOLES,
            _ => &[],
        }
    }
}

impl Describe for CellLayer<'_> {
    fn validate(&self, name: &str) -> Result<()> {
        let Self { kind, options } = *self;
        options.activation.validate()?;
        options.recurrent_activation.map_or(Ok(()), |activation| activation.validate())?;
        finite(name, "dropout", options.dropout)?;
        finite(name, "recurrent_dropout", options.recurrent_dropout)?;
        share(name, "zoneout", options.zoneout)?;
        share(name, "zoneout_cell", options.zoneout_cell)?;
        positive(name, "units", options.units)?;
        if let Some(Checkpoints::Steps(steps)) = options.checkpoint_every {
            positive(name, "checkpoint_every", steps)?;
        }
        if options.recurrent_activation.is_none() != (kind == CellKind::SimpleRnn) {
            let received = format!("{:?}", options.recurrent_activation);
            return Err(Error::value(name, "recurrent_activation for all cells but SimpleRNN", received));
        }
        if options.norm_epsilon.is_some() != kind.has_norms() {
            let received = format!("{:?}", options.norm_epsilon);
            return Err(Error::value(name, "norm_epsilon for cells with layer normalization only", received));
        }
        if let Some(epsilon) = options.norm_epsilon.filter(|epsilon| !(epsilon.is_normal() && *epsilon > 0.0)) {
            return Err(Error::value(name, "norm_epsilon above 0", epsilon.to_string()));
        }
        if options.recurrent_dropout > 0.0 && !kind.has_recurrent_kernel() {
            let received = options.recurrent_dropout.to_string();
            return Err(Error::value(name, "recurrent_dropout for cells with a recurrent kernel only", received));
        }
        if options.use_bias && kind == CellKind::LayerNormGru {
            return Err(Error::value(name, "no bias beside the norms'", "use_bias"));
        }
        if options.zoneout_cell > 0.0 && kind.states() < 2 {
            return Err(Error::value(name, "zoneout_cell for LSTM only", options.zoneout_cell.to_string()));
        }
        if options.use_peepholes && kind != CellKind::Lstm {
            return Err(Error::value(name, "use_peepholes for LSTM only", "use_peepholes"));
        }
        if let Some(size) = options.proj_size {
            positive(name, "proj_size", size)?;
            if kind != CellKind::Lstm {
                return Err(Error::value(name, "proj_size for LSTM only", size.to_string()));
            }
        }
        positive(name, "heads", options.heads)?;
        if options.heads > 1 && !matches!(kind, CellKind::SimpleRnn | CellKind::Lstm | CellKind::Gru) {
            return Err(Error::value(name, "heads for SimpleRNN, LSTM and GRU only", options.heads.to_string()));
        }
        for (what, size) in [("units", options.units), ("proj_size", options.width())] {
            if size % options.heads != 0 {
                let expected = format!("a divisor of {what}, which is {size}");
                return Err(Error::value(format!("{name}: heads"), expected, options.heads.to_string()));
            }
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
        for (given, size) in inputs[1..].iter().zip(self.state_sizes()) {
            if given.rank() != 2 || given.0[1] != Some(size) {
                let expected = format!("(batch, {size})");
                return Err(Error::value(format!("{name}: initial_state"), expected, given.to_string()));
            }
        }
        let state = |size: usize| Shape(vec![inputs[0].0[0], Some(size)]);
        let mut output = inputs[0].clone();
        output.0[rank - 1] = Some(options.width());
        let mut outputs = vec![if options.return_sequences { output } else { state(options.width()) }];
        if options.return_state {
            outputs.extend(self.state_sizes().map(state));
        }
        Ok(outputs)
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let Self { kind, options } = *self;
        let columns = kind.gates() * options.units;
        let mut shapes = vec![("kernel", vec![features(name, &inputs[0])?, columns])];
        if kind.has_recurrent_kernel() {
            let (width, heads) = (options.width(), options.heads);
            let several = vec![heads, width / heads, columns / heads];
            shapes.push(("recurrent_kernel", if heads == 1 { vec![width, columns] } else { several }));
        }
        if self.bias().is_some() {
            let two = options.reset_after == Some(true);
            shapes.push(("bias", if two { vec![2, columns] } else { vec![columns] }));
        }
        if self.projection_kernel().is_some() {
            shapes.push(("projection_kernel", vec![options.units, options.width()]));
        }
        shapes.extend(self.vectors().iter().map(|&(name, blocks)| (name, vec![blocks * options.units])));
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        if self.options.return_sequences { MaskRule::Pass } else { MaskRule::Drop }
    }
}
