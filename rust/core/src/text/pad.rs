//! Ragged rows into a rectangle.

use super::{check_offsets, rows_per_task};
use crate::{Error, Result, threads};

/// The end of a row at which something is added or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Before the values.
    Pre,
    /// After them.
    Post,
}

/// Copies row `i` of the ragged array (`values`, `offsets`) into row `i` of `out`, which has `columns` places a row. Longer
/// rows lose values at the `truncating` side; shorter ones leave the places at the `padding` side as they are, so the
/// caller fills `out` with the padding value first.
///
/// Elements are `item` bytes each, whatever their type.
///
/// # Errors
/// The lengths do not fit together.
pub fn pad_rows(
    values: &[u8],
    offsets: &[usize],
    item: usize,
    out: &mut [u8],
    columns: usize,
    padding: Side,
    truncating: Side,
) -> Result<()> {
    if item == 0 || !values.len().is_multiple_of(item) {
        return Err(Error::value(
            "item",
            format!("a divisor of the {} bytes of values", values.len()),
            item.to_string(),
        ));
    }
    let rows = check_offsets(offsets, values.len() / item)?;
    let row_bytes = columns.saturating_mul(item);
    if out.len() != rows.saturating_mul(row_bytes) {
        return Err(Error::value("out", format!("{rows} rows of {row_bytes} bytes"), format!("{} bytes", out.len())));
    }
    if row_bytes == 0 {
        return Ok(());
    }
    let block = rows_per_task(row_bytes);
    let mut blocks: Vec<&mut [u8]> = out.chunks_mut(block * row_bytes).collect();
    threads::for_each_mut(&mut blocks, |index, out| {
        for (out, bounds) in out.chunks_exact_mut(row_bytes).zip(offsets[index * block..].windows(2)) {
            let row = &values[bounds[0] * item..bounds[1] * item];
            let kept = match truncating {
                Side::Pre => &row[row.len().saturating_sub(row_bytes)..],
                Side::Post => &row[..row.len().min(row_bytes)],
            };
            let place = match padding {
                Side::Pre => &mut out[row_bytes - kept.len()..],
                Side::Post => &mut out[..kept.len()],
            };
            place.copy_from_slice(kept);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Side::{Post, Pre};
    use super::*;

    fn pad(rows: &[Vec<u8>], columns: usize, padding: Side, truncating: Side) -> Vec<u8> {
        let values = rows.concat();
        let mut offsets = vec![0];
        for row in rows {
            offsets.push(offsets[offsets.len() - 1] + row.len());
        }
        let mut out = vec![0; rows.len() * columns];
        pad_rows(&values, &offsets, 1, &mut out, columns, padding, truncating).unwrap();
        out
    }

    #[test]
    fn sides() {
        let rows = [vec![1], vec![], vec![2, 3, 4]];
        assert_eq!(pad(&rows, 2, Pre, Pre), [0, 1, 0, 0, 3, 4]);
        assert_eq!(pad(&rows, 2, Post, Pre), [1, 0, 0, 0, 3, 4]);
        assert_eq!(pad(&rows, 2, Pre, Post), [0, 1, 0, 0, 2, 3]);
        assert_eq!(pad(&rows, 0, Pre, Post), [0; 0]);
        assert_eq!(pad(&[], 3, Pre, Pre), [0; 0]);
    }

    #[test]
    fn wide_items() {
        let mut out = [9; 8];
        pad_rows(&[1, 2, 3, 4, 5, 6], &[0, 1, 3], 2, &mut out, 2, Pre, Pre).unwrap();
        assert_eq!(out, [9, 9, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn lengths_are_checked() {
        for (offsets, item, out) in [
            (&[0, 3][..], 1, 2),
            (&[0, 2, 1, 3], 1, 6),
            (&[1, 3], 1, 2),
            (&[], 1, 0),
            (&[0, 3], 2, 2),
            (&[0, 3], 0, 0),
            (&[0, 4], 1, 2),
        ] {
            assert!(pad_rows(&[1, 2, 3], offsets, item, &mut vec![0; out], 1, Pre, Pre).is_err(), "{offsets:?}");
        }
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            rows in prop::collection::vec(prop::collection::vec(1_u8.., 0..9), 0..20),
            columns in 0_usize..12,
            pad_first: bool,
            cut_first: bool,
        ) {
            let side = |first| if first { Pre } else { Post };
            let mut expected = Vec::new();
            for row in &rows {
                let mut row = row.clone();
                while row.len() > columns {
                    row.remove(if cut_first { 0 } else { row.len() - 1 });
                }
                while row.len() < columns {
                    row.insert(if pad_first { 0 } else { row.len() }, 0);
                }
                expected.extend(row);
            }
            prop_assert_eq!(pad(&rows, columns, side(pad_first), side(cut_first)), expected);
        }
    }
}
