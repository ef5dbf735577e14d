//! Losses and metrics called on arrays, outside of any model.

use foliot_core::losses::{Loss, Targets, Unit, Units};
use foliot_core::metrics::Metric;
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn};
use pyo3::prelude::*;

use crate::errors::to_python;
use crate::initializers::specification;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(evaluate_loss, module)?)?;
    module.add_function(wrap_pyfunction!(evaluate_metric, module)?)?;
    module.add_function(wrap_pyfunction!(metric_rows, module)?)?;
    module.add_function(wrap_pyfunction!(metric_result, module)?)
}

/// Targets as Python passes them: class indices, or a number for each prediction.
#[derive(FromPyObject)]
enum Given<'py> {
    Sparse(PyReadonlyArray1<'py, i32>),
    Dense(PyReadonlyArrayDyn<'py, f32>),
}

impl Given<'_> {
    fn targets(&self) -> PyResult<Targets<'_>> {
        Ok(match self {
            Self::Sparse(values) => Targets::Sparse(values.as_slice()?),
            Self::Dense(values) => Targets::Dense(values.as_slice()?),
        })
    }
}

/// The loss of each row; with `samples`, of each of so many samples, whose steps lie as many rows apart.
#[pyfunction]
#[pyo3(signature = (spec, targets, predictions, samples=None))]
fn evaluate_loss<'py>(
    py: Python<'py>,
    spec: &str,
    targets: Given<'py>,
    predictions: PyReadonlyArray2<'py, f32>,
    samples: Option<usize>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let loss: Loss = specification(spec)?;
    loss.validate().map_err(to_python)?;
    let (rows, features) = predictions.as_array().dim();
    let (targets, predictions) = (targets.targets()?, predictions.as_slice()?);
    let losses = match samples {
        None => loss.rows(targets, predictions, rows, features),
        Some(samples) => {
            let mut values = Vec::new();
            let units = Units { unit: Unit::Sample, samples, inner: 1 };
            loss.evaluate_units(targets, predictions, features, units, None, 1.0, None, &mut values)
                .map(|_| values.into_iter().map(|value| value as f32).collect())
        }
    };
    Ok(losses.map_err(to_python)?.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (spec, targets, predictions, weights=None, samples=None))]
fn evaluate_metric(
    spec: &str,
    targets: Given<'_>,
    predictions: PyReadonlyArray2<'_, f32>,
    weights: Option<PyReadonlyArray1<'_, f32>>,
    samples: Option<usize>,
) -> PyResult<Vec<f64>> {
    let metric: Metric = specification(spec)?;
    metric.validate().map_err(to_python)?;
    let (rows, features) = predictions.as_array().dim();
    let weights = weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
    let samples = samples.unwrap_or(rows);
    metric.update(targets.targets()?, predictions.as_slice()?, rows, features, weights, samples).map_err(to_python)
}

/// What a metric that is a mean over rows says of each row.
#[pyfunction]
fn metric_rows<'py>(
    py: Python<'py>,
    spec: &str,
    targets: Given<'py>,
    predictions: PyReadonlyArray2<'py, f32>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let metric: Metric = specification(spec)?;
    metric.validate().map_err(to_python)?;
    let (rows, features) = predictions.as_array().dim();
    let values = metric.rows(targets.targets()?, predictions.as_slice()?, rows, features).map_err(to_python)?;
    Ok(values.into_pyarray(py))
}

/// The metric of the sum of what [`evaluate_metric`] gave.
#[pyfunction]
fn metric_result(spec: &str, state: Vec<f64>) -> PyResult<Vec<f64>> {
    let metric: Metric = specification(spec)?;
    metric.validate().map_err(to_python)?;
    Ok(metric.result(&state))
}
