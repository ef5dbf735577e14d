//! Matrix products: one register-tiled micro-kernel, generic over the instruction set, with an epilogue that takes each
//! finished row of a tile while it is in registers.
//!
//! Every element of a product is one chain of multiply-adds in increasing k that starts from its initial value.
//! How rows and columns were divided into tiles, blocks, calls or threads never changes a bit of it.

use std::cell::Cell;
use std::ops::Range;

use crate::dispatch::{Level, dispatch};
use crate::isa::{Isa, Kernel};

/// Vectors in a block of a plain packed matrix.
const PLAIN_VECTORS: usize = 2;

/// One cache line of values.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A buffer that starts on a cache line.
#[derive(Clone, Default)]
struct Buffer(Vec<Line>);

impl Buffer {
    /// Grows to `len` values or more; what is in them is unspecified.
    fn grow(&mut self, len: usize) {
        let lines = len.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; 16]));
        }
    }

    fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }
}

/// The right operand of a product, rearranged so that the micro-kernel reads it from front to back.
///
/// The columns are cut into blocks of some vectors. The layout is `[block][k][vector][lane]`, from a cache line on, with
/// zeros in the lanes that have no column.
#[derive(Clone)]
pub struct Packed {
    data: Buffer,
    k: usize,
    /// Columns of the source: `gates * units`.
    columns: usize,
    gates: usize,
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
        let width = vectors * I::LANES;
        for block in 0..blocks {
            for vector in 0..vectors {
                let (gate, unit) =
                    if gates == 1 { (0, (block * vectors + vector) * I::LANES) } else { (vector, block * I::LANES) };
                let count = units.saturating_sub(unit).min(I::LANES);
                // SAFETY: `check` in `repack` found all of the source's columns inside its slice, and the buffer holds
                // `blocks * k * width` values.
                unsafe {
                    let target = data.as_mut_ptr().add(block * k * width + vector * I::LANES);
                    pack_vector(isa, self.source, gate * units + unit, count, 0..k, target, width);
                }
            }
        }
    }
}

/// Copies `count` columns of `rows` from `column` on to the `LANES` values at `target`, `target + width` and so on, with
/// zeros behind the last column.
///
/// # Safety
/// `count <= LANES`, the columns and rows lie inside `source`, and `target` is valid for writing as described.
#[inline(always)]
unsafe fn pack_vector<I: Isa>(
    isa: I,
    source: MatrixRef<'_>,
    column: usize,
    count: usize,
    rows: Range<usize>,
    target: *mut f32,
    width: usize,
) {
    let first = source.data.wrapping_add(column * source.column_stride);
    for (i, row) in rows.enumerate() {
        // SAFETY: the caller ensures that these elements are inside the source, and the target is writable.
        unsafe {
            let (from, to) = (first.wrapping_add(row * source.row_stride), target.add(i * width));
            if source.column_stride == 1 {
                isa.store(to, isa.load_partial(from, count));
            } else {
                for lane in 0..I::LANES {
                    *to.add(lane) = if lane < count { *from.add(lane * source.column_stride) } else { 0.0 };
                }
            }
        }
    }
}

/// A matrix to read: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub struct MatrixRef<'a> {
    data: *const f32,
    len: usize,
    row_stride: usize,
    column_stride: usize,
    borrow: std::marker::PhantomData<&'a [f32]>,
}

impl<'a> MatrixRef<'a> {
    /// A view of a slice.
    #[must_use]
    pub fn new(data: &'a [f32], row_stride: usize, column_stride: usize) -> Self {
        let (len, data) = (data.len(), data.as_ptr());
        Self { data, len, row_stride, column_stride, borrow: std::marker::PhantomData }
    }

    fn check(&self, rows: usize, columns: usize, name: &str) {
        if rows > 0 && columns > 0 {
            let needed = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride + 1;
            assert!(
                needed <= self.len,
                "{name} of {rows} x {columns} with strides {} and {} needs {needed} values, got {}",
                self.row_stride,
                self.column_stride,
                self.len
            );
        }
    }
}

/// A matrix to write, of consecutive columns: element (i, j) is `data[i * row_stride + j]`.
pub struct MatrixMut<'a> {
    data: *mut f32,
    len: usize,
    row_stride: usize,
    borrow: std::marker::PhantomData<&'a mut [f32]>,
}

impl<'a> MatrixMut<'a> {
    /// A view of a slice.
    #[must_use]
    pub fn new(data: &'a mut [f32], row_stride: usize) -> Self {
        let (len, data) = (data.len(), data.as_mut_ptr());
        Self { data, len, row_stride, borrow: std::marker::PhantomData }
    }

