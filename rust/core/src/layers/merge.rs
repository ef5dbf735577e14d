//! Layers that make one tensor of several.

use super::{Describe, MaskRule};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// What [`Merge`] does to the elements at one place.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Their sum.
    Add,
    /// The first less the second.
    Subtract,
    /// Their product, in which masked ones count as 1; 0 where all are masked.
    Multiply,
    /// Their product, whatever is masked: a gate.
    Product,
    /// Their mean.
    Average,
    /// The greatest, in which masked ones do not count.
    Maximum,
    /// The least, likewise.
    Minimum,
}

/// Tensors become one, element by element. Axes of 1 are repeated, and a tensor with fewer axes gets axes of 1 after its batch
/// axis. A step of the output is masked if all inputs have masks and all are masked there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merge {
    /// What is done.
    pub operation: Operation,
}

/// The axes of a shape with axes of 1 after the batch axis, `rank` in all.
pub(crate) fn with_rank(shape: &Shape, rank: usize) -> Vec<Option<usize>> {
    let mut axes = shape.0.clone();
    axes.splice(1..1, std::iter::repeat_n(Some(1), rank - shape.rank()));
    axes
}

/// An axis counted from the first; 0, which is the batch axis, if there is none such.
pub(crate) fn inner_axis(axis: isize, rank: usize) -> usize {
    let counted = if axis < 0 { rank.checked_add_signed(axis) } else { usize::try_from(axis).ok() };
    counted.filter(|&axis| axis < rank).unwrap_or(0)
}

fn listed(shapes: &[Shape]) -> String {
    shapes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Describe for Merge {
    fn arity(&self) -> RangeInclusive<usize> {
        if self.operation == Operation::Subtract { 2..=2 } else { 1..=usize::MAX }
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let rank = inputs.iter().map(Shape::rank).max().unwrap_or(0);
        let mut output = vec![Some(1); rank];
        for (position, axes) in inputs.iter().map(|shape| with_rank(shape, rank)).enumerate() {
            for (index, (axis, given)) in output.iter_mut().zip(axes).enumerate() {
                // Samples are never repeated.
                let free = |length: Option<usize>| index > 0 && length == Some(1);
                *axis = match (*axis, given) {
                    (one, given) if position == 0 || free(one) => given,
                    (axis, one) if free(one) || axis == one => axis,
                    (axis, None) | (None, axis) => axis,
                    _ => return Err(Error::value(name, "inputs of shapes that fit one another", listed(inputs))),
                };
            }
        }
        Ok(vec![Shape(output)])
    }

    fn mask_rule(&self, masked: &[bool]) -> MaskRule {
        if masked.iter().all(|masked| *masked) { MaskRule::Make } else { MaskRule::Drop }
    }
}

/// Tensors one after another along an axis. An input without a mask counts as one whose steps all count; along the last axis a
/// step is masked if it is in all inputs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concatenate {
    /// The axis; a negative one counts from the last. Not the batch axis.
    pub axis: isize,
}

impl Describe for Concatenate {
    fn arity(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let rank = inputs[0].rank();
        let axis = inner_axis(self.axis, rank);
        if axis == 0 {
            let expected = format!("an axis from 1 to {}", rank.saturating_sub(1));
            return Err(Error::value(format!("{name}: axis"), expected, self.axis.to_string()));
        }
        let mut output = inputs[0].clone();
        for input in &inputs[1..] {
            let fit = |other: usize| match (output.0[other], input.0[other]) {
                (Some(here), Some(there)) => here == there,
                _ => true,
            };
            if input.rank() != rank || !(0..rank).all(|other| other == axis || fit(other)) {
                let expected = format!("inputs of the same shape but for axis {axis}");
                return Err(Error::value(name, expected, listed(inputs)));
            }
            for other in 0..rank {
                output.0[other] = match (output.0[other], input.0[other]) {
                    (Some(here), Some(there)) if other == axis => Some(here + there),
                    (_, _) if other == axis => None,
                    (here, there) => here.or(there),
                };
            }
        }
        Ok(vec![output])
    }

    fn mask_rule(&self, masked: &[bool]) -> MaskRule {
        if masked.iter().any(|masked| *masked) { MaskRule::Make } else { MaskRule::Drop }
    }
}

/// The products of two tensors summed along an axis of each, sample by sample: Keras's `batch_dot`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dot {
    /// The axis of the first and of the second input; negative ones count from the last. Not the batch axis.
    pub axes: [isize; 2],
    /// Whether both are first divided by their Euclidean norms along the axis.
    pub normalize: bool,
}

impl Describe for Dot {
    fn arity(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        for (axis, input) in self.axes.iter().zip(inputs) {
            if inner_axis(*axis, input.rank()) == 0 {
                let expected = format!("axes from 1 to {} for an input {input}", input.rank().saturating_sub(1));
                return Err(Error::value(format!("{name}: axes"), expected, format!("{:?}", self.axes)));
            }
        }
        let [first, second] = [0, 1].map(|side| inner_axis(self.axes[side], inputs[side].rank()));
        if let (Some(here), Some(there)) = (inputs[0].0[first], inputs[1].0[second])
            && here != there
        {
            let expected = format!("inputs of equal length along the axes {first} and {second}");
            return Err(Error::value(name, expected, listed(inputs)));
        }
        let mut output = inputs[0].0.clone();
        output.remove(first);
        let rest = inputs[1].0.iter().enumerate().skip(1).filter(|(axis, _)| *axis != second);
        output.extend(rest.map(|(_, length)| *length));
        if output.len() == 1 {
            output.push(Some(1));
        }
        Ok(vec![Shape(output)])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// The steps of a sequence from the last to the first. The mask stays as it is, for the sequence comes from a layer that ran
/// backwards over the masked one: turned around, its steps meet the mask again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reverse {}

impl Describe for Reverse {
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() < 3 {
            return Err(Error::value(name, "a sequence (batch, time, ...)", inputs[0].to_string()));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
