// The simple cell: h = act(x·W + b + h₋·U). Backward: dz = dh ∘ act'(h), dh₋ = dz·Uᵀ.

@compute @workgroup_size(THREADS)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_row = group.x * ROWS;
    let units = sizes.units;
    for (var step = sizes.first; step < sizes.last; step++) {
        for (var base = 0u; base < units; base += THREADS) {
            let unit = base + lane;
            var sum = vec4<f32>();
            for (var begin = 0u; begin < units; begin += TILE) {
                let count = min(TILE, units - begin);
                fill_with_states(step, first_row, begin, count, lane);
                if unit < units {
                    for (var k = 0u; k < count; k++) {
                        sum += recurrent[(begin + k) * units + unit] * masked(0u, first_row, begin + k, tile[k]);
                    }
                }
            }
            if unit < units {
                for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                    let row = first_row + r;
                    let at = (step * sizes.batch + row) * units + unit;
                    let data = is_data(step, row);
                    let z = gates[at] + sum[r];
                    let h = act(z);
                    if ACTIVATION_BY_INPUT {
                        gates[at] = z;
                    }
                    put_state(step, row, unit, select(states[at], h, data), data);
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
    for (var step = sizes.last; step > sizes.first;) {
        step--;
        for (var unit = lane; unit < units; unit += THREADS) {
            for (var r = 0u; r < ROWS && first_row + r < sizes.batch; r++) {
                let row = first_row + r;
                let at = (step * sizes.batch + row) * units + unit;
                let data = is_data(step, row);
                let dh = gradient_of_state(step, row, unit, data);
                let h = states[at + sizes.batch * units];
                gates[at] = select(0.0, dh * act_slope(gates[at], h), data);
                carry[row * units + unit] = select(dh, 0.0, data);
            }
        }
        carry_back(step, first_row, units, units, units, lane);
    }
}
