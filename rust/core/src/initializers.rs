//! Initial values of weights, in Keras's distributions. (Keras's own numbers depend on its backend's generator, so the same
//! seed gives other numbers there.)

use foliot_simd::{Isa, Kernel, available, dispatch};
use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::{Error, Result, check};

/// The standard deviation of a standard normal distribution cut off at two: a truncated normal is divided by it, so
/// that what is asked for comes out.
const TRUNCATED_DEVIATION: f64 = 0.87962566103423978;

/// Keeps initial values apart from other streams of the same seed: "initial" in ASCII.
const INITIAL: u64 = 0x0069_6E69_7469_616C;

/// What [`Initializer::VarianceScaling`] divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The number of inputs.
    FanIn,
    /// The number of outputs.
    FanOut,
    /// Their mean.
    FanAvg,
}

/// What [`Initializer::VarianceScaling`] draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// A normal distribution cut off at two of its standard deviations.
    #[serde(alias = "normal")]
    TruncatedNormal,
    /// A normal distribution.
    UntruncatedNormal,
    /// A uniform distribution around 0.
    Uniform,
}

/// One of Keras's initializers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Initializer {
    /// 0 everywhere.
    Zeros {},
    /// 1 everywhere.
    Ones {},
    /// One value everywhere.
    Constant {
        /// The value.
        value: f64,
    },
    /// `gain` on the diagonal of a matrix, 0 elsewhere.
    Identity {
        /// The value on the diagonal.
        gain: f64,
    },
    /// A normal distribution.
    RandomNormal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        stddev: f64,
    },
    /// A normal distribution whose draws beyond two standard deviations are drawn again.
    TruncatedNormal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation before it is cut.
        stddev: f64,
    },
    /// A uniform distribution over `[minval, maxval)`.
    RandomUniform {
        /// The smallest value.
        minval: f64,
        /// The bound above all values.
        maxval: f64,
    },
    /// A distribution of mean 0 and variance `scale / fan`.
    VarianceScaling {
        /// The variance of an output, for inputs of variance 1, if the fan is that of the inputs.
        scale: f64,
        /// Which fan.
        mode: Mode,
        /// Which distribution.
        distribution: Distribution,
    },
    /// Variance 1 / mean fan, uniform.
    GlorotUniform {},
    /// Variance 1 / mean fan, truncated normal.
    GlorotNormal {},
    /// Variance 2 / inputs, uniform.
    HeUniform {},
    /// Variance 2 / inputs, truncated normal.
    HeNormal {},
    /// Variance 1 / inputs, uniform.
    LecunUniform {},
    /// Variance 1 / inputs, truncated normal.
    LecunNormal {},
    /// A random matrix with orthonormal columns, or rows if it is wider than tall, times `gain`. All axes but the last
    /// count as rows.
    Orthogonal {
        /// The length of those columns or rows.
        gain: f64,
    },
}

