// Functions of numbers, written out because WGSL leaves drivers room that shows after a hundred time steps: the built-in
// exp of some is off by 3.7e-6, and the built-in tanh of some gives NaN for large arguments. Prepended to the kernels.

// By its bits: a NaN need not differ from itself here.
fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

const LINEAR: u32 = 0u;
const TANH: u32 = 1u;
const SIGMOID: u32 = 2u;
const RELU: u32 = 3u;
const HARD_SIGMOID: u32 = 4u;
const SOFTSIGN: u32 = 5u;
const ELU: u32 = 6u;
const SOFTPLUS: u32 = 7u;
const SILU: u32 = 8u;
const EXPONENTIAL: u32 = 9u;

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

fn activate(kind: u32, alpha: f32, x: f32) -> f32 {
    switch kind {
        case TANH: { return tanh_of(x); }
        case SIGMOID: { return sigmoid_of(x); }
        // The slope of the negative part is alpha.
        case RELU: { return select(alpha * x, x, x > 0.0); }
        case HARD_SIGMOID: { return select(clamp(x / 6.0 + 0.5, 0.0, 1.0), x, is_nan(x)); }
        case SOFTSIGN: { return x / (1.0 + abs(x)); }
        case ELU: {
            let below = min(x, 0.0);
            let series = below * fma(below, fma(below, fma(below, 1.0 / 24.0, 1.0 / 6.0), 0.5), 1.0);
            let negative = alpha * select(exp_of(below) - 1.0, series, below > -0.0078125);
            return select(negative, x, x > 0.0 || is_nan(x));
        }
        case SOFTPLUS: { return max(x, 0.0) + log_of_one_plus(exp_of(-abs(x))); }
        case SILU: { return x * sigmoid_of(x); }
        case EXPONENTIAL: { return exp_of(x); }
        default: { return x; }
    }
}

// dy/dx from y alone, for the functions that allow it: all that cells use.
fn slope_from_output(kind: u32, alpha: f32, y: f32) -> f32 {
    switch kind {
        case TANH: { return 1.0 - y * y; }
        case SIGMOID: { return y * (1.0 - y); }
        case RELU: { return select(alpha, 1.0, y > 0.0); }
        case HARD_SIGMOID: { return select(0.0, 1.0 / 6.0, y > 0.0 && y < 1.0); }
        case SOFTSIGN: { return (1.0 - abs(y)) * (1.0 - abs(y)); }
        case ELU: { return select(y + alpha, 1.0, y > 0.0); }
        case EXPONENTIAL: { return y; }
        default: { return 1.0; }
    }
}

fn slope(kind: u32, alpha: f32, x: f32, y: f32) -> f32 {
    switch kind {
        case SOFTPLUS: { return sigmoid_of(x); }
        case SILU: {
            let s = sigmoid_of(x);
            return s * (1.0 + x * (1.0 - s));
        }
        default: { return slope_from_output(kind, alpha, y); }
    }
}
