use super::shape::sequence;
use super::{Describe, MaskRule, positive};
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// What becomes of several values.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum PoolingMethod {
    /// Their mean.
    Average,
    /// The largest of them.
    Max,
}

/// What happens at the ends of a sequence.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Windows lie inside the sequence.
    Valid,
    /// As many windows as strides fit into the sequence; those at the ends hang over, more so at the end.
    Same,
    /// Each window ends at its own time step.
    Causal,
}

/// Windows over time: where each output step reads.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Time steps of the input.
    pub time: usize,
    /// Time steps of the output.
    pub count: usize,
    /// From one window to the next.
    pub stride: usize,
    /// From one step of a window to the next.
    pub dilation: usize,
    /// How many steps the first window begins before the sequence.
    pub left: usize,
}

impl Windows {
    /// The windows of `size` steps over a sequence; none where `Valid` ones do not fit.
    #[must_use]
    pub fn new(time: usize, size: usize, stride: usize, dilation: usize, padding: Padding) -> Option<Self> {
        let extent = (size - 1) * dilation + 1;
        let (count, left) = match padding {
            Padding::Valid => ((time + 1).checked_sub(extent)?.div_ceil(stride), 0),
            Padding::Same => {
                let count = time.div_ceil(stride);
                let hanging = ((count.max(1) - 1) * stride + extent).saturating_sub(time);
                (count, hanging / 2)
            }
            Padding::Causal => (time.div_ceil(stride), extent - 1),
        };
        Some(Self { time, count, stride, dilation, left })
    }

    /// The input's step that step `tap` of window `window` reads, if it lies in the sequence.
    #[must_use]
    pub fn source(&self, window: usize, tap: usize) -> Option<usize> {
        (window * self.stride + tap * self.dilation).checked_sub(self.left).filter(|step| *step < self.time)
    }
}

/// The shape of what windows make of a sequence; an unknown time stays unknown.
pub(super) fn windowed(
    name: &str,
    input: &Shape,
    windows: impl Fn(usize) -> Option<Windows>,
) -> Result<(Option<usize>, Option<usize>)> {
    let (batch, time, _) = sequence(name, input)?;
    let count = match time {
        None => None,
        Some(time) => match windows(time) {
            Some(windows) if windows.count > 0 => Some(windows.count),
            _ => return Err(Error::value(name, "a sequence that is as long as a window", input.to_string())),
        },
    };
    Ok((batch, count))
}

/// One vector for a whole sequence. Masked steps do not count; the vector of a sequence without others is zero.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalPooling1d {
    /// Mean or maximum.
    pub method: PoolingMethod,
    /// Whether a time axis of length 1 stays.
    pub keepdims: bool,
}

impl Describe for GlobalPooling1d {
    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let (batch, time, features) = sequence(name, &inputs[0])?;
        if time == Some(0) {
            return Err(Error::value(name, "a sequence with time steps", inputs[0].to_string()));
        }
        Ok(vec![Shape(if self.keepdims { vec![batch, Some(1), features] } else { vec![batch, features] })])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}

/// One vector for each window of a sequence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooling1d {
    /// Mean, over the steps of the sequence that lie in the window, or maximum.
    pub method: PoolingMethod,
    /// Time steps of a window.
    pub pool_size: usize,
    /// From one window to the next.
    pub strides: usize,
    /// What happens at the ends.
    pub padding: Padding,
}

impl Pooling1d {
    /// The windows over `time` steps.
    #[must_use]
    pub fn windows(&self, time: usize) -> Option<Windows> {
        Windows::new(time, self.pool_size, self.strides, 1, self.padding)
    }
}

impl Describe for Pooling1d {
    fn validate(&self, name: &str) -> Result<()> {
        positive(name, "pool_size", self.pool_size)?;
        positive(name, "strides", self.strides)
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        let (batch, count) = windowed(name, &inputs[0], |time| self.windows(time))?;
        Ok(vec![Shape(vec![batch, count, inputs[0].0[2]])])
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Drop
    }
}
