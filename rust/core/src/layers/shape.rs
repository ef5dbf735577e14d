//! Layers that move elements and compute nothing. As in Keras, none of those that users see hands a mask on: its time axis may
//! be another one behind them.

use super::{Describe, MaskRule, positive, size};
use crate::tensor::Shape;
use crate::{Error, Result};
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

/// The elements of each sample, in C order, under other axes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The axes behind the batch axis; at most one `None`, whose length follows from the others.
    pub target: Vec<Option<usize>>,
}

impl Describe for Reshape {
    fn validate(&self, name: &str) -> Result<()> {
        if self.target.iter().filter(|axis| axis.is_none()).count() <= 1 {
            return Ok(());
        }
        let received = Shape(self.target.clone()).to_string();
        Err(Error::value(format!("{name}: target_shape"), "at most one axis of unknown length", received))
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let count = inputs[0].0[1..].iter().try_fold(1, |product, axis| axis.map(|length| product * length));
        let known: usize = self.target.iter().flatten().product();
        let mut axes = vec![inputs[0].0[0]];
        for axis in &self.target {
            axes.push(match (axis, count) {
                (Some(length), _) => Some(*length),
                (None, Some(count)) => count.checked_div(known),
                (None, None) => None,
            });
        }
        let result = Shape(axes[1..].to_vec());
        let elements = result.0.iter().try_fold(1, |product, axis| axis.map(|length| product * length));
        match (count, elements) {
            (Some(count), elements) if elements != Some(count) => Err(Error::value(
                format!("{name}: target_shape"),
                format!("a shape of {count} elements for an input {}", inputs[0]),
                Shape(self.target.clone()).to_string(),
            )),
            _ => Ok(vec![Shape(axes)]),
        }
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// The axes in another order.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// For each output axis behind the batch axis, the input's axis; 1 is the first.
    pub dims: Vec<usize>,
}

impl Describe for Permute {
    fn validate(&self, name: &str) -> Result<()> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(1..=self.dims.len()) {
            return Ok(());
        }
        let expected = format!("the numbers from 1 to {} in any order", self.dims.len());
        Err(Error::value(format!("{name}: dims"), expected, format!("{:?}", self.dims)))
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() != self.dims.len() + 1 {
            let expected = format!("an input with {} axes", self.dims.len() + 1);
            return Err(Error::value(name, expected, inputs[0].to_string()));
        }
        let axes = std::iter::once(0).chain(self.dims.iter().copied()).map(|axis| inputs[0].0[axis]).collect();
        Ok(vec![Shape(axes)])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// (batch, features) becomes (batch, n, features).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatVector {
    /// How many times.
    pub n: usize,
}

impl Describe for RepeatVector {
    fn validate(&self, name: &str) -> Result<()> {
        positive(name, "n", self.n)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        match inputs[0].0[..] {
            [batch, features] => Ok(vec![Shape(vec![batch, Some(self.n), features])]),
            _ => Err(Error::value(name, "an input of shape (batch, features)", inputs[0].to_string())),
        }
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// Each of the parts into which the features fall comes several times in a row, and keeps its mask: keys that several heads
/// share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepeatParts {
    /// How many parts there are.
    pub parts: usize,
    /// How many times.
    pub times: usize,
}

impl Describe for RepeatParts {
    fn validate(&self, name: &str) -> Result<()> {
        positive(name, "parts", self.parts)?;
        positive(name, "times", self.times)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let Some((Some(features), leading)) = inputs[0].0.split_last() else {
            return Err(Error::value(name, "an input whose last axis is known", inputs[0].to_string()));
        };
        if !features.is_multiple_of(self.parts) {
            return Err(Error::value(
                name,
                format!("features that fall into {} parts", self.parts),
                features.to_string(),
            ));
        }
        let mut axes = leading.to_vec();
        axes.push(Some(features * self.times));
        Ok(vec![Shape(axes)])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}

/// Takes time steps off both ends of a sequence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cropping1d {
    /// How many at the beginning and at the end.
    pub cropping: (usize, usize),
}

impl Describe for Cropping1d {
    fn validate(&self, name: &str) -> Result<()> {
        size(name, "cropping", self.cropping.0)?;
        size(name, "cropping", self.cropping.1)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let (batch, time, features) = sequence(name, &inputs[0])?;
        let taken = self.cropping.0 + self.cropping.1;
        if time.is_some_and(|time| time <= taken) {
            let expected = format!("an input with more than the {taken} time steps of `cropping`");
            return Err(Error::value(name, expected, inputs[0].to_string()));
        }
        Ok(vec![Shape(vec![batch, time.map(|time| time - taken), features])])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// Adds time steps of zeros to both ends of a sequence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPadding1d {
    /// How many at the beginning and at the end.
    pub padding: (usize, usize),
}

impl Describe for ZeroPadding1d {
    fn validate(&self, name: &str) -> Result<()> {
        size(name, "padding", self.padding.0)?;
        size(name, "padding", self.padding.1)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let (batch, time, features) = sequence(name, &inputs[0])?;
        Ok(vec![Shape(vec![batch, time.map(|time| time + self.padding.0 + self.padding.1), features])])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// The axes of a sequence (batch, time, features).
pub(super) fn sequence(name: &str, input: &Shape) -> Result<(Option<usize>, Option<usize>, Option<usize>)> {
    match input.0[..] {
        [batch, time, features] => Ok((batch, time, features)),
        _ => Err(Error::value(name, "an input of shape (batch, time, features)", input.to_string())),
    }
}
