use super::{Describe, MaskRule};
use crate::Result;
use crate::tensor::{DType, Shape};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// An array that the caller passes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its element type.
    pub dtype: DType,
    /// Its shape without the batch axis; `None` is any length.
    pub shape: Vec<Option<usize>>,
    /// Whether a mask (batch, time) comes with it.
    pub masked: bool,
}

impl Describe for Input {
    fn arity(&self) -> RangeInclusive<usize> {
        0..=0
    }

    fn output_shapes(&self, _name: &str, _inputs: &[Shape]) -> Result<Vec<Shape>> {
        let mut axes = vec![None];
        axes.extend(&self.shape);
        Ok(vec![Shape(axes)])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        if self.masked { MaskRule::Make } else { MaskRule::Drop }
    }
}
