//! Keras-compatible text preprocessing: splitting texts into words or characters, counting and numbering them, padding
//! sequences, and document-term matrices.
//!
//! Ragged data is a flat slice of `values` and `offsets`: row `i` is `values[offsets[i]..offsets[i + 1]]`. The word index
//! itself belongs to the caller, who may edit it between calls: [`encode`] numbers the distinct words of one call, and the
//! caller looks up each distinct word once.

mod hashing;
mod matrix;
mod pad;
mod split;
mod vocabulary;

pub use hashing::{hash_word, hashing_index};
pub use matrix::{Weighting, fill_matrix};
pub use pad::{Side, pad_rows};
pub use split::Splitter;
pub use vocabulary::{Counts, Encoded, Words, count, encode};

use crate::{Error, Result};

/// Checks that `offsets` are those of a ragged array: from 0 to `length`, never falling. Returns the number of rows.
fn check_offsets(offsets: &[usize], length: usize) -> Result<usize> {
    let ends = offsets.first() == Some(&0) && offsets.last() == Some(&length);
    if ends && offsets.is_sorted() {
        Ok(offsets.len() - 1)
    } else {
        Err(Error::value(
            "offsets",
            format!("rising row bounds from 0 to {length}"),
            format!("{} bounds", offsets.len()),
        ))
    }
}

/// Rows per task: enough bytes to be worth a thread's wake-up (a few microseconds, some 100 KiB of copying).
fn rows_per_task(row_bytes: usize) -> usize {
    const TASK_BYTES: usize = 1 << 18;
    (TASK_BYTES / row_bytes.max(1)).max(1)
}
