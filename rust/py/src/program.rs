//! Networks that run.

use crate::arrays::{Given, optional_views, to_numpy, views};
use crate::devices;
use crate::errors::to_python;
use crate::optimizer::{Optimizer, Parameter, shared};
use foliot_core::program::{self, Batch, Expected};
use numpy::{PyArrayDyn, PyReadonlyArray1};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Program>()
}

/// A network with its memory.
#[pyclass(frozen, module = "foliot._core")]
struct Program(Mutex<program::Program>);

/// An array for Python.
type Output<'py> = Bound<'py, PyArrayDyn<f32>>;

impl Program {
    fn lock(&self) -> MutexGuard<'_, program::Program> {
        // A step that panicked leaves buffers that the next one overwrites.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of a batch.
fn slice<'a>(rows: Option<&'a PyReadonlyArray1<'_, i64>>) -> PyResult<Option<&'a [i64]>> {
    Ok(rows.map(|rows| rows.as_slice()).transpose()?)
}

#[pymethods]
impl Program {
    #[new]
    #[pyo3(signature = (graph, parameters, states=Vec::new(), device=None))]
    fn new(
        py: Python<'_>,
        graph: &str,
        parameters: Vec<PyRef<'_, Parameter>>,
        states: Vec<PyRef<'_, Parameter>>,
        device: Option<usize>,
    ) -> PyResult<Self> {
        let (parameters, states) = (shared(&parameters), shared(&states));
        let make = || match device {
            None => program::Program::new(graph, parameters, &states),
            Some(adapter) => devices::program(adapter, graph, parameters, &states),
        };
        let program = py.detach(make).map_err(to_python)?;
        Ok(Self(Mutex::new(program)))
    }

    fn output_shapes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, pyo3::types::PyTuple>>> {
        let shapes = py.detach(|| self.lock().output_shapes()).map_err(to_python)?;
        shapes.into_iter().map(|shape| pyo3::types::PyTuple::new(py, shape.0)).collect()
    }

    fn memory(&self, py: Python<'_>, inputs: Vec<Vec<usize>>, training: bool) -> PyResult<usize> {
        py.detach(|| self.lock().memory(&inputs, training)).map_err(to_python)
    }

    fn held_memory(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().held_memory())
    }

    fn compile(&self, py: Python<'_>, training: &str) -> PyResult<()> {
        py.detach(|| self.lock().compile(training)).map_err(to_python)
    }

    #[pyo3(signature = (inputs, masks, rows, training, step))]
    fn forward<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Given<'py>>,
        masks: Vec<Option<Given<'py>>>,
        rows: Option<PyReadonlyArray1<'py, i64>>,
        training: bool,
        step: u32,
    ) -> PyResult<Vec<Output<'py>>> {
        let (inputs, masks) = (views(&inputs)?, optional_views(&masks)?);
        let batch = Batch { inputs: &inputs, masks: &masks, rows: slice(rows.as_ref())? };
        let outputs = py.detach(|| self.lock().forward(batch, training, step)).map_err(to_python)?;
        outputs.into_iter().map(|output| to_numpy(py, output)).collect()
    }

    #[pyo3(signature = (optimizer, inputs, targets, sample_weights, rows, masks=None, tbptt=None))]
    fn train_batch<'py>(
        &self,
        py: Python<'py>,
        optimizer: &Optimizer,
        inputs: Vec<Given<'py>>,
        targets: Vec<Given<'py>>,
        sample_weights: Vec<Option<Given<'py>>>,
        rows: Option<PyReadonlyArray1<'py, i64>>,
        masks: Option<Vec<Option<Given<'py>>>>,
        tbptt: Option<usize>,
    ) -> PyResult<Vec<f64>> {
        let (inputs, targets, weights) = (views(&inputs)?, views(&targets)?, optional_views(&sample_weights)?);
        let masks = masks.unwrap_or_default();
        let masks = optional_views(&masks)?;
        let batch = Batch { inputs: &inputs, masks: &masks, rows: slice(rows.as_ref())? };
        let expected = Expected { targets: &targets, weights: &weights };
        let train = || match tbptt {
            Some(len) => self.lock().train_pieces(&mut optimizer.lock(), batch, expected, len),
            None => self.lock().train(&mut optimizer.lock(), batch, expected),
        };
        py.detach(train).map_err(to_python)
    }

    #[pyo3(signature = (inputs, targets, sample_weights, rows, masks=None))]
    fn test_batch<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Given<'py>>,
        targets: Vec<Given<'py>>,
        sample_weights: Vec<Option<Given<'py>>>,
        rows: Option<PyReadonlyArray1<'py, i64>>,
        masks: Option<Vec<Option<Given<'py>>>>,
    ) -> PyResult<Vec<f64>> {
        let (inputs, targets, weights) = (views(&inputs)?, views(&targets)?, optional_views(&sample_weights)?);
        let masks = masks.unwrap_or_default();
        let masks = optional_views(&masks)?;
        let batch = Batch { inputs: &inputs, masks: &masks, rows: slice(rows.as_ref())? };
        let expected = Expected { targets: &targets, weights: &weights };
        py.detach(|| self.lock().test(batch, expected)).map_err(to_python)
    }

    fn gradients<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<Given<'py>>,
        masks: Vec<Option<Given<'py>>>,
        targets: Vec<Given<'py>>,
        sample_weights: Vec<Option<Given<'py>>>,
        training: bool,
        step: u32,
    ) -> PyResult<(f64, Vec<Output<'py>>, Vec<Option<Output<'py>>>)> {
        let (inputs, masks) = (views(&inputs)?, optional_views(&masks)?);
        let (targets, weights) = (views(&targets)?, optional_views(&sample_weights)?);
        let batch = Batch { inputs: &inputs, masks: &masks, rows: None };
        let expected = Expected { targets: &targets, weights: &weights };
        let report = py.detach(|| self.lock().gradients(batch, expected, training, step)).map_err(to_python)?;
        let parameters =
            report.parameters.into_iter().map(|gradient| to_numpy(py, gradient)).collect::<PyResult<_>>()?;
        let input = |gradient: Option<_>| gradient.map(|gradient| to_numpy(py, gradient)).transpose();
        Ok((report.loss, parameters, report.inputs.into_iter().map(input).collect::<PyResult<_>>()?))
    }

    fn watch(&self, py: Python<'_>, watched: bool) {
        py.detach(|| self.lock().watch(watched));
    }

    fn take_outputs<'py>(&self, py: Python<'py>) -> PyResult<Vec<(Output<'py>, Option<Vec<u8>>)>> {
        let seen = py.detach(|| self.lock().take_outputs());
        seen.into_iter().map(|seen| Ok((to_numpy(py, (seen.shape, seen.values))?, seen.mask))).collect()
    }

    fn failed_weights<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Output<'py>>>> {
        let weights = py.detach(|| self.lock().failed_weights().map(<[_]>::to_vec));
        weights.map(|weights| weights.into_iter().map(|weight| to_numpy(py, weight)).collect()).transpose()
    }

    fn reset_metrics(&self, py: Python<'_>) {
        py.detach(|| self.lock().reset_metrics());
    }

    fn gathered(&self, py: Python<'_>) -> Vec<Vec<f64>> {
        py.detach(|| self.lock().gathered())
    }

    fn set_gathered(&self, py: Python<'_>, gathered: Vec<Vec<f64>>) -> PyResult<()> {
        py.detach(|| self.lock().set_gathered(gathered)).map_err(to_python)
    }
}
