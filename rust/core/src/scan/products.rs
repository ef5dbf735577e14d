//! Products with plain epilogues, which all cells share.

use crate::cells::panels::Run;
use crate::cells::{self, Store, place};
use foliot_simd::gemm::{self, Epilogue, Packed};
use foliot_simd::isa::{Isa, Kernel};

/// A product with a plain epilogue.
pub(super) struct Product<'a, E> {
    pub(super) rows: (usize, usize),
    pub(super) a: *const f32,
    /// From one row to the next.
    pub(super) stride: usize,
    pub(super) b: &'a Packed,
    /// Which rows of `b` its blocks have; empty if all have all.
    pub(super) runs: &'a [Run],
    pub(super) epilogue: E,
}

macro_rules! shared_product {
    ($epilogue:ty) => {
        impl Kernel for Product<'_, $epilogue> {
            type Output = ();

            #[inline(always)]
            fn run<I: Isa>(mut self, isa: I) {
                let whole = [Run { blocks: 0..self.b.blocks(), first: 0, k: self.b.k() }];
                for run in if self.runs.is_empty() { &whole[..] } else { self.runs } {
                    let (rows, blocks, epilogue) = (cells::range(self.rows), run.blocks.clone(), &mut self.epilogue);
                    let a = self.a.wrapping_add(run.first);
                    // SAFETY: whoever makes a `Product` gives arrays with these rows.
                    unsafe { gemm::tiles(isa, rows, a, self.stride, 1, run.k, self.b, blocks, epilogue) };
                }
            }
        }
    };
}

shared_product!(Store);
shared_product!(AddState);

/// carry = [carry +] product [∘ mask]
pub(super) struct AddState {
    pub(super) carry: *mut f32,
    /// The length of its rows.
    pub(super) width: usize,
    pub(super) keeps: bool,
    pub(super) mask: *const f32,
}

impl<I: Isa> Epilogue<I, 2> for AddState {
    #[inline(always)]
    fn init(&self, isa: I, _row: usize, _block: usize) -> [I::F32; 2] {
        [isa.zero(); 2]
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, product: [I::F32; 2]) {
        for vector in 0..2 {
            let (column, n) = place::<I>(block, vector, self.width);
            if n == 0 {
                continue;
            }
            let index = row * self.width + column;
            let mut sum = product[vector];
            // SAFETY: the carry and the mask hold `width` values in this row.
            unsafe {
                if !self.mask.is_null() {
                    sum = isa.mul(sum, isa.load_partial(self.mask.add(index), n));
                }
                if self.keeps {
                    sum = isa.add(sum, isa.load_partial(self.carry.add(index), n));
                }
                isa.store_partial(self.carry.add(index), sum, n);
            }
        }
    }
}