impl Initializer {
    /// Refuses numbers that make no distribution.
    ///
    /// # Errors
    /// [`Error::Value`] naming the argument.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Constant { value } => check::finite("value", value),
            Self::Identity { gain } | Self::Orthogonal { gain } => check::finite("gain", gain),
            Self::RandomNormal { mean, stddev } | Self::TruncatedNormal { mean, stddev } => {
                check::finite("mean", mean)?;
                check::non_negative("stddev", stddev)
            }
            Self::RandomUniform { minval, maxval } => {
                check::finite("minval", minval)?;
                check::finite("maxval", maxval)?;
                if minval > maxval {
                    return Err(Error::value("minval", format!("at most maxval = {maxval}"), minval.to_string()));
                }
                Ok(())
            }
            Self::VarianceScaling { scale, .. } => check::positive("scale", scale),
            _ => Ok(()),
        }
    }

    /// A new row-major array of this shape. The same seed gives the same numbers, and each part of it numbers that no other
    /// part or seed gives: parts are what one weight is made of block by block.
    ///
    /// # Errors
    /// [`Error::Value`] naming an argument that [`Self::validate`] refuses, or `shape` when it does not fit the initializer
    /// or the memory.
    pub fn make(&self, shape: &[usize], seed: u64, part: u64) -> Result<Vec<f32>> {
        self.validate()?;
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let mut values = Vec::new();
        let count = count.filter(|&count| values.try_reserve_exact(count).is_ok()).ok_or_else(|| {
            Error::value("shape", "an array of 32-bit numbers that fits into memory", format!("{shape:?}"))
        })?;
        let mut stream = Stream::new(seed ^ INITIAL, part);
        let draw = match *self {
            Self::Identity { gain } => return identity(values, shape, gain),
            Self::Orthogonal { gain } => return orthogonal(values, shape, gain, &mut stream),
            Self::Zeros {} => Draw::Constant(0.0),
            Self::Ones {} => Draw::Constant(1.0),
            Self::Constant { value } => Draw::Constant(value),
            Self::RandomNormal { mean, stddev } => Draw::Normal { mean, stddev },
            Self::TruncatedNormal { mean, stddev } => Draw::Truncated { mean, stddev },
            Self::RandomUniform { minval, maxval } => Draw::Uniform { minval, maxval },
            Self::VarianceScaling { scale, mode, distribution } => scaling(shape, scale, mode, distribution),
            Self::GlorotUniform {} => scaling(shape, 1.0, Mode::FanAvg, Distribution::Uniform),
            Self::GlorotNormal {} => scaling(shape, 1.0, Mode::FanAvg, Distribution::TruncatedNormal),
            Self::HeUniform {} => scaling(shape, 2.0, Mode::FanIn, Distribution::Uniform),
            Self::HeNormal {} => scaling(shape, 2.0, Mode::FanIn, Distribution::TruncatedNormal),
            Self::LecunUniform {} => scaling(shape, 1.0, Mode::FanIn, Distribution::Uniform),
            Self::LecunNormal {} => scaling(shape, 1.0, Mode::FanIn, Distribution::TruncatedNormal),
        };
        values.extend((0..count).map(|_| draw.next(&mut stream)));
        Ok(values)
    }
}

/// How each element is drawn by itself.
enum Draw {
    Constant(f64),
    Normal { mean: f64, stddev: f64 },
    Truncated { mean: f64, stddev: f64 },
    Uniform { minval: f64, maxval: f64 },
}

impl Draw {
    fn next(&self, stream: &mut Stream) -> f32 {
        match *self {
            Self::Constant(value) => value as f32,
            Self::Normal { mean, stddev } => (stream.normal() * stddev + mean) as f32,
            Self::Truncated { mean, stddev } => loop {
                let x = stream.normal();
                if x.abs() <= 2.0 {
                    return (x * stddev + mean) as f32;
                }
            },
            Self::Uniform { minval, maxval } => {
                let x = (minval + stream.uniform() * (maxval - minval)) as f32;
                // Rounding to f32 may reach the bound, which is not part of the interval.
                if f64::from(x) < maxval { x } else { x.next_down().max(minval as f32) }
            }
        }
    }
}

/// The numbers of inputs and outputs of a kernel. All columns count as outputs, those of a cell with several gates too;
/// axes before the last two are the window of a convolution.
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [size] => (size as f64, size as f64),
        [ref window @ .., inputs, outputs] => {
            let window: f64 = window.iter().map(|&size| size as f64).product();
            (inputs as f64 * window, outputs as f64 * window)
        }
    }
}

