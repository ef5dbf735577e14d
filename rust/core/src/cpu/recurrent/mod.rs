//! Recurrent layers: what surrounds the scan.

mod backward;
mod forward;
mod regions;
mod tokens;
mod weights;

use super::{Compute, Context, ELEMENTS_PER_TASK};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::cells;
use crate::layers::Recurrent;
use crate::scan::layout::TimeLayout;
use backward::Backward;
use forward::Forward;
use tokens::Tokens;
use weights::PackedWeights;

/// What a recurrent layer keeps between steps.
#[derive(Default)]
pub(super) struct State {
    layout: TimeLayout,
    packed: Option<PackedWeights>,
    /// The distinct tokens, where an embedding is folded into this layer.
    tokens: Tokens,
}

impl Compute for Recurrent {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        regions::workspace(call)
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, kept } = context;
        let Some((kind, options)) = call.layer.recurrent() else { return Ok(0.0) };
        let state = &mut kept.recurrent;
        cells::with_cell(kind, options, Forward { state, level, memory, call, kind, options });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, kept } = context;
        let Some((kind, options)) = call.layer.recurrent() else { return };
        let state = &mut kept.recurrent;
        cells::with_cell(kind, options, Backward { state, level, memory, call, kind, options });
    }
}

/// Rows whose product of `k` by `n` is worth a task.
fn rows_per_task(n: usize, k: usize) -> usize {
    (ELEMENTS_PER_TASK * 8 / (n * k).max(1)).clamp(48, 4096)
}
