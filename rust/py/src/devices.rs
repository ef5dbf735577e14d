//! Devices other than the CPU, where the build has them.

use pyo3::prelude::*;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(adapters, module)?)?;
    module.add_function(wrap_pyfunction!(refused_by_gpus, module)?)
}

/// Name, kind, API, driver, limits and features of an adapter.
type Described = (String, String, String, String, Vec<(String, u64)>, Vec<String>);

/// The adapters of this machine, in the order of their numbers.
#[pyfunction]
fn adapters(py: Python<'_>) -> PyResult<Vec<Described>> {
    py.detach(found).map_err(crate::errors::to_python)
}

/// The first layer of a graph that GPUs cannot run, and what about it they cannot.
#[pyfunction]
fn refused_by_gpus(py: Python<'_>, graph: &str) -> PyResult<Option<(String, String)>> {
    py.detach(|| refused(graph)).map_err(crate::errors::to_python)
}

#[cfg(feature = "gpu")]
mod with {
    use super::Described;
    use foliot_core::Result;
    use foliot_core::graph::{Graph, Node};
    use foliot_core::optimizers::Optimizer;
    use foliot_core::parameter::Parameter;
    use foliot_core::program::Program;
    use foliot_gpu::{Gpu, host, lower};
    use std::sync::Arc;

    pub(super) fn found() -> Result<Vec<Described>> {
        let describe = |adapter: host::Adapter| {
            let limits = adapter.limits.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let features = adapter.features.into_iter().map(str::to_owned).collect();
            (adapter.name, adapter.kind.to_owned(), adapter.api, adapter.driver, limits, features)
        };
        Ok(host::adapters()?.into_iter().map(describe).collect())
    }

    pub(super) fn refused(graph: &str) -> Result<Option<(String, String)>> {
        let graph = Graph::parse(graph)?;
        let refusal = |node: &Node| Some((String::clone(&node.name), lower::refuses(node, &graph.parameters)?));
        Ok(graph.nodes.iter().find_map(refusal))
    }

    pub(crate) fn refuses_optimizer(optimizer: &Optimizer) -> Option<String> {
        lower::refuses_optimizer(optimizer)
    }

    pub(crate) fn program(
        adapter: usize,
        graph: &str,
        parameters: Vec<Arc<Parameter>>,
        states: &[Arc<Parameter>],
    ) -> Result<Program> {
        Program::on(Box::new(Gpu::new(adapter)?), Graph::parse(graph)?, parameters, states)
    }
}

#[cfg(not(feature = "gpu"))]
// The signatures are those of the build with GPUs.
#[allow(clippy::unnecessary_wraps)]
mod with {
    use super::Described;
    use foliot_core::optimizers::Optimizer;
    use foliot_core::parameter::Parameter;
    use foliot_core::program::Program;
    use foliot_core::{Error, Result};
    use std::sync::Arc;

    fn missing() -> Error {
        Error::Device { device: "gpu".into(), reason: "foliot was built without the feature `gpu`".into() }
    }

    pub(super) fn found() -> Result<Vec<Described>> {
        Ok(Vec::new())
    }

    pub(super) fn refused(_graph: &str) -> Result<Option<(String, String)>> {
        Err(missing())
    }

    pub(crate) fn refuses_optimizer(_optimizer: &Optimizer) -> Option<String> {
        Some("any".into())
    }

    pub(crate) fn program(
        _adapter: usize,
        _graph: &str,
        _parameters: Vec<Arc<Parameter>>,
        _states: &[Arc<Parameter>],
    ) -> Result<Program> {
        Err(missing())
    }
}

use with::{found, refused};
pub(crate) use with::{program, refuses_optimizer};