fn scaling(shape: &[usize], scale: f64, mode: Mode, distribution: Distribution) -> Draw {
    let (inputs, outputs) = fans(shape);
    let fan = match mode {
        Mode::FanIn => inputs,
        Mode::FanOut => outputs,
        Mode::FanAvg => f64::midpoint(inputs, outputs),
    };
    let variance = scale / fan.max(1.0);
    match distribution {
        Distribution::TruncatedNormal => Draw::Truncated { mean: 0.0, stddev: variance.sqrt() / TRUNCATED_DEVIATION },
        Distribution::UntruncatedNormal => Draw::Normal { mean: 0.0, stddev: variance.sqrt() },
        Distribution::Uniform => {
            let limit = (3.0 * variance).sqrt();
            Draw::Uniform { minval: -limit, maxval: limit }
        }
    }
}

fn identity(mut values: Vec<f32>, shape: &[usize], gain: f64) -> Result<Vec<f32>> {
    let &[rows, columns] = shape else {
        return Err(Error::value("shape", "two axes for an identity matrix", format!("{shape:?}")));
    };
    values.resize(rows * columns, 0.0);
    for diagonal in 0..rows.min(columns) {
        values[diagonal * columns + diagonal] = gain as f32;
    }
    Ok(values)
}

/// The orthogonal factor of a matrix of normal numbers, made unique by a positive diagonal of the triangular factor; as
/// in Keras, of the transposed matrix if there are fewer rows than columns.
fn orthogonal(mut values: Vec<f32>, shape: &[usize], gain: f64, stream: &mut Stream) -> Result<Vec<f32>> {
    let [leading @ .., columns] = shape else {
        return Err(Error::value("shape", "at least two axes for an orthogonal matrix", "()"));
    };
    if leading.is_empty() {
        return Err(Error::value("shape", "at least two axes for an orthogonal matrix", format!("{shape:?}")));
    }
    let (rows, columns) = (leading.iter().product::<usize>(), *columns);
    let (length, count) = (rows.max(columns), rows.min(columns));
    if count == 0 {
        return Ok(values);
    }
    let mut vectors = Vec::new();
    if vectors.try_reserve_exact(length * count).is_err() {
        return Err(Error::value("shape", "a matrix that fits into memory twice", format!("{shape:?}")));
    }
    vectors.extend((0..length * count).map(|_| stream.normal()));
    orthonormalize(&mut vectors, length);
    if rows < columns {
        values.extend(vectors.iter().map(|x| (x * gain) as f32));
    } else {
        for row in 0..rows {
            values.extend((0..count).map(|column| (vectors[column * length + row] * gain) as f32));
        }
    }
    Ok(values)
}

/// Vectors that are freed of earlier ones together, so that those are read from memory less often.
const PANEL: usize = 8;

/// A vector that loses more than this share of its length to earlier ones is freed of them a second time.
const CANCELLATION: f64 = 1e-4;

/// Makes each vector of this length orthogonal to those before it and of length 1 (the modified Gram-Schmidt process).
fn orthonormalize(vectors: &mut [f64], length: usize) {
    // Plain f64 products and sums in a fixed order: the same bits on every instruction set.
    let level = *available().last().unwrap_or(&foliot_simd::Level::Portable);
    dispatch(level, GramSchmidt { vectors, length });
}

struct GramSchmidt<'a> {
    vectors: &'a mut [f64],
    length: usize,
}

impl Kernel for GramSchmidt<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self, _: I) {
        let length = self.length;
        let count = self.vectors.len() / length;
        for start in (0..count).step_by(PANEL) {
            let end = count.min(start + PANEL);
            let (done, rest) = self.vectors.split_at_mut(start * length);
            for earlier in done.chunks_exact(length) {
                for vector in rest[..(end - start) * length].chunks_exact_mut(length) {
                    remove(earlier, vector);
                }
            }
            for index in start..end {
                let (done, rest) = self.vectors.split_at_mut(index * length);
                let vector = &mut rest[..length];
                for earlier in done[start * length..].chunks_exact(length) {
                    remove(earlier, vector);
                }
                // A vector of normal numbers has about this length to begin with.
                if dot(vector, vector) < CANCELLATION * CANCELLATION * length as f64 {
                    for earlier in done.chunks_exact(length) {
                        remove(earlier, vector);
                    }
                }
                let norm = dot(vector, vector).sqrt();
                for x in vector {
                    *x /= norm;
                }
            }
        }
    }
}

