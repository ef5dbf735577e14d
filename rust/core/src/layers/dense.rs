use super::{Describe, MaskRule, WeightShape, features, positive};
use crate::activations::Activation;
use crate::tensor::Shape;
use crate::{Error, Result};
use serde::Deserialize;

/// `activation(x · kernel + bias)` over the last axis. Weights: kernel (in, units), bias (units), or the same numbers with
/// `axes` in the place of in or of the units, which are their product.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Columns of the kernel.
    pub units: usize,
    /// Applied to the sum.
    pub activation: Activation,
    /// Whether a bias is added.
    pub use_bias: bool,
    /// The axes into which the units fall, and those into which the features do, where the weights have more of them.
    #[serde(default)]
    pub axes: Option<Axes>,
}

/// Axes of a kernel that stand for one.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axes {
    /// The kernel is (features, axes), the bias (axes).
    Units([usize; 2]),
    /// The kernel is (axes, units).
    Features([usize; 2]),
}

fn product(name: &str, axes: [usize; 2], expected: usize) -> Result<()> {
    if axes[0].checked_mul(axes[1]) == Some(expected) {
        return Ok(());
    }
    Err(Error::value(format!("{name}: axes"), format!("axes whose product is {expected}"), format!("{axes:?}")))
}

impl Describe for Dense {
    fn validate(&self, name: &str) -> Result<()> {
        self.activation.validate()?;
        positive(name, "units", self.units)?;
        if let Some(Axes::Units(axes)) = self.axes {
            product(name, axes, self.units)?;
        }
        Ok(())
    }

    fn output_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<Shape>> {
        if inputs[0].rank() < 2 {
            return Err(Error::value(name, "an input of shape (batch, ..., features)", inputs[0].to_string()));
        }
        let mut axes = inputs[0].0.clone();
        axes.pop();
        axes.push(Some(self.units));
        Ok(vec![Shape(axes)])
    }

    fn weight_shapes(&self, name: &str, inputs: &[Shape]) -> Result<Vec<WeightShape>> {
        let features = features(name, &inputs[0])?;
        let (mut kernel, mut bias) = (vec![features, self.units], vec![self.units]);
        match self.axes {
            Some(Axes::Units([first, second])) => {
                (kernel, bias) = (vec![features, first, second], vec![first, second]);
            }
            Some(Axes::Features(axes)) => {
                product(name, axes, features)?;
                kernel = vec![axes[0], axes[1], self.units];
            }
            None => {}
        }
        let mut shapes = vec![("kernel", kernel)];
        if self.use_bias {
            shapes.push(("bias", bias));
        }
        Ok(shapes)
    }

    fn mask_rule(&self, _masked: &[bool]) -> MaskRule {
        MaskRule::Pass
    }
}
