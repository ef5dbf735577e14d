use super::pooling::{Padding, Windows, windowed};
use super::{Describe, MaskRule, WeightShape, features, positive};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// `activation(Σ x[t·stride + k·dilation] · kernel[k] + bias)` over the steps k of a window. With groups the features and the
/// filters fall into as many parts, and each part of the filters sees its own part of the features. Weights: kernel
/// (`kernel_size`, in / groups, filters), bias (filters).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1d {
    /// Features of the output.
    pub filters: usize,
    /// Time steps of a window.
    pub kernel_size: usize,
    /// From one window to the next.
    pub strides: usize,
    /// What happens at the ends.
    pub padding: Padding,
    /// From one step of a window to the next.
    pub dilation_rate: usize,
    /// Into how many parts features and filters fall.
    pub groups: usize,
    /// Applied to the sum.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
}

impl Conv1d {
    /// The windows over `time` steps.
    #[must_use]
    pub fn windows(&self, time: usize) -> Option<Windows> {
        Windows::new(time, self.kernel_size, self.strides, self.dilation_rate, self.padding)
    }
}

impl Describe for Conv1d {
    fn validate(&self, name: &str) -> Result<()> {
        self.activation.validate()?;
        positive(name, "filters", self.filters)?;
        positive(name, "kernel_size", self.kernel_size)?;
        positive(name, "strides", self.strides)?;
        positive(name, "dilation_rate", self.dilation_rate)?;
        positive(name, "groups", self.groups)?;
        if !self.filters.is_multiple_of(self.groups) {
            let expected = format!("a divisor of filters={}", self.filters);
            return Err(Error::value(format!("{name}: groups"), expected, self.groups.to_string()));
        }
        Ok(())
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let (batch, count) = windowed(name, &inputs[0], |time| self.windows(time))?;
        Ok(vec![Shape(vec![batch, count, Some(self.filters)])])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let features = features(name, &inputs[0])?;
        if !features.is_multiple_of(self.groups) {
            let expected = format!("an input whose features fall into groups={} parts", self.groups);
            return Err(Error::value(name, expected, inputs[0].to_string()));
        }
        let mut shapes = vec![("kernel", vec![self.kernel_size, features / self.groups, self.filters])];
        if self.use_bias {
            shapes.push(("bias", vec![self.filters]));
        }
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}
