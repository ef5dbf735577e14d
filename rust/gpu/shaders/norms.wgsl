// Clipping by norms, after reduce.wgsl. Every gradient has a fixed number of places in `partial`, each the sum of squares of
// a part of it.

struct Sizes {
    count: u32,
    // The first place that counts, or where to write.
    first: u32,
    // How many places count.
    places: u32,
    bound: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(THREADS)
fn add_squares(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = 0.0;
    for (var at = group.x * THREADS + lane; at < sizes.count; at += groups.x * THREADS) {
        sum = fma(gradient[at], gradient[at], sum);
    }
    sum = sum_of_all(lane, sum);
    if lane == 0u {
        partial[sizes.first + group.x] = sum;
    }
}

@compute @workgroup_size(THREADS)
fn clip(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var own = 0.0;
    for (var at = lane; at < sizes.places; at += THREADS) {
        own += partial[sizes.first + at];
    }
    let norm = sqrt(sum_of_all(lane, own));
    // A NaN need not differ from itself here.
    let is_nan = (bitcast<u32>(norm) & 0x7fffffffu) > 0x7f800000u;
    if norm > sizes.bound || is_nan {
        let factor = sizes.bound / norm;
        for (var at = group.x * THREADS + lane; at < sizes.count; at += groups.x * THREADS) {
            gradient[at] *= factor;
        }
    }
}
