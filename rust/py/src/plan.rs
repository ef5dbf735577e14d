//! Plans of GPUs as plain data, for other hosts of WGSL.

use crate::arrays::{Given, optional_views, views};
use crate::errors::to_python;
use crate::optimizer::{Optimizer, Parameter, shared};
use foliot_core::Result;
use foliot_core::graph::Graph;
use foliot_core::program::{Batch, Expected, Program};
use foliot_gpu::plan::{Dispatch, Source};
use foliot_gpu::recorder::{Event, Recorder, Tape};
use numpy::PyArray1;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::sync::PoisonError;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(plan, module)?)
}

/// What a GPU would be asked to do for the outputs of a batch, for its gradients if there are targets, for a training step if
/// there is an optimizer. With a `step` dropout is on.
#[pyfunction]
#[pyo3(signature = (graph, parameters, inputs, masks, training=None, targets=None, sample_weights=None, optimizer=None, step=None))]
fn plan<'py>(
    py: Python<'py>,
    graph: &str,
    parameters: Vec<PyRef<'py, Parameter>>,
    inputs: Vec<Given<'py>>,
    masks: Vec<Option<Given<'py>>>,
    training: Option<&str>,
    targets: Option<Vec<Given<'py>>>,
    sample_weights: Option<Vec<Option<Given<'py>>>>,
    optimizer: Option<PyRef<'py, Optimizer>>,
    step: Option<u32>,
) -> PyResult<Bound<'py, PyDict>> {
    let parameters = shared(&parameters);
    let ids: Vec<u64> = parameters.iter().map(|parameter| parameter.id()).collect();
    let (differentiates, weights) = (targets.is_some(), sample_weights.unwrap_or_default());
    let targets = targets.unwrap_or_default();
    let (inputs, masks) = (views(&inputs)?, optional_views(&masks)?);
    let (targets, weights) = (views(&targets)?, optional_views(&weights)?);
    let batch = Batch { inputs: &inputs, masks: &masks, rows: None };
    let expected = Expected { targets: &targets, weights: &weights };
    let optimizer = optimizer.as_deref();
    let record = || -> Result<Tape> {
        let recorder = Recorder::default();
        let tape = recorder.tape();
        let mut program = Program::on(Box::new(recorder), Graph::parse(graph)?, parameters, &[])?;
        training.map_or(Ok(()), |training| program.compile(training))?;
        let (trains, step) = (step.is_some(), step.unwrap_or(0));
        match optimizer {
            Some(optimizer) => drop(program.train(&mut optimizer.lock(), batch, expected)?),
            None if differentiates => drop(program.gradients(batch, expected, trains, step)?),
            None => drop(program.forward(batch, trains, step)?),
        }
        let tape = tape.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(tape)
    };
    let tape = py.detach(record).map_err(to_python)?;
    let result = PyDict::new(py);
    result.set_item("floats", tape.floats)?;
    result.set_item("scratch", tape.scratch)?;
    result.set_item("weights", ids)?;
    let events = tape.events.into_iter().map(|event| event_of(py, event)).collect::<PyResult<Vec<_>>>()?;
    result.set_item("events", events)?;
    Ok(result)
}

fn event_of(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Hold { weight, values } => ("hold", weight, PyArray1::from_vec(py, values)).into_pyobject(py),
        Event::Write { offset, values } => ("write", offset, PyArray1::from_vec(py, values)).into_pyobject(py),
        Event::Dispatch(dispatch) => ("dispatch", dispatch_of(py, dispatch)?).into_pyobject(py),
        Event::Read(source) => ("read", source_of(py, source)?).into_pyobject(py),
    }
}

/// Where numbers are: a kind of memory, and which part of it.
fn source_of(py: Python<'_>, source: Source) -> PyResult<Bound<'_, PyTuple>> {
    match source {
        Source::Floats(span) => ("floats", span.offset, span.len).into_pyobject(py),
        Source::Scratch(span) => ("scratch", span.offset, span.len).into_pyobject(py),
        Source::Weight(id) => ("weight", id).into_pyobject(py),
        Source::Words(words) => ("words", PyArray1::from_vec(py, words)).into_pyobject(py),
        Source::Nothing => ("nothing",).into_pyobject(py),
    }
}

fn dispatch_of(py: Python<'_>, dispatch: Dispatch) -> PyResult<Bound<'_, PyDict>> {
    let result = PyDict::new(py);
    result.set_item("label", dispatch.label)?;
    result.set_item("shader", dispatch.kernel.shader)?;
    result.set_item("wgsl", dispatch.kernel.text)?;
    result.set_item("entry", dispatch.kernel.entry)?;
    result.set_item("constants", dispatch.constants)?;
    result.set_item("sizes", PyArray1::from_vec(py, dispatch.sizes))?;
    result.set_item("workgroups", dispatch.workgroups)?;
    let bindings = dispatch.bindings.into_iter();
    let bindings = bindings.map(|binding| Ok((binding.slot, source_of(py, binding.source)?)));
    result.set_item("bindings", bindings.collect::<PyResult<Vec<_>>>()?)?;
    Ok(result)
}
