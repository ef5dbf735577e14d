// The gated linear unit, after math.wgsl: the first half of a row times the sigmoid of the second.

struct Sizes {
    // Of the output.
    count: u32,
    half: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Where the value of an element lies; its gate lies `half` behind.
fn place_of_value(at: u32) -> u32 {
    return at / sizes.half * 2u * sizes.half + at % sizes.half;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        let value = place_of_value(at);
        y[at] = x[value] * sigmoid_of(x[value + sizes.half]);
    }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        let value = place_of_value(at);
        let opened = sigmoid_of(x[value + sizes.half]);
        dx[value] = dy[at] * opened;
        dx[value + sizes.half] = dy[at] * x[value] * opened * (1.0 - opened);
    }
}
