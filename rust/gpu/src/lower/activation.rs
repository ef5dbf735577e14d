//! Functions of elements and rows.

use super::{Known, Lower};
use crate::plan::{Dispatch, MOST_WORKGROUPS, Source, groups_for};
use crate::shaders::{ELEMENTWISE, ELEMENTWISE_BACKWARD, GATE_LINEAR, GATE_LINEAR_BACKWARD, SOFTMAX, SOFTMAX_BACKWARD};
use foliot_core::Result;
use foliot_core::activations::{Activation, GELU_CUBIC, NORMAL_DENSITY, SELU_ALPHA, SELU_SCALE, SQRT_2_BY_PI};
use foliot_core::backend::Call;
use foliot_core::layers::{Activate, GatedLinearUnit};
use foliot_core::tensor::Span;

/// A function of an element, by its number in math.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Linear,
    Tanh,
    Sigmoid,
    Relu,
    BoundedRelu,
    Ramp,
    Ramped,
    Softsign,
    Elu,
    Softplus,
    LogSigmoid,
    Silu,
    Exponential,
    Gelu,
    GeluByTanh,
    Mish,
    TanhShrink,
    SoftShrink,
    HardShrink,
    Threshold,
    Squareplus,
    SparsePlus,
}

/// A function of an element and its numbers a, b and c, which math.wgsl explains.
#[derive(Clone, Copy)]
pub(super) struct Element {
    kind: Kind,
    numbers: [f32; 3],
}

impl Element {
    /// Whether the slope needs x beside y.
    fn needs_input(self) -> bool {
        use Kind::{Exponential, Linear, Ramp, Sigmoid, Softsign, Tanh};
        !matches!(self.kind, Linear | Tanh | Sigmoid | Ramp | Softsign | Exponential)
    }

