// Functions of each element, after math.wgsl.

struct Sizes {
    count: u32,
    a: f32,
    b: f32,
    c: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

override ACTIVATION: u32 = LINEAR;

fn numbers() -> vec3<f32> {
    return vec3<f32>(sizes.a, sizes.b, sizes.c);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        y[at] = activate(ACTIVATION, numbers(), x[at]);
    }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        dx[at] = dy[at] * slope(ACTIVATION, numbers(), x[at], y[at]);
    }
}
