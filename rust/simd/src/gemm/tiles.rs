//! The micro-kernel and its way through rows and blocks.

use std::ops::Range;

use super::Packed;
use crate::isa::Isa;

/// What [`tiles`] starts a row of a tile from, and what it does with a finished one. `row` is the absolute row, `block` the
/// packed block. A row belongs to one tile for each block; the order of rows and blocks is unspecified.
pub trait Epilogue<I: Isa, const NV: usize> {
    /// The initial values of the sums. Mark the implementation `#[inline(always)]`.
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; NV];
    /// Takes the sums. Mark the implementation `#[inline(always)]`.
    fn finish(&mut self, isa: I, row: usize, block: usize, acc: [I::F32; NV]);
}

/// Where the micro-kernel finds its operands, in values.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub(super) a: *const f32,
    /// From one row of A to the next.
    pub(super) a_row: isize,
    /// What lies between tiles of MR rows of A; none unless A is packed.
    pub(super) a_gap: usize,
    /// From one k of A to the next.
    pub(super) a_k: isize,
    pub(super) b: *const f32,
    /// From one block of B to the next.
    pub(super) b_block: usize,
    /// From one k of B to the next.
    pub(super) b_k: isize,
    pub(super) k: usize,
}

impl Operands {
    #[inline(always)]
    fn skip_gaps(self, tiles: usize) -> Self {
        Self { a: self.a.wrapping_add(tiles * self.a_gap), ..self }
    }
}

/// For every block and every row: `init`, plus the sum over k of `a[row * row_stride + k * k_stride] * b[block][k]`, then
/// `finish`.
///
/// # Safety
/// `a` must be valid for reading the elements of `rows` and `0..k`.
///
/// # Panics
/// `b` was packed for another level or number of vectors or has fewer than `k` rows, or `blocks` exceeds it.
#[inline(always)]
pub unsafe fn tiles<I: Isa, const NV: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    a: *const f32,
    row_stride: usize,
    k_stride: usize,
    k: usize,
    b: &Packed,
    blocks: Range<usize>,
    epilogue: &mut E,
) {
    assert!(b.level() == I::LEVEL && b.vectors() == NV, "b was packed for {} and {} vectors", b.level(), b.vectors());
    assert!(k <= b.k() && blocks.end <= b.blocks(), "b has {} rows and {} blocks", b.k(), b.blocks());
    let width = NV * I::LANES;
    let operands = Operands {
        a,
        a_row: row_stride as isize,
        a_gap: 0,
        a_k: k_stride as isize,
        b: b.data.as_ptr(),
        b_block: b.k() * width,
        b_k: width as isize,
        k,
    };
    // SAFETY: the caller answers for A; B was checked above.
    unsafe { sweep::<I, NV, E>(isa, rows, blocks, operands, epilogue) }
}

/// Goes through all tiles with the tallest tile whose sums, with one row or column of operands, fit the registers.
///
/// # Safety
/// The operands hold the elements of these rows and blocks.
#[inline(always)]
unsafe fn sweep<I: Isa, const NV: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    blocks: Range<usize>,
    operands: Operands,
    epilogue: &mut E,
) {
    const { assert!(2 <= NV && NV <= 4, "a block has 2 to 4 vectors") };
    // SAFETY: passed on from the caller.
    unsafe {
        // Constant conditions, one by one: the compiler then makes no code for the shapes of other register files, which
        // every epilogue would otherwise pay for several times over.
        if const { I::REGISTERS >= 32 } {
            if const { NV == 2 } {
                sweep_rows::<I, NV, 12, 4, E>(isa, rows, blocks, operands, epilogue);
            } else if const { NV == 3 } {
                sweep_rows::<I, NV, 8, 3, E>(isa, rows, blocks, operands, epilogue);
            } else {
                sweep_rows::<I, NV, 6, 2, E>(isa, rows, blocks, operands, epilogue);
            }
        } else if const { NV == 2 } {
            sweep_rows::<I, NV, 6, 4, E>(isa, rows, blocks, operands, epilogue);
        } else if const { NV == 3 } {
            sweep_rows::<I, NV, 3, 3, E>(isa, rows, blocks, operands, epilogue);
        } else {
            sweep_rows::<I, NV, 3, 2, E>(isa, rows, blocks, operands, epilogue);
        }
    }
}

