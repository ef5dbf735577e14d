use super::{Describe, MaskRule, WeightShape};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// x where positive, alpha·x elsewhere. Weights: alpha, of the input's shape without the batch axis, 1 along shared axes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PRelu {
    /// The axes along which alpha is the same; 1 is the first behind the batch axis.
    pub shared_axes: Vec<usize>,
}

impl Describe for PRelu {
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() < 2 || self.shared_axes.iter().any(|axis| !(1..inputs[0].rank()).contains(axis)) {
            let expected = format!("an input that has the shared_axes {:?}", self.shared_axes);
            return Err(Error::value(name, expected, inputs[0].to_string()));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let length = |axis: usize| if self.shared_axes.contains(&axis) { Some(1) } else { inputs[0].0[axis] };
        let shape: Option<Vec<usize>> = (1..inputs[0].rank()).map(length).collect();
        match shape {
            Some(shape) => Ok(vec![("alpha", shape)]),
            None => {
                Err(Error::value(name, "an input whose axes are known, but for shared ones", inputs[0].to_string()))
            }
        }
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