    /// As constants of a kernel: the function, its numbers, and whether its slope needs its input.
    pub(super) fn constants(self, dispatch: Dispatch, names: [&'static str; 5]) -> Dispatch {
        let [kind, a, b, c, by_input] = names;
        let [of_a, of_b, of_c] = self.numbers;
        let dispatch = dispatch.constant(kind, self.kind as u32);
        dispatch.constant(a, of_a).constant(b, of_b).constant(c, of_c).flag(by_input, self.needs_input())
    }
}

/// A function as the kernels know it.
#[derive(Clone, Copy)]
enum Function {
    Element(Element),
    /// Of whole rows, by its number in softmax.wgsl.
    Rows(u32),
}

const SOFTMAX_OF_ROWS: u32 = 0;
const LOG_SOFTMAX_OF_ROWS: u32 = 1;
const SPARSEMAX_OF_ROWS: u32 = 2;

fn function(activation: Activation) -> Function {
    let (kind, numbers) = match activation {
        Activation::Softmax {} => return Function::Rows(SOFTMAX_OF_ROWS),
        Activation::LogSoftmax {} => return Function::Rows(LOG_SOFTMAX_OF_ROWS),
        Activation::Sparsemax {} => return Function::Rows(SPARSEMAX_OF_ROWS),
        Activation::Linear {} => (Kind::Linear, [0.0; 3]),
        Activation::Tanh {} => (Kind::Tanh, [0.0; 3]),
        Activation::Sigmoid {} => (Kind::Sigmoid, [0.0; 3]),
        Activation::Relu { negative_slope, max_value: None, threshold } => {
            (Kind::Relu, [negative_slope, threshold, 0.0])
        }
        Activation::Relu { negative_slope, max_value: Some(most), threshold } => {
            (Kind::BoundedRelu, [negative_slope, threshold, most])
        }
        Activation::Relu6 {} => (Kind::BoundedRelu, [0.0, 0.0, 6.0]),
        Activation::LeakyRelu { negative_slope } => (Kind::Relu, [negative_slope, 0.0, 0.0]),
        Activation::HardSigmoid {} => (Kind::Ramp, [1.0 / 6.0, 0.5, 0.0]),
        Activation::HardTanh {} => (Kind::Ramp, [1.0, 0.0, -1.0]),
        Activation::SparseSigmoid {} => (Kind::Ramp, [0.5, 0.5, 0.0]),
        Activation::HardSilu {} => (Kind::Ramped, [1.0 / 6.0, 0.5, 0.0]),
        Activation::Softsign {} => (Kind::Softsign, [0.0; 3]),
        Activation::Elu { alpha } => (Kind::Elu, [alpha, 1.0, 1.0]),
        Activation::Selu {} => (Kind::Elu, [SELU_ALPHA, SELU_SCALE, 1.0]),
        Activation::Celu { alpha } => (Kind::Elu, [alpha, 1.0, alpha]),
        Activation::Softplus {} => (Kind::Softplus, [0.0; 3]),
        Activation::LogSigmoid {} => (Kind::LogSigmoid, [0.0; 3]),
        Activation::Silu {} => (Kind::Silu, [0.0; 3]),
        Activation::Exponential {} => (Kind::Exponential, [0.0; 3]),
        Activation::Gelu { approximate: false } => (Kind::Gelu, [NORMAL_DENSITY, 0.0, 0.0]),
        Activation::Gelu { approximate: true } => (Kind::GeluByTanh, [SQRT_2_BY_PI, GELU_CUBIC, 0.0]),
        Activation::Mish {} => (Kind::Mish, [0.0; 3]),
        Activation::TanhShrink {} => (Kind::TanhShrink, [0.0; 3]),
        Activation::SoftShrink { threshold } => (Kind::SoftShrink, [threshold, 0.0, 0.0]),
        Activation::HardShrink { threshold } => (Kind::HardShrink, [threshold, 0.0, 0.0]),
        Activation::Threshold { threshold, default_value } => (Kind::Threshold, [threshold, default_value, 0.0]),
        Activation::Squareplus { b } => (Kind::Squareplus, [b, 0.0, 0.0]),
        Activation::SparsePlus {} => (Kind::SparsePlus, [0.0; 3]),
    };
    Function::Element(Element { kind, numbers })
}

/// The function of a cell; none for one of whole rows, which are spread over a workgroup there.
pub(super) fn of_cell(activation: Activation) -> Option<Element> {
    match function(activation) {
        Function::Element(element) => Some(element),
        Function::Rows(_) => None,
    }
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
        Some(match function(activation) {
            Function::Rows(number) => {
                let groups = [rows.min(MOST_WORKGROUPS), 1, 1];
                Dispatch::new(kernels[1], label, &[rows, columns], groups).constant("FUNCTION", number)
            }
            Function::Element(Element { kind, numbers }) => {
                let count = rows * columns;
                let dispatch = Dispatch::new(kernels[0], label, &[count], groups_for(count));
                numbers.into_iter().fold(dispatch, Dispatch::number).constant("ACTIVATION", kind as u32)
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

/// A pass of a gated linear unit, whose input is bound in `spans` as in glu.wgsl.
fn gate_linear(call: &Call<'_>, kernel: crate::shaders::Kernel, sources: [Source; 4], out: &mut Vec<Dispatch>) {
    let output = &call.outputs[0].shape;
    let count = output.elements();
    if count == 0 {
        return;
    }
    let dispatch = Dispatch::new(kernel, call.name, &[count, output.features()], groups_for(count));
    out.push((0..).zip(sources).fold(dispatch, |dispatch, (slot, source)| dispatch.bind(slot, source)));
}

impl Lower for GatedLinearUnit {
    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let [x, y] = [call.inputs[0].value, call.outputs[0].value].map(Source::Floats);
        gate_linear(call, GATE_LINEAR, [x, y, Source::Nothing, Source::Nothing], out);
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let (Some(dy), Some(dx)) = (call.outputs[0].gradient, call.inputs[0].gradient) else { return };
        let [x, dy, dx] = [call.inputs[0].value, dy, dx].map(Source::Floats);
        gate_linear(call, GATE_LINEAR_BACKWARD, [x, Source::Nothing, dy, dx], out);
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    /// The name of a kind as a constant: `BoundedRelu` is `BOUNDED_RELU`.
    fn constant(kind: Kind) -> String {
        let name = format!("{kind:?}");
        let parts = name.char_indices().flat_map(|(at, letter)| {
            let gap = (at > 0 && letter.is_uppercase()).then_some('_');
            gap.into_iter().chain(letter.to_uppercase())
        });
        parts.collect()
    }

    #[test]
    fn kinds_have_the_numbers_of_the_shader() {
        let text = include_str!("../../shaders/math.wgsl");
        let numbered =
            text.lines().filter_map(|line| line.strip_prefix("const ")?.strip_suffix("u;")?.split_once(": u32 = "));
        let numbered: Vec<(&str, u32)> = numbered.map(|(name, number)| (name, number.parse().unwrap())).collect();
        assert_eq!(numbered.len(), Kind::SparsePlus as usize + 1);
        for kind in [
            Kind::Linear,
            Kind::Tanh,
            Kind::Sigmoid,
            Kind::Relu,
            Kind::BoundedRelu,
            Kind::Ramp,
            Kind::Ramped,
            Kind::Softsign,
            Kind::Elu,
            Kind::Softplus,
            Kind::LogSigmoid,
            Kind::Silu,
            Kind::Exponential,
            Kind::Gelu,
            Kind::GeluByTanh,
            Kind::Mish,
            Kind::TanhShrink,
            Kind::SoftShrink,
            Kind::HardShrink,
            Kind::Threshold,
            Kind::Squareplus,
            Kind::SparsePlus,
        ] {
            assert!(numbered.contains(&(constant(kind).as_str(), kind as u32)), "{kind:?}");
        }
    }
}
