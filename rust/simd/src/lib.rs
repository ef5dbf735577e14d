//! Vector arithmetic, transcendental functions and matrix kernels, each written once for every instruction set.

pub mod arch;
pub mod dispatch;
pub mod gemm;
pub mod isa;
pub mod math;