    /// A view of `len` values from `data` on, of which only the elements of the product are accessed: so threads can
    /// write disjoint blocks of columns of one matrix.
    ///
    /// # Safety
    /// `data` is valid for `len` values during `'a`, and while the view is used nothing else accesses the elements that
    /// [`gemm`] is asked to write.
    #[must_use]
    pub unsafe fn from_raw(data: *mut f32, len: usize, row_stride: usize) -> Self {
        Self { data, len, row_stride, borrow: std::marker::PhantomData }
    }
}

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
struct Operands {
    a: *const f32,
    /// From one row of A to the next.
    a_row: usize,
    /// From one k of A to the next.
    a_k: usize,
    b: *const f32,
    /// From one block of B to the next.
    b_block: usize,
    /// From one k of B to the next.
    b_k: usize,
    k: usize,
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
    assert!(b.level == I::LEVEL && b.vectors == NV, "b was packed for {} and {} vectors", b.level, b.vectors);
    assert!(k <= b.k && blocks.end <= b.blocks, "b has {} rows and {} blocks", b.k, b.blocks);
    let width = NV * I::LANES;
    let operands =
        Operands { a, a_row: row_stride, a_k: k_stride, b: b.data.as_ptr(), b_block: b.k * width, b_k: width, k };
    // SAFETY: the caller answers for A; B was checked above.
    unsafe {
        if k_stride == 1 {
            // The same call, with a stride that the compiler can fold into the addresses.
            sweep::<I, NV, E>(isa, rows, blocks, Operands { a_k: 1, ..operands }, epilogue);
        } else {
            sweep::<I, NV, E>(isa, rows, blocks, operands, epilogue);
        }
    }
}

/// Goes through all tiles with the tallest tile whose sums fit the registers.
#[inline(always)]
unsafe fn sweep<I: Isa, const NV: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    blocks: Range<usize>,
    operands: Operands,
    epilogue: &mut E,
) {
    // SAFETY: passed on from the caller.
    unsafe {
        if I::REGISTERS >= 32 {
            match NV {
                1 | 2 => sweep_rows::<I, NV, 12, E>(isa, rows, blocks, operands, epilogue),
                3 => sweep_rows::<I, NV, 8, E>(isa, rows, blocks, operands, epilogue),
                _ => sweep_rows::<I, NV, 6, E>(isa, rows, blocks, operands, epilogue),
            }
        } else {
            match NV {
                1 => sweep_rows::<I, NV, 12, E>(isa, rows, blocks, operands, epilogue),
                2 => sweep_rows::<I, NV, 6, E>(isa, rows, blocks, operands, epilogue),
                3 => sweep_rows::<I, NV, 4, E>(isa, rows, blocks, operands, epilogue),
                _ => sweep_rows::<I, NV, 3, E>(isa, rows, blocks, operands, epilogue),
            }
        }
    }
}

#[inline(always)]
unsafe fn sweep_rows<I: Isa, const NV: usize, const MR: usize, E: Epilogue<I, NV>>(
    isa: I,
    rows: Range<usize>,
    blocks: Range<usize>,
    operands: Operands,
    epilogue: &mut E,
) {
    for block in blocks {
        let mut row = rows.start;
        // SAFETY: passed on from the caller.
        unsafe {
            while row + MR <= rows.end {
                tile::<I, NV, MR, E>(isa, row, block, operands, epilogue);
                row += MR;
            }
            if MR > 4 {
                while row + 4 <= rows.end {
                    tile::<I, NV, 4, E>(isa, row, block, operands, epilogue);
                    row += 4;
                }
            }
            if row + 2 <= rows.end {
                tile::<I, NV, 2, E>(isa, row, block, operands, epilogue);
                row += 2;
            }
            if row < rows.end {
                tile::<I, NV, 1, E>(isa, row, block, operands, epilogue);
            }
        }
    }
}

/// The micro-kernel: MR rows by NV vectors of sums in registers.
#[inline(always)]
unsafe fn tile<I: Isa, const NV: usize, const MR: usize, E: Epilogue<I, NV>>(
    isa: I,
    row: usize,
    block: usize,
    operands: Operands,
    epilogue: &mut E,
) {
    let mut sums = [[isa.zero(); NV]; MR];
    for (r, sums) in sums.iter_mut().enumerate() {
        *sums = epilogue.init(isa, row + r, block);
    }
    let Operands { a_row, a_k, b_k, k, .. } = operands;
    let mut a = operands.a.wrapping_add(row * a_row);
    let mut b = operands.b.wrapping_add(block * operands.b_block);
    for _ in 0..k / 4 {
        for i in 0..4 {
            // SAFETY: passed on from the caller.
            unsafe { multiply_add(isa, a.add(i * a_k), a_row, b.add(i * b_k), &mut sums) };
        }
        (a, b) = (a.wrapping_add(4 * a_k), b.wrapping_add(4 * b_k));
    }
    for _ in 0..k % 4 {
        // SAFETY: passed on from the caller.
        unsafe { multiply_add(isa, a, a_row, b, &mut sums) };
        (a, b) = (a.wrapping_add(a_k), b.wrapping_add(b_k));
    }
    for (r, sums) in sums.into_iter().enumerate() {
        epilogue.finish(isa, row + r, block, sums);
    }
}

