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
