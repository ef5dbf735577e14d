// The gated recurrent unit that resets after the recurrent product, in Keras's gate order z, r, n:
// m = h₋·U_h + b'_h, n = act(x·W_h + b_h + r ∘ m), h = z ∘ h₋ + (1 - z) ∘ n. The equations of the backward pass stand in
// rust/core/src/cells/gru.rs. `extra` holds m, then dm; the second row of `bias` is that of the recurrent product.

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
            var ms = vec4<f32>();
            if BIASED && unit < units {
                zs = vec4<f32>(bias[width + unit]);
                rs = vec4<f32>(bias[width + units + unit]);
                ms = vec4<f32>(bias[width + 2u * units + unit]);
            }
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_states(step, first_row, begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        let h = tile[k];
                        let at = (begin + k) * width + unit;
                        zs += recurrent[at] * masked(0u, first_row, begin + k, h);
                        rs += recurrent[at + units] * masked(1u, first_row, begin + k, h);
                        ms += recurrent[at + 2u * units] * masked(2u, first_row, begin + k, h);
                    }
                }
            }
            if unit < units {
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * width + unit;
                    let before = (step * sizes.batch + row) * units + unit;
                    let data = is_data(step, row);
                    let xz = gates[at] + zs[r];
                    let xr = gates[at + units] + rs[r];
                    let update = gate(xz);
                    let reset = gate(xr);
                    let xn = fma(reset, ms[r], gates[at + 2u * units]);
                    let n = act(xn);
                    let h = fma(update, states[before] - n, n);
                    gates[at] = to_keep(GATE_BY_INPUT, xz, update);
                    gates[at + units] = to_keep(GATE_BY_INPUT, xr, reset);
                    gates[at + 2u * units] = to_keep(ACTIVATION_BY_INPUT, xn, n);
                    extra[before] = ms[r];
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
                let kept_reset = gates[at + units];
                let kept_n = gates[at + 2u * units];
                let update = gate_kept(kept_update);
                let reset = gate_kept(kept_reset);
                let n = act_kept(kept_n);
                let m = extra[before];
                let dn = dh * (1.0 - update) * act_slope(kept_n, n);
                gates[at] = select(0.0, dh * (states[before] - n) * gate_slope(kept_update, update), data);
                gates[at + units] = select(0.0, dn * m * gate_slope(kept_reset, reset), data);
                gates[at + 2u * units] = select(0.0, dn, data);
                extra[before] = select(0.0, dn * reset, data);
                carry[row * units + unit] = select(dh, dh * update, data);
            }
        }
        carry_back(step, first_row, width, width, 2u * units, lane);
    }
}
