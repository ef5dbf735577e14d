// Softmax over rows, a workgroup for each, after math.wgsl and reduce.wgsl.

struct Sizes {
    rows: u32,
    columns: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let start = row * sizes.columns;
        var top = -3.4e38;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            top = max(top, x[start + column]);
        }
        top = largest_of_all(lane, top);
        var sum = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            sum += exp_of(x[start + column] - top);
        }
        sum = sum_of_all(lane, sum);
        for (var column = lane; column < sizes.columns; column += THREADS) {
            y[start + column] = exp_of(x[start + column] - top) / sum;
        }
    }
}

// dx = y ∘ (dy - Σ dy ∘ y)
@compute @workgroup_size(THREADS)
fn backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let start = row * sizes.columns;
        var sum = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            sum = fma(dy[start + column], y[start + column], sum);
        }
        sum = sum_of_all(lane, sum);
        for (var column = lane; column < sizes.columns; column += THREADS) {
            dx[start + column] = y[start + column] * (dy[start + column] - sum);
        }
    }
}
