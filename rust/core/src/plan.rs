//! From a graph and the shapes of a batch to an ordered list of layer calls with every buffer placed in one memory.

use crate::Result;
use crate::backend::{Backend, Call, Folded, MemorySize, Tensor};
use crate::graph::{Graph, Node, TensorId};
use crate::layers::{Input, Layer, MaskRule, Recurrent};
use crate::parameter::Parameter;
use crate::stages::stages;
use crate::tensor::{DType, Shape, Span};
use std::sync::Arc;

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Shapes of the inputs, batch first.
    pub inputs: Vec<Shape>,
    /// Whether dropout is on.
    pub training: bool,
    /// Which gradients are wanted.
    pub gradients: Wanted,
}

/// Which gradients a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// None.
    Nothing,
    /// Those of the trainable weights.
    Weights,
    /// Those of all weights and of the float inputs.
    Everything,
}

/// An ordered training or inference step.
pub struct Plan {
    /// What it was made for.
    pub purpose: Purpose,
    /// The nodes in the order in which they run, those together that may run at once.
    pub stages: Vec<Vec<usize>>,
    /// The outputs of each node.
    pub tensors: Vec<Vec<Tensor>>,
    /// Saved memory and scratch memory of each node.
    pub workspaces: Vec<(Span, Span)>,
    /// The gradient of each parameter.
    pub parameter_gradients: Vec<Option<Span>>,
    /// For each node and input, where its gradient goes when the tensor has other readers too.
    pub extra_gradients: Vec<Vec<Option<Span>>>,
    /// The memory it needs.
    pub size: MemorySize,
}

/// A buffer that waits for its place: length, first and last step in which it is used.
struct Interval {
    len: usize,
    first: usize,
    last: usize,
}

/// Places buffers so that those that are alive at the same time do not overlap; first fit in order of birth.
fn place(intervals: &[Interval], alignment: usize) -> (Vec<Span>, usize) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|&index| intervals[index].first);
    let mut spans = vec![Span::default(); intervals.len()];
    let mut alive: Vec<(Span, usize)> = Vec::new();
    let mut total = 0;
    for index in order {
        let Interval { len, first, last } = intervals[index];
        let room = len.next_multiple_of(alignment);
        alive.retain(|(_, end)| *end >= first);
        alive.sort_by_key(|(span, _)| span.offset);
        let mut offset = 0;
        for (span, _) in &alive {
            if offset + room <= span.offset {
                break;
            }
            offset = offset.max(span.offset + span.len);
        }
        spans[index] = Span { offset, len };
        if room > 0 {
            alive.push((Span { offset, len: room }, last));
        }
        total = total.max(offset + room);
    }
    (spans, total)
}

impl Plan {
    /// Makes a plan.
    ///
    /// # Errors
    /// When the shapes do not fit the graph.
    pub fn new(graph: &Graph, parameters: &[Arc<Parameter>], backend: &dyn Backend, purpose: Purpose) -> Result<Self> {
        let shapes = graph.shapes(&purpose.inputs)?;
        let gathers = |index: usize| backend.runs_at_once() && scans(graph, &shapes, index);
        let mut plan = Self {
            stages: stages(graph, gathers),
            tensors: place_masks_and_integers(graph, &shapes),
            workspaces: vec![(Span::default(), Span::default()); graph.nodes.len()],
            parameter_gradients: vec![None; parameters.len()],
            extra_gradients: graph.nodes.iter().map(|node| vec![None; node.inputs.len()]).collect(),
            size: MemorySize::default(),
            purpose,
        };
        let mask_spans = plan.tensors.iter().flatten().filter_map(|tensor| tensor.mask);
        plan.size.masks = mask_spans.map(|span| span.offset + span.len).max().unwrap_or(0);
        plan.size.integers = graph
            .input_nodes()
            .filter(|(_, node)| node.layer.is_integer_input())
            .map(|(index, _)| plan.tensors[index][0].value)
            .map(|span| span.offset + span.len)
            .max()
            .unwrap_or(0);
        if backend.folds_embeddings() {
            plan.fold_embeddings(graph);
        }
        if backend.borrows_inputs() {
            plan.borrow_inputs(graph);
        }
        plan.place_floats(graph, parameters, backend);
        Ok(plan)
    }

