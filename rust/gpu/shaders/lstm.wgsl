// Long short-term memory, in Keras's gate order i, f, g, o: c = f ∘ c₋ + i ∘ g, h = o ∘ act(c). The equations of the backward
// pass stand in rust/core/src/cells/lstm.rs.

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = group.x * ROWS;
    let units = sizes.units;
    let width = 4u * units;
    for (var step = sizes.first; step < sizes.last; step++) {
        for (var base = 0u; base < units; base += THREADS) {
            let unit = base + lane;
            var zi = vec4<f32>();
            var zf = vec4<f32>();
            var zg = vec4<f32>();
            var zo = vec4<f32>();
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_states(step, first_row, begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        let h = tile[k];
                        let at = (begin + k) * width + unit;
                        zi += recurrent[at] * masked(0u, first_row, begin + k, h);
                        zf += recurrent[at + units] * masked(1u, first_row, begin + k, h);
                        zg += recurrent[at + 2u * units] * masked(2u, first_row, begin + k, h);
                        zo += recurrent[at + 3u * units] * masked(3u, first_row, begin + k, h);
                    }
                }
            }
            if unit < units {
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * width + unit;
                    let before = (step * sizes.batch + row) * units + unit;
                    let data = is_data(step, row);
                    let xi = gates[at] + zi[r];
                    let xf = gates[at + units] + zf[r];
                    let xg = gates[at + 2u * units] + zg[r];
                    let xo = gates[at + 3u * units] + zo[r];
                    let i = gate(xi);
                    let f = gate(xf);
                    let g = act(xg);
                    let o = gate(xo);
                    let c = fma(f, extra[before], i * g);
                    gates[at] = to_keep(GATE_BY_INPUT, xi, i);
                    gates[at + units] = to_keep(GATE_BY_INPUT, xf, f);
                    gates[at + 2u * units] = to_keep(ACTIVATION_BY_INPUT, xg, g);
                    gates[at + 3u * units] = to_keep(GATE_BY_INPUT, xo, o);
                    extra[before + sizes.batch * units] = select(extra[before], c, data);
                    put_state(step, row, unit, select(states[before], o * act(c), data), data);
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
    let width = 4u * units;
    for (var step = sizes.last; step > sizes.first;) {
        step--;
        for (var unit = lane; unit < units; unit += THREADS) {
            for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                let row = first_row + r;
                let at = (step * sizes.batch + row) * width + unit;
                let before = (step * sizes.batch + row) * units + unit;
                let own = row * units + unit;
                let own_cell = sizes.batch * units + own;
                let data = is_data(step, row);
                let dh = gradient_of_state(step, row, unit, data);
                let kept_i = gates[at];
                let kept_f = gates[at + units];
                let kept_g = gates[at + 2u * units];
                let kept_o = gates[at + 3u * units];
                let i = gate_kept(kept_i);
                let f = gate_kept(kept_f);
                let g = act_kept(kept_g);
                let o = gate_kept(kept_o);
                let c = extra[before + sizes.batch * units];
                let bent = act(c);
                let dc = fma(dh * o, act_slope(c, bent), carry[own_cell]);
                gates[at] = select(0.0, dc * g * gate_slope(kept_i, i), data);
                gates[at + units] = select(0.0, dc * extra[before] * gate_slope(kept_f, f), data);
                gates[at + 2u * units] = select(0.0, dc * i * act_slope(kept_g, g), data);
                gates[at + 3u * units] = select(0.0, dh * bent * gate_slope(kept_o, o), data);
                carry[own_cell] = select(carry[own_cell], dc * f, data);
                carry[own] = select(dh, 0.0, data);
            }
        }
        carry_back(step, first_row, width, width, width, lane);
    }
}
