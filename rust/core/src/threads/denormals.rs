//! The processor's switch for treating denormal numbers as zero: decaying states produce them, and arithmetic on them is
//! tens of times slower on many CPUs.

#[cfg(target_arch = "x86_64")]
mod imp {
    use std::arch::asm;

    pub(super) type Register = u32;
    /// MXCSR bit 15 flushes denormal results, bit 6 reads denormal operands as zero.
    pub(super) const FLUSH: Register = 0x8040;

    pub(super) fn read() -> Register {
        let mut value = 0_u32;
        // SAFETY: stores four bytes to a live u32; SSE is part of x86_64.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags)) };
        value
    }

    pub(super) fn write(value: Register) {
        // SAFETY: `value` comes from `read` with at most the two bits above set, so no exception is unmasked and no
        // reserved bit is written; rounding stays as it was.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const value, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use std::arch::asm;

    pub(super) type Register = u64;
    /// FPCR bit 24 (FZ) flushes denormal operands and results.
    pub(super) const FLUSH: Register = 1 << 24;

    pub(super) fn read() -> Register {
        let value: u64;
        // SAFETY: reads a register that user code may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) value, options(nostack, preserves_flags)) };
        value
    }

    pub(super) fn write(value: Register) {
        // SAFETY: `value` comes from `read` with at most FZ set, so rounding and traps stay as they were.
        unsafe { asm!("msr fpcr, {}", in(reg) value, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    //! No switch is known: denormals stay, which is slower and never wrong.
    pub(super) type Register = u32;
    pub(super) const FLUSH: Register = 0;
    pub(super) fn read() -> Register {
        0
    }
    pub(super) fn write(_value: Register) {}
}

/// The register as it was.
pub(super) type Control = imp::Register;

/// Flushes denormals on this thread; gives back what [`restore`] needs.
pub(super) fn flush() -> Control {
    let before = imp::read();
    imp::write(before | imp::FLUSH);
    before
}

pub(super) fn restore(before: Control) {
    imp::write(before);
}

#[cfg(test)]
pub(super) fn current() -> Control {
    imp::read()
}
