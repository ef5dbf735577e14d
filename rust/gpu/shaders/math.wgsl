// Functions of numbers, written out because WGSL leaves drivers room that shows after a hundred time steps: the built-in
// exp of some is off by 3.7e-6, and the built-in tanh of some gives NaN for large arguments. Prepended to the kernels.

// By its bits: a NaN need not differ from itself here.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

// The functions of an element, numbered as in lower/activation.rs, which sets their numbers a, b and c.
const LINEAR: u32 = 0u;
const TANH: u32 = 1u;
const SIGMOID: u32 = 2u;
// x above b, a · (x - b) below.
const RELU: u32 = 3u;
// Likewise, and at most c.
const BOUNDED_RELU: u32 = 4u;
// a · x + b between c and 1.
const RAMP: u32 = 5u;
// x · (a · x + b between 0 and 1).
const RAMPED: u32 = 6u;
const SOFTSIGN: u32 = 7u;
// b · x above 0, b · a · (exp(x / c) - 1) below.
const ELU: u32 = 8u;
const SOFTPLUS: u32 = 9u;
// -softplus(-x)
const LOG_SIGMOID: u32 = 10u;
const SILU: u32 = 11u;
const EXPONENTIAL: u32 = 12u;
// x · Φ(x); a is the normal density at 0.
const GELU: u32 = 13u;
// x / 2 · (1 + tanh(a · (x + b · x³)))
const GELU_BY_TANH: u32 = 14u;
// x · tanh(softplus(x))
const MISH: u32 = 15u;
const TANH_SHRINK: u32 = 16u;
// x moved towards 0 by a.
const SOFT_SHRINK: u32 = 17u;
// x where |x| exceeds a, 0 elsewhere.
const HARD_SHRINK: u32 = 18u;
// x where it exceeds a, b elsewhere.
const THRESHOLD: u32 = 19u;
// (x + sqrt(x² + a)) / 2
const SQUAREPLUS: u32 = 20u;
// 0 below -1, x above 1, (x + 1)² / 4 between.
const SPARSE_PLUS: u32 = 21u;

// Cephes' expf (Moshier): 2^n times a polynomial in what is left, relative error 1e-7.
fn exp_of(x: f32) -> f32 {
    let bounded = clamp(x, -87.0, 88.0);
    let n = round(bounded * 1.44269504);
    let r = fma(n, 2.12194440e-4, fma(n, -0.693359375, bounded));
    var p = fma(1.9875691500e-4, r, 1.3981999507e-3);
    p = fma(p, r, 8.3334519073e-3);
    p = fma(p, r, 4.1665795894e-2);
    p = fma(p, r, 1.6666665459e-1);
    p = fma(p, r, 5.0000001201e-1);
    let y = fma(p * r, r, r) + 1.0;
    let power = bitcast<f32>(u32(i32(n) + 127) << 23u);
    // A NaN is to be seen in the loss.
    return select(y * power, x, is_nan(x));
}

fn sigmoid_of(x: f32) -> f32 {
    return 1.0 / (1.0 + exp_of(-x));
}

fn tanh_of(x: f32) -> f32 {
    let size = abs(x);
    let e = exp_of(-2.0 * size);
    let large = (1.0 - e) / (1.0 + e);
    // The difference would cancel: the series is exact to 1e-9 there.
    let square = x * x;
    let small = size * fma(square, fma(square, 0.13333333, -0.33333333), 1.0);
    let y = select(large, small, size < 0.05);
    return select(select(y, -y, x < 0.0), x, is_nan(x));
}

// Cephes' logf (Moshier), for numbers above 0 that are not subnormal, and NaN: the built-in one may be off by 5e-7 around 1.
fn log_of(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let half = bitcast<f32>((bits & 0x007fffffu) | 0x3f000000u);
    let below = half < 0.707106781186547524;
    let n = f32(i32(bits >> 23u) - 126 - select(0, 1, below));
    let r = select(half, 2.0 * half, below) - 1.0;
    var p = fma(7.0376836292e-2, r, -1.1514610310e-1);
    p = fma(p, r, 1.1676998740e-1);
    p = fma(p, r, -1.2420140846e-1);
    p = fma(p, r, 1.4249322787e-1);
    p = fma(p, r, -1.6668057665e-1);
    p = fma(p, r, 2.0000714765e-1);
    p = fma(p, r, -2.4999993993e-1);
    p = fma(p, r, 3.3333331174e-1);
    let square = r * r;
    let rest = fma(-0.5, square, fma(n, -2.12194440e-4, p * r * square));
    return select(fma(n, 0.693359375, r + rest), x, is_nan(x));
}

// ln(1 + e) for e in [0, 1]; the quotient undoes the rounding of the sum (Kahan).
fn log_of_one_plus(e: f32) -> f32 {
    let sum = 1.0 + e;
    let rounded = sum - 1.0;
    return select(log_of(sum) * (e / rounded), e, rounded == 0.0);
}

fn softplus_of(x: f32) -> f32 {
    return max(x, 0.0) + log_of_one_plus(exp_of(-abs(x)));
}

// exp(x) - 1 for x up to 0. The difference would cancel above -2⁻⁷: the series is exact to 1e-10 there.
fn expm1_of_negative(x: f32) -> f32 {
    let series = x * fma(x, fma(x, fma(x, 1.0 / 24.0, 1.0 / 6.0), 0.5), 1.0);
    return select(exp_of(x) - 1.0, series, x > -0.0078125);
}

