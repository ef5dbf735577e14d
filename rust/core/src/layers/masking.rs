use super::{Describe, MaskRule, finite};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// A row whose values all equal a number is padding: it becomes zero, and later layers skip it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masking {
    /// The number.
    pub mask_value: f32,
}

impl Describe for Masking {
    fn validate(&self, name: &str) -> Result<()> {
        finite(name, "mask_value", self.mask_value)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() < 2 {
            return Err(Error::value(name, "an input of shape (batch, ..., features)", inputs[0].to_string()));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Make
    }
}
