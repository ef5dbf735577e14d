//! Recurrent layers: what surrounds the scan.

mod backward;
mod forward;
mod prefix;
mod regions;
mod tokens;
mod track;
mod weights;

use super::{Compute, Context, ELEMENTS_PER_TASK};
use crate::Result;
use crate::backend::{Call, Workspace};
use crate::cells;
use crate::layers::Recurrent;
use backward::{Backward, add_table_gradient};
use forward::Forward;
use track::Setting;

pub(super) use track::State;

impl Compute for Recurrent {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        regions::workspace(call)
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, exact_algebra, memory, kept } = context;
        let Some((kind, options)) = call.layer.recurrent() else { return Ok(0.0) };
        let prepared = &mut kept.recurrent.prepared;
        cells::with_cell(
            kind,
            options,
            Forward { prepared, memory, kind, setting: Setting { level, exact_algebra, call, options } },
        );
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, exact_algebra, memory, kept } = context;
        let Some((kind, options)) = call.layer.recurrent() else { return };
        let state = &mut kept.recurrent;
        cells::with_cell(
            kind,
            options,
            Backward { state, memory, kind, setting: Setting { level, exact_algebra, call, options } },
        );
    }

    fn finish_backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, exact_algebra, memory, kept } = context;
        let Some((_, options)) = call.layer.recurrent() else { return };
        add_table_gradient(&mut kept.recurrent, memory, Setting { level, exact_algebra, call, options });
    }
}

/// Rows whose product of `k` by `n` is worth a task.
fn rows_per_task(n: usize, k: usize) -> usize {
    (ELEMENTS_PER_TASK * 8 / (n * k).max(1)).clamp(48, 4096)
}
