use super::{Describe, MaskRule, WeightShape, features, finite, share};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// Which number each row is divided by; see [`RowNormalization`].
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum RowMethod {
    /// Keras's `LayerNormalization`: (x - mean) / sqrt(variance + epsilon).
    Layer,
    /// Keras's `LayerNormalization(rms_scaling=True)`: x / sqrt(variance + epsilon).
    LayerRms,
    /// Keras's `RMSNormalization`: x / sqrt(mean of squares + epsilon).
    Rms,
    /// Keras's `UnitNormalization`: x / norm, where the norm is not below epsilon.
    Unit,
}

/// Brings each row (the values along the last axis) to a size of 1, then `· gamma + beta`. Weights: gamma, beta (features).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowNormalization {
    /// What size means.
    pub method: RowMethod,
    /// Keeps the divisor from zero.
    pub epsilon: f32,
    /// Whether beta is added.
    pub center: bool,
    /// Whether gamma is a factor.
    pub scale: bool,
}

impl Describe for RowNormalization {
    fn validate(&self, name: &str) -> Result<()> {
        not_negative(name, "epsilon", self.epsilon)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        rows(name, &inputs[0])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        affine(name, &inputs[0], self.scale, self.center)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        // Keras's RMSNormalization does not support masks, its other normalizations do.
        if self.method == RowMethod::Rms { MaskRule::Drop } else { MaskRule::Pass }
    }
}

/// `(x - mean) / sqrt(variance + epsilon) · gamma + beta` for each column (a feature of the last axis). In training mean and
/// variance are the batch's, over its unmasked rows, and moving means of both are kept for inference. Weights: gamma, beta,
/// `moving_mean`, `moving_variance` (features).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormalization {
    /// The share that the moving means keep in each training step.
    pub momentum: f32,
    /// Keeps the divisor from zero.
    pub epsilon: f32,
    /// Whether beta is added.
    pub center: bool,
    /// Whether gamma is a factor.
    pub scale: bool,
    /// Whether training, too, uses the moving means and leaves them alone.
    pub frozen: bool,
}

impl Describe for BatchNormalization {
    fn validate(&self, name: &str) -> Result<()> {
        share(name, "momentum", self.momentum)?;
        not_negative(name, "epsilon", self.epsilon)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        rows(name, &inputs[0])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let mut shapes = affine(name, &inputs[0], self.scale, self.center)?;
        let features = features(name, &inputs[0])?;
        shapes.extend([("moving_mean", vec![features]), ("moving_variance", vec![features])]);
        Ok(shapes)
    }

    fn settles(&self) -> bool {
        true
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}

fn not_negative(name: &str, option: &str, value: f32) -> Result<()> {
    finite(name, option, value)?;
    if value >= 0.0 {
        return Ok(());
    }
    Err(Error::value(format!("{name}: {option}"), "a number of at least 0", value.to_string()))
}

fn rows(name: &str, input: &Shape) -> Result<Vec<Shape>> {
    if input.rank() < 2 {
        return Err(Error::value(name, "an input of shape (batch, ..., features)", input.to_string()));
    }
    Ok(vec![input.clone()])
}

fn affine(name: &str, input: &Shape, scale: bool, center: bool) -> Result<Vec<WeightShape>> {
    let mut shapes = Vec::new();
    if scale {
        shapes.push(("gamma", vec![features(name, input)?]));
    }
    if center {
        shapes.push(("beta", vec![features(name, input)?]));
    }
    Ok(shapes)
}
