use super::{Describe, MaskRule, WeightShape, features, positive};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// `activation(x · kernel + bias)` over the last axis. Weights: kernel (in, units), bias (units).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Columns of the kernel.
    pub units: usize,
    /// Applied to the sum.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
}

impl Describe for Dense {
    fn validate(&self, name: &str) -> Result<()> {
        self.activation.validate()?;
        positive(name, "units", self.units)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() < 2 {
            return Err(Error::value(name, "an input of shape (batch, ..., features)", inputs[0].to_string()));
        }
        let mut axes = inputs[0].0.clone();
        axes.pop();
        axes.push(Some(self.units));
        Ok(vec![Shape(axes)])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let mut shapes = vec![("kernel", vec![features(name, &inputs[0])?, self.units])];
        if self.use_bias {
            shapes.push(("bias", vec![self.units]));
        }
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
