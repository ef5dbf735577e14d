//! Matrix products: one register-tiled micro-kernel, generic over the instruction set, with an epilogue that takes each
//! finished row of a tile while it is in registers.
//!
//! Every element of a product is one chain of multiply-adds in increasing k that starts from its initial value.
//! How rows and columns were divided into tiles, blocks, calls or threads never changes a bit of it.

mod packed;
mod tiles;

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

pub use packed::Packed;
use packed::{Buffer, PLAIN_VECTORS, pack_columns};
pub use tiles::{Epilogue, tiles};
use tiles::{Operands, sweep_rows};

use crate::dispatch::{Level, dispatch};
use crate::isa::{Isa, Kernel};

/// A matrix to read: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub struct MatrixRef<'a> {
    data: *const f32,
    /// Values that may be read from `data` on, and before it.
    len: usize,
    before: usize,
    row_stride: isize,
    column_stride: isize,
    borrow: PhantomData<&'a [f32]>,
}

impl<'a> MatrixRef<'a> {
    /// A view of a slice.
    #[must_use]
    pub fn new(data: &'a [f32], row_stride: usize, column_stride: usize) -> Self {
        // SAFETY: the slice is valid, and borrowed, for as long as the view.
        unsafe { Self::from_raw(data.as_ptr(), data.len(), row_stride, column_stride) }
    }

    /// A view of `len` values from `data` on, of which only the elements of the product are accessed: so other threads may
    /// write between them.
    ///
    /// # Safety
    /// `data` is valid for `len` values during `'a`, and while the view is used nothing writes the elements that [`gemm`] is
    /// asked to read.
    #[must_use]
    pub unsafe fn from_raw(data: *const f32, len: usize, row_stride: usize, column_stride: usize) -> Self {
        let (row_stride, column_stride) = (row_stride as isize, column_stride as isize);
        Self { data, len, before: 0, row_stride, column_stride, borrow: PhantomData }
    }

    /// The first `rows` rows, the last one first. As the right operand of a product, beside a left one with
    /// [`reversed_columns`](Self::reversed_columns), it makes the sums run from the last k to the first.
    #[must_use]
    pub fn reversed_rows(self, rows: usize) -> Self {
        Self { row_stride: -self.row_stride, ..self.moved(rows, self.row_stride) }
    }

    /// The first `columns` columns, the last one first.
    #[must_use]
    pub fn reversed_columns(self, columns: usize) -> Self {
        Self { column_stride: -self.column_stride, ..self.moved(columns, self.column_stride) }
    }

    /// The view from the last of `count` rows or columns on, which lie a positive stride apart.
    fn moved(self, count: usize, stride: isize) -> Self {
        let distance = count.saturating_sub(1) * stride as usize;
        let Some(len) = self.len.checked_sub(distance) else {
            panic!("{count} rows or columns at a distance of {stride} need {distance} values, got {}", self.len)
        };
        Self { data: self.data.wrapping_add(distance), len, before: self.before + distance, ..self }
    }

    fn check(&self, rows: usize, columns: usize, name: &str) {
        if rows > 0 && columns > 0 {
            let (mut before, mut needed) = (0, 1);
            for (count, stride) in [(rows, self.row_stride), (columns, self.column_stride)] {
                *(if stride < 0 { &mut before } else { &mut needed }) += (count - 1) * stride.unsigned_abs();
            }
            assert!(
                needed <= self.len && before <= self.before,
                "{name} of {rows} x {columns} with strides {} and {} needs {} values, got {}",
                self.row_stride,
                self.column_stride,
                before + needed,
                self.before + self.len
            );
        }
    }
}

// SAFETY: the view reads like the `&[f32]` that it stands for; `from_raw` asks its caller for the same.
unsafe impl Send for MatrixRef<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for MatrixRef<'_> {}

/// A matrix to write, of consecutive columns: element (i, j) is `data[i * row_stride + j]`.
pub struct MatrixMut<'a> {
    data: *mut f32,
    len: usize,
    row_stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

impl<'a> MatrixMut<'a> {
    /// A view of a slice.
    #[must_use]
    pub fn new(data: &'a mut [f32], row_stride: usize) -> Self {
        let (len, data) = (data.len(), data.as_mut_ptr());
        Self { data, len, row_stride, borrow: PhantomData }
    }

