use super::{Describe, MaskRule, share};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// Zeroes elements at random in training and scales the others by `1 / (1 - rate)`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The share of elements that are zeroed.
    pub rate: f32,
    /// Which random numbers.
    pub seed: u64,
    /// The shape of the mask where it differs from the input's; `None` axes follow the input, axes of 1 are shared.
    pub noise_shape: Option<Vec<Option<usize>>>,
}

/// Refuses a noise shape that cannot be repeated to the shape of the input.
pub(super) fn fitting_noise(name: &str, noise: Option<&[Option<usize>]>, input: &Shape) -> Result<()> {
    let Some(noise) = noise else { return Ok(()) };
    let fits = |(noise, axis): (&Option<usize>, &Option<usize>)| match (noise, axis) {
        (Some(noise), Some(axis)) => *noise == 1 || noise == axis,
        _ => true,
    };
    if noise.len() == input.rank() && noise.iter().zip(&input.0).all(fits) {
        return Ok(());
    }
    let expected = format!("the axes of the input {input}, or 1 for those that share their mask");
    Err(Error::value(format!("{name}: noise_shape"), expected, Shape(noise.to_vec()).to_string()))
}

impl Describe for Dropout {
    fn validate(&self, name: &str) -> Result<()> {
        share(name, "rate", self.rate)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        fitting_noise(name, self.noise_shape.as_deref(), &inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
