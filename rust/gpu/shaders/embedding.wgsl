// Rows of a table, and sums of rows without atomic additions: the host has sorted what belongs together into lists.

struct Sizes {
    // How many rows `gather` copies, or lists `add_up` sums.
    count: u32,
    columns: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;
// `gather`: the source row of each target row. `add_up`: the source rows, list after list.
@group(0) @binding(2) var<storage, read> rows: array<u32>;
// `add_up`: where each list starts, then where each one's sum goes.
@group(0) @binding(3) var<storage, read> lists: array<u32>;

override ACCUMULATE: bool = false;

@compute @workgroup_size(64)
fn gather(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = sizes.count * sizes.columns;
    for (var at = place.x; at < count; at += groups.x * 64u) {
        target_[at] = source[rows[at / sizes.columns] * sizes.columns + at % sizes.columns];
    }
}

@compute @workgroup_size(64)
fn add_up(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = sizes.count * sizes.columns;
    for (var at = place.x; at < count; at += groups.x * 64u) {
        let list = at / sizes.columns;
        let column = at % sizes.columns;
        let target_at = lists[sizes.count + 1u + list] * sizes.columns + column;
        var sum = 0.0;
        for (var i = lists[list]; i < lists[list + 1u]; i++) {
            sum += source[rows[i] * sizes.columns + column];
        }
        if ACCUMULATE {
            sum += target_[target_at];
        }
        target_[target_at] = sum;
    }
}