    /// A view of `len` values from `data` on, of which only the elements of the product are accessed: so threads can
    /// write disjoint blocks of columns of one matrix.
    ///
    /// # Safety
    /// `data` is valid for `len` values during `'a`, and while the view is used nothing else accesses the elements that
    /// [`gemm`] is asked to write.
    #[must_use]
    pub unsafe fn from_raw(data: *mut f32, len: usize, row_stride: usize) -> Self {
        Self { data, len, row_stride, borrow: PhantomData }
    }
}

// SAFETY: the view writes like the `&mut [f32]` that it stands for; `from_raw` asks its caller for the same.
unsafe impl Send for MatrixMut<'_> {}

/// The right operand of [`gemm`].
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    /// Packed by [`Packed::plain`].
    Packed(&'a Packed),
    /// As it lies in memory; packed on the way, in parts that fit the cache.
    Matrix(MatrixRef<'a>),
}

/// What [`gemm`] adds the product to.
#[derive(Clone, Copy)]
pub enum Init<'a> {
    /// Nothing.
    Zero,
    /// The values that the result already holds.
    Accumulate,
    /// One value for each column.
    Bias(&'a [f32]),
}

/// Length of the part of the chains that is run in one go: 256 k of a block of two vectors of eight fill half of a 32 KiB L1
/// cache.
const K_CHUNK: usize = 256;
/// Values of A and B that are read as they lie, together three quarters of a 32 KiB L1 cache.
const DIRECT_VALUES: usize = 6144;
/// Shortest part of the chains for which this pays: C is loaded and stored once for each.
const DIRECT_K_CHUNK: usize = 64;
/// Columns whose packed part (256 KiB) stays in the L2 cache.
const COLUMN_CHUNK: usize = 256;
/// Rows whose part (120 KiB) stays in the L2 cache beside it: a multiple of both tile heights.
const ROW_CHUNK: usize = 120;

/// C = init + A B, on one thread; C is `m x n`, A is `m x k`, B is `k x n`. To share the work among threads, call it for
/// parts of the rows or of the columns.
///
/// # Panics
/// An operand is too short, B was packed for another level, shape or number of vectors, or this CPU does not support
/// `level`.
#[expect(clippy::needless_pass_by_value, reason = "C is used up: the view is as unique as a `&mut`")]
pub fn gemm(
    level: Level,
    m: usize,
    n: usize,
    k: usize,
    a: MatrixRef<'_>,
    b: Operand<'_>,
    init: Init<'_>,
    c: MatrixMut<'_>,
) {
    a.check(m, k, "a");
    match b {
        Operand::Packed(b) => assert!(
            b.level() == level && b.gates == 1 && b.k() == k && b.columns() == n,
            "b must be a plain packing of {k} x {n} for {level}, got {} x {} of {} gates for {}",
            b.k(),
            b.columns(),
            b.gates,
            b.level()
        ),
        Operand::Matrix(b) => b.check(k, n, "b"),
    }
    if let Init::Bias(bias) = init {
        assert!(bias.len() == n, "bias must have {n} values, got {}", bias.len());
    }
    // SAFETY: the view is not read, only measured.
    unsafe { MatrixRef::from_raw(c.data, c.len, c.row_stride, 1) }.check(m, n, "c");
    let mut scratch = SCRATCH.take();
    dispatch(level, Gemm { m, n, k, a, b, init, c: c.data, c_row: c.row_stride, scratch: &mut scratch });
    SCRATCH.set(scratch);
}

/// Packed parts of A and B.
struct Scratch {
    a: Buffer,
    b: Buffer,
}

impl Default for Scratch {
    fn default() -> Self {
        EMPTY
    }
}

const EMPTY: Scratch = Scratch { a: Buffer::new(), b: Buffer::new() };

thread_local! {
    /// Kept between calls, so that a training step allocates nothing.
    static SCRATCH: Cell<Scratch> = const { Cell::new(EMPTY) };
}

struct Gemm<'a> {
    m: usize,
    n: usize,
    k: usize,
    a: MatrixRef<'a>,
    b: Operand<'a>,
    init: Init<'a>,
    c: *mut f32,
    c_row: usize,
    scratch: &'a mut Scratch,
}

