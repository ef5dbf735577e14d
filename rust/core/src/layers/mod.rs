//! The kinds of layers: what each one is told, which shapes and weights it has, what becomes of a mask. What a layer computes
//! is the backend's part, [`crate::cpu`]. A new kind is one file here and one there, and a row in [`Layer`].

mod activation;
mod attention;
mod conv;
mod dense;
mod dropout;
mod embedding;
mod fold;
mod input;
mod masking;
mod merge;
mod noise;
mod normalization;
mod pooling;
mod prelu;
mod recurrent;
mod shape;

pub use activation::{Activate, ActivityRegularization, GatedLinearUnit};
pub use attention::{Attention, MaskedScores, Score};
pub use conv::Conv1d;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use fold::{FoldTime, UnfoldTime};
pub use input::Input;
pub use masking::Masking;
pub use merge::{Concatenate, Dot, Merge, Operation, Reverse};
pub(crate) use merge::{inner_axis, with_rank};
pub use noise::{Noise, NoiseMethod};
pub use normalization::{BatchNormalization, RowMethod, RowNormalization};
pub use pooling::{GlobalPooling1d, Padding, Pooling1d, PoolingMethod, Windows};
pub use prelu::PRelu;
pub use recurrent::{CellKind, CellLayer, Checkpoints, Recurrent, Vector};
pub use shape::{Cropping1d, Flatten, Permute, RepeatParts, RepeatVector, Reshape, ZeroPadding1d};

use crate::tensor::{DType, Shape};
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::{Deref, RangeInclusive};

/// What a node computes. Names and meanings are Keras's.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Layer {
    /// An array that the caller passes.
    Input(Input),
    /// Rows of a table.
    Embedding(Embedding),
    /// A product with a matrix.
    Dense(Dense),
    /// A function of each element, or softmax.
    Activation(Activate),
    /// One half of the features, gated by the other.
    GatedLinearUnit(GatedLinearUnit),
    /// Random zeros.
    Dropout(Dropout),
    /// All axes but the batch axis become one.
    Flatten(Flatten),
    /// Other axes for the same elements.
    Reshape(Reshape),
    /// The axes in another order.
    Permute(Permute),
    /// A new time axis.
    RepeatVector(RepeatVector),
    /// Features several times.
    RepeatParts(RepeatParts),
    /// Fewer time steps.
    Cropping1d(Cropping1d),
    /// More time steps.
    ZeroPadding1d(ZeroPadding1d),
    /// A mask from the values.
    Masking(Masking),
    /// Rows of a size of 1.
    RowNormalization(RowNormalization),
    /// Columns of a mean of 0 and a variance of 1.
    BatchNormalization(BatchNormalization),
    /// One vector for a sequence.
    GlobalPooling1d(GlobalPooling1d),
    /// One vector for each window.
    Pooling1d(Pooling1d),
    /// Products of windows with a kernel.
    Conv1d(Conv1d),
    /// Random changes.
    Noise(Noise),
    /// A rectifier that learns.
    PRelu(PRelu),
    /// Time steps as samples.
    FoldTime(FoldTime),
    /// Samples as time steps.
    UnfoldTime(UnfoldTime),
    /// A penalty on values.
    ActivityRegularization(ActivityRegularization),
    /// Tensors become one, element by element.
    Merge(Merge),
    /// Tensors one after another.
    Concatenate(Concatenate),
    /// Products of two tensors.
    Dot(Dot),
    /// Time turned around.
    Reverse(Reverse),
    /// Sums of values, weighted by how queries and keys agree.
    Attention(Attention),
    /// See [`crate::cells::simple_rnn`].
    SimpleRnn(Recurrent),
    /// See [`crate::cells::lstm`].
    Lstm(Recurrent),
    /// See [`crate::cells::gru`].
    Gru(Recurrent),
    /// See [`crate::cells::layer_norm_lstm`].
    LayerNormLstm(Recurrent),
    /// See [`crate::cells::layer_norm_gru`].
    LayerNormGru(Recurrent),
    /// See [`crate::cells::minimal`].
    MinGru(Recurrent),
    /// See [`crate::cells::minimal`].
    MinLstm(Recurrent),
}

/// Where a layer's first output has its mask from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskRule {
    /// It has none.
    Drop,
    /// From the first input.
    Pass,
    /// From the caller or from the layer itself, in memory of its own.
    Make,
}

/// The name and the shape of a weight.
pub type WeightShape = (&'static str, Vec<usize>);

/// What the graph and the plan want to know of a layer.
pub trait Describe {
    /// Checks sizes and rates.
    ///
    /// # Errors
    /// When an option cannot be; the message names layer and option.
    fn validate(&self, _name: &str) -> Result<()> {
        Ok(())
    }

    /// How many inputs it takes.
    fn arity(&self) -> RangeInclusive<usize> {
        1..=1
    }

    /// The shapes of its outputs.
    ///
    /// # Errors
    /// When the inputs do not fit the layer; the message names the layer and the axes.
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>>;

    /// The weights that it needs.
    ///
    /// # Errors
    /// When the number of input features is not known.
    fn weight_shapes(&self, _name: &str, _inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        Ok(Vec::new())
    }

    /// Whether it keeps what it found out in a training step that has succeeded, such as moving means.
    fn settles(&self) -> bool {
        false
    }

    /// What becomes of the masks of its inputs; `masked` says which inputs have one.
    fn mask_rule(&self, masked: &[bool]) -> MaskRule;
}

/// A layer as it describes itself.
pub enum Described<'a> {
    /// Any other layer.
    Plain(&'a dyn Describe),
    /// A recurrent layer.
    Cell(CellLayer<'a>),
}

impl<'a> Deref for Described<'a> {
    type Target = dyn Describe + 'a;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Plain(layer) => *layer,
            Self::Cell(layer) => layer,
        }
    }
}

