//! Random zeros.

use super::rows::Move;
use super::{Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::DROP;
use foliot_core::Result;
use foliot_core::backend::Call;
use foliot_core::layers::Dropout;
use foliot_core::random::{kept_scale, threshold};
use foliot_core::tensor::Span;

/// Which random numbers.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub(super) seed: u64,
    pub(super) step: u32,
    pub(super) stream: u32,
    pub(super) rate: f32,
}

impl Draw {
    /// `target = source ∘ mask`, or the mask of so many elements itself.
    pub(super) fn push(self, out: &mut Vec<Dispatch>, label: &str, count: usize, source: Option<Span>, target: Span) {
        if count == 0 {
            return;
        }
        let Self { seed, step, stream, rate } = self;
        // A word w is kept where w >= threshold, which is w > threshold - 1. At rates 0 and 1 no word is above the limit.
        let (threshold, scale) = (threshold(rate), kept_scale(rate));
        let dropped = if threshold == 0 { scale } else { 0.0 };
        let limit = (threshold as u32).wrapping_sub(1);
        let sizes =
            [count, seed as u32 as usize, (seed >> 32) as usize, step as usize, stream as usize, limit as usize];
        let dispatch = Dispatch::new(DROP, label, &sizes, groups_for(count.div_ceil(4)));
        let dispatch = dispatch.number(scale).number(dropped).flag("MULTIPLIES", source.is_some());
        out.push(dispatch.bind(0, source.map_or(Source::Nothing, Source::Floats)).bind(1, Source::Floats(target)));
    }
}

/// Both passes multiply with the mask, which is drawn again instead of kept.
fn multiply(layer: &Dropout, call: &Call<'_>, source: Span, target: Span, out: &mut Vec<Dispatch>) {
    if call.training {
        let draw = Draw { seed: layer.seed, step: call.step, stream: 0, rate: layer.rate };
        draw.push(out, call.name, source.len, Some(source), target);
    } else {
        let source = Some(Source::Floats(source));
        Move::new([1, target.len], source, Source::Floats(target)).push(out, call.name);
    }
}

impl Lower for Dropout {
    fn refuses(&self) -> Option<String> {
        self.noise_shape.is_some().then(|| "a noise_shape".into())
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        multiply(self, call, call.inputs[0].value, call.outputs[0].value, out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        multiply(self, call, dy, dx, out);
    }
}
