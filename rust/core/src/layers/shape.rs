use super::{Describe, MaskRule};
use crate::Result;
use crate::tensor::Shape;
use serde::Deserialize;

/// All axes but the batch axis become one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl Describe for Flatten {
    fn output_shapes(&self, _name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let features = inputs[0].0[1..].iter().try_fold(1, |product, axis| axis.map(|length| product * length));
        Ok(vec![Shape(vec![inputs[0].0[0], features])])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}
