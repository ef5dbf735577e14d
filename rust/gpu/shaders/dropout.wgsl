// Dropout by counting: Philox4x32-10 (Salmon et al. 2011), the same bits as rust/core/src/random.rs.

struct Sizes {
    // Of the mask.
    count: u32,
    seed_low: u32,
    seed_high: u32,
    step: u32,
    stream: u32,
    // A word up to this one means zero; with `all` every one does.
    limit: u32,
    scale: f32,
    // What a word up to the limit means.
    dropped: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;

// Whether the mask multiplies a source, or is what is wanted.
override MULTIPLIES: bool = true;

// The upper half of a product.
fn high(a: u32, b: u32) -> u32 {
    let low = (a & 0xffffu) * (b & 0xffffu);
    let first = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
    let second = (a & 0xffffu) * (b >> 16u) + (first & 0xffffu);
    return (a >> 16u) * (b >> 16u) + (first >> 16u) + (second >> 16u);
}

fn philox(counter: vec4<u32>) -> vec4<u32> {
    var words = counter;
    var key = vec2<u32>(sizes.seed_low, sizes.seed_high);
    for (var round = 0u; round < 10u; round++) {
        let upper = vec2<u32>(high(words.x, 0xD2511F53u), high(words.z, 0xCD9E8D57u));
        let lower = vec2<u32>(words.x * 0xD2511F53u, words.z * 0xCD9E8D57u);
        words = vec4<u32>(upper.y ^ words.y ^ key.x, lower.y, upper.x ^ words.w ^ key.y, lower.x);
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return words;
}

@compute @workgroup_size(64)
fn drop(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let blocks = (sizes.count + 3u) / 4u;
    for (var block = place.x; block < blocks; block += groups.x * 64u) {
        let words = philox(vec4<u32>(block, 0u, sizes.step, sizes.stream));
        for (var i = 0u; i < 4u && block * 4u + i < sizes.count; i++) {
            let at = block * 4u + i;
            let kept = select(sizes.dropped, sizes.scale, words[i] > sizes.limit);
            if MULTIPLIES {
                target_[at] = source[at] * kept;
            } else {
                target_[at] = kept;
            }
        }
    }
}
