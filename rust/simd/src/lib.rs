//! Vector arithmetic, transcendental functions and matrix kernels, each written once for every instruction set.
//!
//! An algorithm is a [`Kernel`]: a struct that holds its operands, with a `run` that is generic over an [`Isa`].
//! [`dispatch()`] compiles `run` once for each instruction set and calls the copy that a [`Level`] names:
//!
//! ```
//! use foliot_simd::{Isa, Kernel, active, dispatch};
//!
//! struct Double<'a>(&'a mut [f32]);
//!
//! impl Kernel for Double<'_> {
//!     type Output = ();
//!
//!     #[inline(always)]
//!     fn run<I: Isa>(self, isa: I) {
//!         for chunk in self.0.chunks_mut(I::LANES) {
//!             // SAFETY: the pointer and the length are those of `chunk`, which is at most `LANES` long.
//!             unsafe {
//!                 let x = isa.load_partial(chunk.as_ptr(), chunk.len());
//!                 isa.store_partial(chunk.as_mut_ptr(), isa.add(x, x), chunk.len());
//!             }
//!         }
//!     }
//! }
//!
//! let mut values = [1.0, 2.0, 3.0];
//! dispatch(active()?, Double(&mut values));
//! assert_eq!(values, [2.0, 4.0, 6.0]);
//! # Ok::<(), foliot_simd::LevelError>(())
//! ```
//!
//! Every function below `run` that touches vectors must be `#[inline(always)]`. The CPU features are switched on for one
//! function, the trampoline inside [`dispatch()`]; a callee that is not inlined into it is compiled without them, and every
//! vector operation becomes a call.

#![allow(clippy::inline_always, reason = "only what is inlined into the trampoline is compiled with its CPU features")]

pub mod arch;
pub mod dispatch;
pub mod gemm;
pub mod isa;
pub mod math;

pub use dispatch::{Level, LevelError, active, available, dispatch};
pub use gemm::{Epilogue, Init, MatrixMut, MatrixRef, Operand, Packed, gemm, tiles};
pub use isa::{Isa, Kernel};
