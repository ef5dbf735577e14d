// Sums in an order that depends on sizes only.

struct Sizes {
    rows: u32,
    columns: u32,
    // Rows that one invocation adds up (`sum_columns`), or the number of parts (`sum_parts`).
    share: u32,
    source_start: u32,
    source_row: u32,
    target_start: u32,
    target_row: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;

// target (parts, columns): sums of the rows of each part.
@compute @workgroup_size(64)
fn sum_columns(@builtin(global_invocation_id) place: vec3<u32>) {
    let column = place.x;
    if column >= sizes.columns {
        return;
    }
    let end = min(sizes.rows, (place.y + 1u) * sizes.share);
    var sum = 0.0;
    for (var row = place.y * sizes.share; row < end; row++) {
        sum += source[sizes.source_start + row * sizes.source_row + column];
    }
    target_[sizes.target_start + place.y * sizes.target_row + column] = sum;
}

// target (rows, columns) += Σ source (parts, rows, columns)
@compute @workgroup_size(64)
fn sum_parts(@builtin(global_invocation_id) place: vec3<u32>) {
    let column = place.x;
    let row = place.y;
    if column >= sizes.columns {
        return;
    }
    let at = sizes.target_start + row * sizes.target_row + column;
    var sum = target_[at];
    for (var part = 0u; part < sizes.share; part++) {
        sum += source[sizes.source_start + (part * sizes.rows + row) * sizes.columns + column];
    }
    target_[at] = sum;
}
