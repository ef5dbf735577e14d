//! AVX-512: Intel servers since Skylake, AMD since Zen 4.

use std::arch::x86_64::*;

use super::SQRT_HALF_BITS;
use crate::dispatch::Level;
use crate::isa::Isa;

token! {
    /// Vectors of sixteen values, thirty-two registers, masks in registers of their own.
    Avx512, is_x86_feature_detected, ["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma"]
}

/// The first `n` lanes.
#[inline(always)]
fn first_lanes(n: usize) -> __mmask16 {
    debug_assert!(n <= 16);
    // `n` of 16 shifts the bit out of the low half, whose predecessor is all ones.
    ((1_u32 << n.min(16)) - 1) as __mmask16
}

// SAFETY: `Avx512::new` looks for the features that the intrinsics below need, and a 512-bit register holds 16 values.
unsafe impl Isa for Avx512 {
    type F32 = __m512;
    type Mask = __mmask16;
    const LEVEL: Level = Level::Avx512;
    const LANES: usize = 16;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token shows that the CPU has AVX-512 F, BW, DQ and VL; this holds for each intrinsic in this file.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> __m512 {
        // SAFETY: the caller passes a pointer valid for 16 values.
        unsafe { _mm512_loadu_ps(source) }
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32, x: __m512) {
        // SAFETY: the caller passes a pointer valid for 16 values.
        unsafe { _mm512_storeu_ps(target, x) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, source: *const f32, n: usize) -> __m512 {
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.load(source) };
        }
        // SAFETY: the lanes outside the mask, from `n` on, are not accessed.
        unsafe { _mm512_maskz_loadu_ps(first_lanes(n), source) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, target: *mut f32, x: __m512, n: usize) {
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.store(target, x) };
        }
        // SAFETY: the lanes outside the mask, from `n` on, are not accessed.
        unsafe { _mm512_mask_storeu_ps(target, first_lanes(n), x) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg(self, x: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_xor_ps(x, _mm512_set1_ps(-0.0)) }
    }

    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_andnot_ps(_mm512_set1_ps(-0.0), x) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: __m512, sign: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_or_ps(self.abs(magnitude), _mm512_and_ps(_mm512_set1_ps(-0.0), sign)) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn sqrt(self, x: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_sqrt_ps(x) }
    }

    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        // The immediate's high half is the number of fraction bits kept, none; its low half the rounding direction.
        // SAFETY: as in `splat`.
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn lt(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
    }

    #[inline(always)]
    fn le(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b) }
    }

    #[inline(always)]
    fn eq(self, a: __m512, b: __m512) -> __mmask16 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    fn mask_first(self, n: usize) -> __mmask16 {
        first_lanes(n.min(Self::LANES))
    }

    #[inline(always)]
    fn mask_and(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }

    #[inline(always)]
    fn mask_or(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }

    #[inline(always)]
    fn mask_not(self, a: __mmask16) -> __mmask16 {
        !a
    }

    #[inline(always)]
    fn any(self, mask: __mmask16) -> bool {
        mask != 0
    }

    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(x))) }
    }

    #[inline(always)]
    fn scale(self, x: __m512, n: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_scalef_ps(x, n) }
    }

    #[inline(always)]
    fn split(self, x: __m512) -> (__m512, __m512) {
        // SAFETY: as in `splat`.
        unsafe {
            let bits = _mm512_castps_si512(x);
            let exponent = _mm512_srai_epi32::<23>(_mm512_sub_epi32(bits, _mm512_set1_epi32(SQRT_HALF_BITS)));
            let mantissa = _mm512_sub_epi32(bits, _mm512_slli_epi32::<23>(exponent));
            (_mm512_castsi512_ps(mantissa), _mm512_cvtepi32_ps(exponent))
        }
    }

    #[inline(always)]
    fn reduce_add(self, x: __m512) -> f32 {
        // SAFETY: as in `splat`.
        unsafe {
            let eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn reduce_max(self, x: __m512) -> f32 {
        // SAFETY: as in `splat`.
        unsafe {
            let eight = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }
}
