//! Random zeros.

use super::places::{axes, places};
use super::rows::Move;
use super::shape::gather;
use super::{Cutter, Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::DROP;
use foliot_core::Result;
use foliot_core::backend::{Call, Workspace};
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

/// What multiplies the input of a call in training.
enum Factors {
    /// A random number for each element, drawn again in the backward pass instead of kept.
    Each,
    /// Random numbers of a smaller shape: so many, and for each element of the input which one is its; nothing where they are
    /// (batch, features) and all steps of a sequence share them.
    Shared(usize, Option<Vec<u32>>),
}

fn factors(layer: &Dropout, call: &Call<'_>) -> Factors {
    let axes = axes(&call.inputs[0].shape);
    let Some(noise) = &layer.noise_shape else { return Factors::Each };
    let noise: Vec<usize> = noise.iter().zip(&axes).map(|(noise, &axis)| noise.unwrap_or(axis)).collect();
    let count = noise.iter().product();
    if axes.len() == 3 && noise == [axes[0], 1, axes[2]] {
        return Factors::Shared(count, None);
    }
    // Drawn in C order.
    let mut step = 1;
    let mut steps = vec![0; axes.len()];
    for (place, &length) in steps.iter_mut().zip(&noise).rev() {
        *place = if length == 1 { 0 } else { step };
        step *= length;
    }
    Factors::Shared(count, Some(places(&axes, &steps)))
}

/// Where shared factors and those of each element are kept.
fn regions(cutter: &mut Cutter, factors: &Factors) -> [Span; 2] {
    match factors {
        Factors::Each => [cutter.take(0), cutter.take(0)],
        Factors::Shared(count, of_each) => [cutter.take(*count), cutter.take(of_each.as_ref().map_or(0, Vec::len))],
    }
}

/// Both passes multiply with the mask.
fn multiply(layer: &Dropout, call: &Call<'_>, source: Span, target: Span, draws: bool, out: &mut Vec<Dispatch>) {
    let shape = &call.inputs[0].shape;
    let copied = Move::new([shape.rows(), shape.features()], Some(Source::Floats(source)), Source::Floats(target));
    if !call.training {
        copied.push(out, call.name);
        return;
    }
    let draw = Draw { seed: layer.seed, step: call.step, stream: 0, rate: layer.rate };
    let factors = factors(layer, call);
    let [shared, of_each] = regions(&mut Cutter::of(call.saved), &factors);
    let Factors::Shared(count, elements) = factors else {
        draw.push(out, call.name, source.len, Some(source), target);
        return;
    };
    if draws {
        draw.push(out, call.name, count, None, shared);
    }
    let (mask, batch) = if elements.is_some() { (of_each, shape.rows()) } else { (shared, shape.axis(0)) };
    if let Some(elements) = elements.filter(|_| draws) {
        gather(out, call.name, elements, 1, shared, of_each);
    }
    Move { factors: Some((Source::Floats(mask), 0, batch)), ..copied }.push(out, call.name);
}

impl Lower for Dropout {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let mut saved = Cutter::counting();
        if call.training {
            regions(&mut saved, &factors(self, call));
        }
        Workspace { saved: saved.used, scratch: 0 }
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        multiply(self, call, call.inputs[0].value, call.outputs[0].value, true, out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        multiply(self, call, dy, dx, false, out);
    }
}
