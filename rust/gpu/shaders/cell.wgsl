// What the recurrent cells share. A workgroup owns four rows of the batch, which stand in the components of a vector, and
// takes them through time; its invocations share the units. It never meets another workgroup. Arrays lie in the order of
// processing: gates (steps, batch, gates * units), states (steps + 1, batch, units) with the initial one first.
// Prepended to the cells, after math.wgsl.

struct Sizes {
    batch: u32,
    units: u32,
    // The steps of this dispatch: long sequences are cut, so that no dispatch meets a watchdog.
    first: u32,
    last: u32,
}

@group(1) @binding(0) var<uniform> sizes: Sizes;

// Pre-activations, then what the backward pass needs of them (`to_keep` says what), then their gradients.
@group(0) @binding(0) var<storage, read_write> gates: array<f32>;
@group(0) @binding(1) var<storage, read_write> states: array<f32>;
// LSTM: c, like `states`. GRU: m or q (steps, batch, units).
@group(0) @binding(2) var<storage, read_write> extra: array<f32>;
// (units, gates * units); its transpose in the backward pass.
@group(0) @binding(3) var<storage, read_write> recurrent: array<f32>;
@group(0) @binding(4) var<storage, read_write> bias: array<f32>;
// The layer's output (steps, batch, units), or its gradient.
@group(0) @binding(5) var<storage, read_write> output: array<f32>;
// (steps, batch), not zero where there is data.
@group(0) @binding(6) var<storage, read> flags: array<u32>;
// Only in the backward pass, where there is no bias: dL/dh of the step before (batch, units), then, for an LSTM, dL/dc.
@group(0) @binding(4) var<storage, read_write> carry: array<f32>;
// Recurrent dropout: what multiplies h on its way into the product of each gate (gates, batch, units).
@group(0) @binding(7) var<storage, read_write> masks: array<f32>;

override THREADS: u32 = 64u;
override ACTIVATION: u32 = TANH;
override GATE: u32 = SIGMOID;
// The functions' numbers, and whether their slopes need their inputs.
override ACTIVATION_A: f32 = 0.0;
override ACTIVATION_B: f32 = 0.0;
override ACTIVATION_C: f32 = 0.0;
override ACTIVATION_BY_INPUT: bool = false;
override GATE_A: f32 = 0.0;
override GATE_B: f32 = 0.0;
override GATE_C: f32 = 0.0;
override GATE_BY_INPUT: bool = false;
// Whether there are flags; whether outputs at masked steps are zero; whether there are outputs of each step.
override MASKED: bool = false;
override ZERO_MASKED: bool = false;
override SEQUENCES: bool = false;
override BIASED: bool = false;
override DROPPED: bool = false;

const ROWS: u32 = 4u;
const TILE: u32 = 256u;

// What all invocations multiply with the weights: a value of each row for some units.
var<workgroup> tile: array<vec4<f32>, TILE>;

fn act(x: f32) -> f32 {
    return activate(ACTIVATION, vec3<f32>(ACTIVATION_A, ACTIVATION_B, ACTIVATION_C), x);
}

fn act_slope(x: f32, y: f32) -> f32 {
    return slope(ACTIVATION, vec3<f32>(ACTIVATION_A, ACTIVATION_B, ACTIVATION_C), x, y);
}

fn gate(x: f32) -> f32 {
    return activate(GATE, vec3<f32>(GATE_A, GATE_B, GATE_C), x);
}

fn gate_slope(x: f32, y: f32) -> f32 {
    return slope(GATE, vec3<f32>(GATE_A, GATE_B, GATE_C), x, y);
}

// What is kept of y = f(x) for the backward pass: x where the slope needs it, else y.
fn to_keep(by_input: bool, x: f32, y: f32) -> f32 {
    return select(y, x, by_input);
}

// The y of what was kept.
fn act_kept(value: f32) -> f32 {
    if ACTIVATION_BY_INPUT {
        return act(value);
    }
    return value;
}

fn gate_kept(value: f32) -> f32 {
    if GATE_BY_INPUT {
        return gate(value);
    }
    return value;
}

