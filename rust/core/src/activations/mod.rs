//! Activation functions, written once over the instruction set: value and derivative. Those over whole rows stand in `rowwise`.
//!
//! `slope_from_output` gives dy/dx from y alone, so that a layer keeps only its output for the backward pass. The functions
//! for which y does not determine the slope (silu, gelu, mish, ...) are differentiated from x.

mod rowwise;

use crate::{Error, Result};
use foliot_simd::isa::Isa;
use foliot_simd::math;
use rowwise::{softmax_row, softmax_row_gradient, sparsemax_row, sparsemax_row_gradient};
use serde::Deserialize;

pub(crate) use rowwise::{softmax_gradient_in_place, softmax_in_place};

/// A function by name, with Keras's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// x
    Linear {},
    /// tanh x
    Tanh {},
    /// 1 / (1 + exp(-x))
    Sigmoid {},
    /// x above the threshold, at most `max_value`; `negative_slope`·(x - threshold) below
    Relu {
        /// The slope below the threshold.
        negative_slope: f32,
        /// The largest value.
        max_value: Option<f32>,
        /// Where the function starts to rise.
        threshold: f32,
    },
    /// min(max(x, 0), 6)
    Relu6 {},
    /// x where positive, `negative_slope`·x elsewhere
    LeakyRelu {
        /// The slope of the negative part.
        negative_slope: f32,
    },
    /// exp(x) / Σ exp(x) over the last axis
    Softmax {},
    /// ln softmax(x) over the last axis
    LogSoftmax {},
    /// x where positive, alpha·(exp(x) - 1) elsewhere
    Elu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// The self-normalizing elu: 1.0507·elu(x, 1.6733)
    Selu {},
    /// max(x, 0) + min(0, alpha·(exp(x / alpha) - 1))
    Celu {
        /// Minus the limit at minus infinity.
        alpha: f32,
    },
    /// ln(1 + exp(x))
    Softplus {},
    /// x / (1 + |x|)
    Softsign {},
    /// x·sigmoid(x)
    Silu {},
    /// x·Φ(x), Φ the normal distribution
    Gelu {
        /// Whether Φ is approximated with tanh.
        approximate: bool,
    },
    /// x·tanh(softplus(x))
    Mish {},
    /// exp(x)
    Exponential {},
    /// min(max(x / 6 + 1/2, 0), 1)
    HardSigmoid {},
    /// min(max(x, -1), 1)
    HardTanh {},
    /// x·hard sigmoid(x)
    HardSilu {},
    /// -softplus(-x)
    LogSigmoid {},
    /// x - tanh x
    TanhShrink {},
    /// x moved towards 0 by the threshold, 0 when it would cross it
    SoftShrink {
        /// How far.
        threshold: f32,
    },
    /// x where |x| exceeds the threshold, 0 elsewhere
    HardShrink {
        /// What it has to exceed.
        threshold: f32,
    },
    /// x where it exceeds the threshold, `default_value` elsewhere
    Threshold {
        /// What it has to exceed.
        threshold: f32,
        /// The value elsewhere.
        default_value: f32,
    },
    /// (x + sqrt(x² + b)) / 2
    Squareplus {
        /// How round the corner is.
        b: f32,
    },
    /// 0 below -1, x above 1, (x + 1)² / 4 between
    SparsePlus {},
    /// min(max((x + 1) / 2, 0), 1)
    SparseSigmoid {},
    /// The point of the simplex next to the last axis, max(x - τ, 0) with Σ = 1 (Martins & Astudillo 2016)
    Sparsemax {},
}

/// A scalar function on vectors, as the cells use it.
pub trait Unary: Copy + Send + Sync {
    /// y from x.
    fn value<I: Isa>(self, isa: I, x: I::F32) -> I::F32;
    /// dy/dx from y.
    fn slope_from_output<I: Isa>(self, isa: I, y: I::F32) -> I::F32;
}

/// tanh, known at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Tanh;

/// The logistic function, known at compile time.
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid;

impl Unary for Tanh {
    #[inline(always)]
    fn value<I: Isa>(self, isa: I, x: I::F32) -> I::F32 {
        math::tanh(isa, x)
    }

    #[inline(always)]
    fn slope_from_output<I: Isa>(self, isa: I, y: I::F32) -> I::F32 {
        isa.sub(isa.splat(1.0), isa.mul(y, y))
    }
}