/// Subtracts the part of `vector` that lies along `direction`, whose length is 1.
#[inline(always)]
fn remove(direction: &[f64], vector: &mut [f64]) {
    let along = dot(direction, vector);
    for (x, d) in vector.iter_mut().zip(direction) {
        *x -= along * d;
    }
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Independent sums, which vectorize; two vectors of the widest instruction set.
    let mut sums = [0.0; 16];
    let (a_chunks, b_chunks) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(initializer: &Initializer, shape: &[usize]) -> Vec<f32> {
        initializer.make(shape, 12345, 0).unwrap()
    }

    fn moments(values: &[f32]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    fn largest(values: &[f32]) -> f64 {
        values.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max)
    }

    #[test]
    fn constants() {
        assert_eq!(make(&Initializer::Zeros {}, &[2, 3]), [0.0; 6]);
        assert_eq!(make(&Initializer::Ones {}, &[3]), [1.0; 3]);
        assert_eq!(make(&Initializer::Constant { value: -0.5 }, &[1, 2]), [-0.5; 2]);
        assert_eq!(make(&Initializer::Ones {}, &[]), [1.0]);
        assert_eq!(make(&Initializer::Identity { gain: 2.0 }, &[2, 3]), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        assert_eq!(make(&Initializer::Identity { gain: 2.0 }, &[3, 2]), [2.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    }

    #[test]
    fn distributions_have_their_moments_and_bounds() {
        let shape = [200, 300];
        // Standard errors of mean and deviation of 60000 draws are below 0.0041 and 0.0029 of the deviation: times 5.
        let close = |initializer: &Initializer, mean: f64, deviation: f64| {
            let (m, d) = moments(&make(initializer, &shape));
            assert!((m - mean).abs() < 0.021 * deviation, "{initializer:?}: mean {m}, not {mean}");
            assert!((d / deviation - 1.0).abs() < 0.015, "{initializer:?}: deviation {d}, not {deviation}");
        };
        close(&Initializer::RandomNormal { mean: 0.5, stddev: 0.05 }, 0.5, 0.05);
        close(&Initializer::TruncatedNormal { mean: -0.5, stddev: 0.05 }, -0.5, 0.05 * TRUNCATED_DEVIATION);
        close(&Initializer::RandomUniform { minval: -1.0, maxval: 3.0 }, 1.0, 4.0 / 12.0f64.sqrt());
        for (variance, both) in [
            (1.0 / 250.0, [Initializer::GlorotUniform {}, Initializer::GlorotNormal {}]),
            (2.0 / 200.0, [Initializer::HeUniform {}, Initializer::HeNormal {}]),
            (1.0 / 200.0, [Initializer::LecunUniform {}, Initializer::LecunNormal {}]),
        ] {
            for initializer in both {
                close(&initializer, 0.0, f64::sqrt(variance));
            }
        }
        for distribution in [Distribution::Uniform, Distribution::TruncatedNormal, Distribution::UntruncatedNormal] {
            let scaling = |mode| Initializer::VarianceScaling { scale: 3.0, mode, distribution };
            close(&scaling(Mode::FanIn), 0.0, (3.0f64 / 200.0).sqrt());
            close(&scaling(Mode::FanOut), 0.0, (3.0f64 / 300.0).sqrt());
            close(&scaling(Mode::FanAvg), 0.0, (3.0f64 / 250.0).sqrt());
        }
    }

    #[test]
    fn limits_are_those_of_keras() {
        // sqrt(6 / (inputs + outputs)) over the whole kernel of an LSTM: (32, 4 * 32).
        let values = make(&Initializer::GlorotUniform {}, &[32, 128]);
        let limit = (6.0f64 / 160.0).sqrt();
        assert!(largest(&values) <= limit && largest(&values) > 0.99 * limit);
        let values = make(&Initializer::TruncatedNormal { mean: 0.0, stddev: 0.05 }, &[100, 100]);
        assert!(largest(&values) <= 0.1 + 1e-8 && largest(&values) > 0.0995);
        // The interval is open above, although in f32 an eighth of this one rounds to 1.
        let narrow = Initializer::RandomUniform { minval: 1.0 - 2.0f64.powi(-22), maxval: 1.0 };
        assert!(make(&narrow, &[1000]).iter().all(|x| (1.0 - 2.0f32.powi(-22)..1.0).contains(x)));
        let point = Initializer::RandomUniform { minval: 0.25, maxval: 0.25 };
        assert_eq!(make(&point, &[4]), [0.25; 4]);
    }

    #[test]
    fn fans_count_the_whole_kernel() {
        assert_eq!(fans(&[]), (1.0, 1.0));
        assert_eq!(fans(&[7]), (7.0, 7.0));
        assert_eq!(fans(&[3, 8]), (3.0, 8.0));
        assert_eq!(fans(&[5, 2, 3, 8]), (30.0, 80.0));
    }

    #[test]
    fn orthogonal_matrices_are_orthogonal() {
        for (shape, rows, columns) in [
            (&[1, 1][..], 1, 1),
            (&[3, 3], 3, 3),
            (&[32, 32], 32, 32),
            (&[17, 68], 17, 68),
            (&[68, 17], 68, 17),
            (&[5, 4, 9], 20, 9),
            (&[1, 7], 1, 7),
            (&[100, 100], 100, 100),
        ] {
            let gain = 1.5;
            let values = make(&Initializer::Orthogonal { gain }, shape);
            let (count, along, across) = if rows < columns { (rows, 1, columns) } else { (columns, columns, 1) };
            let length = rows.max(columns);
            for a in 0..count {
                for b in 0..=a {
                    let term = |i: usize| {
                        f64::from(values[a * across + i * along]) * f64::from(values[b * across + i * along])
                    };
                    let product: f64 = (0..length).map(term).sum();
                    let expected = if a == b { gain * gain } else { 0.0 };
                    assert!((product - expected).abs() < 5e-7, "{shape:?} {a} {b}: {product}");
                }
            }
        }
    }

    #[test]
    fn orthogonal_factor_is_the_one_with_a_positive_diagonal() {
        let (length, count) = (23, 19);
        let mut stream = Stream::new(1, 1);
        let matrix: Vec<f64> = (0..length * count).map(|_| stream.normal()).collect();
        let mut factor = matrix.clone();
        orthonormalize(&mut factor, length);
        for (i, q) in factor.chunks(length).enumerate() {
            for (j, a) in matrix.chunks(length).enumerate() {
                let r = dot(q, a);
                assert!(if i > j { r.abs() < 1e-12 } else { i < j || r > 0.0 }, "R[{i}, {j}] = {r}");
            }
        }
    }

    #[test]
    fn nearly_dependent_vectors_become_orthogonal() {
        let length = 64;
        let mut stream = Stream::new(2, 2);
        let mut vectors: Vec<f64> = (0..2 * length).map(|_| stream.normal()).collect();
        for i in 0..length {
            vectors[length + i] = vectors[i] + 1e-10 * vectors[length + i];
        }
        orthonormalize(&mut vectors, length);
        assert!(dot(&vectors[..length], &vectors[length..]).abs() < 1e-14);
    }

    #[test]
    fn seeds_decide_the_numbers() {
        for initializer in
            [Initializer::GlorotUniform {}, Initializer::HeNormal {}, Initializer::Orthogonal { gain: 1.0 }]
        {
            assert_eq!(initializer.make(&[6, 5], 1, 0).unwrap(), initializer.make(&[6, 5], 1, 0).unwrap());
            let made =
                [(1, 0), (2, 0), (1, 1), (2, 1)].map(|(seed, part)| initializer.make(&[6, 5], seed, part).unwrap());
            assert!((0..4).all(|this| (0..this).all(|other| made[this] != made[other])));
        }
    }

    #[test]
    fn shapes_that_cannot_be_are_errors() {
        let text = |initializer: Initializer, shape: &[usize]| initializer.make(shape, 0, 0).unwrap_err().to_string();
        assert!(text(Initializer::Orthogonal { gain: 1.0 }, &[3]).contains("`shape`: expected at least two axes"));
        assert!(text(Initializer::Orthogonal { gain: 1.0 }, &[]).contains("`shape`"));
        assert!(text(Initializer::Identity { gain: 1.0 }, &[3]).contains("`shape`: expected two axes"));
        assert!(text(Initializer::Zeros {}, &[usize::MAX, 2]).contains("fits into memory"));
        assert!(text(Initializer::Zeros {}, &[usize::MAX / 2]).contains("fits into memory"));
        for initializer in [Initializer::Orthogonal { gain: 1.0 }, Initializer::GlorotNormal {}, Initializer::Zeros {}]
        {
            assert!(make(&initializer, &[0, 3]).is_empty());
        }
    }

    #[test]
    fn specification_is_strict() {
        let parse = |text: &str| serde_json::from_str::<Initializer>(text);
        for name in [
            "zeros",
            "ones",
            "glorot_uniform",
            "glorot_normal",
            "he_uniform",
            "he_normal",
            "lecun_uniform",
            "lecun_normal",
        ] {
            assert!(parse(&format!(r#"{{"kind":"{name}"}}"#)).is_ok(), "{name}");
            assert!(parse(&format!(r#"{{"kind":"{name}","gain":1.0}}"#)).is_err(), "{name}");
        }
        let text = r#"{"kind":"variance_scaling","scale":2.0,"mode":"fan_out","distribution":"truncated_normal"}"#;
        let scaling = Initializer::VarianceScaling {
            scale: 2.0,
            mode: Mode::FanOut,
            distribution: Distribution::TruncatedNormal,
        };
        assert_eq!(parse(text).unwrap(), scaling);
        assert!(parse(&text.replace("fan_out", "fan_up")).is_err());
        for text in [
            r#"{"kind":"constant","value":0.5}"#,
            r#"{"kind":"identity","gain":1.0}"#,
            r#"{"kind":"random_normal","mean":0.0,"stddev":0.05}"#,
            r#"{"kind":"truncated_normal","mean":0.0,"stddev":0.05}"#,
            r#"{"kind":"random_uniform","minval":-0.05,"maxval":0.05}"#,
            r#"{"kind":"orthogonal","gain":1.0}"#,
        ] {
            assert_eq!(serde_json::to_string(&parse(text).unwrap()).unwrap(), text);
        }
        let distribution = Distribution::Uniform;
        for (initializer, name) in [
            (Initializer::Constant { value: f64::NAN }, "`value`"),
            (Initializer::Constant { value: 1e300 }, "`value`"),
            (Initializer::Orthogonal { gain: f64::INFINITY }, "`gain`"),
            (Initializer::RandomNormal { mean: 0.0, stddev: -1.0 }, "`stddev`"),
            (Initializer::TruncatedNormal { mean: f64::NAN, stddev: 1.0 }, "`mean`"),
            (Initializer::RandomUniform { minval: 1.0, maxval: 0.0 }, "`minval`"),
            (Initializer::VarianceScaling { scale: 0.0, mode: Mode::FanIn, distribution }, "`scale`"),
        ] {
            assert!(initializer.make(&[2, 2], 0, 0).unwrap_err().to_string().starts_with(name), "{initializer:?}");
        }
    }
}
