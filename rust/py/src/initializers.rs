//! Initial values and random orders.

use foliot_core::initializers::Initializer;
use foliot_core::{Error, random};
use numpy::{IntoPyArray, PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::errors::to_python;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(initialize, module)?)?;
    module.add_function(wrap_pyfunction!(permutation, module)?)
}

/// A specification from its JSON.
pub(crate) fn specification<T: DeserializeOwned>(text: &str) -> PyResult<T> {
    serde_json::from_str(text).map_err(|error| {
        to_python(Error::value("spec", "a specification that the core knows", format!("{text} ({error})")))
    })
}

#[pyfunction]
fn initialize<'py>(
    py: Python<'py>,
    spec: &str,
    shape: Vec<usize>,
    seed: u64,
    part: u64,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let initializer: Initializer = specification(spec)?;
    let values = py.detach(|| initializer.make(&shape, seed, part)).map_err(to_python)?;
    values.into_pyarray(py).reshape(shape)
}

#[pyfunction]
fn permutation(py: Python<'_>, n: usize, seed: u64, epoch: u64) -> Bound<'_, PyArray1<i64>> {
    py.detach(|| random::permutation(n, seed, epoch)).into_pyarray(py)
}
