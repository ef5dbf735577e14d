// Losses and metrics of predictions, after math.wgsl and reduce.wgsl: gradients, and weighted sums for the host, a place for
// each workgroup.

struct Sizes {
    rows: u32,
    features: u32,
    // The first place in `sums`.
    first: u32,
    // What gradients are multiplied with.
    scale: f32,
    // The label smoothing of a cross-entropy, the threshold of a binary accuracy.
    parameter: f32,
}

const SQUARED: u32 = 0u;
const HALF_SQUARED: u32 = 1u;
const ABSOLUTE: u32 = 2u;
const BINARY: u32 = 3u;
const BINARY_OF_LOGITS: u32 = 4u;
const BINARY_ACCURACY: u32 = 5u;
const CATEGORICAL: u32 = 6u;
const CATEGORICAL_OF_LOGITS: u32 = 7u;
const CATEGORICAL_ACCURACY: u32 = 8u;

override KIND: u32 = 0u;
// Whether the gradient is wanted.
override GRADIENT: bool = false;
override WEIGHTED: bool = false;
// Whether a row has the index of its class as target.
override INDICES: bool = false;

@group(1) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(0) var<storage, read_write> prediction: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
// Bits of numbers.
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<u32>;
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

var<workgroup> places: array<u32, THREADS>;

// Whether a at its place is the largest number rather than b at its own: the first one, and a NaN before all numbers.
fn is_larger(a: f32, a_place: u32, b: f32, b_place: u32) -> bool {
    let nan_a = is_nan(a);
    if nan_a != is_nan(b) {
        return nan_a;
    }
    if nan_a || a == b {
        return a_place < b_place;
    }
    return a > b;
}

const NOWHERE: u32 = 0xffffffffu;

fn place_of_all(lane: u32, own: f32, own_place: u32) -> u32 {
    workgroupBarrier();
    lanes[lane] = own;
    places[lane] = own_place;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if lane < half {
            let other = lane + half;
            let there = places[other] != NOWHERE;
            if there && (places[lane] == NOWHERE || is_larger(lanes[other], places[other], lanes[lane], places[lane])) {
                lanes[lane] = lanes[other];
                places[lane] = places[other];
            }
        }
        workgroupBarrier();
    }
    return places[0];
}

fn weight_of(row: u32) -> f32 {
    if WEIGHTED {
        return bitcast<f32>(weights[row]);
    }
    return 1.0;
}

// Keras's clip to [1e-7, 1 - 2^-23] and its derivative, the two sides averaged on a bound.
fn clipped(p: f32) -> vec2<f32> {
    let low = 1e-7;
    let high = 0.99999988079071044921875;
    if is_nan(p) {
        return vec2<f32>(p, 1.0);
    }
    var slope = 1.0;
    if p < low || p > high {
        slope = 0.0;
    } else if p == low || p == high {
        slope = 0.5;
    }
    return vec2<f32>(clamp(p, low, high), slope);
}

// The value for a target and a prediction, and its derivative.
fn element(given: f32, p: f32) -> vec2<f32> {
    let difference = p - given;
    switch KIND {
        case SQUARED: { return vec2<f32>(difference * difference, 2.0 * difference); }
        case HALF_SQUARED: { return vec2<f32>(0.5 * difference * difference, difference); }
        case ABSOLUTE: {
            let sign = select(select(-1.0, 1.0, difference > 0.0), difference, difference == 0.0 || is_nan(difference));
            return vec2<f32>(abs(difference), sign);
        }
        case BINARY: {
            let y = given * (1.0 - sizes.parameter) + 0.5 * sizes.parameter;
            let q = clipped(p);
            let other = 1.0 - q.x;
            return vec2<f32>(-(y * log_of(q.x) + (1.0 - y) * log_of(other)), q.y * (q.x - y) / (q.x * other));
        }
        case BINARY_OF_LOGITS: {
            let y = given * (1.0 - sizes.parameter) + 0.5 * sizes.parameter;
            let e = exp_of(-abs(p));
            let sigmoid = select(e, 1.0, p >= 0.0) / (1.0 + e);
            return vec2<f32>(max(p, 0.0) - p * y + log_of_one_plus(e), sigmoid - y);
        }
        default: {
            let said = select(0.0, 1.0, p > sizes.parameter);
            return vec2<f32>(select(0.0, 1.0, given == said), 0.0);
        }
    }
}

// Each row counts the mean of its elements.
@compute @workgroup_size(THREADS)
fn by_elements(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let count = sizes.rows * sizes.features;
    let share = 1.0 / f32(sizes.features);
    var sum = 0.0;
    for (var at = group.x * THREADS + lane; at < count; at += groups.x * THREADS) {
        let weight = weight_of(at / sizes.features);
        var own = vec2<f32>(0.0, 0.0);
        if weight != 0.0 {
            own = element(bitcast<f32>(targets[at]), prediction[at]) * (weight * share);
        }
        sum += own.x;
        if GRADIENT {
            gradient[at] = own.y * sizes.scale;
        }
    }
    sum = sum_of_all(lane, sum);
    if lane == 0u {
        sums[sizes.first + group.x] = sum;
    }
}

