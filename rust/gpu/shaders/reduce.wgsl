// What a workgroup's invocations come to together, in an order that never changes. Prepended to the kernels.

const THREADS: u32 = 64u;
var<workgroup> lanes: array<f32, THREADS>;

fn sum_of_all(lane: u32, own: f32) -> f32 {
    workgroupBarrier();
    lanes[lane] = own;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if lane < half {
            lanes[lane] += lanes[lane + half];
        }
        workgroupBarrier();
    }
    return lanes[0];
}

fn largest_of_all(lane: u32, own: f32) -> f32 {
    workgroupBarrier();
    lanes[lane] = own;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if lane < half {
            lanes[lane] = max(lanes[lane], lanes[lane + half]);
        }
        workgroupBarrier();
    }
    return lanes[0];
}
