//! What an instruction set offers to the kernels.

use crate::dispatch::Level;

/// 1.5 * 2^23: around it a unit in the last place is 1, so adding it rounds to the nearest integer, ties to even, and leaves
/// that integer in the low bits, negative ones in two's complement.
pub const EXPONENT_ORIGIN: f32 = 12582912.0;

/// An instruction set: a token of size zero whose methods are the vector operations.
///
/// A token exists only where the CPU has the instructions, so holding one is the proof that they can run. All
/// methods are `#[inline(always)]`; call them below [`Kernel::run`] only (the crate documentation says why).
///
/// # Safety
/// An implementor must not be constructible on a CPU that lacks the instructions which its methods use, and `LANES`
/// must be the number of `f32` that `load` and `store` touch.
pub unsafe trait Isa: Copy + Send + Sync + 'static {
    /// A vector of `LANES` values.
    type F32: Copy;
    /// One truth value for each lane.
    type Mask: Copy;
    /// The level that [`dispatch`](crate::dispatch()) knows this instruction set by.
    const LEVEL: Level;
    /// Values in one vector.
    const LANES: usize;
    /// Vectors that the register file holds.
    const REGISTERS: usize;

    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::F32;

    /// Zero in every lane.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }

    /// The `LANES` values at `source`.
    ///
    /// # Safety
    /// `source` must be valid for reading `LANES` values. It needs no alignment beyond that of `f32`.
    unsafe fn load(self, source: *const f32) -> Self::F32;

    /// Writes the `LANES` values to `target`.
    ///
    /// # Safety
    /// `target` must be valid for writing `LANES` values. It needs no alignment beyond that of `f32`.
    unsafe fn store(self, target: *mut f32, x: Self::F32);

    /// The `n` values at `source`, then zeros. Touches no memory beyond the `n` values.
    ///
    /// # Safety
    /// `n <= LANES`, and `source` must be valid for reading `n` values.
    unsafe fn load_partial(self, source: *const f32, n: usize) -> Self::F32;

    /// Writes the first `n` lanes to `target`. Touches no memory beyond the `n` values.
    ///
    /// # Safety
    /// `n <= LANES`, and `target` must be valid for writing `n` values.
    unsafe fn store_partial(self, target: *mut f32, x: Self::F32, n: usize);

    /// `a + b`
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`, correctly rounded.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// `a * b + c`, with one or two roundings: the portable level rounds the product, the others do not.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;

    /// `c - a * b`, with as many roundings as [`mul_add`](Isa::mul_add).
    fn neg_mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;

    /// `-x`; flips the sign of zeros and NaNs too.
    fn neg(self, x: Self::F32) -> Self::F32;
    /// `|x|`
    fn abs(self, x: Self::F32) -> Self::F32;
    /// The magnitude of `magnitude` with the sign bit of `sign`.
    fn copy_sign(self, magnitude: Self::F32, sign: Self::F32) -> Self::F32;

    /// `a` where `a < b`, else `b`. So the second operand is the result where either is NaN: put the value whose NaN
    /// must survive there.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a` where `a > b`, else `b`. So the second operand is the result where either is NaN: put the value whose NaN
    /// must survive there.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;

    /// The square root, correctly rounded.
    fn sqrt(self, x: Self::F32) -> Self::F32;
    /// The nearest integer, ties to even.
    fn round(self, x: Self::F32) -> Self::F32;

    /// `a < b`; false where either is NaN.
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a <= b`; false where either is NaN.
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a == b`; false where either is NaN.
    fn eq(self, a: Self::F32, b: Self::F32) -> Self::Mask;

    /// `a > b`; false where either is NaN.
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.lt(b, a)
    }

    /// `a >= b`; false where either is NaN.
    #[inline(always)]
    fn ge(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.le(b, a)
    }

    /// Whether a lane is NaN.
    #[inline(always)]
    fn is_nan(self, x: Self::F32) -> Self::Mask {
        self.mask_not(self.eq(x, x))
    }

    /// True in the lanes below `n`; `n` may exceed `LANES`.
    fn mask_first(self, n: usize) -> Self::Mask;
    /// Both.
    fn mask_and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Either or both.
    fn mask_or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Not.
    fn mask_not(self, a: Self::Mask) -> Self::Mask;
    /// Whether any lane is true.
    fn any(self, mask: Self::Mask) -> bool;

    /// Whether every lane is true.
    #[inline(always)]
    fn all(self, mask: Self::Mask) -> bool {
        !self.any(self.mask_not(mask))
    }

    /// `a` where `mask` is true, else `b`.
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;

    /// The bits of `x` shifted left by 23, as a value. The low bits of `EXPONENT_ORIGIN + 127 + n` are the exponent field
    /// of 2^n: so this turns such a sum into 2^n, for integers `n` in -126..=127.
    fn shift_to_exponent(self, x: Self::F32) -> Self::F32;

    /// `2^n` for integers `n` in -126..=127; anything else gives no meaningful value.
    #[inline(always)]
    fn exp2(self, n: Self::F32) -> Self::F32 {
        self.shift_to_exponent(self.add(n, self.splat(EXPONENT_ORIGIN + 127.0)))
    }

    /// `x * 2^n` with one rounding, for integers `n` in -252..=254 and `x` that is NaN or in [1/4, 4].
    #[inline(always)]
    fn scale(self, x: Self::F32, n: Self::F32) -> Self::F32 {
        // One factor would leave the exponent range of f32. The first product is exact: only the second can overflow
        // or become a denormal.
        let half = self.round(self.mul(n, self.splat(0.5)));
        let rest = self.sub(n, half);
        self.mul(self.mul(x, self.exp2(half)), self.exp2(rest))
    }

    /// `(m, e)` with `x = m * 2^e` and `m` in [sqrt(1/2), sqrt(2)), for finite normal `x > 0`; anything else gives no
    /// meaningful values.
    fn split(self, x: Self::F32) -> (Self::F32, Self::F32);

    /// The sum of the lanes, added in halves: lane `l` and lane `l + LANES / 2` first.
    fn reduce_add(self, x: Self::F32) -> f32;
    /// The greatest lane; an arbitrary lane's value where a lane is NaN.
    fn reduce_max(self, x: Self::F32) -> f32;
}

/// An algorithm that [`dispatch`](crate::dispatch()) compiles for each instruction set: a struct of operands.
pub trait Kernel {
    /// What `run` returns.
    type Output;

    /// The algorithm. Mark the implementation `#[inline(always)]`.
    fn run<I: Isa>(self, isa: I) -> Self::Output;
}