impl Kernel for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self, isa: I) {
        if I::REGISTERS >= 32 { self.chunks::<I, 12>(isa) } else { self.chunks::<I, 6>(isa) }
    }
}

impl Gemm<'_> {
    /// Goes through chunks of k, and in each through chunks of columns, then of rows, with tiles of MR rows.
    #[inline(always)]
    fn chunks<I: Isa, const MR: usize>(&mut self, isa: I) {
        let k_chunk = self.direct_k_chunk::<MR>().unwrap_or(K_CHUNK);
        let mut k = 0;
        // A product over no k at all still writes the initial values.
        loop {
            let ks = k..self.k.min(k + k_chunk);
            k = ks.end;
            for column in (0..self.n).step_by(COLUMN_CHUNK) {
                let columns = column..self.n.min(column + COLUMN_CHUNK);
                // SAFETY: `gemm` checked that all operands hold their elements.
                unsafe { self.chunk::<I, MR>(isa, ks.clone(), columns) };
            }
            if k == self.k {
                break;
            }
        }
    }

    /// Length of a chunk of k for operands that are better read as they lie than packed: packing costs as much as one row of
    /// the product, which is too much for few rows, and for narrow matrices of which such a chunk fits the L1 cache.
    fn direct_k_chunk<const MR: usize>(&self) -> Option<usize> {
        let Operand::Matrix(b) = self.b else { return None };
        if b.column_stride != 1 {
            return None;
        }
        if self.m <= MR {
            return Some(K_CHUNK);
        }
        let k_chunk = DIRECT_VALUES / (self.a.column_stride.unsigned_abs() + b.row_stride.unsigned_abs()).max(1);
        (self.a.row_stride == 1 && k_chunk >= DIRECT_K_CHUNK).then_some(k_chunk)
    }

    /// Adds the part of the product over `ks` to `columns` of C, or to their initial values.
    ///
    /// # Safety
    /// The operands hold their elements.
    #[inline(always)]
    unsafe fn chunk<I: Isa, const MR: usize>(&mut self, isa: I, ks: Range<usize>, columns: Range<usize>) {
        let init = match self.init {
            _ if ks.start > 0 => Init::Accumulate,
            Init::Bias(bias) => Init::Bias(&bias[columns.clone()]),
            other => other,
        };
        let width = PLAIN_VECTORS * I::LANES;
        let (k, blocks) = (ks.len(), columns.len().div_ceil(width));
        let mut store =
            Store { c: self.c.wrapping_add(columns.start), c_row: self.c_row, columns: columns.len(), init };
        // SAFETY: passed on from the caller.
        unsafe {
            let a = self.a.data.wrapping_offset(ks.start as isize * self.a.column_stride);
            let (a_row, a_k) = (self.a.row_stride, self.a.column_stride);
            let direct = Operands { a, a_row, a_gap: 0, a_k, b: a, b_block: 0, b_k: 0, k };

            let (b, b_block, packed_from) = match self.b {
                Operand::Packed(b) => (
                    b.data.as_ptr().wrapping_add((columns.start / width * self.k + ks.start) * width),
                    self.k * width,
                    0,
                ),
                Operand::Matrix(b) => {
                    // A last block of fewer columns is packed in any case, with zeros behind them.
                    let direct_blocks = if self.direct_k_chunk::<MR>().is_some() { columns.len() / width } else { 0 };
                    let first = b.data.wrapping_offset(ks.start as isize * b.row_stride).wrapping_add(columns.start);
                    let operands = Operands { b: first, b_block: width, b_k: b.row_stride, ..direct };
                    sweep_rows::<I, PLAIN_VECTORS, MR, 4, _>(isa, 0..self.m, 0..direct_blocks, operands, &mut store);

                    let packed_blocks = blocks - direct_blocks;
                    self.scratch.b.grow(packed_blocks * k * width);
                    let target = self.scratch.b.as_mut_ptr();
                    let rest = columns.start + direct_blocks * width..columns.end;
                    pack_columns(isa, b, ks.clone(), rest, target, packed_blocks, PLAIN_VECTORS, 0..PLAIN_VECTORS);
                    // So that block `direct_blocks` is the first of the packed ones.
                    (target.cast_const().wrapping_sub(direct_blocks * k * width), k * width, direct_blocks)
                }
            };
            if packed_from == blocks {
                return;
            }
            for row in (0..self.m).step_by(ROW_CHUNK) {
                let rows = row..self.m.min(row + ROW_CHUNK);
                let blocks = packed_from..blocks;
                let operands = Operands { b, b_block, b_k: width as isize, ..direct };
                if a_k == 1 {
                    let operands = Operands { a_k: 1, ..operands };
                    sweep_rows::<I, PLAIN_VECTORS, MR, 4, _>(isa, rows, blocks, operands, &mut store);
                } else {
                    self.scratch.a.grow(rows.len().next_multiple_of(MR) * k);
                    let target = self.scratch.a.as_mut_ptr();
                    pack_rows::<MR>(self.a, rows.clone(), ks.clone(), target);
                    // So that row `rows.start` is the first of the packed ones.
                    let a = target.cast_const().wrapping_sub(rows.start * k);
                    let operands =
                        Operands { a, a_row: 1, a_k: MR as isize, a_gap: MR * k.saturating_sub(1), ..operands };
                    sweep_rows::<I, PLAIN_VECTORS, MR, 4, _>(isa, rows, blocks, operands, &mut store);
                }
            }
        }
    }
}

