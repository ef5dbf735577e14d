//! Exponential, hyperbolic tangent, logistic sigmoid and natural logarithm.
//!
//! Each is within 2.5 ulp of the exact value over all of f32, returns NaN for NaN, is exact at zero and reaches its limits
//! exactly. tanh never falls as x rises; sigmoid falls by one ulp between some neighbouring floats below zero. The bounds
//! below are the greatest errors over all inputs, rounded up.

use crate::dispatch::{Level, dispatch};
use crate::isa::{EXPONENT_ORIGIN, Isa, Kernel};

/// Greatest error of [`exp`] in ulp.
pub const EXP_MAX_ULP: f64 = 1.02;
/// Greatest error of [`tanh`] in ulp.
pub const TANH_MAX_ULP: f64 = 1.47;
/// Greatest error of [`sigmoid`] in ulp.
pub const SIGMOID_MAX_ULP: f64 = 2.41;
/// Greatest error of [`ln`] in ulp.
pub const LN_MAX_ULP: f64 = 0.87;

/// The leading nine bits of ln 2, so that `n * LN_2_HIGH` is exact for the integers below 2^15.
const LN_2_HIGH: f32 = 0.693359375;
/// ln 2 - `LN_2_HIGH`.
const LN_2_LOW: f32 = -2.12194440e-4;

/// q of degree 4 with e^r = 1 + r + r^2 q(r): relative error of e^r below 2^-28.2 on |r| <= ln(2) / 2, a weighted
/// minimax fit whose coefficients were rounded to f32 one after the other.
const EXP: [f32; 5] = [4.999999404e-01, 1.666652113e-01, 4.166826606e-02, 8.368677460e-03, 1.382073038e-03];

/// Beyond this [`tanh`] is computed from e^2x, below from `TANH`.
const TANH_SMALL: f32 = 0.55;
/// p of degree 4 with tanh(x) = x + x^3 p(x^2): relative error below 2^-29.7 on |x| <= 0.55, fitted as `EXP`.
const TANH: [f32; 5] = [-3.333331645e-01, 1.333254427e-01, -5.384754762e-02, 2.105071396e-02, -6.242849398e-03];

/// p of degree 7 with ln(1 + f) = f - f^2 / 2 + f^3 p(f): relative error below 2^-27.3 on sqrt(1/2) <= 1 + f <= sqrt(2),
/// fitted as `EXP`.
const LN: [f32; 8] = [
    3.333333135e-01,
    -2.500081956e-01,
    2.000122368e-01,
    -1.662336588e-01,
    1.420210898e-01,
    -1.316085458e-01,
    1.275848895e-01,
    -7.627514750e-02,
];

/// The polynomial with these coefficients, the constant first, by Horner's rule.
#[inline(always)]
fn polynomial<I: Isa, const N: usize>(isa: I, x: I::F32, coefficients: [f32; N]) -> I::F32 {
    let mut sum = isa.splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = isa.mul_add(sum, x, isa.splat(coefficients[i]));
    }
    sum
}

/// e^x in parts, for |x| < 2^15.
struct Exponential<F32> {
    /// e^x = p * 2^n with p in [0.7, 1.42].
    p: F32,
    /// The integer n.
    n: F32,
    /// 2^(n + offset), where that is a normal number.
    power: F32,
}

#[inline(always)]
fn exponential<I: Isa>(isa: I, x: I::F32, offset: f32) -> Exponential<I::F32> {
    let origin = isa.splat(EXPONENT_ORIGIN + 127.0 + offset);
    let sum = isa.mul_add(x, isa.splat(std::f32::consts::LOG2_E), origin);
    let n = isa.sub(sum, origin);
    let r = isa.neg_mul_add(n, isa.splat(LN_2_HIGH), x);
    let r = isa.neg_mul_add(n, isa.splat(LN_2_LOW), r);
    let q = polynomial(isa, r, EXP);
    let p = isa.add(isa.mul_add(isa.mul(r, r), q, r), isa.splat(1.0));
    Exponential { p, n, power: isa.shift_to_exponent(sum) }
}

/// e^x. 0 below -104, infinity above 88.73.
#[inline(always)]
pub fn exp<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // The limits lie where the result has long been rounded to zero or overflowed; the constant comes first because
    // the second operand's NaN survives.
    let x = isa.min(isa.splat(89.0), isa.max(isa.splat(-104.0), x));
    let Exponential { p, n, .. } = exponential(isa, x, 0.0);
    isa.scale(p, n)
}

