use super::{Describe, MaskRule, finite};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// An element-wise function, or softmax over the last axis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The function.
    pub activation: Activation,
}

impl Describe for Activate {
    fn validate(&self, _name: &str) -> Result<()> {
        self.activation.validate()
    }

    fn output_shapes(&self, _name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}

/// The first half of the last axis times the sigmoid of the second half (Dauphin et al. 2017, arXiv 1612.08083).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatedLinearUnit {}

impl Describe for GatedLinearUnit {
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let mut output = inputs[0].clone();
        if output.rank() < 2 {
            return Err(Error::value(name, "an input of shape (batch, ..., features)", inputs[0].to_string()));
        }
        if let Some(Some(features)) = output.0.last_mut() {
            if !features.is_multiple_of(2) {
                let expected = "an even number of features (the last axis), of which glu makes half as many";
                return Err(Error::value(name, expected, inputs[0].to_string()));
            }
            *features /= 2;
        }
        Ok(vec![output])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}

/// Adds `(l1·Σ|x| + l2·Σx²) / batch` to the loss and passes its input on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivityRegularization {
    /// Weight of the absolute values.
    pub l1: f32,
    /// Weight of the squares.
    pub l2: f32,
}

impl Describe for ActivityRegularization {
    fn validate(&self, name: &str) -> Result<()> {
        finite(name, "l1", self.l1)?;
        finite(name, "l2", self.l2)
    }

    fn output_shapes(&self, _name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
