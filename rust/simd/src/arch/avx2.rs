//! AVX2 with FMA: x86-64 since Haswell and Zen.

use std::arch::x86_64::*;

use super::SQRT_HALF_BITS;
use crate::dispatch::Level;
use crate::isa::Isa;

token! {
    /// Vectors of eight values, sixteen registers.
    Avx2, is_x86_feature_detected, ["avx2", "fma"]
}

/// Eight all-ones words, then eight zeros: the mask for `n` lanes starts `n` words before the middle.
static TAIL_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

#[inline(always)]
fn tail_mask(_proof: Avx2, n: usize) -> __m256i {
    debug_assert!(n <= 8);
    // SAFETY: the eight words from `8 - n` are inside the table for every `n <= 8`, which the `min` ensures; the
    // token shows that the CPU has AVX2.
    unsafe { _mm256_loadu_si256(TAIL_MASKS.as_ptr().add(8 - n.min(8)).cast()) }
}

// SAFETY: `Avx2::new` looks for the features that the intrinsics below need, and a 256-bit register holds 8 values.
unsafe impl Isa for Avx2 {
    type F32 = __m256;
    type Mask = __m256;
    const LEVEL: Level = Level::Avx2;
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: the token shows that the CPU has AVX2 and FMA; this holds for each intrinsic in this file.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, source: *const f32) -> __m256 {
        // SAFETY: the caller passes a pointer valid for 8 values.
        unsafe { _mm256_loadu_ps(source) }
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut f32, x: __m256) {
        // SAFETY: the caller passes a pointer valid for 8 values.
        unsafe { _mm256_storeu_ps(target, x) }
    }

    #[inline(always)]
    unsafe fn load_partial(self, source: *const f32, n: usize) -> __m256 {
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.load(source) };
        }
        // SAFETY: the lanes outside the mask, from `n` on, are not accessed.
        unsafe { _mm256_maskload_ps(source, tail_mask(self, n)) }
    }

    #[inline(always)]
    unsafe fn store_partial(self, target: *mut f32, x: __m256, n: usize) {
        // The masked store takes about 20 cycles on AMD before Zen 4.
        if n == Self::LANES {
            // SAFETY: the caller passes a pointer valid for `n` values.
            return unsafe { self.store(target, x) };
        }
        // SAFETY: the lanes outside the mask, from `n` on, are not accessed.
        unsafe { _mm256_maskstore_ps(target, tail_mask(self, n), x) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn neg(self, x: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_xor_ps(x, _mm256_set1_ps(-0.0)) }
    }

    #[inline(always)]
    fn abs(self, x: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) }
    }

    #[inline(always)]
    fn copy_sign(self, magnitude: __m256, sign: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_or_ps(self.abs(magnitude), _mm256_and_ps(_mm256_set1_ps(-0.0), sign)) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn sqrt(self, x: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_sqrt_ps(x) }
    }

    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn lt(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
    }

    #[inline(always)]
    fn le(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
    }

    #[inline(always)]
    fn eq(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }

    #[inline(always)]
    fn mask_first(self, n: usize) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_castsi256_ps(tail_mask(self, n.min(Self::LANES))) }
    }

    #[inline(always)]
    fn mask_and(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_and_ps(a, b) }
    }

    #[inline(always)]
    fn mask_or(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_or_ps(a, b) }
    }

    #[inline(always)]
    fn mask_not(self, a: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1))) }
    }

    #[inline(always)]
    fn any(self, mask: __m256) -> bool {
        // SAFETY: as in `splat`.
        unsafe { _mm256_movemask_ps(mask) != 0 }
    }

    #[inline(always)]
    fn select(self, mask: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_blendv_ps(b, a, mask) }
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(x))) }
    }

    #[inline(always)]
    fn split(self, x: __m256) -> (__m256, __m256) {
        // SAFETY: as in `splat`.
        unsafe {
            let bits = _mm256_castps_si256(x);
            let exponent = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, _mm256_set1_epi32(SQRT_HALF_BITS)));
            let mantissa = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(exponent));
            (_mm256_castsi256_ps(mantissa), _mm256_cvtepi32_ps(exponent))
        }
    }

    #[inline(always)]
    fn reduce_add(self, x: __m256) -> f32 {
        // SAFETY: as in `splat`.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    fn reduce_max(self, x: __m256) -> f32 {
        // SAFETY: as in `splat`.
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
    }
}
