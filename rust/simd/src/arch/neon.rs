//! NEON: every aarch64 CPU.

use std::arch::aarch64::*;

use super::SQRT_HALF_BITS;
use crate::dispatch::Level;
use crate::isa::Isa;

token! {
    /// Vectors of four values, thirty-two registers.
    Neon, is_aarch64_feature_detected, ["neon"]
}

// SAFETY: `Neon::new` looks for the feature that the intrinsics below need, and a 128-bit register holds 4 values.
unsafe impl Isa for Neon {
    type F32 = float32x4_t;
    type Mask = uint32x4_t;
    const LEVEL: Level = Level::Neon;
    const LANES: usize = 4;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: the token shows that the CPU has NEON; this holds for each intrinsic in this file.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> float32x4_t {
        // SAFETY: the caller passes a pointer valid for 4 values.
        unsafe { vld1q_f32(source) }
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32, x: float32x4_t) {
        // SAFETY: the caller passes a pointer valid for 4 values.
        unsafe { vst1q_f32(target, x) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, source: *const f32, n: usize) -> float32x4_t {
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.load(source) };
        }
        let mut lanes = [0.0_f32; 4];
        for (lane, value) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: `lane < n`, and the caller passes a pointer valid for `n` values.
            *value = unsafe { source.add(lane).read() };
        }
        // SAFETY: the array holds 4 values.
        unsafe { self.load(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, target: *mut f32, x: float32x4_t, n: usize) {
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.store(target, x) };
        }
        let mut lanes = [0.0_f32; 4];
        // SAFETY: the array holds 4 values.
        unsafe { self.store(lanes.as_mut_ptr(), x) };
        for (lane, value) in lanes.iter().enumerate().take(n) {
            // SAFETY: `lane < n`, and the caller passes a pointer valid for `n` values.
            unsafe { target.add(lane).write(*value) };
        }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vdivq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vfmsq_f32(c, a, b) }
    }

    #[inline(always)]
    fn neg(self, x: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vnegq_f32(x) }
    }

    #[inline(always)]
    fn abs(self, x: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vabsq_f32(x) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: float32x4_t, sign: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign, magnitude) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // `vminq_f32` returns NaN where either operand is one.
        self.select(self.lt(a, b), a, b)
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.select(self.gt(a, b), a, b)
    }

    #[inline(always)]
    fn sqrt(self, x: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vsqrtq_f32(x) }
    }

    #[inline(always)]
    fn round(self, x: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vrndnq_f32(x) }
    }

    #[inline(always)]
    fn lt(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vcltq_f32(a, b) }
    }

    #[inline(always)]
    fn le(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vcleq_f32(a, b) }
    }

    #[inline(always)]
    fn eq(self, a: float32x4_t, b: float32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vceqq_f32(a, b) }
    }

    #[inline(always)]
    fn mask_first(self, n: usize) -> uint32x4_t {
        const INDEX: [u32; 4] = [0, 1, 2, 3];
        // SAFETY: the array holds 4 values; otherwise as in `splat`.
        unsafe { vcltq_u32(vld1q_u32(INDEX.as_ptr()), vdupq_n_u32(n.min(Self::LANES) as u32)) }
    }

    #[inline(always)]
    fn mask_and(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vandq_u32(a, b) }
    }

    #[inline(always)]
    fn mask_or(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vorrq_u32(a, b) }
    }

    #[inline(always)]
    fn mask_not(self, a: uint32x4_t) -> uint32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vmvnq_u32(a) }
    }

    #[inline(always)]
    fn any(self, mask: uint32x4_t) -> bool {
        // SAFETY: as in `splat`.
        unsafe { vmaxvq_u32(mask) != 0 }
    }

    #[inline(always)]
    fn select(self, mask: uint32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vbslq_f32(mask, a, b) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: float32x4_t) -> float32x4_t {
        // SAFETY: as in `splat`.
        unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(x))) }
    }

    #[inline(always)]
    fn split(self, x: float32x4_t) -> (float32x4_t, float32x4_t) {
        // SAFETY: as in `splat`.
        unsafe {
            let bits = vreinterpretq_s32_f32(x);
            let exponent = vshrq_n_s32::<23>(vsubq_s32(bits, vdupq_n_s32(SQRT_HALF_BITS)));
            let mantissa = vsubq_s32(bits, vshlq_n_s32::<23>(exponent));
            (vreinterpretq_f32_s32(mantissa), vcvtq_f32_s32(exponent))
        }
    }

    #[inline(always)]
    fn reduce_add(self, x: float32x4_t) -> f32 {
        // SAFETY: as in `splat`.
        unsafe {
            let two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }

    #[inline(always)]
    fn reduce_max(self, x: float32x4_t) -> f32 {
        // SAFETY: as in `splat`.
        unsafe { vmaxnmvq_f32(x) }
    }
}
