//! Recurrent layers: what surrounds the scan.

mod backward;
mod forward;
mod regions;
mod tokens;
mod weights;

use super::Memory;
use crate::backend::Call;
use crate::cells;
use crate::graph::Recurrent;
use crate::scan::layout::TimeLayout;
use backward::Backward;
use foliot_simd::dispatch::Level;
use forward::Forward;
pub(super) use regions::workspace;
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

impl State {
    pub(super) fn forward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, options: &Recurrent) {
        let Some((kind, _)) = call.layer.recurrent() else { return };
        cells::with_cell(kind, options, Forward { state: self, level, memory, call, kind, options });
    }

    pub(super) fn backward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, options: &Recurrent) {
        let Some((kind, _)) = call.layer.recurrent() else { return };
        cells::with_cell(kind, options, Backward { state: self, level, memory, call, kind, options });
    }
}