impl Layer {
    /// The layer's description of itself.
    #[must_use]
    pub fn describe(&self) -> Described<'_> {
        match self {
            Self::Input(layer) => Described::Plain(layer),
            Self::Embedding(layer) => Described::Plain(layer),
            Self::Dense(layer) => Described::Plain(layer),
            Self::Activation(layer) => Described::Plain(layer),
            Self::GatedLinearUnit(layer) => Described::Plain(layer),
            Self::Dropout(layer) => Described::Plain(layer),
            Self::Flatten(layer) => Described::Plain(layer),
            Self::Reshape(layer) => Described::Plain(layer),
            Self::Permute(layer) => Described::Plain(layer),
            Self::RepeatVector(layer) => Described::Plain(layer),
            Self::RepeatParts(layer) => Described::Plain(layer),
            Self::Cropping1d(layer) => Described::Plain(layer),
            Self::ZeroPadding1d(layer) => Described::Plain(layer),
            Self::Masking(layer) => Described::Plain(layer),
            Self::RowNormalization(layer) => Described::Plain(layer),
            Self::BatchNormalization(layer) => Described::Plain(layer),
            Self::GlobalPooling1d(layer) => Described::Plain(layer),
            Self::Pooling1d(layer) => Described::Plain(layer),
            Self::Conv1d(layer) => Described::Plain(layer),
            Self::Noise(layer) => Described::Plain(layer),
            Self::PRelu(layer) => Described::Plain(layer),
            Self::FoldTime(layer) => Described::Plain(layer),
            Self::UnfoldTime(layer) => Described::Plain(layer),
            Self::ActivityRegularization(layer) => Described::Plain(layer),
            Self::Merge(layer) => Described::Plain(layer),
            Self::Concatenate(layer) => Described::Plain(layer),
            Self::Dot(layer) => Described::Plain(layer),
            Self::Reverse(layer) => Described::Plain(layer),
            Self::Attention(layer) => Described::Plain(layer),
            Self::SimpleRnn(options) => Described::Cell(CellLayer { kind: CellKind::SimpleRnn, options }),
            Self::Lstm(options) => Described::Cell(CellLayer { kind: CellKind::Lstm, options }),
            Self::Gru(options) => Described::Cell(CellLayer { kind: CellKind::Gru, options }),
            Self::LayerNormLstm(options) => Described::Cell(CellLayer { kind: CellKind::LayerNormLstm, options }),
            Self::LayerNormGru(options) => Described::Cell(CellLayer { kind: CellKind::LayerNormGru, options }),
            Self::MinGru(options) => Described::Cell(CellLayer { kind: CellKind::MinGru, options }),
            Self::MinLstm(options) => Described::Cell(CellLayer { kind: CellKind::MinLstm, options }),
        }
    }

    /// The cell and options of a recurrent layer.
    #[must_use]
    pub fn recurrent(&self) -> Option<(CellKind, &Recurrent)> {
        match self.describe() {
            Described::Cell(CellLayer { kind, options }) => Some((kind, options)),
            Described::Plain(_) => None,
        }
    }

    /// Whether it is an array of token ids that the caller passes.
    #[must_use]
    pub fn is_integer_input(&self) -> bool {
        matches!(self, Self::Input(Input { dtype: DType::Int32, .. }))
    }
}

/// The largest size that an option may have: sums and products of two stay far from overflow.
const LARGEST_SIZE: usize = i32::MAX as usize;

/// An option that has to be a positive integer.
fn positive(name: &str, option: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::value(format!("{name}: {option}"), "a positive integer", "0")),
        _ => size(name, option, value),
    }
}

/// An option that has to be an integer from 0 on.
fn size(name: &str, option: &str, value: usize) -> Result<()> {
    if value <= LARGEST_SIZE {
        return Ok(());
    }
    Err(Error::value(format!("{name}: {option}"), format!("an integer up to {LARGEST_SIZE}"), value.to_string()))
}

/// An option that has to be finite.
fn finite(name: &str, option: &str, value: f32) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::value(format!("{name}: {option}"), "a finite number", value.to_string()))
}

/// An option that has to be a share.
fn share(name: &str, option: &str, value: f32) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::value(format!("{name}: {option}"), "a number from 0 to 1", value.to_string()))
}

/// The length of an input's last axis, which the weights need.
fn features(name: &str, input: &Shape) -> Result<usize> {
    let last = input.0.last().copied().flatten();
    last.ok_or_else(|| Error::value(name, "an input whose last axis is known", input.to_string()))
}
