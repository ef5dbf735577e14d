//! What runs where, and checks of whole arrays.

use crate::errors::to_python;
use foliot_core::check::first_not_finite;
use foliot_core::{Error, threads};
use numpy::{PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::collections::BTreeMap;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(get_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(isa, module)?)?;
    module.add_function(wrap_pyfunction!(available_isas, module)?)?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    module.add_function(wrap_pyfunction!(check_finite, module)?)
}

#[pyfunction]
fn set_num_threads(n: usize) -> PyResult<()> {
    threads::set_num_threads(n).map_err(to_python)
}

#[pyfunction]
fn get_num_threads() -> PyResult<usize> {
    threads::num_threads().map_err(to_python)
}

#[pyfunction]
fn isa() -> PyResult<&'static str> {
    match foliot_simd::active() {
        Ok(level) => Ok(level.name()),
        Err(error) => Err(to_python(Error::value("FOLIOT_ISA", "an instruction set of this CPU", error.to_string()))),
    }
}

#[pyfunction]
fn available_isas() -> Vec<&'static str> {
    foliot_simd::available().iter().map(|level| level.name()).collect()
}

/// The version, and whether this is a debug build, which benchmarks refuse.
#[pyfunction]
fn build_info() -> BTreeMap<&'static str, &'static str> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    BTreeMap::from([
        ("version", env!("CARGO_PKG_VERSION")),
        ("profile", profile),
        ("gpu", if cfg!(feature = "gpu") { "yes" } else { "no" }),
        ("architecture", std::env::consts::ARCH),
        ("os", std::env::consts::OS),
    ])
}

/// Names the first row of an array with a NaN or an infinity.
#[pyfunction]
fn check_finite(py: Python<'_>, name: &str, array: PyReadonlyArrayDyn<'_, f32>) -> PyResult<()> {
    let values = array.as_slice()?;
    match py.detach(|| first_not_finite(values)) {
        None => Ok(()),
        Some(at) => {
            let rows = array.shape().first().copied().unwrap_or(1).max(1);
            let received = format!("{} in row {}", values[at], at / (values.len() / rows).max(1));
            Err(to_python(Error::value(name, "finite numbers", received)))
        }
    }
}
