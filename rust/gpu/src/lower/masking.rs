//! A mask from the values, which the host makes: it has to know all masks.

use super::rows::Move;
use super::{Known, Lower};
use crate::plan::{Dispatch, Source};
use foliot_core::Result;
use foliot_core::backend::Call;
use foliot_core::layers::Masking;
use foliot_core::tensor::Span;

/// Copies the rows of the steps that count; the others become zero.
fn copy_valid(call: &Call<'_>, known: &Known, source: Span, target: Span, out: &mut Vec<Dispatch>) {
    let shape = &call.inputs[0].shape;
    let flags = known.flags_of_rows(shape, call.outputs[0].mask);
    let (source, target) = (Source::Floats(source), Source::Floats(target));
    Move { flags, ..Move::new([shape.rows(), shape.features()], Some(source), target) }.push(out, call.name);
}

impl Lower for Masking {
    fn wants_values(&self) -> bool {
        true
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let shape = &call.inputs[0].shape;
        if let (Some(mask), features @ 1..) = (call.outputs[0].mask, shape.features()) {
            let flags = &mut known.masks[mask.offset..mask.offset + mask.len];
            for (row, values) in known.values.chunks_exact(features).enumerate() {
                let counts = values.iter().any(|value| *value != self.mask_value);
                flags[shape.flag_of_row(mask.len, row)] = u8::from(counts);
            }
        }
        copy_valid(call, known, call.inputs[0].value, call.outputs[0].value, out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        if let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) {
            copy_valid(call, known, dy, dx, out);
        }
    }
}