impl Unary for Sigmoid {
    #[inline(always)]
    fn value<I: Isa>(self, isa: I, x: I::F32) -> I::F32 {
        math::sigmoid(isa, x)
    }

    #[inline(always)]
    fn slope_from_output<I: Isa>(self, isa: I, y: I::F32) -> I::F32 {
        isa.mul(y, isa.sub(isa.splat(1.0), y))
    }
}

/// Selu's scale and alpha: the fixed point of mean 0 and variance 1 (Klambauer et al. 2017, equation 14).
pub const SELU_SCALE: f32 = 1.050_701;
/// See [`SELU_SCALE`].
pub const SELU_ALPHA: f32 = 1.673_263_2;

/// The normal density at 0, 1 / sqrt(2 pi).
pub const NORMAL_DENSITY: f32 = 0.398_942_3;

/// The factor of the cube in the tanh form of gelu (Hendrycks & Gimpel 2016, section 2).
pub const GELU_CUBIC: f32 = 0.044715;

/// 1 where `x` lies strictly between the bounds, 0 elsewhere.
#[inline(always)]
fn inside<I: Isa>(isa: I, x: I::F32, low: f32, high: f32) -> I::F32 {
    let above = isa.select(isa.gt(x, isa.splat(low)), isa.splat(1.0), isa.zero());
    isa.select(isa.lt(x, isa.splat(high)), above, isa.zero())
}

/// `x` kept within the bounds; NaN stays NaN.
#[inline(always)]
fn clip<I: Isa>(isa: I, x: I::F32, low: f32, high: f32) -> I::F32 {
    let (low, high) = (isa.splat(low), isa.splat(high));
    let raised = isa.select(isa.lt(x, low), low, x);
    isa.select(isa.gt(raised, high), high, raised)
}

/// `positive` where `x > 0`, `other` elsewhere.
#[inline(always)]
fn where_positive<I: Isa>(isa: I, x: I::F32, positive: I::F32, other: I::F32) -> I::F32 {
    isa.select(isa.gt(x, isa.zero()), positive, other)
}

/// exp(x) - 1 for the negative side of elu; x is cut at 0 so that the unused lanes cannot overflow.
#[inline(always)]
fn expm1_negative<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let x = isa.select(isa.gt(x, isa.zero()), isa.zero(), x);
    // Below 2⁻⁷ the difference would cancel; the series to the fourth power is exact there to 1e-10.
    let series = isa.mul_add(x, isa.splat(1.0 / 24.0), isa.splat(1.0 / 6.0));
    let series = isa.mul_add(x, series, isa.splat(0.5));
    let series = isa.mul_add(x, series, isa.splat(1.0));
    let small = isa.gt(x, isa.splat(-0.0078125));
    isa.select(small, isa.mul(x, series), isa.sub(math::exp(isa, x), isa.splat(1.0)))
}

/// ln(1 + exp(x)) without overflow.
#[inline(always)]
fn softplus<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let tail = math::exp(isa, isa.neg(isa.abs(x)));
    let sum = isa.add(isa.splat(1.0), tail);
    // ln(1 + e) = ln(sum)·e / (sum - 1) undoes the rounding of the sum (Kahan); sum = 1 means e is its own logarithm.
    let rounded = isa.sub(sum, isa.splat(1.0));
    let exact = isa.eq(rounded, isa.zero());
    let divisor = isa.select(exact, isa.splat(1.0), rounded);
    let log = isa.select(exact, tail, isa.mul(math::ln(isa, sum), isa.div(tail, divisor)));
    isa.add(isa.select(isa.gt(x, isa.zero()), x, isa.zero()), log)
}

/// min(max(x / 6 + 1/2, 0), 1)
#[inline(always)]
fn hard_sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    clip(isa, isa.mul_add(x, isa.splat(1.0 / 6.0), isa.splat(0.5)), 0.0, 1.0)
}