/// Copies rows of A to `[tile][k][row of the tile]`.
///
/// # Safety
/// The rows and ks lie inside `source`, and `target` is valid for writing `k` values for each row of each tile.
#[inline(always)]
unsafe fn pack_rows<const MR: usize>(source: MatrixRef<'_>, rows: Range<usize>, ks: Range<usize>, target: *mut f32) {
    let len = ks.len();
    for (i, k) in ks.enumerate() {
        for (tile, row) in rows.clone().step_by(MR).enumerate() {
            let (first, second) = (row as isize * source.row_stride, k as isize * source.column_stride);
            let from = source.data.wrapping_offset(first + second);
            let to = target.wrapping_add((tile * len + i) * MR);
            let count = MR.min(rows.end - row);
            // SAFETY: the caller ensures that these elements are inside the source, and the target is writable.
            unsafe {
                if count == MR && source.row_stride == 1 {
                    from.copy_to_nonoverlapping(to, MR);
                } else {
                    for r in 0..count {
                        *to.add(r) = *from.offset(r as isize * source.row_stride);
                    }
                }
            }
        }
    }
}

/// The epilogue of [`gemm`]: the sums go to C.
struct Store<'a> {
    c: *mut f32,
    c_row: usize,
    columns: usize,
    init: Init<'a>,
}

impl<I: Isa> Epilogue<I, PLAIN_VECTORS> for Store<'_> {
    #[inline(always)]
    fn init(&self, isa: I, row: usize, block: usize) -> [I::F32; PLAIN_VECTORS] {
        let mut sums = [isa.zero(); PLAIN_VECTORS];
        let from = match self.init {
            Init::Zero => return sums,
            Init::Accumulate => self.c.wrapping_add(row * self.c_row).cast_const(),
            Init::Bias(bias) => bias.as_ptr(),
        };
        for (v, sum) in sums.iter_mut().enumerate() {
            let column = (block * PLAIN_VECTORS + v) * I::LANES;
            let count = self.columns.saturating_sub(column).min(I::LANES);
            // SAFETY: C and the bias have `columns` columns, as `gemm` checked.
            *sum = unsafe { isa.load_partial(from.wrapping_add(column), count) };
        }
        sums
    }

    #[inline(always)]
    fn finish(&mut self, isa: I, row: usize, block: usize, acc: [I::F32; PLAIN_VECTORS]) {
        for (v, sum) in acc.into_iter().enumerate() {
            let column = (block * PLAIN_VECTORS + v) * I::LANES;
            let count = self.columns.saturating_sub(column).min(I::LANES);
            // SAFETY: C has `columns` columns, as `gemm` checked.
            unsafe { isa.store_partial(self.c.wrapping_add(row * self.c_row + column), sum, count) };
        }
    }
}
