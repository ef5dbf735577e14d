// c (m, n) = a (m, k) · b (k, n), plus a bias for each column, or added to what c holds. Strides say how a and b lie, so a
// transpose is no copy. A workgroup makes a tile of 64 by 64, an invocation 4 by 4 of it. Where k is long and the tiles are
// few, workgroups along z take a part of k each; `sum_parts` adds the parts up in order.

struct Sizes {
    m: u32,
    n: u32,
    k: u32,
    // How much of k a workgroup takes, and how far apart the parts of the result lie.
    share: u32,
    part: u32,
    a_start: u32,
    a_row: u32,
    a_column: u32,
    b_start: u32,
    b_row: u32,
    b_column: u32,
    c_start: u32,
    c_row: u32,
    bias_start: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;

override BIASED: bool = false;
override ACCUMULATE: bool = false;

const TILE: u32 = 64u;
const DEPTH: u32 = 16u;

// Both with k first.
var<workgroup> left: array<f32, 1024>;
var<workgroup> right: array<f32, 1024>;

@compute @workgroup_size(256)
fn multiply(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y * TILE;
    let column = group.x * TILE;
    let own_row = lane / 16u * 4u;
    let own_column = lane % 16u * 4u;
    let end = min(sizes.k, (group.z + 1u) * sizes.share);
    var sums = array<vec4<f32>, 4>();
    for (var begin = group.z * sizes.share; begin < end; begin += DEPTH) {
        for (var i = lane; i < TILE * DEPTH; i += 256u) {
            // Neighbours read neighbours.
            var across = i % TILE;
            var deep = i / TILE;
            if sizes.a_column == 1u {
                deep = i % DEPTH;
                across = i / DEPTH;
            }
            var value = 0.0;
            if row + across < sizes.m && begin + deep < end {
                value = a[sizes.a_start + (row + across) * sizes.a_row + (begin + deep) * sizes.a_column];
            }
            left[deep * TILE + across] = value;
            across = i % TILE;
            deep = i / TILE;
            if sizes.b_row == 1u {
                deep = i % DEPTH;
                across = i / DEPTH;
            }
            value = 0.0;
            if column + across < sizes.n && begin + deep < end {
                value = b[sizes.b_start + (begin + deep) * sizes.b_row + (column + across) * sizes.b_column];
            }
            right[deep * TILE + across] = value;
        }
        workgroupBarrier();
        for (var deep = 0u; deep < DEPTH; deep++) {
            let at = deep * TILE + own_column;
            let factor = vec4<f32>(right[at], right[at + 1u], right[at + 2u], right[at + 3u]);
            for (var i = 0u; i < 4u; i++) {
                sums[i] += left[deep * TILE + own_row + i] * factor;
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let m = row + own_row + i;
            let n = column + own_column + j;
            if m < sizes.m && n < sizes.n {
                let at = sizes.c_start + group.z * sizes.part + m * sizes.c_row + n;
                var sum = sums[i][j];
                if BIASED {
                    sum += bias[sizes.bias_start + n];
                }
                if ACCUMULATE {
                    sum += c[at];
                }
                c[at] = sum;
            }
        }
    }
}
