//! Sequences of word numbers as a document-term matrix.

use super::{check_offsets, rows_per_task};
use crate::{Error, Result, threads};

/// What an element of the matrix says about a word that occurs `c` times in a sequence of `n` numbers.
#[derive(Debug, Clone, Copy)]
pub enum Weighting<'a> {
    /// 1.
    Binary,
    /// `c`.
    Count,
    /// `c / n`.
    Frequency,
    /// `term[c - 1] * document[j]` for word number `j`. The caller brings both tables: they hold
    /// logarithms, which Keras takes from `numpy.log`, and that may differ from `f64::ln` in the last bit.
    TfIdf {
        /// By count; as long as the longest sequence.
        term: &'a [f64],
        /// By word number; one per column.
        document: &'a [f64],
    },
}

/// Fills the zeroed matrix `out`, one row per sequence of the ragged array (`ids`, `offsets`). Numbers from `columns` up
/// are skipped, yet count in `n`.
///
/// # Errors
/// A number is negative, or the lengths do not fit together.
pub fn fill_matrix(
    ids: &[i64],
    offsets: &[usize],
    columns: usize,
    weighting: Weighting,
    out: &mut [f64],
) -> Result<()> {
    let rows = check_offsets(offsets, ids.len())?;
    if out.len() != rows.saturating_mul(columns) {
        return Err(Error::value("out", format!("{rows} rows of {columns}"), format!("{} elements", out.len())));
    }
    if let Some(place) = ids.iter().position(|&id| id < 0) {
        let row = offsets.partition_point(|&offset| offset <= place) - 1;
        return Err(Error::value(format!("sequences[{row}]"), "word numbers from 0 up", ids[place].to_string()));
    }
    if let Weighting::TfIdf { term, document } = weighting {
        let longest = offsets.windows(2).map(|bounds| bounds[1] - bounds[0]).max().unwrap_or(0);
        if term.len() < longest || document.len() < columns {
            let received = format!("{} and {}", term.len(), document.len());
            return Err(Error::value("tables", format!("at least {longest} and {columns} elements"), received));
        }
    }
    if columns == 0 {
        return Ok(());
    }
    let block = rows_per_task(columns * size_of::<f64>());
    let mut blocks: Vec<&mut [f64]> = out.chunks_mut(block * columns).collect();
    threads::for_each_mut(&mut blocks, |index, out| {
        let mut distinct = Vec::new();
        for (out, bounds) in out.chunks_exact_mut(columns).zip(offsets[index * block..].windows(2)) {
            let row = &ids[bounds[0]..bounds[1]];
            distinct.clear();
            for &id in row {
                let id = id as usize;
                if id < columns {
                    if out[id] == 0.0 {
                        distinct.push(id);
                    }
                    out[id] += 1.0;
                }
            }
            for &id in &distinct {
                let count = out[id];
                out[id] = match weighting {
                    Weighting::Binary => 1.0,
                    Weighting::Count => count,
                    Weighting::Frequency => count / row.len() as f64,
                    Weighting::TfIdf { term, document } => term[count as usize - 1] * document[id],
                };
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(weighting: Weighting) -> Vec<f64> {
        let mut out = vec![0.0; 9];
        fill_matrix(&[1, 2, 1, 7, 2], &[0, 4, 4, 5], 3, weighting, &mut out).unwrap();
        out
    }

    #[test]
    fn weightings() {
        assert_eq!(matrix(Weighting::Binary), [0., 1., 1., 0., 0., 0., 0., 0., 1.]);
        assert_eq!(matrix(Weighting::Count), [0., 2., 1., 0., 0., 0., 0., 0., 1.]);
        assert_eq!(matrix(Weighting::Frequency), [0., 0.5, 0.25, 0., 0., 0., 0., 0., 1.]);
        let tables = Weighting::TfIdf { term: &[1., 10., 100., 1000.], document: &[2., 3., 5.] };
        assert_eq!(matrix(tables), [0., 30., 5., 0., 0., 0., 0., 0., 5.]);
    }

    #[test]
    fn bad_input() {
        let fill = |ids: &[i64], offsets: &[usize], weighting| {
            fill_matrix(ids, offsets, 3, weighting, &mut [0.0; 6]).unwrap_err().to_string()
        };
        let text = fill(&[1, 2, -4], &[0, 2, 3], Weighting::Count);
        assert!(text.contains("sequences[1]") && text.contains("-4"), "{text}");
        fill(&[1], &[0, 1], Weighting::Count);
        fill(&[1], &[0, 1, 2], Weighting::Count);
        fill(&[1, 1], &[0, 1, 2], Weighting::TfIdf { term: &[1.0], document: &[1.0; 2] });
        fill(&[1, 1], &[0, 2, 2], Weighting::TfIdf { term: &[1.0], document: &[1.0; 3] });
    }
}
