// One step of an optimizer for one weight, in the formulas of rust/core/src/optimizers; and what comes before it.

struct Sizes {
    count: u32,
    rate: f32,
    // What weight decay takes off: its factor times the learning rate.
    decay: f32,
    // SGD: momentum. RMSprop: rho, 1 - rho, momentum. Adam: 1 - beta_1, 1 - beta_2.
    first: f32,
    second: f32,
    third: f32,
    epsilon: f32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> slot_a: array<f32>;
@group(0) @binding(3) var<storage, read_write> slot_b: array<f32>;
@group(0) @binding(4) var<storage, read_write> slot_c: array<f32>;

const SGD: u32 = 0u;
const RMSPROP: u32 = 1u;
const ADAM: u32 = 2u;
override RULE: u32 = SGD;
// SGD and RMSprop: momentum. SGD: Nesterov's. RMSprop: centered. Adam: amsgrad.
override MOMENTUM: bool = false;
override VARIANT: bool = false;
override DECAYED: bool = false;

fn sgd(at: u32, w: f32, g: f32) -> f32 {
    if !MOMENTUM {
        return fma(-g, sizes.rate, w);
    }
    let m = fma(-g, sizes.rate, slot_a[at] * sizes.first);
    slot_a[at] = m;
    if VARIANT {
        return w + fma(-g, sizes.rate, m * sizes.first);
    }
    return w + m;
}

fn rmsprop(at: u32, w: f32, g: f32) -> f32 {
    let v = fma(slot_a[at], sizes.first, g * g * sizes.second);
    slot_a[at] = v;
    var square = v;
    if VARIANT {
        // The mean follows the momentum, where there is one.
        var c = 0.0;
        if MOMENTUM {
            c = fma(slot_c[at], sizes.first, g * sizes.second);
            slot_c[at] = c;
        } else {
            c = fma(slot_b[at], sizes.first, g * sizes.second);
            slot_b[at] = c;
        }
        square = max(fma(-c, c, v), 0.0);
    }
    let step = g * sizes.rate / sqrt(square + sizes.epsilon);
    if !MOMENTUM {
        return w - step;
    }
    let m = fma(slot_b[at], sizes.third, step);
    slot_b[at] = m;
    return w - m;
}

fn adam(at: u32, w: f32, g: f32) -> f32 {
    let m = fma(g - slot_a[at], sizes.first, slot_a[at]);
    let v = fma(g * g - slot_b[at], sizes.second, slot_b[at]);
    slot_a[at] = m;
    slot_b[at] = v;
    var square = v;
    if VARIANT {
        square = max(slot_c[at], v);
        slot_c[at] = square;
    }
    return w - m * sizes.rate / (sqrt(square) + sizes.epsilon);
}

@compute @workgroup_size(64)
fn update(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        var w = weight[at];
        let g = gradient[at];
        if DECAYED {
            w = fma(-w, sizes.decay, w);
        }
        switch RULE {
            case RMSPROP: { weight[at] = rmsprop(at, w, g); }
            case ADAM: { weight[at] = adam(at, w, g); }
            default: { weight[at] = sgd(at, w, g); }
        }
    }
}


@compute @workgroup_size(64)
fn clip_values(@builtin(global_invocation_id) place: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    for (var at = place.x; at < sizes.count; at += groups.x * 64u) {
        gradient[at] = clamp(gradient[at], -sizes.first, sizes.first);
    }
}
