//! A stream allocates nothing from its second step on. A test of its own process: it counts every allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foliot_core::parameter::Parameter;
use foliot_core::program::{Array, Values};
use foliot_core::stream::Stream;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything to the system allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is System's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn parameter(name: &str, shape: &[usize]) -> Arc<Parameter> {
    let values = (0..shape.iter().product::<usize>()).map(|index| (index % 7) as f32 * 0.05 - 0.1).collect();
    Arc::new(Parameter::new(name, shape.to_vec(), values).unwrap())
}

/// Token ids through an embedding with padding, two recurrent layers, one of them with a projection, dropout, a normalization and a dense layer.
fn session(batch: usize) -> Stream {
    let recurrent = |kind: &str, extra: &str| {
        format!(
            r#"{{"kind": "{kind}", "units": 5, "activation": {{"kind": "tanh"}}, "use_bias": true, "dropout": 0.2,
            "recurrent_dropout": 0.0, "return_sequences": true, "return_state": false, "go_backwards": false,
            "zero_output_for_mask": false, "seed": 1, "recurrent_activation": {{"kind": "sigmoid"}}{extra}}}"#
        )
    };
    let layers = [
        r#"{"kind": "input", "dtype": "int32", "shape": [null], "masked": false}"#.to_owned(),
        r#"{"kind": "embedding", "input_dim": 9, "output_dim": 4, "mask_zero": true}"#.to_owned(),
        recurrent("lstm", r#", "proj_size": 3"#),
        r#"{"kind": "dropout", "rate": 0.3, "seed": 2, "noise_shape": null}"#.to_owned(),
        recurrent("gru", r#", "reset_after": true"#),
        r#"{"kind": "row_normalization", "method": "layer", "epsilon": 0.001, "center": true, "scale": true}"#
            .to_owned(),
        r#"{"kind": "dense", "units": 3, "activation": {"kind": "softmax"}, "use_bias": true}"#.to_owned(),
    ];
    let weights: [&[&[usize]]; 7] = [
        &[],
        &[&[9, 4]],
        &[&[4, 20], &[3, 20], &[20], &[5, 3]],
        &[],
        &[&[3, 15], &[5, 15], &[2, 15]],
        &[&[5], &[5]],
        &[&[5, 3], &[3]],
    ];
    let (mut nodes, mut parameters) = (Vec::new(), Vec::new());
    for (index, (layer, shapes)) in layers.iter().zip(weights).enumerate() {
        let places: Vec<usize> = (parameters.len()..parameters.len() + shapes.len()).collect();
        parameters.extend(shapes.iter().map(|shape| parameter("weight", shape)));
        let inputs = if index == 0 { String::new() } else { format!("[{}, 0]", index - 1) };
        nodes.push(format!(
            r#"{{"name": "n{index}", "layer": {layer}, "inputs": [{inputs}], "parameters": {places:?}}}"#
        ));
    }
    let spec = r#"{"trainable": true, "regularizer": null, "constraint": null}"#;
    let specs = vec![spec; parameters.len()].join(", ");
    let graph = format!(r#"{{"nodes": [{}], "outputs": [[6, 0]], "parameters": [{specs}]}}"#, nodes.join(", "));
    Stream::new(&graph, parameters, batch, &[vec![]]).unwrap()
}

#[test]
fn a_step_allocates_nothing() {
    for batch in [1, 30] {
        let mut stream = session(batch);
        let mut output = vec![0.0; batch * 3];
        let mut ids = vec![0; batch];
        let mut step = |number: i32| {
            ids.iter_mut().zip(0..).for_each(|(id, row)| *id = (number + row) % 9);
            let array = Array { shape: &[batch], values: Values::Integer(&ids) };
            stream.step(&[array], &mut [&mut output]).unwrap();
        };
        (0..100).for_each(&mut step);
        // A stray allocation of the harness's own thread may fall into one window; one of ours would fall into each.
        let counts: Vec<usize> = (0..5)
            .map(|_| {
                let before = ALLOCATIONS.load(Ordering::Relaxed);
                (0..100).for_each(&mut step);
                ALLOCATIONS.load(Ordering::Relaxed) - before
            })
            .collect();
        assert_eq!(counts.iter().min(), Some(&0), "batch {batch}: allocations per 100 steps: {counts:?}");
    }
}
