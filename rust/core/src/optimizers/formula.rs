//! What every rule of an optimizer tells about itself.

use super::sweep::Sweep;
use crate::Result;

/// An array that is kept for each weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    pub(super) shape: SlotShape,
    /// What its elements begin at.
    pub(super) initial: f32,
}

/// The shape of a slot, from its weight's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotShape {
    /// The same.
    Weight,
    /// Without the last axis; empty for a vector.
    Rows,
    /// Without the last axis but one; empty for a vector.
    Columns,
    /// The same for a vector or a scalar; empty for all else.
    Vector,
    /// The same; empty for a matrix that is not left out.
    UnlessMatrix,
}

impl Slot {
    pub(super) fn zeros(name: &'static str) -> Self {
        Self::begun_at(name, 0.0)
    }

    pub(super) fn begun_at(name: &'static str, initial: f32) -> Self {
        Self { name, shape: SlotShape::Weight, initial }
    }

    pub(super) fn shape_for(&self, weight: &[usize], excluded: bool) -> Vec<usize> {
        match (self.shape, weight) {
            (SlotShape::UnlessMatrix, [_, _]) if !excluded => vec![0],
            (SlotShape::Weight | SlotShape::UnlessMatrix, _) | (SlotShape::Vector, [] | [_]) => weight.to_vec(),
            (SlotShape::Rows, [leading @ .., rows, _]) => [leading, &[*rows]].concat(),
            (SlotShape::Columns, [leading @ .., _, columns]) => [leading, &[*columns]].concat(),
            (SlotShape::Vector, _) | (SlotShape::Rows | SlotShape::Columns, [] | [_]) => vec![0],
        }
    }
}

/// A rule.
pub(super) trait Formula {
    /// Refuses numbers out of their range.
    fn validate(&self) -> Result<()>;

    /// What is kept for each weight, in Keras's order.
    fn slots(&self) -> Vec<Slot>;

    /// Whether a step needs all of a weight, because of a norm, so that a weight may not be cut.
    fn needs_whole(&self) -> bool {
        false
    }

    /// Step `iteration`, from 1, of a weight, or of any part of it unless [`Formula::needs_whole`].
    fn update(&self, iteration: u64, sweep: Sweep);
}

/// `1 - beta^t`, with Keras's roundings: beta, the power and the difference are f32 there, and for the 0.999 of a first
/// step that shows in the sixth digit.
pub(super) fn correction(beta: f64, iteration: u64) -> f32 {
    1.0 - f64::from(beta as f32).powf(iteration as f64) as f32
}

/// A sum whose order does not depend on threads or instruction sets.
pub(super) fn sum_in_order(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |sum, value| sum + value)
}
