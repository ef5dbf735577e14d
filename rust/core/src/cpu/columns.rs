//! Sums over rows, one for each column, shared by the threads and yet the same for any number of them.

use super::Parts;
use crate::threads;

/// The most pieces that rows are cut into, and the fewest rows of a piece.
const PIECES: usize = 16;
const ROWS: usize = 128;

fn pieces(rows: usize) -> usize {
    PIECES.min(rows.div_ceil(ROWS)).max(1)
}

/// The length of `partials` in [`sums`].
pub(super) fn partials_len(rows: usize, width: usize) -> usize {
    pieces(rows) * width
}

/// Overwrites `result` with the sum of what `add(row, sums)` adds to `sums` for each row. Rows are cut into pieces by their
/// number only, and the pieces' sums are added up in order.
pub(super) fn sums(rows: usize, result: &mut [f32], partials: &mut [f32], add: impl Fn(usize, &mut [f32]) + Sync) {
    let (width, pieces) = (result.len(), pieces(rows));
    let size = rows.div_ceil(pieces);
    assert!(partials.len() >= pieces * width, "room for {pieces} x {width} sums, got {}", partials.len());
    let target = Parts(partials.as_mut_ptr());
    threads::for_each(pieces, |piece| {
        // SAFETY: each task has its own part of `partials`, which was checked to hold them all and outlives the tasks.
        let sums = unsafe { target.part(piece * width, width) };
        sums.fill(0.0);
        (piece * size..((piece + 1) * size).min(rows)).for_each(|row| add(row, sums));
    });
    result.fill(0.0);
    for piece in 0..pieces {
        result.iter_mut().zip(&partials[piece * width..]).for_each(|(sum, part)| *sum += part);
    }
}

/// Σ term over a row, in sixteen interleaved sums: a fixed order that vectorizes.
#[inline(always)]
pub(super) fn row_sum(len: usize, term: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let whole = len - len % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    for (lane, sum) in sums.iter_mut().enumerate().take(len - whole) {
        *sum += term(whole + lane);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}
