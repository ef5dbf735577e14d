//! Weights and optimizers.

use crate::arrays::to_numpy;
use crate::devices;
use crate::errors::to_python;
use foliot_core::optimizers::{OptimizerState, parse_schedule};
use foliot_core::parameter;
use numpy::{AllowTypeChange, PyArrayDyn, PyArrayLikeDyn, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Parameter>()?;
    module.add_class::<Optimizer>()?;
    module.add_function(wrap_pyfunction!(scheduled_rate, module)?)
}

/// An array of any number type and layout, as NumPy converts it.
type Floats<'py> = PyArrayLikeDyn<'py, f32, AllowTypeChange>;

/// A weight that layers and programs share.
#[pyclass(frozen, module = "foliot._core")]
pub(crate) struct Parameter(pub(crate) Arc<parameter::Parameter>);

#[pymethods]
impl Parameter {
    #[new]
    fn new(name: &str, value: Floats<'_>) -> PyResult<Self> {
        let values = value.as_array().iter().copied().collect();
        let parameter = parameter::Parameter::new(name, value.shape().to_vec(), values).map_err(to_python)?;
        Ok(Self(Arc::new(parameter)))
    }

    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        pyo3::types::PyTuple::new(py, self.0.shape())
    }

    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let values = py.detach(|| self.0.fetch().map(|()| self.0.read().clone())).map_err(to_python)?;
        to_numpy(py, (self.0.shape().to_vec(), values))
    }

    fn assign(&self, py: Python<'_>, value: Floats<'_>) -> PyResult<()> {
        if value.shape() != self.0.shape() {
            let (expected, received) = (format!("shape {:?}", self.0.shape()), format!("{:?}", value.shape()));
            return Err(to_python(foliot_core::Error::value(self.0.name(), expected, received)));
        }
        let values: Vec<f32> = value.as_array().iter().copied().collect();
        py.detach(|| self.0.assign(&values)).map_err(to_python)
    }
}

/// The parameters behind Python's.
pub(crate) fn shared(parameters: &[PyRef<'_, Parameter>]) -> Vec<Arc<parameter::Parameter>> {
    parameters.iter().map(|parameter| parameter.0.clone()).collect()
}

/// An optimizer with its state.
#[pyclass(frozen, module = "foliot._core")]
pub(crate) struct Optimizer(Mutex<OptimizerState>);

impl Optimizer {
    /// The state. Call it without the GIL where another thread may hold it for long.
    pub(crate) fn lock(&self) -> MutexGuard<'_, OptimizerState> {
        // A panic leaves numbers behind, never a broken invariant.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Optimizer {
    #[new]
    fn new(spec: &str) -> PyResult<Self> {
        Ok(Self(Mutex::new(OptimizerState::parse(spec).map_err(to_python)?)))
    }

    #[getter]
    fn learning_rate(&self, py: Python<'_>) -> f32 {
        py.detach(|| self.lock().learning_rate())
    }

    #[setter]
    fn set_learning_rate(&self, py: Python<'_>, value: f32) {
        py.detach(|| self.lock().set_learning_rate(value));
    }

    fn set_schedule(&self, py: Python<'_>, spec: &str) -> PyResult<()> {
        py.detach(|| self.lock().set_schedule(spec)).map_err(to_python)
    }

    #[getter]
    fn iterations(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.lock().iterations)
    }

    #[setter]
    fn set_iterations(&self, py: Python<'_>, value: u64) {
        py.detach(|| self.lock().iterations = value);
    }

    #[pyo3(signature = (parameters, undecayed=None, excluded=None))]
    fn build(
        &self,
        py: Python<'_>,
        parameters: Vec<PyRef<'_, Parameter>>,
        undecayed: Option<Vec<usize>>,
        excluded: Option<Vec<usize>>,
    ) {
        let parameters = shared(&parameters);
        let (undecayed, excluded) = (undecayed.unwrap_or_default(), excluded.unwrap_or_default());
        py.detach(|| self.lock().build(&parameters, &undecayed, &excluded));
    }

    fn refused_by_gpus(&self, py: Python<'_>) -> Option<String> {
        py.detach(|| devices::refuses_optimizer(self.lock().optimizer()))
    }

    fn take_averages(&self, py: Python<'_>) {
        py.detach(|| self.lock().take_averages());
    }

    fn size(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().size())
    }

    fn slot_names(&self, py: Python<'_>) -> Vec<&'static str> {
        py.detach(|| self.lock().optimizer().slot_names())
    }

    fn get_slots<'py>(&self, py: Python<'py>) -> PyResult<Vec<Vec<Bound<'py, PyArrayDyn<f32>>>>> {
        let slots = py.detach(|| self.lock().slots()).map_err(to_python)?;
        let arrays = |slot: Vec<_>| slot.into_iter().map(|array| to_numpy(py, array)).collect();
        slots.into_iter().map(arrays).collect()
    }

    fn set_slots(&self, py: Python<'_>, slots: Vec<Vec<PyReadonlyArrayDyn<'_, f32>>>) -> PyResult<()> {
        let values = |array: &PyReadonlyArrayDyn<'_, f32>| array.as_array().iter().copied().collect();
        let slots = slots.iter().map(|slot| slot.iter().map(values).collect()).collect();
        py.detach(|| self.lock().set_slots(slots)).map_err(to_python)
    }
}

/// The learning rate of a schedule when so many steps have been made.
#[pyfunction]
fn scheduled_rate(spec: &str, steps: f64) -> PyResult<f64> {
    Ok(parse_schedule(spec).map_err(to_python)?.at(steps))
}
