use super::{Describe, MaskRule, WeightShape, positive};
use crate::Result;
use crate::tensor::Shape;
use serde::Deserialize;

/// Rows of a table, picked by token ids. Weights: embeddings (`input_dim`, `output_dim`).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Rows of the table.
    pub input_dim: usize,
    /// Columns of the table.
    pub output_dim: usize,
    /// Whether id 0 is padding, which later layers skip.
    pub mask_zero: bool,
}

impl Describe for Embedding {
    fn validate(&self, name: &str) -> Result<()> {
        positive(name, "input_dim", self.input_dim)?;
        positive(name, "output_dim", self.output_dim)
    }

    fn output_shapes(&self, _name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let mut axes = inputs[0].0.clone();
        axes.push(Some(self.output_dim));
        Ok(vec![Shape(axes)])
    }

    fn weight_shapes(&self, _name: &str, _inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        Ok(vec![("embeddings", vec![self.input_dim, self.output_dim])])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        if self.mask_zero { MaskRule::Make } else { MaskRule::Pass }
    }
}
