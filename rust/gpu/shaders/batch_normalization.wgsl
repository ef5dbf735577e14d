// Batch normalization of all elements; the formulas stand in rust/core/src/cpu/batch_normalization.rs.

struct Sizes {
    count: u32,
    columns: u32,
    // 1 / the number of rows that count; 0 where the statistics are not the batch's.
    share: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
// Means, then reciprocals of deviations.
@group(0) @binding(1) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;
// What is made: y, or the gradient of x.
@group(0) @binding(4) var<storage, read_write> made: array<f32>;
@group(0) @binding(5) var<storage, read_write> dy: array<f32>;
// Σ dy · x̂, then Σ dy.
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(0) @binding(7) var<storage, read> flags: array<u32>;

override SCALED: bool = false;
override SHIFTED: bool = false;
override FLAGGED: bool = false;

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        let column = at % sizes.columns;
        var y = (x[at] - statistics[column]) * statistics[sizes.columns + column];
        if SCALED {
            y *= gamma[column];
        }
        if SHIFTED {
            y += beta[column];
        }
        made[at] = y;
    }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        let column = at % sizes.columns;
        let reciprocal = statistics[sizes.columns + column];
        var factor = reciprocal;
        if SCALED {
            factor *= gamma[column];
        }
        var share = sizes.share;
        if FLAGGED && flags[at / sizes.columns] == 0u {
            share = 0.0;
        }
        let normalized = (x[at] - statistics[column]) * reciprocal;
        made[at] = factor * (dy[at] - share * (sums[sizes.columns + column] + normalized * sums[column]));
    }
}
