//! The one door from core errors to Python exceptions.

use foliot_core::Error;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// Each core error becomes its own Python exception, without a catch-all.
pub(crate) fn to_python(error: Error) -> PyErr {
    match error {
        Error::Value { .. } | Error::File { .. } => PyValueError::new_err(error.to_string()),
        Error::Device { .. } => PyRuntimeError::new_err(error.to_string()),
        Error::Type { .. } => PyTypeError::new_err(error.to_string()),
        // With an errno Python picks the subclass: FileNotFoundError, PermissionError, ...
        Error::Io { ref path, ref source } => match source.raw_os_error() {
            Some(errno) => PyOSError::new_err((errno, source.to_string(), path.display().to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
    }
}
