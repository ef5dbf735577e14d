// One vector for a sequence (time, batch, features), after math.wgsl: an invocation for each of its numbers. The gradient of a maximum goes in
// equal parts to all steps that have it.

struct Sizes {
    // batch · features, the numbers of a time step.
    count: u32,
    features: u32,
    time: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
// (time, batch): the step counts where it is not zero.
@group(0) @binding(4) var<storage, read> flags: array<u32>;

override MAXIMUM: bool = false;
override FLAGGED: bool = false;

fn counts(step: u32, at: u32) -> bool {
    if FLAGGED {
        return flags[(step * sizes.count + at) / sizes.features] != 0u;
    }
    return true;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        var value = 0.0;
        var steps = 0u;
        for (var step = 0u; step < sizes.time; step++) {
            if counts(step, at) {
                let next = x[step * sizes.count + at];
                if !MAXIMUM {
                    value += next;
                } else if steps == 0u || next > value || is_nan(next) {
                    value = next;
                }
                steps++;
            }
        }
        if !MAXIMUM {
            value /= f32(max(steps, 1u));
        }
        y[at] = value;
    }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        var sharers = 0u;
        for (var step = 0u; step < sizes.time; step++) {
            if counts(step, at) && (!MAXIMUM || x[step * sizes.count + at] == y[at]) {
                sharers++;
            }
        }
        let share = dy[at] / f32(max(sharers, 1u));
        for (var step = 0u; step < sizes.time; step++) {
            let place_of_step = step * sizes.count + at;
            let shares = counts(step, at) && (!MAXIMUM || x[place_of_step] == y[at]);
            dx[place_of_step] = select(0.0, share, shares);
        }
    }
}