    /// Whether each parameter's gradient is wanted.
    fn wants_parameter(&self, graph: &Graph, index: usize) -> bool {
        match self.purpose.gradients {
            Wanted::Nothing => false,
            Wanted::Weights => graph.parameters[index].trainable,
            Wanted::Everything => true,
        }
    }

    /// Which nodes' outputs need gradients: those that weights or wanted inputs lead to.
    fn nodes_with_gradients(&self, graph: &Graph) -> Vec<bool> {
        let mut wanted = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let own = node.parameters.iter().any(|&index| self.wants_parameter(graph, index));
            let above = node.inputs.iter().any(|input| wanted[input.node]);
            let input = matches!(node.layer, Layer::Input(Input { dtype: DType::Float32, .. }));
            // An activity penalty needs its input's value only, but its gradient travels with the others.
            wanted.push(own || above || (input && self.purpose.gradients == Wanted::Everything));
        }
        wanted
    }

    /// Who reads each output of each node; the caller reads a network's outputs at time `nodes`.
    fn readers(&self, graph: &Graph) -> Vec<Vec<Vec<usize>>> {
        let mut readers: Vec<Vec<Vec<usize>>> =
            self.tensors.iter().map(|outputs| vec![Vec::new(); outputs.len()]).collect();
        for (index, node) in graph.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| readers[input.node][input.output].push(index));
        }
        graph.outputs.iter().for_each(|output| readers[output.node][output.output].push(graph.nodes.len()));
        readers
    }

    /// The gradients that have to be zero before the losses: those of tensors with several readers, or none.
    #[must_use]
    pub fn cleared_gradients(&self, graph: &Graph) -> Vec<Span> {
        let readers = self.readers(graph);
        let tensors = self.tensors.iter().flatten().zip(readers.iter().flatten());
        tensors.filter(|(_, readers)| readers.len() != 1).filter_map(|(tensor, _)| tensor.gradient).collect()
    }

    /// Folds embeddings of sequences into the recurrent layers that read them, where nothing else needs their vectors.
    fn fold_embeddings(&mut self, graph: &Graph) {
        let readers = self.readers(graph);
        for (index, node) in graph.nodes.iter().enumerate() {
            let takes_tokens = |&reader: &usize| {
                // Dropout of inputs makes the same token differ from row to row.
                reads_sequence(graph, reader, index)
                    .is_some_and(|options| !(self.purpose.training && options.drops_inputs()))
            };
            let tensor = &mut self.tensors[index][0];
            // A single step has few tokens twice.
            if matches!(node.layer, Layer::Embedding(_)) && tensor.shape.rank() == 3 && tensor.shape.axis(1) > 1 {
                tensor.folded = !readers[index][0].is_empty() && readers[index][0].iter().all(takes_tokens);
            }
        }
    }

    /// Leaves sequences of the caller where they are, if recurrent layers alone read them, each step once: they bring them into
    /// an order of their own, without the steps that a mask takes out.
    fn borrow_inputs(&mut self, graph: &Graph) {
        if self.purpose.gradients == Wanted::Everything {
            return;
        }
        let readers = self.readers(graph);
        for (position, (index, node)) in graph.input_nodes().enumerate() {
            let shape = &self.tensors[index][0].shape;
            // A stream's single steps have no order.
            let sequences = shape.rank() == 3 && shape.axis(1) > 1 && shape.features() > 0;
            if node.layer.is_integer_input() || !sequences {
                continue;
            }
            let masking =
                |reader: &usize| graph.nodes.get(*reader).is_some_and(|node| matches!(node.layer, Layer::Masking(_)));
            let (maskings, others): (Vec<usize>, Vec<usize>) = readers[index][0].iter().copied().partition(masking);
            let through_masks = maskings.iter().map(|&node| (node, &readers[node][0]));
            let mut all = std::iter::once((index, &others)).chain(through_masks);
            if all.all(|(node, readers)| self.takes_lent(graph, node, readers)) {
                self.tensors[index][0].lent = Some(position);
                for node in maskings {
                    self.tensors[node][0].lent = Some(position);
                }
            }
        }
    }

    /// Whether the readers of a node's output can do with values that the caller lends.
    fn takes_lent(&self, graph: &Graph, node: usize, readers: &[usize]) -> bool {
        let masked = self.tensors[node][0].mask.is_some();
        readers.iter().all(|&reader| {
            reads_sequence(graph, reader, node).is_some_and(|options| {
                let orders = masked || options.go_backwards || self.purpose.training && options.drops_inputs();
                // The order in memory serves several layers at once.
                !options.single_step && (orders || readers.len() == 1)
            })
        })
    }

    fn place_floats(&mut self, graph: &Graph, parameters: &[Arc<Parameter>], backend: &dyn Backend) {
        let backward = self.purpose.gradients != Wanted::Nothing;
        // Forward stage i has time i; its backward stage has time 2·judged - i, after the losses.
        let judged = self.stages.len();
        let mut times = vec![judged; graph.nodes.len() + 1];
        for (time, stage) in self.stages.iter().enumerate() {
            for &node in stage {
                times[node] = time;
            }
        }
        let mirror = |node: usize| if backward { 2 * judged - times[node] } else { judged };
        let readers = self.readers(graph);
        let wanted = self.nodes_with_gradients(graph);

        let mut intervals = Vec::new();
        let mut targets: Vec<Target> = Vec::new();
        let mut request = |target, len, first, last| {
            intervals.push(Interval { len, first, last });
            targets.push(target);
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            for (output, tensor) in self.tensors[index].iter_mut().enumerate() {
                let elements = tensor.shape.elements();
                if tensor.folded || tensor.lent.is_some() {
                    continue;
                }
                if !node.layer.is_integer_input() {
                    let last_reader = readers[index][output].iter().map(|&reader| times[reader]).max();
                    let last = if backward { mirror(index) } else { last_reader.unwrap_or(times[index]) };
                    // All inputs are brought in before the first layer runs.
                    let first = if matches!(node.layer, Layer::Input(_)) { 0 } else { times[index] };
                    request(Target::Value(index, output), elements, first, last);
                }
                if wanted[index] && !node.layer.is_integer_input() {
                    tensor.gradient = Some(Span { offset: 0, len: elements });
                    // One reader writes the gradient in its turn; otherwise it is cleared before the losses and added to.
                    let first = if let [reader] = readers[index][output][..] { mirror(reader) } else { judged };
                    request(Target::Gradient(index, output), elements, first, mirror(index));
                }
            }
            for (position, input) in node.inputs.iter().enumerate() {
                let tensor = &self.tensors[input.node][input.output];
                let shared = readers[input.node][input.output].len() > 1 && !tensor.folded;
                if shared && wanted[input.node] && backward {
                    let elements = tensor.shape.elements();
                    request(Target::Extra(index, position), elements, mirror(index), mirror(index));
                }
            }
        }
        for (index, parameter) in parameters.iter().enumerate() {
            if backward && self.wants_parameter(graph, index) {
                let len = parameter.shape().iter().product();
                self.parameter_gradients[index] = Some(Span { offset: 0, len });
                request(Target::Parameter(index), len, judged, 2 * judged + 1);
            }
        }
        for (index, node) in graph.nodes.iter().enumerate() {
            let workspace = backend.workspace(&self.call(graph, parameters, &[], index, 0));
            let settles = self.purpose.training && node.layer.describe().settles();
            let last = match (settles, backward) {
                // What a layer keeps of a step is taken over at its very end.
                (true, true) => 2 * judged + 1,
                (true, false) => judged,
                (false, true) => mirror(index),
                (false, false) => times[index],
            };
            request(Target::Saved(index), workspace.saved, times[index], last);
            if backward {
                request(Target::Scratch(index), workspace.scratch, mirror(index), mirror(index));
            }
        }
        let (spans, total) = place(&intervals, backend.alignment());
        self.size.floats = total;
        for (target, span) in targets.into_iter().zip(spans) {
            match target {
                Target::Value(node, output) => self.tensors[node][output].value = span,
                Target::Gradient(node, output) => self.tensors[node][output].gradient = Some(span),
                Target::Extra(node, input) => self.extra_gradients[node][input] = Some(span),
                Target::Parameter(index) => self.parameter_gradients[index] = Some(span),
                Target::Saved(node) => self.workspaces[node].0 = span,
                Target::Scratch(node) => self.workspaces[node].1 = span,
            }
        }
    }

    /// The embedding that is folded into a node.
    fn folded_into<'a>(
        &'a self,
        graph: &'a Graph,
        parameters: &'a [Arc<Parameter>],
        node: &Node,
    ) -> Option<Folded<'a>> {
        let input = node.inputs.first()?;
        if !self.tensors[input.node][input.output].folded {
            return None;
        }
        let embedding = &graph.nodes[input.node];
        let (ids, table) = (embedding.inputs.first()?, *embedding.parameters.first()?);
        Some(Folded {
            ids: &self.tensors[ids.node][ids.output],
            table: &parameters[table],
            table_gradient: self.parameter_gradients[table],
        })
    }

    /// Whether the backward pass goes through a node.
    #[must_use]
    pub fn has_gradient(&self, node: usize) -> bool {
        self.tensors[node].iter().any(|tensor| tensor.gradient.is_some())
    }

    /// What a node reads, with gradients to overwrite: those of tensors with other readers too are the node's own, and
    /// [collected](Plan::collected) afterwards.
    #[must_use]
    pub fn own_inputs(&self, graph: &Graph, node: usize) -> Vec<Tensor> {
        let inputs = graph.nodes[node].inputs.iter().zip(&self.extra_gradients[node]);
        let own = inputs.map(|(input, extra)| {
            let tensor = &self.tensors[input.node][input.output];
            Tensor { gradient: extra.or(tensor.gradient), ..tensor.clone() }
        });
        own.collect()
    }

    /// Where the gradients of what a node and others read are to be added, and the node's own.
    pub fn collected<'a>(&'a self, graph: &'a Graph, node: usize) -> impl Iterator<Item = (Span, Span)> + 'a {
        let inputs = graph.nodes[node].inputs.iter().zip(&self.extra_gradients[node]);
        inputs.filter_map(|(input, extra)| self.tensors[input.node][input.output].gradient.zip(*extra))
    }

    /// The call of a node; `states` are those that it carries.
    #[must_use]
    pub fn call<'a>(
        &'a self,
        graph: &'a Graph,
        parameters: &'a [Arc<Parameter>],
        states: &'a [Arc<Parameter>],
        index: usize,
        step: u32,
    ) -> Call<'a> {
        let node = &graph.nodes[index];
        Call {
            node: index,
            name: &node.name,
            layer: &node.layer,
            inputs: node.inputs.iter().map(|input| &self.tensors[input.node][input.output]).collect(),
            folded: self.folded_into(graph, parameters, node),
            lent: None,
            outputs: self.tensors[index].iter().collect(),
            parameters: node.parameters.iter().map(|&index| parameters[index].as_ref()).collect(),
            states: states.iter().map(Arc::as_ref).collect(),
            parameter_gradients: node.parameters.iter().map(|&index| self.parameter_gradients[index]).collect(),
            saved: self.workspaces[index].0,
            scratch: self.workspaces[index].1,
            training: self.purpose.training,
            step,
            rows: None,
        }
    }
}

