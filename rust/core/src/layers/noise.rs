use super::dropout::fitting_noise;
use super::{Describe, MaskRule, finite, share};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// What training does to a value x, with n of the standard normal distribution.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum NoiseMethod {
    /// x + rate·n
    Gaussian,
    /// x·(1 + sqrt(rate / (1 - rate))·n)
    GaussianDropout,
    /// x, or at the given rate selu's limit at minus infinity, brought back to the mean and variance that x had.
    AlphaDropout,
}

/// Random changes in training, nothing otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// The formula.
    pub method: NoiseMethod,
    /// How much of it.
    pub rate: f32,
    /// Which random numbers.
    pub seed: u64,
    /// As in [`Dropout`](super::Dropout); for `AlphaDropout`.
    pub noise_shape: Option<Vec<Option<usize>>>,
}

impl Describe for Noise {
    fn validate(&self, name: &str) -> Result<()> {
        finite(name, "rate", self.rate)?;
        share(name, "rate", self.rate)?;
        if self.method != NoiseMethod::Gaussian && self.rate >= 1.0 {
            return Err(Error::value(format!("{name}: rate"), "a number below 1", self.rate.to_string()));
        }
        Ok(())
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        fitting_noise(name, self.noise_shape.as_deref(), &inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
