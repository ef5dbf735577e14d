// Moves rows of numbers: target row r (+)= factor · source row, with the parts that a call needs.

struct Sizes {
    rows: u32,
    columns: u32,
    // Rows that belong to one time step, and the number of steps; with REVERSED the source's time is turned around.
    batch: u32,
    steps: u32,
    source_start: u32,
    target_start: u32,
    // From one row to the next.
    source_row: u32,
    target_row: u32,
    factor_start: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;
// One for each row: the row counts where it is not zero.
@group(0) @binding(2) var<storage, read> flags: array<u32>;
// (batch, columns): factors that all steps share.
@group(0) @binding(3) var<storage, read_write> factors: array<f32>;

override ACCUMULATE: bool = false;
override FLAGGED: bool = false;
override REVERSED: bool = false;
override SCALED: bool = false;
override CLEARED: bool = false;

@compute @workgroup_size(64)
fn move_rows(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = sizes.rows * sizes.columns;
    for (var at = place.x; at < count; at += groups.x * 64u) {
        let row = at / sizes.columns;
        let column = at % sizes.columns;
        var begin = row;
        if REVERSED {
            begin = (sizes.steps - 1u - row / sizes.batch) * sizes.batch + row % sizes.batch;
        }
        var value = 0.0;
        if !CLEARED {
            value = source[sizes.source_start + begin * sizes.source_row + column];
        }
        if SCALED {
            value *= factors[sizes.factor_start + row % sizes.batch * sizes.columns + column];
        }
        if FLAGGED && flags[row] == 0u {
            value = 0.0;
        }
        let to = sizes.target_start + row * sizes.target_row + column;
        if ACCUMULATE {
            value += target_[to];
        }
        target_[to] = value;
    }
}

// target (columns, rows) = source (rows, columns)ᵀ
@compute @workgroup_size(64)
fn transpose(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let count = sizes.rows * sizes.columns;
    for (var at = place.x; at < count; at += groups.x * 64u) {
        let row = at % sizes.rows;
        let column = at / sizes.rows;
        target_[sizes.target_start + at] = source[sizes.source_start + row * sizes.columns + column];
    }
}