/// The options of a recurrent layer that reads the output of a node as its sequences, and in no other way; none of another reader.
fn reads_sequence(graph: &Graph, reader: usize, node: usize) -> Option<&Recurrent> {
    let reader = graph.nodes.get(reader)?;
    let reads = |input: &&TensorId| input.node == node;
    let once = reader.inputs.iter().filter(reads).count() == 1;
    let first = reader.inputs.first().as_ref().is_some_and(reads);
    reader.layer.recurrent().map(|(_, options)| options).filter(|_| once && first)
}

/// Whether a node is a recurrent layer that goes over several steps: a single one is over too soon to be shared.
fn scans(graph: &Graph, shapes: &[Vec<Shape>], index: usize) -> bool {
    let node = &graph.nodes[index];
    let input = node.inputs.first().map(|input| &shapes[input.node][input.output]);
    let options = node.layer.recurrent().map(|(_, options)| options);
    options.zip(input).is_some_and(|(options, input)| options.input_sizes(input)[1] > 1)
}

/// Which span a placed buffer becomes.
enum Target {
    Value(usize, usize),
    Gradient(usize, usize),
    Extra(usize, usize),
    Parameter(usize),
    Saved(usize),
    Scratch(usize),
}

/// Tensors with their shapes, their masks placed, and the integer inputs placed.
fn place_masks_and_integers(graph: &Graph, shapes: &[Vec<Shape>]) -> Vec<Vec<Tensor>> {
    let mut tensors: Vec<Vec<Tensor>> = Vec::with_capacity(graph.nodes.len());
    let (mut masks, mut integers) = (0, 0);
    for (node, shapes) in graph.nodes.iter().zip(shapes) {
        let given: Vec<Option<Span>> = node.inputs.iter().map(|input| tensors[input.node][input.output].mask).collect();
        let masked: Vec<bool> = given.iter().map(Option::is_some).collect();
        let mask = match node.layer.describe().mask_rule(&masked) {
            MaskRule::Drop => None,
            MaskRule::Pass => given.first().copied().flatten(),
            MaskRule::Make => {
                let len = match node.layer {
                    Layer::Input(_) => shapes[0].axis(0) * shapes[0].axis(1),
                    // One flag for each id or row, of which there are as many axes as the input likes.
                    _ => shapes[0].rows(),
                };
                masks += len;
                Some(Span { offset: masks - len, len })
            }
        };
        let make = |(output, shape): (usize, &Shape)| Tensor {
            shape: shape.clone(),
            value: Span::default(),
            gradient: None,
            mask: if output == 0 { mask } else { None },
            folded: false,
            lent: None,
        };
        let mut outputs: Vec<Tensor> = shapes.iter().enumerate().map(make).collect();
        if node.layer.is_integer_input() {
            let len = outputs[0].shape.elements();
            outputs[0].value = Span { offset: integers, len };
            integers += len;
        }
        tensors.push(outputs);
    }
    tensors
}

#[cfg(test)]
mod tests {
    use super::{Interval, place};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buffers_that_live_together_do_not_overlap(
            requests in proptest::collection::vec((0_usize..100, 0_usize..20, 0_usize..20), 0..40)
        ) {
            let intervals: Vec<Interval> = requests
                .iter()
                .map(|&(len, a, b)| Interval { len, first: a.min(b), last: a.max(b) })
                .collect();
            let (spans, total) = place(&intervals, 16);
            for (i, a) in intervals.iter().enumerate() {
                prop_assert!(spans[i].len == a.len && spans[i].offset % 16 == 0);
                prop_assert!(spans[i].offset + spans[i].len <= total);
                for (j, b) in intervals.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = spans[i].offset + spans[i].len <= spans[j].offset
                        || spans[j].offset + spans[j].len <= spans[i].offset;
                    prop_assert!(!together || apart || a.len == 0 || b.len == 0);
                }
            }
        }
    }
}