/// tanh(x). Odd to the last bit, the sign of zero included; 1 from x = 9.02 on.
#[inline(always)]
pub fn tanh<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    let one = isa.splat(1.0);
    let a = isa.abs(x);

    let a2 = isa.mul(a, a);
    let small = isa.mul_add(isa.mul(a, a2), polynomial(isa, a2, TANH), a);

    // 1 - 2 / (e^20 + 1) rounds to 1.
    let Exponential { p, power, .. } = exponential(isa, isa.min(isa.splat(20.0), isa.add(a, a)), 0.0);
    let large = isa.sub(one, isa.div(isa.splat(2.0), isa.mul_add(p, power, one)));

    let magnitude = isa.select(isa.lt(a, isa.splat(TANH_SMALL)), small, large);
    isa.copy_sign(magnitude, x)
}

/// 1 / (1 + e^-x). 0 below -104, 1 from x = 17.4 on.
#[inline(always)]
pub fn sigmoid<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    const OFFSET: f32 = 64.0;
    const TWO_TO_MINUS_OFFSET: f32 = 1.0 / 18446744073709551616.0;
    let one = isa.splat(1.0);
    // For negative x, e^x / (1 + e^x): so the exponential never overflows and small results keep their precision. n
    // goes from -150 to 0; the offset keeps the power normal, and only the last product rounds.
    let negative = isa.max(isa.splat(-104.0), isa.neg(isa.abs(x)));
    let Exponential { p, power, .. } = exponential(isa, negative, OFFSET);
    let e = isa.mul(isa.mul(p, power), isa.splat(TWO_TO_MINUS_OFFSET));
    isa.div(isa.select(isa.lt(x, isa.zero()), e, one), isa.add(one, e))
}

/// ln(x). NaN below 0, minus infinity at 0, infinity at infinity.
#[inline(always)]
pub fn ln<I: Isa>(isa: I, x: I::F32) -> I::F32 {
    // `split` takes normal numbers only.
    let denormal = isa.lt(x, isa.splat(f32::MIN_POSITIVE));
    let (m, e) = isa.split(isa.select(denormal, isa.mul(x, isa.splat(8388608.0)), x));
    let e = isa.sub(e, isa.select(denormal, isa.splat(23.0), isa.zero()));

    let f = isa.sub(m, isa.splat(1.0));
    let f2 = isa.mul(f, f);
    let tail = isa.mul(isa.mul(f2, f), polynomial(isa, f, LN));
    let tail = isa.mul_add(e, isa.splat(LN_2_LOW), tail);
    let tail = isa.neg_mul_add(isa.splat(0.5), f2, tail);
    let finite = isa.mul_add(e, isa.splat(LN_2_HIGH), isa.add(f, tail));

    let infinity = isa.splat(f32::INFINITY);
    let positive = isa.select(isa.lt(x, infinity), finite, infinity);
    let rest = isa.select(isa.eq(x, isa.zero()), isa.neg(infinity), isa.splat(f32::NAN));
    isa.select(isa.gt(x, isa.zero()), positive, rest)
}

/// A function of one vector, as a type: so that a loop over a slice is written once.
trait Function {
    fn call<I: Isa>(isa: I, x: I::F32) -> I::F32;
}

struct Map<'a, F: Function>(&'a mut [f32], std::marker::PhantomData<F>);

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        for chunk in self.0.chunks_mut(I::LANES) {
            // SAFETY: the pointers and the length are those of `chunk`, which is at most `LANES` long.
            unsafe {
                let x = isa.load_partial(chunk.as_ptr(), chunk.len());
                isa.store_partial(chunk.as_mut_ptr(), F::call(isa, x), chunk.len());
            }
        }
    }
}

macro_rules! map {
    ($($(#[$doc:meta])* $map:ident = $function:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        /// This CPU does not support `level`.
        pub fn $map(level: Level, values: &mut [f32]) {
            struct This;

            impl Function for This {
                #[inline(always)]
                fn call<I: Isa>(isa: I, x: I::F32) -> I::F32 {
                    $function(isa, x)
                }
            }
            dispatch(level, Map::<This>(values, std::marker::PhantomData));
        }
    )+};
}

map! {
    /// Replaces each value by its [`exp`].
    map_exp = exp;
    /// Replaces each value by its [`tanh`].
    map_tanh = tanh;
    /// Replaces each value by its [`sigmoid`].
    map_sigmoid = sigmoid;
    /// Replaces each value by its [`ln`].
    map_ln = ln;
}