/// The normal distribution function, by the Chebyshev fit of erfc in Numerical Recipes 6.2 (relative error below 1.2e-7).
#[inline(always)]
fn normal_distribution<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    const FIT: [f32; 10] = [
        0.17087277,
        -0.82215223,
        1.48851587,
        -1.13520398,
        0.27886807,
        -0.18628806,
        0.09678418,
        0.37409196,
        1.00002368,
        -1.26551223,
    ];
    let z = isa.mul(isa.abs(x), isa.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = isa.div(isa.splat(1.0), isa.mul_add(z, isa.splat(0.5), isa.splat(1.0)));
    let mut sum = isa.splat(FIT[0]);
    for coefficient in &FIT[1..] {
        sum = isa.mul_add(sum, t, isa.splat(*coefficient));
    }
    let half_erfc = isa.mul(isa.mul(isa.splat(0.5), t), math::exp(isa, isa.sub(sum, isa.mul(z, z))));
    where_positive(isa, x, isa.sub(isa.splat(1.0), half_erfc), half_erfc)
}

impl Activation {
    /// y from x.
    #[inline(always)]
    fn value_from_input<I: Isa>(self, isa: I, x: I::F32) -> I::F32 {
        let one = isa.splat(1.0);
        match self {
            // Softmax needs the whole row; `forward` handles it before it gets here.
            Self::Linear {} | Self::Softmax {} | Self::LogSoftmax {} | Self::Sparsemax {} => x,
            Self::Tanh {} => Tanh.value(isa, x),
            Self::Sigmoid {} => Sigmoid.value(isa, x),
            Self::Relu { negative_slope, max_value, threshold } => {
                let threshold = isa.splat(threshold);
                let below = if negative_slope == 0.0 {
                    // 0·(-inf) would be NaN; a NaN itself passes through.
                    isa.select(isa.le(x, threshold), isa.zero(), x)
                } else {
                    isa.mul(isa.splat(negative_slope), isa.sub(x, threshold))
                };
                let y = isa.select(isa.gt(x, threshold), x, below);
                match max_value {
                    Some(max) => isa.select(isa.gt(y, isa.splat(max)), isa.splat(max), y),
                    None => y,
                }
            }
            Self::Relu6 {} => clip(isa, x, 0.0, 6.0),
            Self::LeakyRelu { negative_slope } => where_positive(isa, x, x, isa.mul(isa.splat(negative_slope), x)),
            Self::Elu { alpha } => where_positive(isa, x, x, isa.mul(isa.splat(alpha), expm1_negative(isa, x))),
            Self::Selu {} => {
                let negative = isa.mul(isa.splat(SELU_ALPHA), expm1_negative(isa, x));
                isa.mul(isa.splat(SELU_SCALE), where_positive(isa, x, x, negative))
            }
            Self::Celu { alpha } => {
                let negative = isa.mul(isa.splat(alpha), expm1_negative(isa, isa.div(x, isa.splat(alpha))));
                where_positive(isa, x, x, negative)
            }
            Self::Softplus {} => softplus(isa, x),
            Self::Softsign {} => isa.div(x, isa.add(one, isa.abs(x))),
            Self::Silu {} => isa.mul(x, math::sigmoid(isa, x)),
            Self::Gelu { approximate: false } => isa.mul(x, normal_distribution(isa, x)),
            Self::Gelu { approximate: true } => {
                let cubic = isa.mul_add(isa.mul(isa.mul(x, x), x), isa.splat(GELU_CUBIC), x);
                let bend = math::tanh(isa, isa.mul(isa.splat(SQRT_2_BY_PI), cubic));
                isa.mul(isa.mul(isa.splat(0.5), x), isa.add(one, bend))
            }
            Self::Mish {} => isa.mul(x, math::tanh(isa, softplus(isa, x))),
            Self::Exponential {} => math::exp(isa, x),
            Self::HardSigmoid {} => hard_sigmoid(isa, x),
            Self::HardTanh {} => clip(isa, x, -1.0, 1.0),
            Self::HardSilu {} => isa.mul(x, hard_sigmoid(isa, x)),
            Self::LogSigmoid {} => isa.neg(softplus(isa, isa.neg(x))),
            Self::TanhShrink {} => isa.sub(x, math::tanh(isa, x)),
            Self::SoftShrink { threshold } => {
                let (low, high) = (isa.splat(-threshold), isa.splat(threshold));
                let positive = isa.select(isa.gt(x, high), isa.sub(x, high), isa.zero());
                isa.select(isa.lt(x, low), isa.sub(x, low), positive)
            }
            Self::HardShrink { threshold } => isa.select(isa.gt(isa.abs(x), isa.splat(threshold)), x, isa.zero()),
            Self::Threshold { threshold, default_value } => {
                isa.select(isa.gt(x, isa.splat(threshold)), x, isa.splat(default_value))
            }
            Self::Squareplus { b } => isa.mul(isa.splat(0.5), isa.add(x, isa.sqrt(isa.mul_add(x, x, isa.splat(b))))),
            Self::SparsePlus {} => {
                let shifted = isa.add(clip(isa, x, -1.0, 1.0), one);
                let bend = isa.mul(isa.splat(0.25), isa.mul(shifted, shifted));
                isa.select(isa.gt(x, one), x, bend)
            }
            Self::SparseSigmoid {} => clip(isa, isa.mul_add(x, isa.splat(0.5), isa.splat(0.5)), 0.0, 1.0),
        }
    }

