//! `activation(x · kernel + bias)` over the last axis.

use super::activation::Extent;
use super::product::{Matrix, add_columns, add_product, partials, product};
use super::{Cutter, Known, Lower};
use crate::plan::{Dispatch, Source};
use foliot_core::Result;
use foliot_core::activations::Activation;
use foliot_core::backend::{Call, Workspace};
use foliot_core::layers::Dense;
use foliot_core::tensor::Span;

/// Rows, features and units of a call.
fn sizes(call: &Call<'_>) -> [usize; 3] {
    let (input, output) = (&call.inputs[0].shape, &call.outputs[0].shape);
    [input.rows(), input.features(), output.features()]
}

/// The gradient of the sums, and room for sums of parts.
fn scratch(cutter: &mut Cutter, linear: bool, [rows, features, units]: [usize; 3]) -> [Span; 2] {
    let dz = cutter.take(if linear { 0 } else { rows * units });
    [dz, cutter.take(partials([features, units, rows]))]
}

fn is_linear(layer: &Dense) -> bool {
    layer.activation == Activation::Linear {}
}

impl Lower for Dense {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let [rows, _, units] = sizes(call);
        let linear = is_linear(self);
        let mut cutter = Cutter::counting();
        scratch(&mut cutter, linear, sizes(call));
        Workspace { saved: if linear { 0 } else { rows * units }, scratch: cutter.used }
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let [rows, features, units] = sizes(call);
        let y = call.outputs[0].value;
        let sums = if is_linear(self) { y } else { call.saved };
        let x = Matrix::new(Source::Floats(call.inputs[0].value), features);
        let kernel = Matrix::new(Source::Weight(call.parameters[0].id()), units);
        let bias = call.parameters.get(1).map(|bias| (Source::Weight(bias.id()), 0));
        product(out, call.name, [rows, units, features], &x, &kernel, bias, (sums, 0, units));
        if !is_linear(self) {
            Extent { rows, columns: units }.forward(out, call.name, self.activation, sums, y);
        }
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let Some(dy) = call.outputs[0].gradient else { return };
        let [rows, features, units] = sizes(call);
        let linear = is_linear(self);
        let [dz, partials] = scratch(&mut Cutter::of(call.scratch), linear, sizes(call));
        let dz = if linear { dy } else { dz };
        if !linear {
            let spans = [call.saved, call.outputs[0].value, dy, dz];
            Extent { rows, columns: units }.backward(out, call.name, self.activation, spans);
        }
        let dz = Matrix::new(Source::Floats(dz), units);
        if let Some(target) = call.parameter_gradients[0] {
            let x = Matrix::new(Source::Floats(call.inputs[0].value), features).transposed();
            add_product(out, call.name, [features, units, rows], &x, &dz, (target, 0, units), partials);
        }
        if let Some(target) = call.parameter_gradients.get(1).copied().flatten() {
            add_columns(out, call.name, [rows, units], &dz, (target, 0), partials);
        }
        if let Some(target) = call.inputs[0].gradient {
            let kernel = Matrix::new(Source::Weight(call.parameters[0].id()), units).transposed();
            product(out, call.name, [rows, features, units], &dz, &kernel, None, (target, 0, features));
        }
    }
}
