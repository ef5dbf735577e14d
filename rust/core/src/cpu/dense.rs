//! `activation(x · kernel + bias)` over the last axis.

use super::{Compute, Context, Memory, Parts, for_each_rows};
use crate::Result;
use crate::activations::Activation;
use crate::backend::{Call, Workspace};
use crate::layers::Dense;
use crate::parameter::Parameter;
use crate::scan::gradients::{ColumnSums, OuterProducts, Rows, Segment};
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, Packed, gemm};

/// The kernel in the order that the products read, as long as the kernel does not change.
#[derive(Default)]
pub(super) struct State {
    forward: Option<(u64, Packed)>,
    backward: Option<(u64, Packed)>,
}

/// The kernel (features, units) packed, or its transpose; packed again when the parameter has changed.
fn packed<'a>(
    cache: &'a mut Option<(u64, Packed)>,
    level: Level,
    kernel: &Parameter,
    [features, units]: [usize; 2],
    transposed: bool,
) -> &'a Packed {
    let values = kernel.read();
    let version = kernel.version();
    let (k, n, strides) = if transposed { (units, features, (1, units)) } else { (features, units, (units, 1)) };
    let (stored, packed) =
        cache.get_or_insert_with(|| (version, Packed::plain(level, &values, k, n, strides.0, strides.1)));
    if *stored != version {
        packed.repack(&values, strides.0, strides.1);
        *stored = version;
    }
    packed
}

impl Compute for Dense {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        // Before the activation, in training and inference: out of place keeps one code path for all activations.
        let elements = call.outputs[0].shape.elements();
        let linear = self.activation == Activation::Linear {};
        let (rows, features, units) =
            (call.inputs[0].shape.rows(), call.inputs[0].shape.features(), call.outputs[0].shape.features());
        let partials =
            OuterProducts::new(features, units, rows).partials().max(ColumnSums::new(units, rows).partials());
        Workspace { saved: if linear { 0 } else { elements }, scratch: elements + partials }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        context.kept.dense.forward(context.level, context.memory, call, self.activation);
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        context.kept.dense.backward(context.level, context.memory, call, self.activation);
    }
}

impl State {
    fn forward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, activation: Activation) {
        let (rows, features, units) =
            (call.inputs[0].shape.rows(), call.inputs[0].shape.features(), call.outputs[0].shape.features());
        let kernel = packed(&mut self.forward, level, call.parameters[0], [features, units], false);
        let bias = call.parameters.get(1).map(|bias| bias.read());
        let linear = activation == Activation::Linear {};
        let [x, z, y] = memory.many([call.inputs[0].value, call.saved, call.outputs[0].value]);
        let (x, sums) = (&*x, if linear { Parts(y.as_mut_ptr()) } else { Parts(z.as_mut_ptr()) });
        let y = Parts(y.as_mut_ptr());
        for_each_rows(rows, rows_per_task(features, units), |start, count| {
            let a = MatrixRef::new(&x[start * features..], features, 1);
            let init = bias.as_ref().map_or(Init::Zero, |bias| Init::Bias(bias));
            // SAFETY: tasks have disjoint rows of the sums and of y.
            let sums = unsafe { sums.part(start * units, count * units) };
            gemm(level, count, units, features, a, Operand::Packed(kernel), init, MatrixMut::new(sums, units));
            if !linear {
                // SAFETY: as above.
                activation.forward(level, units, sums, unsafe { y.part(start * units, count * units) });
            }
        });
    }

    fn backward(&mut self, level: Level, memory: &mut Memory, call: &Call<'_>, activation: Activation) {
        let Some(output_gradient) = call.outputs[0].gradient else { return };
        let (rows, features, units) =
            (call.inputs[0].shape.rows(), call.inputs[0].shape.features(), call.outputs[0].shape.features());
        let elements = rows * units;
        let dz = call.scratch.part(0, elements);
        let partials = call.scratch.part(elements, call.scratch.len - elements);
        let linear = activation == Activation::Linear {};
        if !linear {
            let [z, y, dy, dz] = memory.many([call.saved, call.outputs[0].value, output_gradient, dz]);
            activation.backward(level, units, z, y, dy, dz);
        }
        let dz = if linear { output_gradient } else { dz };
        if let Some(kernel) = call.parameter_gradients[0] {
            let [x, dz, kernel, partials] = memory.many([call.inputs[0].value, dz, kernel, partials]);
            let segments = [Segment { left: 0, right: 0, rows }];
            let (x, dz) = (Rows::whole(x, features), Rows::whole(dz, units));
            let sum = OuterProducts::new(features, units, rows);
            partials.fill(0.0);
            sum.add(level, 0, &segments, x, dz, 0, partials);
            sum.finish(partials, kernel);
        }
        if let Some(bias) = call.parameter_gradients.get(1).copied().flatten() {
            let [dz, bias, partials] = memory.many([dz, bias, partials]);
            let sum = ColumnSums::new(units, rows);
            partials.fill(0.0);
            sum.add(0, rows, Rows::whole(dz, units), 0, partials);
            sum.finish(partials, bias);
        }
        if let Some(input_gradient) = call.inputs[0].gradient {
            let kernel = packed(&mut self.backward, level, call.parameters[0], [features, units], true);
            let [dz, dx] = memory.many([dz, input_gradient]);
            let (dz, dx) = (&*dz, Parts(dx.as_mut_ptr()));
            for_each_rows(rows, rows_per_task(features, units), |start, count| {
                let a = MatrixRef::new(&dz[start * units..], units, 1);
                // SAFETY: tasks have disjoint rows.
                let dx = unsafe { dx.part(start * features, count * features) };
                gemm(
                    level,
                    count,
                    features,
                    units,
                    a,
                    Operand::Packed(kernel),
                    Init::Zero,
                    MatrixMut::new(dx, features),
                );
            });
        }
    }
}

/// Rows whose product is worth a task.
fn rows_per_task(features: usize, units: usize) -> usize {
    const MULTIPLICATIONS: usize = 128 * 1024;
    (MULTIPLICATIONS / (features * units).max(1)).max(12)
}