/// Goes through groups of blocks, and in each through tiles of MR rows, then of 4, 2 and 1.
///
/// A CPU that starts two multiply-adds a cycle and needs four cycles for one is busy with eight sums at least. So a
/// single row runs through all NB blocks of a group at once, and two rows through two blocks where these are narrow.
///
/// # Safety
/// As for [`sweep`].
#[inline(always)]
pub(super) unsafe fn sweep_rows<I: Isa, const NV: usize, const MR: usize, const NB: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    blocks: Range<usize>,
    operands: Operands,
    epilogue: &mut E,
) {
    let mut next = blocks.start;
    while next < blocks.end {
        let group = next..blocks.end.min(next + NB);
        next = group.end;
        let mut tail = rows.start;
        // SAFETY: passed on from the caller.
        unsafe {
            for block in group.clone() {
                let mut row = rows.start;
                while row + MR <= rows.end {
                    tile::<I, NV, MR, 1, E>(isa, row, block, operands.skip_gaps(row / MR), epilogue);
                    row += MR;
                }
                if const { MR > 4 } {
                    while row + 4 <= rows.end {
                        tile::<I, NV, 4, 1, E>(isa, row, block, operands.skip_gaps(row / MR), epilogue);
                        row += 4;
                    }
                }
                tail = row;
            }
            let mut block = group.start;
            if tail + 2 <= rows.end {
                while const { NV == 2 } && block + 2 <= group.end {
                    tile::<I, NV, 2, 2, E>(isa, tail, block, operands.skip_gaps(tail / MR), epilogue);
                    block += 2;
                }
                while block < group.end {
                    tile::<I, NV, 2, 1, E>(isa, tail, block, operands.skip_gaps(tail / MR), epilogue);
                    block += 1;
                }
                (tail, block) = (tail + 2, group.start);
            }
            if tail < rows.end {
                if group.len() == NB {
                    tile::<I, NV, 1, NB, E>(isa, tail, block, operands.skip_gaps(tail / MR), epilogue);
                    continue;
                }
                while block < group.end {
                    tile::<I, NV, 1, 1, E>(isa, tail, block, operands.skip_gaps(tail / MR), epilogue);
                    block += 1;
                }
            }
        }
    }
}

/// The micro-kernel: sums of MR rows by NB blocks of NV vectors, in registers.
///
/// # Safety
/// The operands hold the elements of these rows and blocks.
#[inline(always)]
unsafe fn tile<I: Isa, const NV: usize, const MR: usize, const NB: usize, E: Epilogue<I, NV>>(
    isa: I,
    row: usize,
    block: usize,
    operands: Operands,
    epilogue: &mut E,
) {
    let mut sums = [[[isa.zero(); NV]; NB]; MR];
    for (r, sums) in sums.iter_mut().enumerate() {
        for (j, sums) in sums.iter_mut().enumerate() {
            *sums = epilogue.init(isa, row + r, block + j);
        }
    }
    let Operands { a_row, a_k, b_block, b_k, k, .. } = operands;
    let mut a = operands.a.wrapping_offset(row as isize * a_row);
    let mut b = operands.b.wrapping_add(block * b_block);
    // Where the sums and operands of one step take all registers, the steps must not be unrolled: the compiler would
    // load for the next step early and spill a sum, which doubles the time.
    let spare = MR * NB * NV + MR.min(NB * NV) + 1 < I::REGISTERS;
    let unrolled = if spare { k - k % 4 } else { 0 };
    for _ in 0..unrolled / 4 {
        for i in 0..4 {
            let (a, b) = (a.wrapping_offset(i * a_k), b.wrapping_offset(i * b_k));
            // SAFETY: passed on from the caller.
            unsafe { multiply_add(isa, a, a_row, b, b_block, &mut sums) };
        }
        (a, b) = (a.wrapping_offset(4 * a_k), b.wrapping_offset(4 * b_k));
    }
    for _ in unrolled..k {
        // SAFETY: passed on from the caller.
        unsafe { multiply_add(isa, a, a_row, b, b_block, &mut sums) };
        (a, b) = (a.wrapping_offset(a_k), b.wrapping_offset(b_k));
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (j, sums) in sums.into_iter().enumerate() {
            epilogue.finish(isa, row + r, block + j, sums);
        }
    }
}

/// Adds the products of MR values of A and NB times NV vectors of B to the sums.
///
/// # Safety
/// `a` and `b` point to the operands of one k.
#[inline(always)]
unsafe fn multiply_add<I: Isa, const NV: usize, const MR: usize, const NB: usize>(
    isa: I,
    a: *const f32,
    a_row: isize,
    b: *const f32,
    b_block: usize,
    sums: &mut [[[I::F32; NV]; NB]; MR],
) {
    // The fewer operands wait in registers, the others pass through one.
    // SAFETY: passed on from the caller.
    unsafe {
        if MR > NB * NV {
            let mut vectors = [[isa.zero(); NV]; NB];
            for (j, vectors) in vectors.iter_mut().enumerate() {
                for (v, vector) in vectors.iter_mut().enumerate() {
                    *vector = isa.load(b.add(j * b_block + v * I::LANES));
                }
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let value = isa.splat(*a.offset(r as isize * a_row));
                for (sums, vectors) in sums.iter_mut().zip(&vectors) {
                    for (sum, &vector) in sums.iter_mut().zip(vectors) {
                        *sum = isa.mul_add(value, vector, *sum);
                    }
                }
            }
        } else {
            let mut values = [isa.zero(); MR];
            for (r, value) in values.iter_mut().enumerate() {
                *value = isa.splat(*a.offset(r as isize * a_row));
            }
            for j in 0..NB {
                for v in 0..NV {
                    let vector = isa.load(b.add(j * b_block + v * I::LANES));
                    for (sums, &value) in sums.iter_mut().zip(&values) {
                        sums[j][v] = isa.mul_add(value, vector, sums[j][v]);
                    }
                }
            }
        }
    }
}