/// Adds the product of MR values of A and NV vectors of B to the sums.
#[inline(always)]
unsafe fn multiply_add<I: Isa, const NV: usize, const MR: usize>(
    isa: I,
    a: *const f32,
    a_row: usize,
    b: *const f32,
    sums: &mut [[I::F32; NV]; MR],
) {
    // SAFETY: passed on from the caller.
    unsafe {
        if MR > NV {
            let mut vectors = [isa.zero(); NV];
            for v in 0..NV {
                vectors[v] = isa.load(b.add(v * I::LANES));
            }
            for r in 0..MR {
                let value = isa.splat(*a.add(r * a_row));
                for v in 0..NV {
                    sums[r][v] = isa.mul_add(value, vectors[v], sums[r][v]);
                }
            }
        } else {
            let mut values = [isa.zero(); MR];
            for r in 0..MR {
                values[r] = isa.splat(*a.add(r * a_row));
            }
            for v in 0..NV {
                let vector = isa.load(b.add(v * I::LANES));
                for r in 0..MR {
                    sums[r][v] = isa.mul_add(values[r], vector, sums[r][v]);
                }
            }
        }
    }
}

/// Length of the chains that are run in one go: 256 k of a block of two vectors of eight fill half of a 32 KiB L1 cache.
const K_CHUNK: usize = 256;
/// Columns whose packed chunk (256 KiB) stays in the L2 cache.
const COLUMN_CHUNK: usize = 256;

/// C = init + A B, on one thread; C is `m x n`, A is `m x k`, B is `k x n`. To share the work among threads, call it for
/// parts of the rows or of the columns.
///
/// # Panics
/// An operand is too short, B was packed for another level, shape or number of vectors, or this CPU does not support
/// `level`.
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
            b.level == level && b.gates == 1 && b.k == k && b.columns == n,
            "b must be a plain packing of {k} x {n} for {level}, got {} x {} of {} gates for {}",
            b.k,
            b.columns,
            b.gates,
            b.level
        ),
        Operand::Matrix(b) => b.check(k, n, "b"),
    }
    if let Init::Bias(bias) = init {
        assert!(bias.len() == n, "bias must have {n} values, got {}", bias.len());
    }
    MatrixRef {
        data: c.data,
        len: c.len,
        row_stride: c.row_stride,
        column_stride: 1,
        borrow: std::marker::PhantomData,
    }
    .check(m, n, "c");
    let mut scratch = SCRATCH.take();
    dispatch(level, Gemm { m, n, k, a, b, init, c: c.data, c_row: c.row_stride, scratch: &mut scratch });
    SCRATCH.set(scratch);
}

thread_local! {
    /// The packed part of B, kept between calls so that a training step allocates nothing.
    static SCRATCH: Cell<Buffer> = const { Cell::new(Buffer(Vec::new())) };
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
    scratch: &'a mut Buffer,
}

impl Kernel for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) {
        let width = PLAIN_VECTORS * I::LANES;
        let mut k_start = 0;
        // A product over no k at all still writes the initial values.
        loop {
            let k = (self.k - k_start).min(K_CHUNK);
            for column in (0..self.n).step_by(COLUMN_CHUNK) {
                let columns = (self.n - column).min(COLUMN_CHUNK);
                let blocks = columns.div_ceil(width);
                // SAFETY: `gemm` checked that all operands hold their elements.
                unsafe {
                    let (b, b_block) = match self.b {
                        Operand::Packed(b) => {
                            (b.data.as_ptr().add((column / width * self.k + k_start) * width), self.k * width)
                        }
                        Operand::Matrix(b) => {
                            self.scratch.grow(blocks * k * width);
                            for vector in 0..columns.div_ceil(I::LANES).next_multiple_of(PLAIN_VECTORS) {
                                let (block, first) = (vector / PLAIN_VECTORS, vector * I::LANES);
                                let target = self
                                    .scratch
                                    .as_mut_ptr()
                                    .add(block * k * width + vector % PLAIN_VECTORS * I::LANES);
                                let count = columns.saturating_sub(first).min(I::LANES);
                                pack_vector(isa, b, column + first, count, k_start..k_start + k, target, width);
                            }
                            (self.scratch.as_ptr(), k * width)
                        }
                    };
                    let init = if k_start > 0 { Init::Accumulate } else { self.init };
                    let mut store = Store {
                        c: self.c.add(column),
                        c_row: self.c_row,
                        columns,
                        init: match init {
                            Init::Bias(bias) => Init::Bias(&bias[column..]),
                            other => other,
                        },
                    };
                    let a = self.a.data.wrapping_add(k_start * self.a.column_stride);
                    let operands =
                        Operands { a, a_row: self.a.row_stride, a_k: self.a.column_stride, b, b_block, b_k: width, k };
                    if operands.a_k == 1 {
                        sweep::<I, PLAIN_VECTORS, _>(
                            isa,
                            0..self.m,
                            0..blocks,
                            Operands { a_k: 1, ..operands },
                            &mut store,
                        );
                    } else {
                        sweep::<I, PLAIN_VECTORS, _>(isa, 0..self.m, 0..blocks, operands, &mut store);
                    }
                }
            }
            k_start += k;
            if k_start >= self.k {
                break;
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
