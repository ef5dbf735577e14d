//! Layers that only move numbers.

use super::rows::Move;
use super::{Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::GATHER;
use foliot_core::Result;
use foliot_core::backend::Call;
use foliot_core::layers::{Concatenate, Flatten, Reverse};
use foliot_core::tensor::{Shape, Span};

/// Copies a tensor whose layout changes: `rows` tells for each run of the target which run of the source it is.
fn gather(out: &mut Vec<Dispatch>, label: &str, rows: Vec<u32>, columns: usize, source: Span, target: Span) {
    let count = rows.len();
    if count * columns > 0 {
        let dispatch = Dispatch::new(GATHER, label, &[count, columns], groups_for(count * columns));
        let dispatch = dispatch.bind(0, Source::Floats(source)).bind(1, Source::Floats(target));
        out.push(dispatch.bind(2, Source::Words(rows)).bind(3, Source::Words(Vec::new())));
    }
}

/// Batch, time and the rest of a sequence; time 1 for what lies batch first.
fn axes(shape: &Shape) -> [usize; 3] {
    let batch = shape.axis(0);
    let time = if shape.is_time_major() { shape.axis(1) } else { 1 };
    [batch, time, shape.elements().checked_div(batch * time).unwrap_or(0)]
}

impl Lower for Flatten {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let [batch, time, rest] = axes(&call.inputs[0].shape);
        let rows = (0..batch).flat_map(|row| (0..time).map(move |step| (step * batch + row) as u32)).collect();
        gather(out, call.name, rows, rest, call.inputs[0].value, call.outputs[0].value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let [batch, time, rest] = axes(&call.inputs[0].shape);
        let rows = (0..time).flat_map(|step| (0..batch).map(move |row| (row * time + step) as u32)).collect();
        gather(out, call.name, rows, rest, dy, dx);
    }
}

/// Turns time around.
fn reverse(out: &mut Vec<Dispatch>, call: &Call<'_>, source: Span, target: Span) {
    let [batch, time, rest] = axes(&call.inputs[0].shape);
    let turned = Move::new([batch * time, rest], Some(Source::Floats(source)), Source::Floats(target));
    Move { reversed: Some([batch, time]), ..turned }.push(out, call.name);
}

impl Lower for Reverse {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        reverse(out, call, call.inputs[0].value, call.outputs[0].value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        if let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) {
            reverse(out, call, dy, dx);
        }
    }
}

/// Each input's place among the columns of the output.
fn join(call: &Call<'_>, whole: Span, parts: impl Fn(usize) -> Option<Span>, back: bool, out: &mut Vec<Dispatch>) {
    let (rows, width) = (call.outputs[0].shape.rows(), call.outputs[0].shape.features());
    let mut start = 0;
    for (position, input) in call.inputs.iter().enumerate() {
        let columns = input.shape.features();
        if let Some(part) = parts(position) {
            let (part, whole) = (Source::Floats(part), Source::Floats(whole));
            let (source, target) = if back { (whole, part) } else { (part, whole) };
            let (mut starts, mut strides) = ([0, start], [columns, width]);
            if back {
                starts.reverse();
                strides.reverse();
            }
            Move { starts, strides, ..Move::new([rows, columns], Some(source), target) }.push(out, call.name);
        }
        start += columns;
    }
}

impl Lower for Concatenate {
    fn refuses(&self) -> Option<String> {
        (self.axis != -1).then(|| format!("Concatenate along axis {}", self.axis))
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        if let Some(target) = call.outputs[0].mask {
            // A step is masked if it is in all inputs; one without a mask has data everywhere.
            let mut joined = vec![0; target.len];
            for input in &call.inputs {
                match input.mask {
                    Some(span) => joined.iter_mut().zip(known.mask(span)).for_each(|(joined, flag)| *joined |= flag),
                    None => joined.fill(1),
                }
            }
            known.masks[target.offset..target.offset + target.len].copy_from_slice(&joined);
        }
        join(call, call.outputs[0].value, |position| Some(call.inputs[position].value), false, out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let Some(gradient) = call.outputs[0].gradient else { return };
        join(call, gradient, |position| call.inputs[position].gradient, true, out);
    }
}