// The target of a class.
fn share_of(row: u32, column: u32) -> f32 {
    if INDICES {
        return select(0.0, 1.0, bitcast<f32>(targets[row]) == f32(column));
    }
    let given = bitcast<f32>(targets[row * sizes.features + column]);
    return given * (1.0 - sizes.parameter) + sizes.parameter / f32(sizes.features);
}

fn categorical(row: u32, lane: u32, factor: f32) -> f32 {
    let start = row * sizes.features;
    var own = 0.0;
    for (var column = lane; column < sizes.features; column += THREADS) {
        own += prediction[start + column];
    }
    let total = sum_of_all(lane, own);
    var loss = 0.0;
    var inner = 0.0;
    for (var column = lane; column < sizes.features; column += THREADS) {
        let y = share_of(row, column);
        // The logarithm of a class without weight is not taken.
        if y != 0.0 {
            let raw = prediction[start + column] / total;
            let q = clipped(raw);
            loss -= y * log_of(q.x);
            inner -= y * q.y / q.x * raw;
        }
    }
    loss = sum_of_all(lane, loss);
    inner = sum_of_all(lane, inner);
    if GRADIENT {
        for (var column = lane; column < sizes.features; column += THREADS) {
            let q = clipped(prediction[start + column] / total);
            let y = share_of(row, column);
            let slope = select(-y * q.y / q.x, 0.0, y == 0.0);
            gradient[start + column] = select((slope - inner) / total * factor, 0.0, factor == 0.0);
        }
    }
    return loss;
}

fn categorical_of_logits(row: u32, lane: u32, factor: f32) -> f32 {
    let start = row * sizes.features;
    var top = -3.4e38;
    for (var column = lane; column < sizes.features; column += THREADS) {
        top = max(top, prediction[start + column]);
    }
    top = largest_of_all(lane, top);
    var own = 0.0;
    var all = 0.0;
    for (var column = lane; column < sizes.features; column += THREADS) {
        own += exp_of(prediction[start + column] - top);
        all += share_of(row, column);
    }
    let total = sum_of_all(lane, own);
    all = sum_of_all(lane, all);
    let log_total = log_of(total);
    var loss = 0.0;
    for (var column = lane; column < sizes.features; column += THREADS) {
        let y = share_of(row, column);
        if y != 0.0 {
            loss += y * (log_total - (prediction[start + column] - top));
        }
    }
    loss = sum_of_all(lane, loss);
    if GRADIENT {
        for (var column = lane; column < sizes.features; column += THREADS) {
            let e = exp_of(prediction[start + column] - top);
            let slope = all * e / total - share_of(row, column);
            gradient[start + column] = select(slope * factor, 0.0, factor == 0.0);
        }
    }
    return loss;
}

// Whether the largest prediction is where the largest target is, or at the index that the target names.
fn categorical_accuracy(row: u32, lane: u32) -> f32 {
    let start = row * sizes.features;
    var best = 0.0;
    var place = NOWHERE;
    for (var column = lane; column < sizes.features; column += THREADS) {
        let p = prediction[start + column];
        if place == NOWHERE || is_larger(p, column, best, place) {
            best = p;
            place = column;
        }
    }
    let predicted = place_of_all(lane, best, place);
    if INDICES {
        return select(0.0, 1.0, bitcast<f32>(targets[row]) == f32(predicted));
    }
    best = 0.0;
    place = NOWHERE;
    for (var column = lane; column < sizes.features; column += THREADS) {
        let y = bitcast<f32>(targets[start + column]);
        if place == NOWHERE || is_larger(y, column, best, place) {
            best = y;
            place = column;
        }
    }
    return select(0.0, 1.0, place_of_all(lane, best, place) == predicted);
}

@compute @workgroup_size(THREADS)
fn by_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    var sum = 0.0;
    for (var row = group.x; row < sizes.rows; row += groups.x) {
        let weight = weight_of(row);
        var value = 0.0;
        if KIND == CATEGORICAL {
            value = categorical(row, lane, weight * sizes.scale);
        } else if KIND == CATEGORICAL_OF_LOGITS {
            value = categorical_of_logits(row, lane, weight * sizes.scale);
        } else {
            value = categorical_accuracy(row, lane);
        }
        // A row without weight is not looked at.
        sum += select(weight * value, 0.0, weight == 0.0);
    }
    if lane == 0u {
        sums[sizes.first + group.x] = sum;
    }
}
