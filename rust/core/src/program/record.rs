//! What a program keeps of a step for those who look at it afterwards: the outputs, for metrics that are computed elsewhere, and
//! the weights with which a loss was not finite.

use super::{Program, read_out};
use crate::Result;

/// An output of a batch, batch first.
pub struct Seen {
    /// The axes.
    pub shape: Vec<usize>,
    /// The elements.
    pub values: Vec<f32>,
    /// The flags of the time steps, sample by sample; none where the output has no mask.
    pub mask: Option<Vec<u8>>,
}

/// What is kept.
#[derive(Default)]
pub(super) struct Record {
    watched: bool,
    outputs: Vec<Seen>,
    failed: Option<Vec<(Vec<usize>, Vec<f32>)>>,
}

impl Program {
    /// Says whether the outputs of each batch that is trained on or tested are kept. They are not, at first.
    pub fn watch(&mut self, watched: bool) {
        self.record.watched = watched;
        self.record.outputs.clear();
    }

    /// Hands over the outputs of the last batch; none twice.
    pub fn take_outputs(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.record.outputs)
    }

    /// Shapes and values of all weights before the first training step whose loss was not finite; none if there was no such step
    /// since [`Program::reset_metrics`].
    #[must_use]
    pub fn failed_weights(&self) -> Option<&[(Vec<usize>, Vec<f32>)]> {
        self.record.failed.as_deref()
    }

    pub(super) fn forget_failure(&mut self) {
        self.record.failed = None;
    }

    /// Called when a batch has been judged, while its outputs are still in memory.
    pub(super) fn record_outputs(&mut self, plan: usize) -> Result<()> {
        if !self.record.watched {
            return Ok(());
        }
        let mut outputs = Vec::with_capacity(self.graph.outputs.len());
        for output in &self.graph.outputs {
            let tensor = &self.plans[plan].tensors[output.node][output.output];
            let (shape, values) = read_out(self.backend.as_mut(), &tensor.shape, tensor.value)?;
            let mut mask = None;
            if let Some(span) = tensor.mask {
                self.backend.read_mask(span, &mut |flags| mask = Some(flags.to_vec()));
            }
            outputs.push(Seen { shape, values, mask });
        }
        self.record.outputs = outputs;
        Ok(())
    }

    /// Called before an update: afterwards it is too late to find out where something that is not finite came from.
    pub(super) fn record_failure(&mut self, loss: f64) {
        if !loss.is_finite() && self.record.failed.is_none() {
            let weights = self.parameters.iter().map(|weight| (weight.shape().to_vec(), weight.read().to_vec()));
            self.record.failed = Some(weights.collect());
        }
    }
}
