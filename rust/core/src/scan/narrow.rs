//! The recurrent projection of Sak et al. 2014 ("Long short-term memory recurrent neural network architectures for large scale
//! acoustic modeling", section 2.2), as in PyTorch's `LSTM(proj_size=)`: h is shorter than c.
//!
//! ```text
//! h = m·P           dm = dh·Pᵀ           dP = Σ mᵀ·dh
//! ```
//! `m` is what the cell makes of its states, for the LSTM `o ∘ act(c)`; h is what it sees at the next step, what zoneout mixes
//! with the h before, and the layer's output. The product stands behind the cell, so that the cell's file knows nothing of it.

use super::States;
use super::products::{AddState, Product};
use foliot_simd::dispatch::{Level, dispatch};
use foliot_simd::gemm::Packed;
use std::ptr;

/// P (units, width).
pub struct NarrowWeights {
    /// P
    pub forward: Packed,
    /// Pᵀ
    pub backward: Packed,
}

impl NarrowWeights {
    /// Packs a kernel (units, width).
    #[must_use]
    pub fn pack(level: Level, kernel: &[f32], units: usize, width: usize) -> Self {
        Self {
            forward: Packed::plain(level, kernel, units, width, width, 1),
            backward: Packed::plain(level, kernel, width, units, 1, width),
        }
    }
}

/// What makes h of a cell's output.
#[derive(Clone, Copy)]
pub struct Narrow<'a> {
    /// The kernel.
    pub weights: &'a NarrowWeights,
    /// m of the scan's steps.
    pub made: States,
}

impl Narrow<'_> {
    /// h of some rows of m.
    ///
    /// # Safety
    /// The rows of m are made, those of h are there to write, and nobody else works on them.
    pub(super) unsafe fn forward(&self, level: Level, rows: (usize, usize), made: *mut f32, h: *mut f32) {
        let b = &self.weights.forward;
        let epilogue = AddState { carry: h, width: b.columns(), keeps: false, mask: ptr::null() };
        dispatch(level, Product { rows, a: made.cast_const(), stride: b.k(), b, runs: &[], epilogue });
    }

    /// Moves dL/dh of some rows from the `carry` to where they are `kept`, and makes dL/dm of them.
    ///
    /// # Safety
    /// All arrays have these rows, and nobody else works on them.
    pub(super) unsafe fn backward(
        &self,
        level: Level,
        rows: (usize, usize),
        carry: *mut f32,
        kept: *mut f32,
        made: *mut f32,
    ) {
        let b = &self.weights.backward;
        for element in rows.0 * b.k()..rows.1 * b.k() {
            // SAFETY: by the caller's promise.
            unsafe {
                *kept.add(element) = *carry.add(element);
                *carry.add(element) = 0.0;
            }
        }
        let epilogue = AddState { carry: made, width: b.columns(), keeps: false, mask: ptr::null() };
        dispatch(level, Product { rows, a: kept.cast_const(), stride: b.k(), b, runs: &[], epilogue });
    }
}
