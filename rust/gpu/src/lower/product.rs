//! Products of matrices and sums of columns.

use crate::plan::{Dispatch, Source};
use crate::shaders::{MULTIPLY, SUM_COLUMNS, SUM_PARTS};
use foliot_core::tensor::Span;

/// A side of the tile of a workgroup.
const TILE: usize = 64;
/// The number of workgroups to aim at, and the fewest rows that one should sum up.
const WORKGROUPS: usize = 64;
const SHARE: usize = 256;
/// Rows that an invocation adds up in a sum of columns, and the most parts of one.
const COLUMN_SHARE: usize = 64;
const COLUMN_PARTS: usize = 256;

/// A factor: where it lies, and how far apart its neighbours down and across are.
#[derive(Clone)]
pub(super) struct Matrix {
    pub(super) source: Source,
    pub(super) start: usize,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Matrix {
    /// Rows one after another.
    pub(super) fn new(source: Source, row: usize) -> Self {
        Self { source, start: 0, row, column: 1 }
    }

    /// From a column on.
    pub(super) fn at_column(self, column: usize) -> Self {
        Self { start: self.start + column * self.column, ..self }
    }

    pub(super) fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// Into how many parts k is cut: from sizes only, so that the order of the sums is too.
fn parts([m, n, k]: [usize; 3]) -> usize {
    let tiles = m.div_ceil(TILE) * n.div_ceil(TILE);
    (WORKGROUPS / tiles.max(1)).clamp(1, k.div_ceil(SHARE).max(1))
}

/// The length of what [`add_product`] and [`add_columns`] keep in between.
pub(super) fn partials([m, n, k]: [usize; 3]) -> usize {
    (parts([m, n, k]) * m * n).max(column_parts(k) * n)
}

fn multiply(
    label: &str,
    [m, n, k]: [usize; 3],
    share: usize,
    part: usize,
    a: &Matrix,
    b: &Matrix,
    c: [usize; 2],
    bias_start: usize,
) -> Dispatch {
    let sizes = [m, n, k, share, part, a.start, a.row, a.column, b.start, b.row, b.column, c[0], c[1], bias_start];
    let groups = [n.div_ceil(TILE), m.div_ceil(TILE), k.div_ceil(share.max(1)).max(1)];
    Dispatch::new(MULTIPLY, label, &sizes, groups).bind(0, a.source.clone()).bind(1, b.source.clone())
}

/// `c = a·b + bias`; c has rows of `row` values and begins at `start`, the bias at an element of its own.
pub(super) fn product(
    out: &mut Vec<Dispatch>,
    label: &str,
    sizes: [usize; 3],
    a: &Matrix,
    b: &Matrix,
    bias: Option<(Source, usize)>,
    (c, start, row): (Span, usize, usize),
) {
    let [m, n, k] = sizes;
    if m == 0 || n == 0 {
        return;
    }
    let (biased, (bias, bias_start)) = (bias.is_some(), bias.unwrap_or((Source::Nothing, 0)));
    let dispatch = multiply(label, sizes, k.max(1), 0, a, b, [start, row], bias_start).flag("BIASED", biased);
    out.push(dispatch.bind(2, bias).bind(3, Source::Floats(c)));
}

/// `c += a·b`; c has rows of `row` values and begins at `start`.
pub(super) fn add_product(
    out: &mut Vec<Dispatch>,
    label: &str,
    sizes: [usize; 3],
    a: &Matrix,
    b: &Matrix,
    (c, start, row): (Span, usize, usize),
    partials: Span,
) {
    let [m, n, k] = sizes;
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let parts = parts(sizes);
    if parts == 1 {
        let dispatch = multiply(label, sizes, k, 0, a, b, [start, row], 0).flag("ACCUMULATE", true);
        out.push(dispatch.bind(2, Source::Nothing).bind(3, Source::Floats(c)));
        return;
    }
    let share = k.div_ceil(parts);
    let dispatch = multiply(label, sizes, share, m * n, a, b, [0, n], 0);
    out.push(dispatch.bind(2, Source::Nothing).bind(3, Source::Floats(partials)));
    add_parts(out, label, [m, n, k.div_ceil(share)], (partials, 0), (c, start, row));
}

/// `c[m, n] += Σ partials` over parts, from an element of the partials on.
pub(super) fn add_parts(
    out: &mut Vec<Dispatch>,
    label: &str,
    [m, n, parts]: [usize; 3],
    partials: (Span, usize),
    c: (Span, usize, usize),
) {
    let sizes = [m, n, parts, partials.1, n, c.1, c.2];
    let dispatch = Dispatch::new(SUM_PARTS, label, &sizes, [n.div_ceil(64), m, 1]);
    out.push(dispatch.bind(0, Source::Floats(partials.0)).bind(1, Source::Floats(c.0)));
}

/// Into how many parts rows are cut for sums of columns, and how many rows a part has.
pub(super) fn cut_rows(rows: usize) -> [usize; 2] {
    let share = rows.div_ceil(column_parts(rows)).max(1);
    [rows.div_ceil(share), share]
}

fn column_parts(rows: usize) -> usize {
    rows.div_ceil(COLUMN_SHARE).clamp(1, COLUMN_PARTS)
}

/// `target[start + j] += Σ values[r, j]` over `rows` rows.
pub(super) fn add_columns(
    out: &mut Vec<Dispatch>,
    label: &str,
    [rows, columns]: [usize; 2],
    values: &Matrix,
    (target, start): (Span, usize),
    partials: Span,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    let [parts, share] = cut_rows(rows);
    let sizes = [rows, columns, share, values.start, values.row, 0, columns];
    let dispatch = Dispatch::new(SUM_COLUMNS, label, &sizes, [columns.div_ceil(64), parts, 1]);
    out.push(dispatch.bind(0, values.source.clone()).bind(1, Source::Floats(partials)));
    add_parts(out, label, [1, columns, parts], (partials, 0), (target, start, columns));
}
