//! Speed of each recurrent cell, forward and with backpropagation through time: `cargo bench -p foliot-core`.
//!
//! The shapes are those of the side-by-side benchmark; throughput counts the operations of the matrix products, so that it
//! can be compared with the `peak` of foliot-simd's benchmark. `FOLIOT_ISA` and `FOLIOT_NUM_THREADS` choose what runs.

#![allow(missing_docs, reason = "`criterion_group!` declares a public function")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use foliot_core::parameter::Parameter;
use foliot_core::program::{Array, Batch, Expected, Program, Values};
use serde_json::json;

struct Cell {
    kind: &'static str,
    gates: usize,
    reset_after: Option<bool>,
}

const CELLS: [(&str, Cell); 4] = [
    ("simple_rnn", Cell { kind: "simple_rnn", gates: 1, reset_after: None }),
    ("lstm", Cell { kind: "lstm", gates: 4, reset_after: None }),
    ("gru", Cell { kind: "gru", gates: 3, reset_after: Some(true) }),
    ("gru_reset_before", Cell { kind: "gru", gates: 3, reset_after: Some(false) }),
];

/// Batch, steps, features and units: where a step fits the cache with ease, where the weights fill it, and one row.
const SHAPES: [(usize, usize, usize, usize); 4] =
    [(128, 100, 32, 32), (64, 50, 128, 128), (64, 20, 512, 512), (1, 100, 128, 128)];

/// Values of the scale of trained weights.
fn wave(len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|index| ((index * 7919 % 1013) as f32 / 506.5 - 1.0) * scale).collect()
}

/// A program of one layer whose output is compared with zeros.
fn program(cell: &Cell, features: usize, units: usize) -> Program {
    let columns = cell.gates * units;
    let mut layer = json!({
        "kind": cell.kind, "units": units, "activation": {"kind": "tanh"}, "use_bias": true, "dropout": 0.0,
        "recurrent_dropout": 0.0, "return_sequences": true, "return_state": false, "go_backwards": false,
        "zero_output_for_mask": false, "seed": 0
    });
    if cell.gates > 1 {
        layer["recurrent_activation"] = json!({"kind": "sigmoid"});
    }
    let mut bias = vec![columns];
    if let Some(reset_after) = cell.reset_after {
        layer["reset_after"] = json!(reset_after);
        if reset_after {
            bias.insert(0, 2);
        }
    }
    let parameter = json!({"trainable": true, "regularizer": null, "constraint": null});
    let graph = json!({
        "nodes": [
            {
                "name": "x", "inputs": [], "parameters": [],
                "layer": {"kind": "input", "dtype": "float32", "shape": [null, features], "masked": false}
            },
            {"name": "cell", "layer": layer, "inputs": [[0, 0]], "parameters": [0, 1, 2]}
        ],
        "outputs": [[1, 0]],
        "parameters": [parameter, parameter, parameter]
    });
    let weights = [("kernel", vec![features, columns]), ("recurrent_kernel", vec![units, columns]), ("bias", bias)];
    let parameters = weights.map(|(name, shape)| {
        let scale = 1.0 / (shape[0] as f32).sqrt();
        let values = wave(shape.iter().product(), scale);
        Arc::new(Parameter::new(name, shape, values).expect("the values fill the shape"))
    });
    let mut program = Program::new(&graph.to_string(), parameters.to_vec(), &[]).expect("the graph is valid");
    let training = json!({
        "losses": [{"loss": {"kind": "mean_squared_error"}, "reduction": "sum_over_batch_size"}],
        "loss_weights": null, "metrics": [[]], "weighted_metrics": [[]]
    });
    program.compile(&training.to_string()).expect("the loss fits");
    program
}

fn cells(criterion: &mut Criterion) {
    for (name, cell) in &CELLS {
        let mut group = criterion.benchmark_group(*name);
        group.sample_size(20);
        for (batch, steps, features, units) in SHAPES {
            let mut program = program(cell, features, units);
            let x = wave(batch * steps * features, 1.0);
            let y = vec![0.0; batch * steps * units];
            let (x_shape, y_shape) = ([batch, steps, features], [batch, steps, units]);
            let inputs = [Array { shape: &x_shape, values: Values::Float(&x) }];
            let targets = [Array { shape: &y_shape, values: Values::Float(&y) }];
            let batch_of = Batch { inputs: &inputs, masks: &[None], rows: None };
            let expected = Expected { targets: &targets, weights: &[None] };
            let shape = format!("B{batch} T{steps} E{features} H{units}");
            let forward = 2 * batch * steps * (features + units) * cell.gates * units;
            group.throughput(Throughput::Elements(forward as u64));
            group.bench_function(format!("forward {shape}"), |bencher| {
                bencher.iter(|| program.forward(batch_of, false, 0).expect("the batch fits"));
            });
            // Backward has two products for each one of the forward pass: towards the inputs and towards the weights.
            group.throughput(Throughput::Elements(3 * forward as u64));
            group.bench_function(format!("forward and backward {shape}"), |bencher| {
                bencher.iter(|| program.gradients(batch_of, expected, false, 0).expect("the batch fits"));
            });
        }
    }
}

criterion_group!(benches, cells);
criterion_main!(benches);
