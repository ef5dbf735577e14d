//! One vector for a sequence.

use super::{Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::{Kernel, POOL, POOL_BACKWARD};
use foliot_core::Result;
use foliot_core::backend::Call;
use foliot_core::layers::{GlobalPooling1d, PoolingMethod};
use foliot_core::tensor::Span;

/// A pass over a sequence; `gradients` are that of the output and that of the input.
fn pass(
    layer: &GlobalPooling1d,
    kernel: Kernel,
    call: &Call<'_>,
    known: &Known,
    gradients: Option<[Span; 2]>,
) -> Option<Dispatch> {
    let input = call.inputs[0];
    let [batch, time, features] = [0, 1, 2].map(|axis| input.shape.axis(axis));
    let count = batch * features;
    let flags = known.flags_of_rows(&input.shape, input.mask).unwrap_or_default();
    let [dy, dx] = gradients.map_or([Source::Nothing, Source::Nothing], |spans| spans.map(Source::Floats));
    let dispatch = Dispatch::new(kernel, call.name, &[count, features, time], groups_for(count))
        .flag("MAXIMUM", layer.method == PoolingMethod::Max)
        .flag("FLAGGED", !flags.is_empty())
        .bind(0, Source::Floats(input.value))
        .bind(1, Source::Floats(call.outputs[0].value))
        .bind(2, dy)
        .bind(3, dx)
        .bind(4, Source::Words(flags));
    (count > 0).then_some(dispatch)
}

impl Lower for GlobalPooling1d {
    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        out.extend(pass(self, POOL, call, known, None));
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        out.extend(pass(self, POOL_BACKWARD, call, known, Some([dy, dx])));
    }
}
