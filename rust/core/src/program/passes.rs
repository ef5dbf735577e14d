//! Forward and backward through all layers of a plan, stage by stage.

use super::carrying::Window;
use super::loading::with_batch;
use super::{Batch, Expected, Program};
use crate::Result;
use crate::backend::{Call, Tensor};

impl Program {
    /// Runs all layers forward on what was [loaded](Program::load). Returns what they add to the loss.
    pub(super) fn run(&mut self, plan: usize, batch: Batch<'_>, window: Option<Window>, step: u32) -> Result<f64> {
        let Self { graph, parameters, carried, backend, plans, .. } = self;
        let plan = &plans[plan];
        let call = |&node: &usize| with_batch(plan.call(graph, parameters, &carried[node], node, step), batch, window);
        let mut penalty = 0.0;
        for stage in &plan.stages {
            penalty += match &stage[..] {
                // No list for what is most often a single call: a stream asks for no memory.
                [node] => backend.forward(&call(node))?,
                nodes => backend.forward_all(&nodes.iter().map(call).collect::<Vec<_>>())?,
            };
        }
        Ok(penalty)
    }

    /// Lets the layers keep what they found out in a training step that has succeeded.
    pub(super) fn settle(&mut self, plan: usize, step: u32) -> Result<()> {
        let plan = &self.plans[plan];
        let mut settled = false;
        for (index, node) in self.graph.nodes.iter().enumerate() {
            if node.layer.describe().settles() {
                self.backend.settle(&plan.call(&self.graph, &self.parameters, &self.carried[index], index, step));
                settled = true;
            }
        }
        if settled { self.backend.synchronize() } else { Ok(()) }
    }

    /// Forward, losses, backward. Returns the loss.
    pub(super) fn differentiate(
        &mut self,
        index: usize,
        step: u32,
        batch: Batch<'_>,
        expected: Expected<'_>,
        window: Option<Window>,
    ) -> Result<f64> {
        let penalty = self.run(index, batch, window, step)?;
        let plan = &self.plans[index];
        for span in plan.cleared_gradients(&self.graph) {
            self.backend.clear(span);
        }
        let judging = self.judge(index, batch.rows, expected, window)?;
        let plan = &self.plans[index];
        for span in plan.parameter_gradients.iter().flatten() {
            self.backend.clear(*span);
        }
        let Self { graph, parameters, carried, backend, plans, .. } = self;
        let plan = &plans[index];
        for stage in plan.stages.iter().rev() {
            let nodes = stage.iter().copied().filter(|&node| plan.has_gradient(node));
            let inputs: Vec<(usize, Vec<Tensor>)> = nodes.map(|node| (node, plan.own_inputs(graph, node))).collect();
            let calls = inputs.iter().map(|(node, inputs)| {
                let call = plan.call(graph, parameters, &carried[*node], *node, step);
                Call { inputs: inputs.iter().collect(), ..with_batch(call, batch, window) }
            });
            backend.backward_all(&calls.collect::<Vec<_>>());
            for (target, extra) in inputs.iter().rev().flat_map(|(node, _)| plan.collected(graph, *node)) {
                backend.add(target, extra);
            }
        }
        // A device is asked last, so that it has something to do until then.
        self.conclude(judging, penalty)
    }
}