// The normal distribution function, by the Chebyshev fit of erfc in Numerical Recipes 6.2 (relative error below 1.2e-7).
fn normal_distribution_of(x: f32) -> f32 {
    let z = abs(x) * 0.70710678;
    let t = 1.0 / fma(z, 0.5, 1.0);
    var sum = fma(0.17087277, t, -0.82215223);
    sum = fma(sum, t, 1.48851587);
    sum = fma(sum, t, -1.13520398);
    sum = fma(sum, t, 0.27886807);
    sum = fma(sum, t, -0.18628806);
    sum = fma(sum, t, 0.09678418);
    sum = fma(sum, t, 0.37409196);
    sum = fma(sum, t, 1.00002368);
    sum = fma(sum, t, -1.26551223);
    let half_erfc = 0.5 * t * exp_of(sum - z * z);
    return select(half_erfc, 1.0 - half_erfc, x > 0.0);
}

// The numbers of a function are those that its constant's comment calls a, b and c.
fn activate(kind: u32, numbers: vec3<f32>, x: f32) -> f32 {
    return select(value_of_number(kind, numbers, x), x, is_nan(x));
}

fn value_of_number(kind: u32, numbers: vec3<f32>, x: f32) -> f32 {
    let a = numbers.x;
    let b = numbers.y;
    let c = numbers.z;
    switch kind {
        case TANH: { return tanh_of(x); }
        case SIGMOID: { return sigmoid_of(x); }
        case RELU, BOUNDED_RELU: {
            // 0 · (-inf) would be NaN.
            let below = select(a * (x - b), 0.0, a == 0.0);
            let y = select(below, x, x > b);
            return select(y, min(y, c), kind == BOUNDED_RELU);
        }
        case RAMP: { return clamp(fma(x, a, b), c, 1.0); }
        case RAMPED: { return x * clamp(fma(x, a, b), 0.0, 1.0); }
        case SOFTSIGN: { return x / (1.0 + abs(x)); }
        case ELU: { return b * select(a * expm1_of_negative(min(x, 0.0) / c), x, x > 0.0); }
        case SOFTPLUS: { return softplus_of(x); }
        case LOG_SIGMOID: { return -softplus_of(-x); }
        case SILU: { return x * sigmoid_of(x); }
        case EXPONENTIAL: { return exp_of(x); }
        case GELU: { return x * normal_distribution_of(x); }
        case GELU_BY_TANH: { return 0.5 * x * (1.0 + tanh_of(a * fma(b, x * x * x, x))); }
        case MISH: { return x * tanh_of(softplus_of(x)); }
        case TANH_SHRINK: { return x - tanh_of(x); }
        case SOFT_SHRINK: { return select(select(0.0, x - a, x > a), x + a, x < -a); }
        case HARD_SHRINK: { return select(0.0, x, abs(x) > a); }
        case THRESHOLD: { return select(b, x, x > a); }
        case SQUAREPLUS: { return 0.5 * (x + sqrt(fma(x, x, a))); }
        case SPARSE_PLUS: {
            let shifted = clamp(x, -1.0, 1.0) + 1.0;
            return select(0.25 * shifted * shifted, x, x > 1.0);
        }
        default: { return x; }
    }
}

// dy/dx. `needs_input` in lower/activation.rs says which functions need x beside y.
fn slope(kind: u32, numbers: vec3<f32>, x: f32, y: f32) -> f32 {
    let a = numbers.x;
    let b = numbers.y;
    let c = numbers.z;
    switch kind {
        case TANH: { return 1.0 - y * y; }
        case SIGMOID: { return y * (1.0 - y); }
        case RELU: { return select(a, 1.0, x > b); }
        case BOUNDED_RELU: { return select(select(a, 1.0, x > b), 0.0, y >= c); }
        case RAMP: { return select(0.0, a, y > c && y < 1.0); }
        case RAMPED: {
            let gate = fma(x, a, b);
            return clamp(gate, 0.0, 1.0) + select(0.0, a * x, gate > 0.0 && gate < 1.0);
        }
        case SOFTSIGN: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        case ELU: { return b * select(a / c * exp_of(min(x, 0.0) / c), 1.0, x > 0.0); }
        case SOFTPLUS: { return sigmoid_of(x); }
        case LOG_SIGMOID: { return sigmoid_of(-x); }
        case SILU: {
            let s = sigmoid_of(x);
            return s * (1.0 + x * (1.0 - s));
        }
        case EXPONENTIAL: { return y; }
        // Φ(x) + x · φ(x)
        case GELU: { return fma(x, a * exp_of(-0.5 * x * x), normal_distribution_of(x)); }
        case GELU_BY_TANH: {
            let bend = tanh_of(a * fma(b, x * x * x, x));
            let inner = a * fma(3.0 * b, x * x, 1.0);
            return 0.5 * (1.0 + bend + x * (1.0 - bend * bend) * inner);
        }
        case MISH: {
            let t = tanh_of(softplus_of(x));
            return fma(x * (1.0 - t * t), sigmoid_of(x), t);
        }
        case TANH_SHRINK: {
            let t = tanh_of(x);
            return t * t;
        }
        case SOFT_SHRINK, HARD_SHRINK: { return select(0.0, 1.0, abs(x) > a); }
        case THRESHOLD: { return select(0.0, 1.0, x > a); }
        case SQUAREPLUS: { return 0.5 * (1.0 + x / sqrt(fma(x, x, a))); }
        case SPARSE_PLUS: { return 0.5 * (clamp(x, -1.0, 1.0) + 1.0); }
        default: { return 1.0; }
    }
}
