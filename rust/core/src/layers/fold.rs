use super::{Describe, MaskRule};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;
use std::ops::RangeInclusive;

/// Time steps as samples: (batch, time, ...) becomes (batch · time, ...), so that a layer takes each step by itself. Sample
/// `step · batch + row` is step `step` of row `row`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldTime {}

impl Describe for FoldTime {
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let [batch, time, rest @ ..] = &inputs[0].0[..] else {
            return Err(Error::value(name, "an input of shape (batch, time, ...)", inputs[0].to_string()));
        };
        let samples = batch.zip(*time).map(|(batch, time)| batch * time);
        Ok(vec![Shape(std::iter::once(&samples).chain(rest).copied().collect())])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// The way back from [`FoldTime`]. The first input is what was folded, for its shape and its mask; the second one is what a
/// layer made of the samples.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfoldTime {}

impl Describe for UnfoldTime {
    fn arity(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let ([batch, time, ..], [samples, rest @ ..]) = (&inputs[0].0[..], &inputs[1].0[..]) else {
            let received = format!("{} and {}", inputs[0], inputs[1]);
            return Err(Error::value(name, "inputs of shape (batch, time, ...) and (batch · time, ...)", received));
        };
        if let (Some(batch), Some(time), Some(samples)) = (batch, time, samples)
            && batch * time != *samples
        {
            return Err(Error::value(name, format!("{} samples", batch * time), samples.to_string()));
        }
        Ok(vec![Shape([batch, time].into_iter().chain(rest).copied().collect())])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
