//! In which order a plan takes the layers of a graph, and which of them at once.

use crate::graph::Graph;
use std::collections::HashMap;

/// What a node must not come before, beside the nodes that it reads: the last earlier node that shares something with it.
fn followed(graph: &Graph) -> Vec<Vec<usize>> {
    /// What nodes can share.
    #[derive(PartialEq, Eq, Hash)]
    enum Common {
        Parameter(usize),
        State(usize),
    }
    let mut last = HashMap::new();
    let mut followed = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let parameters = node.parameters.iter().copied().map(Common::Parameter);
        let common = parameters.chain(node.states.iter().copied().map(Common::State));
        followed.push(common.filter_map(|common| last.insert(common, index)).filter(|&other| other != index).collect());
    }
    followed
}

/// The nodes of each stage, each after those that it reads and after the earlier ones that share weights or states with it: a
/// node by itself, or several for which `gathers` holds and which have nothing to do with each other.
pub(crate) fn stages(graph: &Graph, gathers: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let followed = followed(graph);
    let mut done = vec![false; graph.nodes.len()];
    let mut waiting: Vec<usize> = (0..graph.nodes.len()).collect();
    let mut stages = Vec::new();
    while !waiting.is_empty() {
        let mut together = Vec::new();
        waiting.retain(|&index| {
            let inputs = graph.nodes[index].inputs.iter().map(|input| input.node);
            if !inputs.chain(followed[index].iter().copied()).all(|other| done[other]) {
                return true;
            }
            if gathers(index) {
                together.push(index);
            } else {
                // What follows may be ready now.
                done[index] = true;
                stages.push(vec![index]);
            }
            false
        });
        for &index in &together {
            done[index] = true;
        }
        if !together.is_empty() {
            stages.push(together);
        }
    }
    stages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Node, TensorId};
    use crate::layers::{Flatten, Layer};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A graph of nodes with what each reads, its weights and its states.
    fn graph(nodes: &[(Vec<usize>, Vec<usize>, Vec<usize>)]) -> Graph {
        let nodes = nodes.iter().map(|(inputs, parameters, states)| Node {
            name: String::new(),
            layer: Layer::Flatten(Flatten {}),
            inputs: inputs.iter().map(|&node| TensorId { node, output: 0 }).collect(),
            parameters: parameters.clone(),
            states: states.clone(),
        });
        Graph { nodes: nodes.collect(), outputs: Vec::new(), parameters: Vec::new() }
    }

    #[test]
    fn directions_and_branches_are_a_stage() {
        // Two inputs, an embedding and two directions behind each, what puts each pair together, and the end.
        let reads = [vec![], vec![0], vec![1], vec![1], vec![2, 3], vec![], vec![5], vec![6], vec![6], vec![7, 8]];
        let nodes: Vec<_> = reads.into_iter().map(|inputs| (inputs, vec![], vec![])).collect();
        let recurrent = |index: usize| [2, 3, 7, 8].contains(&index);
        let stages = stages(&graph(&nodes), recurrent);
        assert_eq!(stages, [vec![0], vec![1], vec![5], vec![6], vec![2, 3, 7, 8], vec![4], vec![9]]);
    }

    #[test]
    fn a_layer_that_is_called_twice_is_not_at_once() {
        let twice = graph(&[(vec![], vec![], vec![]), (vec![0], vec![0, 1], vec![]), (vec![0], vec![0, 1], vec![])]);
        assert_eq!(stages(&twice, |index| index > 0), [[0], [1], [2]]);
        let states = graph(&[(vec![], vec![], vec![]), (vec![0], vec![0], vec![7]), (vec![0], vec![1], vec![7])]);
        assert_eq!(stages(&states, |index| index > 0), [[0], [1], [2]]);
    }

    proptest! {
        #[test]
        fn every_node_has_one_stage_behind_what_it_needs(
            nodes in vec((vec(0_usize..20, 0..3), vec(0_usize..6, 0..3), any::<bool>()), 0..20)
        ) {
            let described: Vec<_> = nodes
                .iter()
                .enumerate()
                .map(|(index, (reads, parameters, _))| {
                    (reads.iter().filter(|_| index > 0).map(|other| other % index.max(1)).collect(), parameters.clone(), vec![])
                })
                .collect();
            let stages = stages(&graph(&described), |index| nodes[index].2);
            let mut stage_of = vec![None; nodes.len()];
            for (number, stage) in stages.iter().enumerate() {
                prop_assert!(stage.len() == 1 || stage.iter().all(|&index| nodes[index].2));
                for &index in stage {
                    prop_assert!(stage_of[index].replace(number).is_none());
                }
            }
            prop_assert!(stage_of.iter().all(Option::is_some));
            for (index, (reads, parameters, _)) in described.iter().enumerate() {
                prop_assert!(reads.iter().all(|&other| stage_of[other] < stage_of[index]));
                for (other, (_, others, _)) in described.iter().enumerate().take(index) {
                    let share = parameters.iter().any(|parameter| others.contains(parameter));
                    prop_assert!(!share || stage_of[other] < stage_of[index]);
                }
            }
        }
    }
}
