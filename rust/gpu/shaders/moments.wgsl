// Sums over rows for normalizations, one for each column. Rows are cut into parts by their number only; what a part comes to
// stands in `parts`, first all parts of the first sum, then all parts of the second one.

struct Sizes {
    rows: u32,
    columns: u32,
    // Rows of a part.
    share: u32,
    // Where the second sum's parts begin.
    second: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> dy: array<f32>;
// Means of the columns, then reciprocals of their deviations; BY_ROWS: both of each row, row after row.
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>;
// One for each row: the row counts where it is not zero.
@group(0) @binding(4) var<storage, read> flags: array<u32>;

// Σ x of the rows that count.
const VALUES: u32 = 0u;
// Σ (x - mean)² of the rows that count.
const SQUARES: u32 = 1u;
// Σ dy · x̂ and Σ dy, where x̂ comes from statistics of the columns, or of the rows.
const BY_COLUMNS: u32 = 2u;
const BY_ROWS: u32 = 3u;
override MODE: u32 = VALUES;
override FLAGGED: bool = false;
// BY_ROWS: whether x̂ has the mean taken off.
override CENTERS: bool = false;

@compute @workgroup_size(64)
fn add_moments(@builtin(global_invocation_id) place: vec3<u32>) {
    let column = place.x;
    if column >= sizes.columns {
        return;
    }
    var mean = 0.0;
    var reciprocal = 1.0;
    if MODE == SQUARES || MODE == BY_COLUMNS {
        mean = statistics[column];
    }
    if MODE == BY_COLUMNS {
        reciprocal = statistics[sizes.columns + column];
    }
    let end = min(sizes.rows, (place.y + 1u) * sizes.share);
    var sum = 0.0;
    var second = 0.0;
    for (var row = place.y * sizes.share; row < end; row++) {
        let at = row * sizes.columns + column;
        if MODE == VALUES || MODE == SQUARES {
            if !FLAGGED || flags[row] != 0u {
                let off = x[at] - mean;
                sum += select(off, off * off, MODE == SQUARES);
            }
        } else {
            if MODE == BY_ROWS {
                mean = select(0.0, statistics[2u * row], CENTERS);
                reciprocal = statistics[2u * row + 1u];
            }
            sum += dy[at] * (x[at] - mean) * reciprocal;
            second += dy[at];
        }
    }
    let target_at = place.y * sizes.columns + column;
    parts[target_at] = sum;
    if MODE == BY_COLUMNS || MODE == BY_ROWS {
        parts[sizes.second + target_at] = second;
    }
}
