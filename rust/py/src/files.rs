//! Weight files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use foliot_core::{Error, files};
use numpy::{IntoPyArray, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::to_python;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(save_file, module)?)?;
    module.add_function(wrap_pyfunction!(load_file, module)?)
}

#[pyfunction]
fn save_file(
    py: Python<'_>,
    path: PathBuf,
    tensors: &Bound<'_, PyDict>,
    metadata: BTreeMap<String, String>,
) -> PyResult<()> {
    // Copied, so that nothing can change them once the GIL is released.
    let tensors = tensors.iter().map(|(name, array)| {
        let array: PyReadonlyArrayDyn<'_, f32> = array.extract().map_err(|_| {
            let kind =
                array.cast::<PyUntypedArray>().map_or_else(|_| array.get_type().to_string(), |a| a.dtype().to_string());
            to_python(Error::type_("tensors", "float32 arrays", format!("{kind} for {name}")))
        })?;
        let values: Vec<f32> = array.as_array().iter().copied().collect();
        Ok((name.extract::<String>()?, array.shape().to_vec(), values))
    });
    let tensors: Vec<_> = tensors.collect::<PyResult<_>>()?;
    py.detach(|| {
        let views: Vec<_> =
            tensors.iter().map(|(name, shape, values)| (name.clone(), shape.clone(), values.as_slice())).collect();
        files::save(&path, &views, &metadata)
    })
    .map_err(to_python)
}

#[pyfunction]
fn load_file(py: Python<'_>, path: PathBuf) -> PyResult<(Bound<'_, PyDict>, BTreeMap<String, String>)> {
    let (tensors, metadata) = py.detach(|| files::load(&path)).map_err(to_python)?;
    let dictionary = PyDict::new(py);
    for (name, shape, values) in tensors {
        dictionary.set_item(name, values.into_pyarray(py).reshape(shape)?)?;
    }
    Ok((dictionary, metadata))
}
