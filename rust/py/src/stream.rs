//! Sessions that take sequences piece by piece.

use crate::arrays::{Given, to_numpy, views};
use crate::errors::to_python;
use crate::optimizer::{Parameter, shared};
use foliot_core::program::Array;
use foliot_core::stream;
use numpy::{PyArrayDyn, PyReadwriteArrayDyn};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Stream>()
}

/// Products of a step, below which (some ten microseconds) handing the GIL over costs more than other threads gain.
const WORK: usize = 1 << 18;

/// A session with its states.
#[pyclass(frozen, module = "foliot._core")]
struct Stream(Mutex<stream::Stream>);

/// A layer's name and its states.
type Carried = (String, Vec<Parameter>);

impl Stream {
    fn lock(&self) -> MutexGuard<'_, stream::Stream> {
        // A step that panicked leaves numbers behind, never a broken invariant.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn infer(&self, py: Python<'_>, inputs: &[Array<'_>], outputs: &mut [&mut [f32]]) -> PyResult<()> {
        if let Ok(mut stream) = self.0.try_lock()
            && stream.work() <= WORK
        {
            return stream.step(inputs, outputs).map_err(to_python);
        }
        py.detach(|| self.lock().step(inputs, outputs)).map_err(to_python)
    }
}

#[pymethods]
impl Stream {
    #[new]
    fn new(
        py: Python<'_>,
        graph: &str,
        parameters: Vec<PyRef<'_, Parameter>>,
        batch: usize,
        axes: Vec<Vec<usize>>,
    ) -> PyResult<Self> {
        let parameters = shared(&parameters);
        let stream = py.detach(|| stream::Stream::new(graph, parameters, batch, &axes)).map_err(to_python)?;
        Ok(Self(Mutex::new(stream)))
    }

    fn shapes(&self, py: Python<'_>) -> (Vec<Vec<usize>>, Vec<Vec<usize>>, Vec<bool>) {
        py.detach(|| {
            let stream = self.lock();
            let outputs = stream.step_outputs().map(<[usize]>::to_vec).collect();
            (stream.step_inputs().collect(), outputs, stream.returns_steps().collect())
        })
    }

    fn step(&self, py: Python<'_>, x: Given<'_>, mut out: PyReadwriteArrayDyn<'_, f32>) -> PyResult<()> {
        self.infer(py, &[x.view()?], &mut [out.as_slice_mut()?])
    }

    fn step_all(
        &self,
        py: Python<'_>,
        inputs: Vec<Given<'_>>,
        mut outputs: Vec<PyReadwriteArrayDyn<'_, f32>>,
    ) -> PyResult<()> {
        let mut slices = outputs.iter_mut().map(|output| Ok(output.as_slice_mut()?)).collect::<PyResult<Vec<_>>>()?;
        self.infer(py, &views(&inputs)?, &mut slices)
    }

    fn run<'py>(&self, py: Python<'py>, inputs: Vec<Given<'py>>) -> PyResult<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        let inputs = views(&inputs)?;
        let outputs = py.detach(|| self.lock().run(&inputs)).map_err(to_python)?;
        outputs.into_iter().map(|output| to_numpy(py, output)).collect()
    }

    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.lock().reset());
    }

    fn states(&self, py: Python<'_>) -> Vec<Carried> {
        py.detach(|| {
            let stream = self.lock();
            let own = |states: &[_]| states.iter().cloned().map(Parameter).collect();
            stream.states().map(|(name, states)| (name.to_owned(), own(states))).collect()
        })
    }
}
