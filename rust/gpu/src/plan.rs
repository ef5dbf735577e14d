//! A plan as plain data: what a host has to dispatch, in order, and on which memory. Nothing here knows a host.

use crate::shaders::Kernel;
use foliot_core::tensor::Span;

/// Values that a kernel reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A part of the float memory of the step's plan.
    Floats(Span),
    /// A part of memory that lives as long as a submission.
    Scratch(Span),
    /// A weight, an optimizer's slot or a layer's state, by [`foliot_core::parameter::Parameter::id`].
    Weight(u64),
    /// Numbers that the host brings along: token ids, flags, lists. A kernel only reads them.
    Words(Vec<u32>),
    /// Nothing: the kernel has the binding but does not touch it.
    Nothing,
}

/// A binding of group 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its number.
    pub slot: u32,
    /// What is bound.
    pub source: Source,
}

/// One dispatch. The sizes are the words of the uniform block at binding 0 of group 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Whose work it is, for messages and profilers.
    pub label: String,
    /// The shader and its entry point.
    pub kernel: Kernel,
    /// Pipeline-overridable constants.
    pub constants: Vec<(&'static str, f64)>,
    /// The uniform block.
    pub sizes: Vec<u32>,
    /// What is bound.
    pub bindings: Vec<Binding>,
    /// How many workgroups.
    pub workgroups: [u32; 3],
}

impl Dispatch {
    /// A dispatch of a kernel.
    #[must_use]
    pub fn new(kernel: Kernel, label: &str, sizes: &[usize], workgroups: [usize; 3]) -> Self {
        Self {
            label: format!("{label}: {}", kernel.entry),
            kernel,
            constants: Vec::new(),
            sizes: sizes.iter().map(|&size| size as u32).collect(),
            bindings: Vec::new(),
            workgroups: workgroups.map(|count| count as u32),
        }
    }

    /// With a number at the end of the uniform block.
    #[must_use]
    pub fn number(mut self, value: f32) -> Self {
        self.sizes.push(value.to_bits());
        self
    }

    /// With a constant.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// With a flag.
    #[must_use]
    pub fn flag(self, name: &'static str, value: bool) -> Self {
        self.constant(name, f64::from(u8::from(value)))
    }

    /// With a binding.
    #[must_use]
    pub fn bind(mut self, slot: u32, source: Source) -> Self {
        self.bindings.push(Binding { slot, source });
        self
    }
}

/// Invocations of a workgroup of the kernels that go through elements.
const THREADS: usize = 64;

/// The most workgroups along an axis that every adapter has.
pub const MOST_WORKGROUPS: usize = 65535;

/// Workgroups for a number of elements; where they are too few, each takes several.
#[must_use]
pub fn groups_for(elements: usize) -> [usize; 3] {
    [elements.div_ceil(THREADS).min(MOST_WORKGROUPS), 1, 1]
}