    /// dy/dx from y, for the functions whose output determines it.
    #[inline(always)]
    fn slope_from_value<I: Isa>(self, isa: I, y: I::F32) -> I::F32 {
        let one = isa.splat(1.0);
        match self {
            Self::Tanh {} => Tanh.slope_from_output(isa, y),
            Self::Sigmoid {} => Sigmoid.slope_from_output(isa, y),
            Self::Relu { negative_slope, max_value, .. } => {
                let slope = where_positive(isa, y, one, isa.splat(negative_slope));
                match max_value {
                    Some(max) => isa.select(isa.ge(y, isa.splat(max)), isa.zero(), slope),
                    None => slope,
                }
            }
            Self::Relu6 {} => inside(isa, y, 0.0, 6.0),
            Self::LeakyRelu { negative_slope } => where_positive(isa, y, one, isa.splat(negative_slope)),
            Self::Elu { alpha } => where_positive(isa, y, one, isa.add(y, isa.splat(alpha))),
            Self::Selu {} => {
                where_positive(isa, y, isa.splat(SELU_SCALE), isa.add(y, isa.splat(SELU_SCALE * SELU_ALPHA)))
            }
            Self::Celu { alpha } => where_positive(isa, y, one, isa.add(isa.div(y, isa.splat(alpha)), one)),
            Self::Softplus {} => isa.neg(expm1_negative(isa, isa.neg(y))),
            Self::Softsign {} => {
                let rest = isa.sub(one, isa.abs(y));
                isa.mul(rest, rest)
            }
            Self::Exponential {} => y,
            Self::HardSigmoid {} => isa.mul(isa.splat(1.0 / 6.0), inside(isa, y, 0.0, 1.0)),
            Self::HardTanh {} => inside(isa, y, -1.0, 1.0),
            Self::LogSigmoid {} => isa.neg(expm1_negative(isa, y)),
            Self::SoftShrink { .. } | Self::HardShrink { .. } => isa.select(isa.eq(y, isa.zero()), isa.zero(), one),
            Self::Squareplus { b } => {
                let square = isa.mul(isa.splat(4.0), isa.mul(y, y));
                isa.div(square, isa.add(square, isa.splat(b)))
            }
            Self::SparsePlus {} => isa.sqrt(clip(isa, y, 0.0, 1.0)),
            Self::SparseSigmoid {} => isa.mul(isa.splat(0.5), inside(isa, y, 0.0, 1.0)),
            // `has_slope_from_output` is false for the others, and nobody asks them.
            _ => one,
        }
    }
}

/// sqrt(2 / pi), the scale in the tanh form of gelu.
pub const SQRT_2_BY_PI: f32 = 0.797_884_6;

impl Activation {
    /// Whether [`Unary::slope_from_output`] holds for this function and these parameters.
    #[must_use]
    pub fn has_slope_from_output(&self) -> bool {
        match self {
            Self::Relu { negative_slope, threshold, .. } => *negative_slope >= 0.0 && *threshold >= 0.0,
            Self::LeakyRelu { negative_slope } => *negative_slope >= 0.0,
            Self::Elu { alpha } | Self::Celu { alpha } => *alpha > 0.0,
            Self::Squareplus { b } => *b > 0.0,
            Self::Softmax {}
            | Self::LogSoftmax {}
            | Self::Sparsemax {}
            | Self::Silu {}
            | Self::Gelu { .. }
            | Self::Mish {}
            | Self::HardSilu {}
            | Self::TanhShrink {}
            | Self::Threshold { .. } => false,
            _ => true,
        }
    }

