// The gated recurrent unit that resets before the recurrent product, in Keras's gate order z, r, n:
// q = r ∘ h₋, n = act(x·W_h + b_h + q·U_h), h = z ∘ h₋ + (1 - z) ∘ n. The equations of the backward pass stand in
// rust/core/src/cells/gru.rs. `extra` holds q, through the mask of recurrent dropout.

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = group.x * ROWS;
    let units = sizes.units;
    let width = 3u * units;
    for (var step = sizes.first; step < sizes.last; step++) {
        for (var base = 0u; base < units; base += THREADS) {
            let unit = base + lane;
            var zs = vec4<f32>();
            var rs = vec4<f32>();
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_states(step, first_row, begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        let h = tile[k];
                        let at = (begin + k) * width + unit;
                        zs += recurrent[at] * masked(0u, first_row, begin + k, h);
                        rs += recurrent[at + units] * masked(1u, first_row, begin + k, h);
                    }
                }
            }
            if unit < units {
                let kept = masked(2u, first_row, unit, vec4<f32>(1.0));
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * width + unit;
                    let before = (step * sizes.batch + row) * units + unit;
                    let xz = gates[at] + zs[r];
                    let xr = gates[at + units] + rs[r];
                    let reset = gate(xr);
                    gates[at] = to_keep(GATE_BY_INPUT, xz, gate(xz));
                    gates[at + units] = to_keep(GATE_BY_INPUT, xr, reset);
                    extra[before] = reset * states[before] * kept[r];
                }
            }
        }
        finish_phase();
        for (var base = 0u; base < units; base += THREADS) {
            let unit = base + lane;
            var ns = vec4<f32>();
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_gates(step, first_row, width, 0u, begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        ns += recurrent[(begin + k) * width + 2u * units + unit] * tile[k];
                    }
                }
            }
            if unit < units {
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * width + unit;
                    let before = (step * sizes.batch + row) * units + unit;
                    let data = is_data(step, row);
                    let xn = gates[at + 2u * units] + ns[r];
                    let n = act(xn);
                    let h = fma(gate_kept(gates[at]), states[before] - n, n);
                    gates[at + 2u * units] = to_keep(ACTIVATION_BY_INPUT, xn, n);
                    put_state(step, row, unit, select(states[before], h, data), data);
                }
            }
        }
        finish_phase();
    }
}

@compute @workgroup_size(THREADS)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = group.x * ROWS;
    let units = sizes.units;
    let width = 3u * units;
    for (var step = sizes.last; step > sizes.first;) {
        step--;
        for (var unit = lane; unit < units; unit += THREADS) {
            for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                let row = first_row + r;
                let at = (step * sizes.batch + row) * width + unit;
                let before = (step * sizes.batch + row) * units + unit;
                let data = is_data(step, row);
                let dh = gradient_of_state(step, row, unit, data);
                let kept_update = gates[at];
                let kept_n = gates[at + 2u * units];
                let update = gate_kept(kept_update);
                let n = act_kept(kept_n);
                gates[at] = select(0.0, dh * (states[before] - n) * gate_slope(kept_update, update), data);
                gates[at + units] = select(0.0, gates[at + units], data);
                gates[at + 2u * units] = select(0.0, dh * (1.0 - update) * act_slope(kept_n, n), data);
                carry[row * units + unit] = select(dh, dh * update, data);
            }
        }
        finish_phase();
        for (var base = 0u; base < units; base += THREADS) {
            let unit = base + lane;
            var dq = vec4<f32>();
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_gates(step, first_row, width, width, 2u * units + begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        dq += recurrent[(2u * units + begin + k) * units + unit] * tile[k];
                    }
                }
            }
            if unit < units {
                dq = masked(2u, first_row, unit, dq);
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * width + units + unit;
                    let kept_reset = gates[at];
                    let reset = gate_kept(kept_reset);
                    let before = states[(step * sizes.batch + row) * units + unit];
                    gates[at] = dq[r] * before * gate_slope(kept_reset, reset);
                    carry[row * units + unit] += dq[r] * reset;
                }
            }
        }
        carry_back(step, first_row, width, 2u * units, 2u * units, lane);
    }
}
