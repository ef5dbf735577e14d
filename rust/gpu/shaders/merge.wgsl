// Tensors become one, element by element: takes one more into a sum or a product.

struct Sizes {
    count: u32,
    columns: u32,
    // What the input of a sum is multiplied with.
    scale: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;
// For each row: bit 0 says whether the input counts there, bit 1 whether the result does, which is zero otherwise.
@group(0) @binding(2) var<storage, read> flags: array<u32>;

override MULTIPLIES: bool = false;
// Whether there is nothing to add to, or to multiply.
override FIRST: bool = false;
override FLAGGED: bool = false;

@compute @workgroup_size(64)
fn fold(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        var flag = 3u;
        if FLAGGED {
            flag = flags[at / sizes.columns];
        }
        var value = select(0.0, 1.0, MULTIPLIES);
        if !FIRST {
            value = target_[at];
        }
        if (flag & 1u) != 0u {
            if MULTIPLIES {
                value *= source[at];
            } else {
                value = fma(sizes.scale, source[at], value);
            }
        }
        target_[at] = select(0.0, value, (flag & 2u) != 0u);
    }
}
