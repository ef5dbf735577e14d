//! Rows of a table. Gradients of one token are added up in the order of the tokens, without atomic additions: the host, which
//! knows the tokens, sorts them into lists of bounded length, whose sums are then added up token by token.

use super::{ALIGNMENT, Known, Lower};
use crate::plan::{Dispatch, Source, groups_for};
use crate::shaders::{ADD_UP, GATHER};
use foliot_core::Result;
use foliot_core::backend::{Call, Tensor, Workspace};
use foliot_core::layers::Embedding;

/// The most rows that one invocation adds up: padding would be one very long list.
const LIST: usize = 64;

/// Where in the output the row of the id at a position in memory goes: ids (batch, time) lie batch first, their vectors
/// (batch, time, features) time first.
fn row_of(ids: &Tensor) -> impl Fn(usize) -> usize {
    let (batch, time) = if ids.shape.rank() == 2 { (ids.shape.axis(0), ids.shape.axis(1)) } else { (0, 0) };
    move |index| if time > 0 { index % time * batch + index / time } else { index }
}

/// The tokens of a batch, each with the rows that hold it.
fn rows_by_token(ids: &[i32], place: impl Fn(usize) -> usize) -> Vec<(u32, u32)> {
    let mut pairs: Vec<(u32, u32)> =
        ids.iter().enumerate().map(|(index, &id)| (id as u32, place(index) as u32)).collect();
    pairs.sort_unstable();
    pairs
}

/// Lists as `add_up` takes them.
#[derive(Default)]
pub(super) struct Lists {
    rows: Vec<u32>,
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Lists {
    pub(super) fn push(&mut self, target: u32, rows: impl IntoIterator<Item = u32>) {
        self.starts.push(self.rows.len() as u32);
        self.targets.push(target);
        self.rows.extend(rows);
    }

    pub(super) fn dispatch(
        mut self,
        label: &str,
        columns: usize,
        accumulate: bool,
        source: Source,
        target: Source,
    ) -> Dispatch {
        let count = self.targets.len();
        self.starts.push(self.rows.len() as u32);
        self.starts.append(&mut self.targets);
        Dispatch::new(ADD_UP, label, &[count, columns], groups_for(count * columns))
            .flag("ACCUMULATE", accumulate)
            .bind(0, source)
            .bind(1, target)
            .bind(2, Source::Words(self.rows))
            .bind(3, Source::Words(self.starts))
    }
}

impl Lower for Embedding {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        // No two ids may be the same.
        let lists = call.inputs[0].shape.elements();
        let wanted = call.outputs[0].gradient.is_some();
        let scratch = if wanted { (lists * self.output_dim).next_multiple_of(ALIGNMENT) } else { 0 };
        Workspace { saved: 0, scratch }
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let input = call.inputs[0];
        self.check(call, known.ids(input.value))?;
        let (ids, place) = (known.ids(input.value), row_of(input));
        let mut rows = vec![0; ids.len()];
        ids.iter().enumerate().for_each(|(index, &id)| rows[place(index)] = id as u32);
        if let (true, Some(mask)) = (self.mask_zero, call.outputs[0].mask) {
            let Known { integers, masks, .. } = known;
            let flags = &mut masks[mask.offset..mask.offset + mask.len];
            flags.iter_mut().zip(&integers[input.value.offset..]).for_each(|(flag, id)| *flag = u8::from(*id != 0));
        }
        let (count, columns) = (rows.len(), self.output_dim);
        if count > 0 {
            let dispatch = Dispatch::new(GATHER, call.name, &[count, columns], groups_for(count * columns));
            let dispatch = dispatch.bind(0, Source::Weight(call.parameters[0].id()));
            let dispatch = dispatch.bind(1, Source::Floats(call.outputs[0].value));
            out.push(dispatch.bind(2, Source::Words(rows)).bind(3, Source::Words(Vec::new())));
        }
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(table), Some(gradient)) = (call.parameter_gradients[0], call.outputs[0].gradient) else { return };
        let input = call.inputs[0];
        let pairs = rows_by_token(known.ids(input.value), row_of(input));
        let (mut parts, mut tokens) = (Lists::default(), Lists::default());
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            let first = parts.targets.len() as u32;
            for piece in group.chunks(LIST) {
                let list = parts.targets.len() as u32;
                parts.push(list, piece.iter().map(|(_, row)| *row));
            }
            tokens.push(group[0].0, first..parts.targets.len() as u32);
        }
        if tokens.targets.is_empty() {
            return;
        }
        let partial = Source::Floats(call.scratch);
        let gradient = Source::Floats(gradient);
        out.push(parts.dispatch(call.name, self.output_dim, false, gradient, partial.clone()));
        out.push(tokens.dispatch(call.name, self.output_dim, true, partial, Source::Floats(table)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_sorted_with_their_rows_in_order() {
        let pairs = rows_by_token(&[3, 0, 3, 1], |index| 10 - index);
        assert_eq!(pairs, [(0, 9), (1, 7), (3, 8), (3, 10)]);
    }
}