// The places of the four rows' values in an array (steps, batch, width). A row behind the last one reads the last one.
fn places(step: u32, first_row: u32, width: u32, column: u32) -> vec4<u32> {
    let rows = min(vec4<u32>(first_row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(sizes.batch - 1u));
    return (vec4<u32>(step * sizes.batch) + rows) * width + vec4<u32>(column);
}

fn states_of(step: u32, first_row: u32, unit: u32) -> vec4<f32> {
    let at = places(step, first_row, sizes.units, unit);
    return vec4<f32>(states[at.x], states[at.y], states[at.z], states[at.w]);
}

fn extra_of(step: u32, first_row: u32, unit: u32) -> vec4<f32> {
    let at = places(step, first_row, sizes.units, unit);
    return vec4<f32>(extra[at.x], extra[at.y], extra[at.z], extra[at.w]);
}

fn gates_of(step: u32, first_row: u32, width: u32, column: u32) -> vec4<f32> {
    let at = places(step, first_row, width, column);
    return vec4<f32>(gates[at.x], gates[at.y], gates[at.z], gates[at.w]);
}

// Four rows' values of a unit, or of its gradient, through the mask of a gate.
fn masked(gate: u32, first_row: u32, unit: u32, values: vec4<f32>) -> vec4<f32> {
    if DROPPED {
        let at = places(gate, first_row, sizes.units, unit);
        return values * vec4<f32>(masks[at.x], masks[at.y], masks[at.z], masks[at.w]);
    }
    return values;
}

fn is_data(step: u32, row: u32) -> bool {
    if MASKED {
        return flags[step * sizes.batch + row] != 0u;
    }
    return true;
}

// Hands out what a step leaves.
fn put_state(step: u32, row: u32, unit: u32, h: f32, data: bool) {
    let at = (step * sizes.batch + row) * sizes.units + unit;
    states[at + sizes.batch * sizes.units] = h;
    if SEQUENCES {
        output[at] = select(h, 0.0, ZERO_MASKED && !data);
    }
}

// dL/dh of a step: from the step after it and from its output.
fn gradient_of_state(step: u32, row: u32, unit: u32, data: bool) -> f32 {
    var sum = carry[row * sizes.units + unit];
    if SEQUENCES {
        let shown = output[(step * sizes.batch + row) * sizes.units + unit];
        sum += select(shown, 0.0, ZERO_MASKED && !data);
    }
    return sum;
}

// What the invocations have written to arrays is seen by all of the workgroup from here on.
fn finish_phase() {
    storageBarrier();
    workgroupBarrier();
}

// Brings the values of `count` units into the tile, from one on.
fn fill_with_states(step: u32, first_row: u32, begin: u32, count: u32, lane: u32) {
    workgroupBarrier();
    for (var k = lane; k < count; k += THREADS) {
        tile[k] = states_of(step, first_row, begin + k);
    }
    workgroupBarrier();
}

// Likewise columns of the gates, which have `width` of them; those from `split` on lie in `extra`.
fn fill_with_gates(step: u32, first_row: u32, width: u32, split: u32, begin: u32, count: u32, lane: u32) {
    workgroupBarrier();
    for (var k = lane; k < count; k += THREADS) {
        if begin + k < split {
            tile[k] = gates_of(step, first_row, width, begin + k);
        } else {
            tile[k] = extra_of(step, first_row, begin + k - split);
        }
    }
    workgroupBarrier();
}

fn add_to_carry(first_row: u32, unit: u32, sums: vec4<f32>) {
    for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
        carry[(first_row + r) * sizes.units + unit] += sums[r];
    }
}

// What the gradients of the first `columns` columns of the gates mean for the state before; see `fill_with_gates`.
fn carry_back(step: u32, first_row: u32, width: u32, columns: u32, split: u32, lane: u32) {
    finish_phase();
    for (var base = 0u; base < sizes.units; base += THREADS) {
        let unit = base + lane;
        var sum = vec4<f32>();
        for (var begin = 0u; begin < columns; begin += TILE) {
            let count = min(TILE, columns - begin);
            fill_with_gates(step, first_row, width, split, begin, count, lane);
            if unit < sizes.units {
                for (var k = 0u; k < count; k++) {
                    let product = recurrent[(begin + k) * sizes.units + unit] * tile[k];
                    sum += masked((begin + k) / sizes.units, first_row, unit, product);
                }
            }
        }
        if unit < sizes.units {
            add_to_carry(first_row, unit, sum);
        }
    }
    finish_phase();
}
