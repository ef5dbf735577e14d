// Functions of rows, a workgroup for each, after math.wgsl and reduce.wgsl: softmax, its logarithm, and sparsemax.

struct Sizes {
    rows: u32,
    columns: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const SOFTMAX: u32 = 0u;
const LOG_SOFTMAX: u32 = 1u;
const SPARSEMAX: u32 = 2u;
override FUNCTION: u32 = SOFTMAX;

// How many numbers still lie above the threshold: the same for all invocations.
var<workgroup> remaining: f32;

// What of a row, whose largest number is taken off, lies above this sums to 1 more than as often this (see sparsemax_row in
// rust/core). No number more than 1 below the largest one takes part.
fn threshold_of(start: u32, lane: u32, top: f32) -> f32 {
    var tau = -1.0;
    var left = 0.0;
    for (var round = 0u; round < sizes.columns; round++) {
        var count = 0.0;
        var sum = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let shifted = x[start + column] - top;
            if shifted > tau {
                count += 1.0;
                sum += shifted;
            }
        }
        let all = sum_of_all(lane, count);
        sum = sum_of_all(lane, sum);
        if lane == 0u {
            remaining = all;
        }
        let now = workgroupUniformLoad(&remaining);
        if now == left || now == 0.0 {
            break;
        }
        left = now;
        tau = (sum - 1.0) / now;
    }
    return tau;
}

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
        var tau = 0.0;
        if FUNCTION == SPARSEMAX {
            tau = threshold_of(start, lane, top);
        }
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let shifted = x[start + column] - top;
            switch FUNCTION {
                case LOG_SOFTMAX: { y[start + column] = shifted - log_of(sum); }
                // A number that is none makes the whole row so, as it has made the sum.
                case SPARSEMAX: { y[start + column] = select(max(shifted - tau, 0.0), sum, is_nan(sum)); }
                default: { y[start + column] = exp_of(shifted) / sum; }
            }
        }
    }
}

// softmax: dx = y ∘ (dy - Σ dy ∘ y); its logarithm: dx = dy - exp(y) · Σ dy; sparsemax: dx = dy less its mean, where y is not 0.
@compute @workgroup_size(THREADS)
fn backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let start = row * sizes.columns;
        var sum = 0.0;
        var support = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let at = start + column;
            switch FUNCTION {
                case LOG_SOFTMAX: { sum += dy[at]; }
                case SPARSEMAX: {
                    sum += select(0.0, dy[at], y[at] != 0.0);
                    support += select(0.0, 1.0, y[at] != 0.0);
                }
                default: { sum = fma(dy[at], y[at], sum); }
            }
        }
        sum = sum_of_all(lane, sum);
        if FUNCTION == SPARSEMAX {
            sum /= max(sum_of_all(lane, support), 1.0);
        }
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let at = start + column;
            switch FUNCTION {
                case LOG_SOFTMAX: { dx[at] = dy[at] - exp_of(y[at]) * sum; }
                case SPARSEMAX: { dx[at] = select(0.0, dy[at] - sum, y[at] != 0.0); }
                default: { dx[at] = y[at] * (dy[at] - sum); }
            }
        }
    }
}
