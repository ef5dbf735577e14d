//! NumPy arrays as the core takes them: C order, float32, int32 or flags.

use foliot_core::program::{Array, Values};
use numpy::{PyArrayDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// An array that Python passes; the borrow keeps other Rust code from writing to it.
#[derive(FromPyObject)]
pub(crate) enum Given<'py> {
    Float(PyReadonlyArrayDyn<'py, f32>),
    Integer(PyReadonlyArrayDyn<'py, i32>),
    Flag(PyReadonlyArrayDyn<'py, u8>),
    Bool(PyReadonlyArrayDyn<'py, bool>),
}

impl Given<'_> {
    /// A view for the core; the array has to be in C order.
    pub(crate) fn view(&self) -> PyResult<Array<'_>> {
        Ok(match self {
            Self::Float(array) => Array { shape: array.shape(), values: Values::Float(array.as_slice()?) },
            Self::Integer(array) => Array { shape: array.shape(), values: Values::Integer(array.as_slice()?) },
            Self::Flag(array) => Array { shape: array.shape(), values: Values::Flag(array.as_slice()?) },
            Self::Bool(array) => {
                let flags = array.as_slice()?;
                // SAFETY: a NumPy bool is one byte that is 0 or 1, and so is a `bool`.
                let bytes = unsafe { std::slice::from_raw_parts(flags.as_ptr().cast::<u8>(), flags.len()) };
                Array { shape: array.shape(), values: Values::Flag(bytes) }
            }
        })
    }
}

/// Views of all arrays.
pub(crate) fn views<'a>(arrays: &'a [Given<'_>]) -> PyResult<Vec<Array<'a>>> {
    arrays.iter().map(Given::view).collect()
}

/// Views of the arrays that are there.
pub(crate) fn optional_views<'a>(arrays: &'a [Option<Given<'_>>]) -> PyResult<Vec<Option<Array<'a>>>> {
    arrays.iter().map(|array| array.as_ref().map(Given::view).transpose()).collect()
}

/// A new NumPy array.
pub(crate) fn to_numpy(
    py: Python<'_>,
    (shape, values): (Vec<usize>, Vec<f32>),
) -> PyResult<Bound<'_, PyArrayDyn<f32>>> {
    use numpy::{IntoPyArray, PyArrayMethods};
    values.into_pyarray(py).reshape(shape)
}