    /// Whether the backward pass needs x beside y.
    #[must_use]
    pub fn needs_input(&self) -> bool {
        !self.has_slope_from_output() && !self.is_row_wise()
    }

    /// Whether an output depends on its whole row.
    #[must_use]
    pub fn is_row_wise(&self) -> bool {
        matches!(self, Self::Softmax {} | Self::LogSoftmax {} | Self::Sparsemax {})
    }

    /// dy/dx from x, for the functions whose output does not determine it.
    #[inline(always)]
    fn slope_from_input<I: Isa>(self, isa: I, x: I::F32) -> I::F32 {
        let one = isa.splat(1.0);
        match self {
            Self::Silu {} => {
                let s = math::sigmoid(isa, x);
                isa.mul(s, isa.mul_add(x, isa.sub(one, s), one))
            }
            Self::Gelu { approximate: false } => {
                // Φ(x) + x·φ(x), φ the normal density.
                let density =
                    isa.mul(isa.splat(NORMAL_DENSITY), math::exp(isa, isa.mul(isa.splat(-0.5), isa.mul(x, x))));
                isa.mul_add(x, density, normal_distribution(isa, x))
            }
            Self::Gelu { approximate: true } => {
                let square = isa.mul(x, x);
                let cubic = isa.mul_add(isa.mul(square, x), isa.splat(GELU_CUBIC), x);
                let bend = math::tanh(isa, isa.mul(isa.splat(SQRT_2_BY_PI), cubic));
                let inner = isa.mul_add(square, isa.splat(3.0 * GELU_CUBIC * SQRT_2_BY_PI), isa.splat(SQRT_2_BY_PI));
                let slope = isa.mul(isa.mul(x, Tanh.slope_from_output(isa, bend)), inner);
                isa.mul(isa.splat(0.5), isa.add(isa.add(one, bend), slope))
            }
            Self::Mish {} => {
                let t = math::tanh(isa, softplus(isa, x));
                isa.mul_add(isa.mul(x, Tanh.slope_from_output(isa, t)), math::sigmoid(isa, x), t)
            }
            Self::HardSilu {} => {
                let gate = hard_sigmoid(isa, x);
                isa.mul_add(isa.mul(x, isa.splat(1.0 / 6.0)), inside(isa, x, -3.0, 3.0), gate)
            }
            Self::TanhShrink {} => {
                let t = math::tanh(isa, x);
                isa.mul(t, t)
            }
            Self::Threshold { threshold, .. } => isa.select(isa.gt(x, isa.splat(threshold)), one, isa.zero()),
            Self::Relu { negative_slope, max_value, threshold } => {
                let slope = isa.select(isa.gt(x, isa.splat(threshold)), one, isa.splat(negative_slope));
                match max_value {
                    Some(max) => isa.select(isa.ge(x, isa.splat(max)), isa.zero(), slope),
                    None => slope,
                }
            }
            Self::LeakyRelu { negative_slope } => where_positive(isa, x, one, isa.splat(negative_slope)),
            Self::Elu { alpha } => {
                let cut = isa.select(isa.gt(x, isa.zero()), isa.zero(), x);
                where_positive(isa, x, one, isa.mul(isa.splat(alpha), math::exp(isa, cut)))
            }
            Self::Celu { alpha } => {
                let scaled = isa.div(x, isa.splat(alpha));
                where_positive(isa, x, one, math::exp(isa, isa.select(isa.gt(x, isa.zero()), isa.zero(), scaled)))
            }
            Self::Squareplus { b } => {
                let root = isa.sqrt(isa.mul_add(x, x, isa.splat(b)));
                isa.mul(isa.splat(0.5), isa.add(one, isa.div(x, root)))
            }
            // The others have a slope from their output, and nobody asks for it here.
            _ => one,
        }
    }

    /// y from x, in rows of `features` values; `y` and `x` may not overlap.
    pub fn forward(self, level: foliot_simd::dispatch::Level, features: usize, x: &[f32], y: &mut [f32]) {
        foliot_simd::dispatch::dispatch(level, Forward { activation: self, features, x, y });
    }

