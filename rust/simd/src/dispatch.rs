//! Choosing an instruction set at run time.

use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::arch;
use crate::isa::Kernel;

/// The environment variable that overrides the choice of instruction set.
const VARIABLE: &str = "FOLIOT_ISA";

/// The instruction sets that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Plain Rust; runs on every CPU.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
    /// aarch64 with NEON.
    Neon,
}

/// Every level, on whatever CPU.
const KNOWN: [Level; 4] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Neon];

impl Level {
    /// The name that `FOLIOT_ISA` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Values in one vector: [`Isa::LANES`](crate::Isa::LANES) of the level.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable | Self::Neon => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(name: &str) -> Result<Self, LevelError> {
        KNOWN.into_iter().find(|level| level.name() == name).ok_or_else(|| LevelError::unknown(name))
    }
}

/// A request for an instruction set that does not exist or that this CPU does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(String);

impl LevelError {
    fn unknown(name: &str) -> Self {
        Self(format!("{VARIABLE} must be one of {}. Received: {name:?}", names(&KNOWN)))
    }

    fn unsupported(level: Level, supported: &[Level]) -> Self {
        Self(format!("{VARIABLE} must be one of {}, which this CPU supports. Received: {level}", names(supported)))
    }
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LevelError {}

fn names(levels: &[Level]) -> String {
    levels.iter().map(|level| level.name()).collect::<Vec<_>>().join(", ")
}

/// The levels that this CPU can run, the best one last.
#[must_use]
pub fn available() -> &'static [Level] {
    static AVAILABLE: OnceLock<Vec<Level>> = OnceLock::new();
    AVAILABLE.get_or_init(|| {
        let mut levels = vec![Level::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(arch::Avx2::new().map(|_| Level::Avx2));
            levels.extend(arch::Avx512::new().map(|_| Level::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        levels.extend(arch::Neon::new().map(|_| Level::Neon));
        levels
    })
}

/// The level to compute with: the best one of this CPU, or the one that the environment variable `FOLIOT_ISA` names.
/// The variable is read once.
///
/// # Errors
/// `FOLIOT_ISA` names no level, or one that this CPU does not support.
pub fn active() -> Result<Level, LevelError> {
    static ACTIVE: OnceLock<Result<Level, LevelError>> = OnceLock::new();
    ACTIVE.get_or_init(|| choose(std::env::var_os(VARIABLE).as_deref(), available())).clone()
}

/// The level that `requested` names among `supported`; the last of these without a request.
fn choose(requested: Option<&OsStr>, supported: &[Level]) -> Result<Level, LevelError> {
    let Some(requested) = requested.filter(|name| !name.is_empty()) else {
        return Ok(supported.last().copied().unwrap_or(Level::Portable));
    };
    let level: Level = requested.to_str().ok_or_else(|| LevelError::unknown(&requested.to_string_lossy()))?.parse()?;
    if supported.contains(&level) { Ok(level) } else { Err(LevelError::unsupported(level, supported)) }
}

/// Runs `kernel` compiled for `level`.
///
/// # Panics
/// This CPU does not support `level`: take it from [`active`] or [`available`].
#[inline]
pub fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    match level {
        Level::Portable => return arch::Portable.run(kernel),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            if let Some(isa) = arch::Avx2::new() {
                return isa.run(kernel);
            }
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            if let Some(isa) = arch::Avx512::new() {
                return isa.run(kernel);
            }
        }
        #[cfg(target_arch = "aarch64")]
        Level::Neon => {
            if let Some(isa) = arch::Neon::new() {
                return isa.run(kernel);
            }
        }
        #[cfg(target_arch = "x86_64")]
        Level::Neon => {}
        #[cfg(target_arch = "aarch64")]
        Level::Avx2 | Level::Avx512 => {}
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Level::Avx2 | Level::Avx512 | Level::Neon => {}
    }
    panic!("this CPU does not support the level {level}; it supports {}", names(available()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(requested: &str, supported: &[Level]) -> Result<Level, String> {
        choose(Some(OsStr::new(requested)), supported).map_err(|error| error.to_string())
    }

    #[test]
    fn every_level_goes_by_its_name() {
        for level in KNOWN {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
    }

    #[test]
    fn without_a_request_the_best_level_is_chosen() {
        assert_eq!(choose(None, &[Level::Portable, Level::Avx2]), Ok(Level::Avx2));
        assert_eq!(ask("", &[Level::Portable]), Ok(Level::Portable));
        assert_eq!(choose(None, available()).ok(), available().last().copied());
    }

    #[test]
    fn a_request_is_obeyed_or_refused_by_name() {
        let supported = [Level::Portable, Level::Avx2];
        assert_eq!(ask("portable", &supported), Ok(Level::Portable));
        assert_eq!(
            ask("AVX2", &supported),
            Err("FOLIOT_ISA must be one of portable, avx2, avx512, neon. Received: \"AVX2\"".to_owned())
        );
        assert_eq!(
            ask("avx512", &supported),
            Err("FOLIOT_ISA must be one of portable, avx2, which this CPU supports. Received: avx512".to_owned())
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_request_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;

        let error = choose(Some(OsStr::from_bytes(b"avx\xFF")), &[Level::Portable]).unwrap_err();
        assert!(error.to_string().contains("FOLIOT_ISA"), "{error}");
    }

    #[test]
    fn every_available_level_runs_as_itself() {
        struct Name;

        impl Kernel for Name {
            type Output = (Level, usize);

            #[inline(always)]
            fn run<I: crate::Isa>(self, _: I) -> (Level, usize) {
                (I::LEVEL, I::LANES)
            }
        }
        assert_eq!(available()[0], Level::Portable);
        for &level in available() {
            assert_eq!(dispatch(level, Name), (level, level.lanes()));
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    #[should_panic(expected = "this CPU does not support the level neon")]
    fn a_foreign_level_is_refused() {
        struct Nothing;

        impl Kernel for Nothing {
            type Output = ();

            #[inline(always)]
            fn run<I: crate::Isa>(self, _: I) {}
        }
        dispatch(Level::Neon, Nothing);
    }
}
