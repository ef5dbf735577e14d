// What batch normalization knows of its columns, an invocation for each. `statistics` holds the means, then
// 1 / sqrt(variance + epsilon), then the variances.

struct Sizes {
    columns: u32,
    // How many parts a sum has.
    parts: u32,
    // The number of rows that count.
    count: f32,
    epsilon: f32,
    // What moving means keep, and what they take of the new ones.
    keep: f32,
    rest: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> parts: array<f32>;
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
// The moving weights, or their gradients.
@group(0) @binding(2) var<storage, read_write> moving_mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> moving_variance: array<f32>;
// Σ dy · x̂, then Σ dy.
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(6) var<storage, read_write> gamma_gradient: array<f32>;
@group(0) @binding(7) var<storage, read_write> beta_gradient: array<f32>;

override SCALED: bool = false;
// Which gradients are wanted.
override OF_GAMMA: bool = false;
override OF_BETA: bool = false;
override OF_MEAN: bool = false;
override OF_VARIANCE: bool = false;

fn sum_of_parts(first: u32, column: u32) -> f32 {
    var sum = 0.0;
    for (var part = 0u; part < sizes.parts; part++) {
        sum += parts[first + part * sizes.columns + column];
    }
    return sum;
}

fn put_variance(column: u32, variance: f32) {
    statistics[2u * sizes.columns + column] = variance;
    statistics[sizes.columns + column] = 1.0 / sqrt(variance + sizes.epsilon);
}

@compute @workgroup_size(64)
fn take_means(@builtin(global_invocation_id) place: vec3<u32>) {
    if place.x < sizes.columns {
        statistics[place.x] = sum_of_parts(0u, place.x) / sizes.count;
    }
}

@compute @workgroup_size(64)
fn take_variances(@builtin(global_invocation_id) place: vec3<u32>) {
    if place.x < sizes.columns {
        put_variance(place.x, sum_of_parts(0u, place.x) / sizes.count);
    }
}

// Instead of the batch's the moving ones.
@compute @workgroup_size(64)
fn take_moving(@builtin(global_invocation_id) place: vec3<u32>) {
    if place.x < sizes.columns {
        statistics[place.x] = moving_mean[place.x];
        put_variance(place.x, moving_variance[place.x]);
    }
}

@compute @workgroup_size(64)
fn settle(@builtin(global_invocation_id) place: vec3<u32>) {
    let column = place.x;
    if column < sizes.columns {
        let variance = statistics[2u * sizes.columns + column];
        moving_mean[column] = moving_mean[column] * sizes.keep + statistics[column] * sizes.rest;
        moving_variance[column] = moving_variance[column] * sizes.keep + variance * sizes.rest;
    }
}

@compute @workgroup_size(64)
fn take_gradients(@builtin(global_invocation_id) place: vec3<u32>) {
    let column = place.x;
    if column >= sizes.columns {
        return;
    }
    let for_gamma = sum_of_parts(0u, column);
    let for_beta = sum_of_parts(sizes.parts * sizes.columns, column);
    sums[column] = for_gamma;
    sums[sizes.columns + column] = for_beta;
    if OF_GAMMA {
        gamma_gradient[column] += for_gamma;
    }
    if OF_BETA {
        beta_gradient[column] += for_beta;
    }
    let reciprocal = statistics[sizes.columns + column];
    var factor = reciprocal;
    if SCALED {
        factor *= gamma[column];
    }
    if OF_MEAN {
        moving_mean[column] -= factor * for_beta;
    }
    if OF_VARIANCE {
        moving_variance[column] -= 0.5 * factor * reciprocal * for_gamma;
    }
}
