//! Right operands in the order in which the micro-kernel reads them.

use std::ops::Range;

use super::MatrixRef;
use crate::dispatch::{Level, dispatch};
use crate::isa::{Isa, Kernel};

/// Vectors in a block of a plain packed matrix.
pub(super) const PLAIN_VECTORS: usize = 2;

/// One cache line of values.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A buffer that starts on a cache line.
#[derive(Clone, Default)]
pub(super) struct Buffer(Vec<Line>);

impl Buffer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Grows to `len` values or more; what is in them is unspecified.
    pub(super) fn grow(&mut self, len: usize) {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; 16]));
        }
    }

    pub(super) fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

/// The right operand of a product, rearranged so that the micro-kernel reads it from front to back.
///
/// The columns are cut into blocks of some vectors. The layout is `[block][k][vector][lane]`, from a cache line on, with
/// zeros in the lanes that have no column.
#[derive(Clone)]
pub struct Packed {
    pub(super) data: Buffer,
    k: usize,
    /// Columns of the source: `gates * units`.
    columns: usize,
    pub(super) gates: usize,
    blocks: usize,
    vectors: usize,
    level: Level,
}

impl Packed {
    /// Packs a `k x n` matrix whose element (i, j) is `b[i * row_stride + j * column_stride]`: so a transposed matrix packs
    /// too. A block holds two vectors of consecutive columns: lane l of vector v in block j is column
    /// (2 j + v) lanes + l.
    ///
    /// # Panics
    /// `b` is too short, or this CPU does not support `level`.
    #[must_use]
    pub fn plain(level: Level, b: &[f32], k: usize, n: usize, row_stride: usize, column_stride: usize) -> Self {
        Self::interleaved(level, b, k, 1, n, row_stride, column_stride)
    }

    /// Packs a `k x (gates * units)` matrix, whose columns are the units of gate 0, then those of gate 1 and so on, so that
    /// one block holds all gates of the same units: lane l of vector v in block j is gate v of unit j lanes + l. With one
    /// gate this is [`plain`](Self::plain).
    ///
    /// # Panics
    /// `gates` is not in 1..=4, `b` is too short, or this CPU does not support `level`.
    #[must_use]
    pub fn interleaved(
        level: Level,
        b: &[f32],
        k: usize,
        gates: usize,
        units: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Self {
        assert!((1..=4).contains(&gates), "gates must be in 1..=4, got {gates}");
        let vectors = if gates == 1 { PLAIN_VECTORS } else { gates };
        let units_per_block = vectors / gates * level.lanes();
        let blocks = units.div_ceil(units_per_block);
        let mut data = Buffer::default();
        data.grow(blocks * k * vectors * level.lanes());
        let mut packed = Self { data, k, columns: gates * units, gates, blocks, vectors, level };
        packed.repack(b, row_stride, column_stride);
        packed
    }

    /// Packs other values of the same shape, in place.
    ///
    /// # Panics
    /// `b` is too short.
    pub fn repack(&mut self, b: &[f32], row_stride: usize, column_stride: usize) {
        let source = MatrixRef::new(b, row_stride, column_stride);
        source.check(self.k, self.columns, "b");
        dispatch(self.level, Repack { packed: self, source });
    }

    /// The level that the layout is for.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Rows of the source.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of the source.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Blocks that the columns fill.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Vectors in a block.
    #[must_use]
    pub fn vectors(&self) -> usize {
        self.vectors
    }

    /// The packed values, `[block][k][vector][lane]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        let len = self.blocks * self.k * self.vectors * self.level.lanes();
        // SAFETY: `interleaved` grew the buffer to this many values.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), len) }
    }
}

struct Repack<'a, 'b> {
    packed: &'a mut Packed,
    source: MatrixRef<'b>,
}

impl Kernel for Repack<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let Packed { ref mut data, k, columns, gates, blocks, vectors, .. } = *self.packed;
        let units = columns / gates;
        let per_gate = vectors / gates;
        for gate in 0..gates {
            let columns = gate * units..(gate + 1) * units;
            let place = gate * per_gate..(gate + 1) * per_gate;
            // SAFETY: `check` in `repack` found all of the source's columns inside its slice, and `interleaved` gave the
            // buffer room for the blocks.
            unsafe { pack_columns(isa, self.source, 0..k, columns, data.as_mut_ptr(), blocks, vectors, place) };
        }
    }
}

/// Packs `columns` of `rows` into the vectors `place` of each of `blocks` blocks of `vectors` vectors at `target`, with zeros
/// behind the last column.
///
/// # Safety
/// The columns and rows lie inside `source`, and `target` is valid for writing the blocks.
#[inline(always)]
pub(super) unsafe fn pack_columns<I: Isa>(
    isa: I,
    source: MatrixRef<'_>,
    rows: Range<usize>,
    columns: Range<usize>,
    target: *mut f32,
    blocks: usize,
    vectors: usize,
    place: Range<usize>,
) {
    let len = rows.len();
    let target =
        |i: usize, block: usize, vector: usize| target.wrapping_add(((block * len + i) * vectors + vector) * I::LANES);
    let column = |block: usize, vector: usize| columns.start + (block * place.len() + vector - place.start) * I::LANES;
    // The source is read along its memory, whichever way that goes.
    // SAFETY: passed on from the caller.
    unsafe {
        if source.column_stride == 1 {
            for (i, row) in rows.enumerate() {
                for block in 0..blocks {
                    for vector in place.clone() {
                        let columns = column(block, vector)..columns.end;
                        pack_vector(isa, source, row, columns, target(i, block, vector));
                    }
                }
            }
        } else {
            for block in 0..blocks {
                for vector in place.clone() {
                    let columns = column(block, vector)..columns.end;
                    for (i, row) in rows.clone().enumerate() {
                        pack_vector(isa, source, row, columns.clone(), target(i, block, vector));
                    }
                }
            }
        }
    }
}

/// Copies the first `LANES` of `columns` of a row, with zeros behind the last one.
///
/// # Safety
/// The columns and the row lie inside `source`, and `target` is valid for writing `LANES` values.
#[inline(always)]
unsafe fn pack_vector<I: Isa>(isa: I, source: MatrixRef<'_>, row: usize, columns: Range<usize>, target: *mut f32) {
    let (first, second) = (row as isize * source.row_stride, columns.start as isize * source.column_stride);
    let from = source.data.wrapping_offset(first + second);
    let count = columns.len().min(I::LANES);
    // SAFETY: passed on from the caller.
    unsafe {
        if source.column_stride == 1 {
            isa.store(target, isa.load_partial(from, count));
        } else {
            for lane in 0..I::LANES {
                *target.add(lane) = if lane < count { *from.offset(lane as isize * source.column_stride) } else { 0.0 };
            }
        }
    }
}
