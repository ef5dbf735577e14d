//! The level that every CPU has: plain arrays, which the compiler maps to its baseline vectors.

use crate::dispatch::Level;
use crate::isa::{Isa, Kernel};

/// Vectors of four values in plain Rust, the width of the baseline registers on x86-64 (SSE2) and aarch64.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

const LANES: usize = 4;

/// Four values, aligned as one baseline register.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Lanes([f32; LANES]);

/// Four truth values, all bits set for true: so that a selection is two bitwise operations.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
pub struct Mask([u32; LANES]);

impl Portable {
    /// Runs `kernel` with this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
}

#[inline(always)]
fn map(x: Lanes, f: impl Fn(f32) -> f32) -> Lanes {
    let mut out = x;
    for value in &mut out.0 {
        *value = f(*value);
    }
    out
}

#[inline(always)]
fn zip(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    let mut out = a;
    for (value, &b) in out.0.iter_mut().zip(&b.0) {
        *value = f(*value, b);
    }
    out
}

#[inline(always)]
fn compare(a: Lanes, b: Lanes, f: impl Fn(&f32, &f32) -> bool) -> Mask {
    let mut out = [0; LANES];
    for (value, (a, b)) in out.iter_mut().zip(a.0.iter().zip(&b.0)) {
        *value = if f(a, b) { u32::MAX } else { 0 };
    }
    Mask(out)
}

// SAFETY: plain Rust runs everywhere, and `LANES` is the length of the arrays.
unsafe impl Isa for Portable {
    type F32 = Lanes;
    type Mask = Mask;
    const LEVEL: Level = Level::Portable;
    const LANES: usize = LANES;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        Lanes([x; LANES])
    }

    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> Lanes {
        // SAFETY: the caller passes a pointer valid for `LANES` values.
        Lanes(unsafe { source.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32, x: Lanes) {
        // SAFETY: the caller passes a pointer valid for `LANES` values.
        unsafe { target.cast::<[f32; LANES]>().write_unaligned(x.0) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, source: *const f32, n: usize) -> Lanes {
        let mut out = [0.0; LANES];
        for (lane, value) in out.iter_mut().enumerate().take(n) {
            // SAFETY: `lane < n`, and the caller passes a pointer valid for `n` values.
            *value = unsafe { source.add(lane).read() };
        }
        Lanes(out)
    }

    #[inline(always)]
    unsafe fn store_partial(self, target: *mut f32, x: Lanes, n: usize) {
        for (lane, value) in x.0.iter().enumerate().take(n) {
            // SAFETY: `lane < n`, and the caller passes a pointer valid for `n` values.
            unsafe { target.add(lane).write(*value) };
        }
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        // `f32::mul_add` would be a call into libm on a CPU without the instruction.
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn neg(self, x: Lanes) -> Lanes {
        map(x, |x| -x)
    }

    #[inline(always)]
    fn abs(self, x: Lanes) -> Lanes {
        map(x, f32::abs)
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: Lanes, sign: Lanes) -> Lanes {
        zip(magnitude, sign, f32::copysign)
    }

    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self, x: Lanes) -> Lanes {
        map(x, f32::sqrt)
    }

    #[inline(always)]
    fn round(self, x: Lanes) -> Lanes {
        // Below 2^23 the sum has no room for a fraction and the addition rounds it off, to even; from 2^23 on every
        // value is an integer. `f32::round_ties_even` would be a call into libm on SSE2.
        map(x, |x| {
            const INTEGERS_FROM: f32 = 8388608.0;
            let rounded = ((x.abs() + INTEGERS_FROM) - INTEGERS_FROM).copysign(x);
            if x.abs() < INTEGERS_FROM { rounded } else { x }
        })
    }

    #[inline(always)]
    fn lt(self, a: Lanes, b: Lanes) -> Mask {
        compare(a, b, f32::lt)
    }

    #[inline(always)]
    fn le(self, a: Lanes, b: Lanes) -> Mask {
        compare(a, b, f32::le)
    }

    #[inline(always)]
    fn eq(self, a: Lanes, b: Lanes) -> Mask {
        compare(a, b, f32::eq)
    }

    #[inline(always)]
    fn mask_first(self, n: usize) -> Mask {
        let mut out = [0; LANES];
        for (lane, value) in out.iter_mut().enumerate() {
            *value = if lane < n { u32::MAX } else { 0 };
        }
        Mask(out)
    }

    #[inline(always)]
    fn mask_and(self, a: Mask, b: Mask) -> Mask {
        let mut out = a;
        for (value, &b) in out.0.iter_mut().zip(&b.0) {
            *value &= b;
        }
        out
    }

    #[inline(always)]
    fn mask_or(self, a: Mask, b: Mask) -> Mask {
        let mut out = a;
        for (value, &b) in out.0.iter_mut().zip(&b.0) {
            *value |= b;
        }
        out
    }

    #[inline(always)]
    fn mask_not(self, a: Mask) -> Mask {
        let mut out = a;
        for value in &mut out.0 {
            *value = !*value;
        }
        out
    }

    #[inline(always)]
    fn any(self, mask: Mask) -> bool {
        mask.0.iter().fold(0, |any, lane| any | lane) != 0
    }

    #[inline(always)]
    fn select(self, mask: Mask, a: Lanes, b: Lanes) -> Lanes {
        let mut out = a;
        for lane in 0..LANES {
            let chosen = (a.0[lane].to_bits() & mask.0[lane]) | (b.0[lane].to_bits() & !mask.0[lane]);
            out.0[lane] = f32::from_bits(chosen);
        }
        out
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: Lanes) -> Lanes {
        map(x, |x| f32::from_bits(x.to_bits() << 23))
    }

    #[inline(always)]
    fn split(self, x: Lanes) -> (Lanes, Lanes) {
        let (mut m, mut e) = (x, x);
        for lane in 0..LANES {
            let bits = x.0[lane].to_bits().cast_signed();
            // Zeros and negative numbers, whose result means nothing, wrap around.
            let exponent = bits.wrapping_sub(super::SQRT_HALF_BITS) >> 23;
            m.0[lane] = f32::from_bits(bits.wrapping_sub(exponent << 23).cast_unsigned());
            e.0[lane] = exponent as f32;
        }
        (m, e)
    }

    #[inline(always)]
    fn reduce_add(self, x: Lanes) -> f32 {
        let [a, b, c, d] = x.0;
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn reduce_max(self, x: Lanes) -> f32 {
        let [a, b, c, d] = x.0;
        a.max(c).max(b.max(d))
    }
}
