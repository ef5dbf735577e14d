use super::{Describe, MaskRule, WeightShape, positive};
use crate::backend::Call;
use crate::tensor::Shape;
use crate::{Error, Result};
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

impl Embedding {
    /// Looks whether the ids of a call are rows of the table.
    ///
    /// # Errors
    /// When one is not; the message names the row of the batch.
    pub fn check(&self, call: &Call<'_>, ids: &[i32]) -> Result<()> {
        let input_dim = self.input_dim;
        let fits = |id: i32| usize::try_from(id).is_ok_and(|id| id < input_dim);
        let Some(position) = ids.iter().position(|&id| !fits(id)) else { return Ok(()) };
        let row = position / (ids.len() / call.inputs[0].shape.axis(0).max(1)).max(1);
        let row = call.rows.map_or(row, |rows| rows[row] as usize);
        let expected = format!("token ids from 0 to {}, below input_dim={input_dim}", input_dim.saturating_sub(1));
        Err(Error::value(call.name, expected, format!("{} in row {row}", ids[position])))
    }
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
