//! The instruction sets.

#![allow(clippy::wildcard_imports, reason = "the intrinsics carry the name of their instruction set")]

/// Declares an instruction set's token. The one feature list makes both the detection in `new` and the
/// `#[target_feature]` of the trampoline in `run`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $detected:ident, [$($feature:tt),+]) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl $name {
            /// The token, where the CPU and the operating system support the instructions.
            #[must_use]
            pub fn new() -> Option<Self> {
                (true $(&& std::arch::$detected!($feature))+).then_some(Self(()))
            }

            /// Runs `kernel` compiled with this instruction set.
            #[inline]
            pub fn run<K: $crate::isa::Kernel>(self, kernel: K) -> K::Output {
                #[target_feature($(enable = $feature),+)]
                fn trampoline<K: $crate::isa::Kernel>(isa: $name, kernel: K) -> K::Output {
                    kernel.run(isa)
                }
                // SAFETY: `self` exists only where `new` found every feature of the list.
                unsafe { trampoline(self, kernel) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use neon::Neon;
pub use portable::Portable;

/// The bits of the f32 at or just above sqrt(1/2), where [`split`](crate::Isa::split) moves to the next exponent.
const SQRT_HALF_BITS: i32 = 0x3F35_04F3;
