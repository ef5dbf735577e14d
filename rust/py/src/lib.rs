//! The export list of `foliot._core`. Nothing here computes: a method unwraps, releases the GIL, calls the core, wraps.
// PyO3's generated items carry no documentation of their own; the stub `_core.pyi` documents what Python sees.
#![allow(missing_docs)]
// PyO3 hands arguments over by value.
#![allow(clippy::needless_pass_by_value)]

mod arrays;
mod devices;
mod errors;
mod files;
mod initializers;
mod losses;
mod optimizer;
#[cfg(feature = "gpu")]
mod plan;
mod program;
mod runtime;
mod stream;
mod text;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    devices::register(module)?;
    files::register(module)?;
    initializers::register(module)?;
    losses::register(module)?;
    optimizer::register(module)?;
    #[cfg(feature = "gpu")]
    plan::register(module)?;
    program::register(module)?;
    runtime::register(module)?;
    stream::register(module)?;
    text::register(module)
}
