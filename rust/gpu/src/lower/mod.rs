//! Layer calls become dispatches. Each kind of layer has a file, and a row in `of`.

mod activation;
mod dense;
mod dropout;
mod embedding;
mod loss;
mod masking;
mod merge;
mod normalization;
mod optimizer;
mod places;
mod pooling;
mod product;
mod recurrent;
mod rows;
mod shape;

pub use loss::{Judging, PLACES, SUMS, loss, metric};
pub use optimizer::{Step, refuses as refuses_optimizer, scratch as optimizer_scratch, update};
pub use rows::{add, clear};

use crate::plan::Dispatch;
use foliot_core::Result;
use foliot_core::backend::{Call, Workspace};
use foliot_core::graph::{Node, ParameterSpec};
use foliot_core::layers::Layer;
use foliot_core::tensor::{Shape, Span};

/// Spans begin at multiples of so many floats: 256 bytes, the strictest alignment of bindings that WebGPU allows.
pub const ALIGNMENT: usize = 64;

/// What the host knows of a step without asking the device: what it has brought in itself, and the masks that follow.
#[derive(Default)]
pub struct Known {
    /// Token ids.
    pub integers: Vec<i32>,
    /// Flags of time steps.
    pub masks: Vec<u8>,
    /// The values of the first input, for a layer that [`wants_values`].
    pub values: Vec<f32>,
}

impl Known {
    fn ids(&self, span: Span) -> &[i32] {
        &self.integers[span.offset..span.offset + span.len]
    }

    fn mask(&self, span: Span) -> &[u8] {
        &self.masks[span.offset..span.offset + span.len]
    }

    /// The flags of a tensor's rows, as the rows lie in memory; none where all count.
    fn flags_of_rows(&self, shape: &Shape, mask: Option<Span>) -> Option<Vec<u32>> {
        let mask = self.mask(mask?);
        let flag = |row: usize| u32::from(mask[shape.flag_of_row(mask.len(), row)] != 0);
        Some((0..shape.rows()).map(flag).collect())
    }
}

/// How a kind of layer becomes dispatches.
trait Lower {
    /// Why a layer with these options cannot; none if it can.
    fn refuses(&self) -> Option<String> {
        None
    }

    /// Whether the host has to know the values of the first input in the forward pass.
    fn wants_values(&self) -> bool {
        false
    }

    /// The memory that a call needs.
    fn workspace(&self, _call: &Call<'_>) -> Workspace {
        Workspace::default()
    }

    /// Writes the outputs.
    ///
    /// # Errors
    /// When the data cannot be processed.
    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()>;

    /// Overwrites the gradients of the inputs, adds to those of the weights.
    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>);

    /// Takes over into the weights what the forward pass has found out beside its outputs.
    fn settle(&self, _call: &Call<'_>, _out: &mut Vec<Dispatch>) {}
}

/// An array that the caller passes: it is there already.
struct Given;

impl Lower for Given {
    fn forward(&self, _call: &Call<'_>, _known: &mut Known, _out: &mut Vec<Dispatch>) -> Result<()> {
        Ok(())
    }

    fn backward(&self, _call: &Call<'_>, _known: &Known, _out: &mut Vec<Dispatch>) {}
}

/// The kind of a layer; none if there are no kernels for it.
fn of(layer: &Layer) -> Option<&dyn Lower> {
    Some(match layer {
        Layer::Input(_) => &Given,
        Layer::Embedding(layer) => layer,
        Layer::Dense(layer) => layer,
        Layer::Activation(layer) => layer,
        Layer::GatedLinearUnit(layer) => layer,
        Layer::Dropout(layer) => layer,
        Layer::Flatten(layer) => layer,
        Layer::Reshape(layer) => layer,
        Layer::Permute(layer) => layer,
        Layer::RepeatVector(layer) => layer,
        Layer::Cropping1d(layer) => layer,
        Layer::ZeroPadding1d(layer) => layer,
        Layer::FoldTime(layer) => layer,
        Layer::UnfoldTime(layer) => layer,
        Layer::Masking(layer) => layer,
        Layer::GlobalPooling1d(layer) => layer,
        Layer::Merge(layer) => layer,
        Layer::RowNormalization(layer) => layer,
        Layer::BatchNormalization(layer) => layer,
        Layer::Concatenate(layer) => layer,
        Layer::Reverse(layer) => layer,
        Layer::SimpleRnn(options) | Layer::Lstm(options) | Layer::Gru(options) => options,
        _ => return None,
    })
}

/// Why a node cannot run on a GPU; none if it can.
#[must_use]
pub fn refuses(node: &Node, parameters: &[ParameterSpec]) -> Option<String> {
    let Some(layer) = of(&node.layer) else {
        let activity = matches!(node.layer, Layer::ActivityRegularization(_));
        return Some(if activity { "an activity regularizer" } else { "a kind without kernels" }.into());
    };
    let own = || node.parameters.iter().map(|&index| &parameters[index]);
    if own().any(|parameter| parameter.constraint.is_some()) {
        return Some("a constraint of a weight".into());
    }
    if own().any(|parameter| parameter.regularizer.is_some()) {
        return Some("a regularizer of a weight".into());
    }
    layer.refuses()
}

/// The memory that a call needs.
#[must_use]
pub fn workspace(call: &Call<'_>) -> Workspace {
    of(call.layer).map_or_else(Workspace::default, |layer| layer.workspace(call))
}

/// Whether the host has to put the values of the first input into [`Known`] before the forward pass.
#[must_use]
pub fn wants_values(call: &Call<'_>) -> bool {
    of(call.layer).is_some_and(Lower::wants_values)
}

/// The dispatches of a forward pass.
///
/// # Errors
/// When the data cannot be processed, such as a token id outside an embedding.
pub fn forward(call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
    of(call.layer).map_or(Ok(()), |layer| layer.forward(call, known, out))
}

/// The dispatches of a backward pass.
pub fn backward(call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
    if let Some(layer) = of(call.layer) {
        layer.backward(call, known, out);
    }
}

/// The dispatches that take over what a forward pass has found out.
pub fn settle(call: &Call<'_>, out: &mut Vec<Dispatch>) {
    if let Some(layer) = of(call.layer) {
        layer.settle(call, out);
    }
}

/// Cuts a span into regions, or only counts them.
struct Cutter {
    span: Option<Span>,
    used: usize,
}

impl Cutter {
    fn counting() -> Self {
        Self { span: None, used: 0 }
    }

    fn of(span: Span) -> Self {
        Self { span: Some(span), used: 0 }
    }

    fn take(&mut self, len: usize) -> Span {
        let start = self.used;
        self.used += len.next_multiple_of(ALIGNMENT);
        self.span.map_or(Span { offset: 0, len }, |span| span.part(start, len))
    }
}
