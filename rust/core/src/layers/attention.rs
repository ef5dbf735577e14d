//! What the attention layers have in common: scores of queries and keys, a softmax, a weighted sum of values.

use super::{Describe, MaskRule, WeightShape, features, finite, positive, share};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// How a query q and a key k are compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// scale · Σ q·k
    Dot,
    /// weight · Σ tanh(scale · (q + k))
    Concat,
    /// Σ scale · tanh(q + k), with a scale for each feature
    Additive,
}

/// What becomes of a score that is masked. Keras's layers differ.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum MaskedScores {
    /// `Attention`: it becomes 1e9 less, and its gradient goes on. The mask of the queries makes outputs 0. Scores are returned
    /// as (batch, queries, keys), as dropout left them.
    Lower,
    /// `MultiHeadAttention`: it does not count. A query that is masked has no score that counts, and where none does, all
    /// values count alike. Scores are returned as (batch, heads, queries, keys), without dropout.
    Uniform,
    /// Likewise, but where none counts the weights are 0.
    Zero,
}

/// Attention with the inputs query (batch, queries, heads · size), value (batch, keys, heads · size of a value), key (as the
/// value; with `has_key`, otherwise the value is the key) and, with `has_mask`, an array (batch, queries, keys) that is 0 where
/// a query does not see a key. Weights, in this order: with `use_scale` scale, () or for `Additive` (in); for `Concat` the
/// concat score weight ().
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
// Each flag is an argument of one of Keras's layers, or says which inputs there are.
#[allow(clippy::struct_excessive_bools)]
pub struct Attention {
    /// How queries and keys are compared.
    pub score: Score,
    /// What becomes of masked scores.
    pub masked_scores: MaskedScores,
    /// Whether there is a scale that is learned.
    pub use_scale: bool,
    /// Into how many parts the features fall; each has weights of its own.
    pub heads: usize,
    /// What scores are multiplied with.
    pub factor: f32,
    /// The share of weights that are zeroed in training.
    pub dropout: f32,
    /// Which random numbers.
    pub seed: u64,
    /// Whether a query sees only keys of its own time and before.
    pub use_causal_mask: bool,
    /// A query sees keys that are fewer steps away.
    pub sliding_window: Option<usize>,
    /// Whether the weights are a second output.
    pub return_attention_scores: bool,
    /// Whether keys are an input of their own.
    pub has_key: bool,
    /// Whether the last input is a mask.
    pub has_mask: bool,
}

impl Attention {
    /// The position of the key among the inputs.
    #[must_use]
    pub fn key(&self) -> usize {
        if self.has_key { 2 } else { 1 }
    }

    /// Whether training drops weights.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.dropout > 0.0
    }
}

fn known_and_unequal(a: Option<usize>, b: Option<usize>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

impl Describe for Attention {
    fn validate(&self, name: &str) -> Result<()> {
        positive(name, "num_heads", self.heads)?;
        finite(name, "factor", self.factor)?;
        share(name, "dropout", self.dropout)?;
        if let Some(window) = self.sliding_window {
            positive(name, "sliding_window", window)?;
        }
        if self.heads > 1 && (self.score != Score::Dot || self.use_scale || self.masked_scores == MaskedScores::Lower) {
            return Err(Error::value(format!("{name}: num_heads"), "1 for this score", self.heads.to_string()));
        }
        Ok(())
    }

    fn arity(&self) -> RangeInclusive<usize> {
        let count = 2 + usize::from(self.has_key) + usize::from(self.has_mask);
        count..=count
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let misfit = |expected: &str| {
            let received: Vec<String> = inputs.iter().map(ToString::to_string).collect();
            Err(Error::value(name, expected, received.join(", ")))
        };
        if inputs.iter().any(|input| input.rank() != 3) {
            return misfit("inputs of shape (batch, time, features)");
        }
        let (query, value, key) = (&inputs[0].0, &inputs[1].0, &inputs[self.key()].0);
        if known_and_unequal(query[2], key[2]) {
            return misfit("a query and a key with as many features");
        }
        if known_and_unequal(value[1], key[1]) {
            return misfit("a value and a key of the same length");
        }
        if inputs.iter().any(|input| known_and_unequal(input.0[0], query[0])) {
            return misfit("inputs of one batch size");
        }
        if [query[2], value[2]].iter().any(|width| width.is_some_and(|width| !width.is_multiple_of(self.heads))) {
            return misfit(&format!("features that fall into {} heads", self.heads));
        }
        if self.has_mask
            && let Some(mask) = inputs.last()
            && (known_and_unequal(mask.0[1], query[1]) || known_and_unequal(mask.0[2], key[1]))
        {
            return misfit("an attention_mask of shape (batch, queries, keys)");
        }
        let mut outputs = vec![Shape(vec![query[0], query[1], value[2]])];
        if self.return_attention_scores {
            let mut scores = vec![query[0], query[1], key[1]];
            if self.masked_scores != MaskedScores::Lower {
                scores.insert(1, Some(self.heads));
            }
            outputs.push(Shape(scores));
        }
        Ok(outputs)
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let mut shapes = Vec::new();
        if self.use_scale {
            let additive = self.score == Score::Additive;
            shapes.push(("scale", if additive { vec![features(name, &inputs[0])?] } else { vec![] }));
        }
        if self.score == Score::Concat {
            shapes.push(("concat_score_weight", vec![]));
        }
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