    /// dx from dy, y and (where [`Activation::needs_input`]) x; `dx` is overwritten.
    pub fn backward(
        self,
        level: foliot_simd::dispatch::Level,
        features: usize,
        x: &[f32],
        y: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) {
        foliot_simd::dispatch::dispatch(level, Backward { activation: self, features, x, y, dy: Some(dy), dx });
    }

    /// As [`Activation::backward`], where `gradient` holds dy, which dx takes the place of.
    pub fn backward_in_place(
        self,
        level: foliot_simd::dispatch::Level,
        features: usize,
        x: &[f32],
        y: &[f32],
        gradient: &mut [f32],
    ) {
        foliot_simd::dispatch::dispatch(level, Backward { activation: self, features, x, y, dy: None, dx: gradient });
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// When one of them is not a finite number.
    pub fn validate(&self) -> Result<()> {
        let parameters: &[f32] = match self {
            Self::Relu { negative_slope, max_value, threshold } => {
                &[*negative_slope, max_value.unwrap_or(0.0), *threshold]
            }
            Self::LeakyRelu { negative_slope } => &[*negative_slope],
            Self::Elu { alpha } | Self::Celu { alpha } => &[*alpha],
            Self::SoftShrink { threshold } | Self::HardShrink { threshold } => &[*threshold],
            Self::Threshold { threshold, default_value } => &[*threshold, *default_value],
            Self::Squareplus { b } => &[*b],
            _ => &[],
        };
        if parameters.iter().all(|parameter| parameter.is_finite()) {
            return Ok(());
        }
        Err(Error::value("activation", "finite parameters", format!("{self:?}")))
    }
}

struct Forward<'a> {
    activation: Activation,
    features: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl foliot_simd::isa::Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        assert_eq!(self.x.len(), self.y.len());
        if self.activation.is_row_wise() {
            if self.features == 0 {
                return;
            }
            for (x, y) in self.x.chunks_exact(self.features).zip(self.y.chunks_exact_mut(self.features)) {
                match self.activation {
                    Activation::Sparsemax {} => sparsemax_row(x, y),
                    _ => softmax_row(isa, matches!(self.activation, Activation::LogSoftmax {}), x, y),
                }
            }
            return;
        }
        for offset in (0..self.x.len()).step_by(I::LANES) {
            let n = I::LANES.min(self.x.len() - offset);
            // SAFETY: offset + n <= len of both slices, which were compared above.
            unsafe {
                let x = isa.load_partial(self.x.as_ptr().add(offset), n);
                isa.store_partial(self.y.as_mut_ptr().add(offset), self.activation.value_from_input(isa, x), n);
            }
        }
    }
}

struct Backward<'a> {
    activation: Activation,
    features: usize,
    x: &'a [f32],
    y: &'a [f32],
    /// None where `dx` holds it.
    dy: Option<&'a [f32]>,
    dx: &'a mut [f32],
}

impl foliot_simd::isa::Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let len = self.dx.len();
        let from_input = self.activation.needs_input();
        let source = if from_input { self.x } else { self.y };
        assert!(source.len() == len && self.dy.is_none_or(|dy| dy.len() == len));
        if self.activation.is_row_wise() {
            if self.features == 0 {
                return;
            }
            if let Some(dy) = self.dy {
                self.dx.copy_from_slice(dy);
            }
            for (y, gradient) in self.y.chunks_exact(self.features).zip(self.dx.chunks_exact_mut(self.features)) {
                match self.activation {
                    Activation::Sparsemax {} => sparsemax_row_gradient(y, gradient),
                    _ => softmax_row_gradient(matches!(self.activation, Activation::LogSoftmax {}), y, gradient),
                }
            }
            return;
        }
        let dx = self.dx.as_mut_ptr();
        let dy = self.dy.map_or(dx.cast_const(), <[f32]>::as_ptr);
        for offset in (0..len).step_by(I::LANES) {
            let n = I::LANES.min(len - offset);
            // SAFETY: offset + n <= len of all slices, which were compared above.
            unsafe {
                let value = isa.load_partial(source.as_ptr().add(offset), n);
                let slope = if from_input {
                    self.activation.slope_from_input(isa, value)
                } else {
                    self.activation.slope_from_value(isa, value)
                };
                let gradient = isa.load_partial(dy.add(offset), n);
                isa.store_partial(dx.add(offset), isa.mul(gradient, slope), n);
            }
        }
    }
}
