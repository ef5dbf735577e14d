//! A batch on its way into a plan: the plan for its shapes is found or made, and its arrays are brought to where that wants them,
//! or stay with the caller, who lends them.

use super::{Array, Batch, Program, Values, Window};
use crate::backend::{Call, Lent, Tensor};
use crate::layers::{Input, Layer};
use crate::plan::{Plan, Purpose, Wanted};
use crate::tensor::{DType, Shape, for_each_run};
use crate::{Error, Result};

/// Plans that are kept: full and last batches of training and of evaluation.
const PLANS: usize = 4;

impl Program {
    /// Finds or makes the plan for a batch, or for a window of its sequences, and brings it into the backend.
    pub(super) fn load(
        &mut self,
        batch: Batch<'_>,
        window: Option<Window>,
        training: bool,
        gradients: Wanted,
    ) -> Result<usize> {
        let count = self.graph.input_nodes().count();
        if batch.inputs.len() != count {
            return Err(Error::value("x", format!("{count} arrays"), batch.inputs.len().to_string()));
        }
        let length = batch.inputs.first().and_then(|array| array.shape.first().copied()).unwrap_or(0);
        if let Some(row) = batch.rows.and_then(|rows| rows.iter().find(|&&row| row < 0 || row as usize >= length)) {
            return Err(Error::value("rows", format!("rows from 0 to {}", length.saturating_sub(1)), row.to_string()));
        }
        let size = batch.rows.map_or(length, <[i64]>::len);
        let mut shapes = Vec::with_capacity(count);
        for array in batch.inputs {
            if array.shape.first() != Some(&length) {
                let received = array.shape.first().map_or_else(|| "a scalar".into(), usize::to_string);
                return Err(Error::value("x", format!("arrays of {length} samples each"), received));
            }
            let mut shape = Shape::known(array.shape);
            shape.0[0] = Some(size);
            if let Some(window) = window {
                shape.0[1] = Some(window.len);
            }
            shapes.push(shape);
        }
        let plan = self.plan_for(&Purpose { inputs: shapes, training, gradients })?;
        self.fill(plan, batch, window)?;
        Ok(plan)
    }

    /// Finds or makes the plan for a purpose, and the room that it needs.
    pub(super) fn plan_for(&mut self, purpose: &Purpose) -> Result<usize> {
        let known = self.plans.iter().position(|plan| plan.purpose == *purpose);
        let index = if let Some(index) = known {
            index
        } else {
            let plan = Plan::new(&self.graph, &self.parameters, self.backend.as_ref(), purpose.clone())?;
            if self.plans.len() == PLANS {
                self.plans.remove(0);
            }
            self.plans.push(plan);
            self.plans.len() - 1
        };
        let plan = &self.plans[index];
        for ((node, states), tensors) in self.graph.nodes.iter().zip(&self.carried).zip(&plan.tensors) {
            let rows = tensors.first().map_or(0, |tensor| tensor.shape.axis(0));
            if let Some(expected) = states.first().map(|state| state.shape()[0]).filter(|&expected| expected != rows) {
                return Err(
                    node.error(format!("batches of {expected} rows, for which it carries states"), rows.to_string())
                );
            }
        }
        self.backend.resize(plan.size)?;
        Ok(index)
    }

    /// Brings a batch, or a window of its sequences, to where its plan wants it.
    pub(super) fn fill(&mut self, plan: usize, batch: Batch<'_>, window: Option<Window>) -> Result<()> {
        let plan = &self.plans[plan];
        let length = batch.inputs.first().and_then(|array| array.shape.first().copied()).unwrap_or(0);
        for (position, (node, description)) in self.graph.input_nodes().enumerate() {
            let Layer::Input(Input { dtype, masked, .. }) = &description.layer else { continue };
            let tensor = &plan.tensors[node][0];
            let values = batch.inputs[position].values;
            match (dtype, values) {
                (DType::Float32, Values::Float(_)) if tensor.lent.is_some() => {}
                (DType::Float32, Values::Float(values)) => {
                    self.backend.write(tensor.value, &mut |target| {
                        gather(&tensor.shape, batch.rows, window, values, target);
                        Ok(())
                    })?;
                }
                (DType::Int32, Values::Integer(values)) => {
                    self.backend.write_integers(tensor.value, &mut |target| {
                        gather(&tensor.shape, batch.rows, window, values, target);
                        Ok(())
                    })?;
                }
                _ => {
                    return Err(Error::type_(
                        &description.name,
                        format!("an array of {dtype:?}"),
                        "another element type",
                    ));
                }
            }
            if let (true, Some(span)) = (masked, tensor.mask) {
                let mask = batch.masks.get(position).copied().flatten();
                let shape = Shape(tensor.shape.0[..2].to_vec());
                let Some(Array { values: Values::Flag(flags), shape: given }) = mask else {
                    return Err(Error::value("mask", format!("flags of shape {shape}"), "none"));
                };
                let whole = Shape::known(&[length, window.map_or(shape.axis(1), |window| window.total)]);
                if whole != Shape::known(given) {
                    return Err(Error::value("mask", format!("flags of shape {whole}"), format!("{given:?}")));
                }
                self.backend.write_mask(span, &mut |target| {
                    gather(&shape, batch.rows, window, flags, target);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// A call with what it needs of the caller's arrays.
pub(super) fn with_batch<'a>(mut call: Call<'a>, batch: Batch<'a>, window: Option<Window>) -> Call<'a> {
    call.lent = call.inputs.first().and_then(|tensor| lend(tensor, batch, window));
    call.rows = batch.rows;
    call
}

/// The sequences that the caller lends for a tensor, if the plan wants them lent.
fn lend<'a>(tensor: &Tensor, batch: Batch<'a>, window: Option<Window>) -> Option<Lent<'a>> {
    let array = batch.inputs.get(tensor.lent?)?;
    let Values::Float(values) = array.values else { return None };
    let start = window.map_or(0, |window| window.start);
    Some(Lent { values, rows: batch.rows, time: *array.shape.get(1)?, start, features: tensor.shape.features() })
}

/// Copies the rows of a batch, or a window of its sequences, from C order into memory order.
pub(super) fn gather<T: Copy>(
    shape: &Shape,
    rows: Option<&[i64]>,
    window: Option<Window>,
    values: &[T],
    target: &mut [T],
) {
    let batch = shape.axis(0);
    let width = shape.elements().checked_div(batch).unwrap_or(0);
    let (whole, start) = window.map_or((width, 0), |window| {
        let step = width.checked_div(window.len).unwrap_or(0);
        (step * window.total, step * window.start)
    });
    for_each_run(shape, batch, |source, to, run| {
        let source = match source.checked_div(width) {
            Some(row) => rows.map_or(row, |rows| rows[row] as usize) * whole + start + source % width,
            None => source,
        };
        target[to..to + run].copy_from_slice(&values[source..source + run]);
    });
}
