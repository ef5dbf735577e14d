// Normalization of rows, a workgroup for each, after reduce.wgsl; the formulas stand in
// rust/core/src/cpu/row_normalization.rs.

struct Sizes {
    rows: u32,
    columns: u32,
    epsilon: f32,
    // 1 / epsilon
    limit: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
// Mean and reciprocal of each row.
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
// What is made: y, or the gradient of x.
@group(0) @binding(4) var<storage, read_write> made: array<f32>;
@group(0) @binding(5) var<storage, read_write> dy: array<f32>;

const LAYER: u32 = 0u;
const LAYER_RMS: u32 = 1u;
const RMS: u32 = 2u;
const UNIT: u32 = 3u;
override METHOD: u32 = LAYER;
override SCALED: bool = false;
override SHIFTED: bool = false;

fn divisor() -> f32 {
    return select(f32(sizes.columns), 1.0, METHOD == UNIT);
}

@compute @workgroup_size(THREADS)
fn forward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let start = row * sizes.columns;
        var mean = 0.0;
        if METHOD == LAYER || METHOD == LAYER_RMS {
            var sum = 0.0;
            for (var column = lane; column < sizes.columns; column += THREADS) {
                sum += x[start + column];
            }
            mean = sum_of_all(lane, sum) / f32(sizes.columns);
        }
        var squares = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let off = x[start + column] - mean;
            squares = fma(off, off, squares);
        }
        squares = sum_of_all(lane, squares);
        var reciprocal = 1.0 / sqrt(squares / divisor() + sizes.epsilon);
        if METHOD == UNIT {
            reciprocal = min(1.0 / sqrt(squares), sizes.limit);
        }
        if lane == 0u {
            statistics[2u * row] = mean;
            statistics[2u * row + 1u] = reciprocal;
        }
        let origin = select(0.0, mean, METHOD == LAYER);
        for (var column = lane; column < sizes.columns; column += THREADS) {
            var y = (x[start + column] - origin) * reciprocal;
            if SCALED {
                y *= gamma[column];
            }
            if SHIFTED {
                y += beta[column];
            }
            made[start + column] = y;
        }
    }
}

fn scaled_slope(at: u32, column: u32) -> f32 {
    if SCALED {
        return dy[at] * gamma[column];
    }
    return dy[at];
}

@compute @workgroup_size(THREADS)
fn backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let start = row * sizes.columns;
        let mean = statistics[2u * row];
        let reciprocal = statistics[2u * row + 1u];
        let origin = select(0.0, mean, METHOD == LAYER);
        var product = 0.0;
        var shift = 0.0;
        var values = 0.0;
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let slope = scaled_slope(start + column, column);
            product = fma(slope, x[start + column] - origin, product);
            shift += slope;
            values += select(0.0, 1.0, x[start + column] != 0.0);
        }
        product = sum_of_all(lane, product);
        if METHOD == LAYER {
            shift = sum_of_all(lane, shift) / f32(sizes.columns);
        } else {
            shift = 0.0;
        }
        var pull = reciprocal * reciprocal * reciprocal * product / divisor();
        var outer = reciprocal;
        if METHOD == UNIT && reciprocal >= sizes.limit {
            // Epsilon stands in for the norm, which does not depend on x then; a row of zeros has no direction.
            pull = 0.0;
        }
        if METHOD == UNIT {
            outer = select(reciprocal, 0.0, reciprocal >= sizes.limit && sum_of_all(lane, values) == 0.0);
        }
        for (var column = lane; column < sizes.columns; column += THREADS) {
            let slope = scaled_slope(start + column, column);
            made[start + column] = outer * (slope - shift) - pull * (x[start + column] - mean);
        }
    }
}
