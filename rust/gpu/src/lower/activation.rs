//! Functions of elements and rows.

use super::{Known, Lower};
use crate::plan::{Dispatch, MOST_WORKGROUPS, Source, groups_for};
use crate::shaders::{ELEMENTWISE, ELEMENTWISE_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD};
use foliot_core::Result;
use foliot_core::activations::Activation;
use foliot_core::backend::Call;
use foliot_core::layers::Activate;
use foliot_core::tensor::Span;

/// A function as the kernels know it.
#[derive(Clone, Copy, PartialEq)]
enum Function {
    /// By its number in math.wgsl, and its parameter.
    Element(u32, f32),
    Softmax,
}

const LINEAR: u32 = 0;
const TANH: u32 = 1;
const SIGMOID: u32 = 2;
const RELU: u32 = 3;
const HARD_SIGMOID: u32 = 4;
const SOFTSIGN: u32 = 5;
const ELU: u32 = 6;
const SOFTPLUS: u32 = 7;
const SILU: u32 = 8;
const EXPONENTIAL: u32 = 9;

fn function(activation: Activation) -> Option<Function> {
    Some(match activation {
        Activation::Linear {} => Function::Element(LINEAR, 0.0),
        Activation::Tanh {} => Function::Element(TANH, 0.0),
        Activation::Sigmoid {} => Function::Element(SIGMOID, 0.0),
        // With a slope below zero the output does not tell the input's sign.
        Activation::Relu { negative_slope, max_value: None, threshold: 0.0 } if negative_slope >= 0.0 => {
            Function::Element(RELU, negative_slope)
        }
        Activation::LeakyRelu { negative_slope } if negative_slope >= 0.0 => Function::Element(RELU, negative_slope),
        Activation::HardSigmoid {} => Function::Element(HARD_SIGMOID, 0.0),
        Activation::Softsign {} => Function::Element(SOFTSIGN, 0.0),
        Activation::Elu { alpha } if alpha > 0.0 => Function::Element(ELU, alpha),
        Activation::Softplus {} => Function::Element(SOFTPLUS, 0.0),
        Activation::Silu {} => Function::Element(SILU, 0.0),
        Activation::Exponential {} => Function::Element(EXPONENTIAL, 0.0),
        Activation::Softmax {} => Function::Softmax,
        _ => return None,
    })
}

/// The number of a function that a cell may use: one without a parameter, whose slope follows from its output.
pub(super) fn of_cell(activation: Activation) -> Option<u32> {
    match function(activation)? {
        Function::Element(kind @ (LINEAR | TANH | SIGMOID | HARD_SIGMOID | SOFTSIGN | EXPONENTIAL), _) => Some(kind),
        Function::Element(RELU, 0.0) => Some(RELU),
        _ => None,
    }
}

/// Why a function cannot be had; none if it can.
pub(super) fn refuses(activation: Activation) -> Option<String> {
    function(activation).is_none().then(|| format!("the activation {activation:?}"))
}

/// Rows of a tensor in memory.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Extent {
    fn dispatch(self, label: &str, activation: Activation, kernels: [crate::shaders::Kernel; 2]) -> Option<Dispatch> {
        let Self { rows, columns } = self;
        if rows * columns == 0 {
            return None;
        }
        Some(match function(activation)? {
            Function::Softmax => Dispatch::new(kernels[1], label, &[rows, columns], [rows.min(MOST_WORKGROUPS), 1, 1]),
            Function::Element(kind, alpha) => {
                let count = rows * columns;
                let dispatch = Dispatch::new(kernels[0], label, &[count], groups_for(count));
                dispatch.number(alpha).constant("ACTIVATION", kind)
            }
        })
    }

    /// y from x.
    pub(super) fn forward(self, out: &mut Vec<Dispatch>, label: &str, activation: Activation, x: Span, y: Span) {
        let dispatch = self.dispatch(label, activation, [ELEMENTWISE, SOFTMAX]);
        let bind = |dispatch: Dispatch| {
            let bound = dispatch.bind(0, Source::Floats(x)).bind(1, Source::Floats(y));
            bound.bind(2, Source::Nothing).bind(3, Source::Nothing)
        };
        out.extend(dispatch.map(bind));
    }

    /// dx from x, y and dy.
    pub(super) fn backward(
        self,
        out: &mut Vec<Dispatch>,
        label: &str,
        activation: Activation,
        [x, y, dy, dx]: [Span; 4],
    ) {
        let dispatch = self.dispatch(label, activation, [ELEMENTWISE_BACKWARD, SOFTMAX_BACKWARD]);
        let bind = |dispatch: Dispatch| {
            let bound = dispatch.bind(0, Source::Floats(x)).bind(1, Source::Floats(y));
            bound.bind(2, Source::Floats(dy)).bind(3, Source::Floats(dx))
        };
        out.extend(dispatch.map(bind));
    }
}

impl Lower for Activate {
    fn refuses(&self) -> Option<String> {
        refuses(self.activation)
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let shape = &call.inputs[0].shape;
        let extent = Extent { rows: shape.rows(), columns: shape.features() };
        extent.forward(out, call.name, self.activation, call.inputs[0].value, call.outputs[0].value);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let shape = &call.inputs[0].shape;
        let extent = Extent { rows: shape.rows(), columns: shape.features() };
        let spans = [call.inputs[0].value, call.outputs[0].value, dy, dx];
        extent.backward(out, call.name, self.activation, spans);
    }
}
