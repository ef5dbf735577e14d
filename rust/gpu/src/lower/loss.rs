//! Losses and metrics: sums over rows that the host adds up, and gradients.

use crate::plan::{Dispatch, Source};
use crate::shaders::{JUDGE_ELEMENTS, JUDGE_ROWS, Kernel};
use foliot_core::Result;
use foliot_core::backend::LossJob;
use foliot_core::losses::{Loss, Targets};
use foliot_core::metrics::Metric;
use foliot_core::tensor::Span;

/// The most places that a sum has.
pub const PLACES: usize = 256;
/// Places of the memory for sums, beside which norms of gradients are too small to matter.
pub const SUMS: usize = 64 * PLACES;
/// Elements that an invocation adds up before there is a further workgroup, and invocations of one.
const SHARE: usize = 16;
const THREADS: usize = 64;

/// A formula by its number in loss.wgsl, with its parameter.
#[derive(Clone, Copy)]
struct Form {
    kind: u32,
    parameter: f32,
}

const SQUARED: u32 = 0;
const HALF_SQUARED: u32 = 1;
const ABSOLUTE: u32 = 2;
const BINARY: u32 = 3;
const BINARY_OF_LOGITS: u32 = 4;
const BINARY_ACCURACY: u32 = 5;
const CATEGORICAL: u32 = 6;
const CATEGORICAL_OF_LOGITS: u32 = 7;
const CATEGORICAL_ACCURACY: u32 = 8;

impl Form {
    fn new(kind: u32, parameter: f64) -> Self {
        Self { kind, parameter: parameter as f32 }
    }

    fn of_loss(loss: &Loss) -> Option<Self> {
        let either = |logits: bool, kinds: [u32; 2], smoothing| Self::new(kinds[usize::from(logits)], smoothing);
        Some(match *loss {
            Loss::MeanSquaredError {} => Self::new(SQUARED, 0.0),
            Loss::HalfMeanSquaredError {} => Self::new(HALF_SQUARED, 0.0),
            Loss::MeanAbsoluteError {} => Self::new(ABSOLUTE, 0.0),
            Loss::BinaryCrossentropy { from_logits, label_smoothing } => {
                either(from_logits, [BINARY, BINARY_OF_LOGITS], label_smoothing)
            }
            Loss::CategoricalCrossentropy { from_logits, label_smoothing } => {
                either(from_logits, [CATEGORICAL, CATEGORICAL_OF_LOGITS], label_smoothing)
            }
            Loss::SparseCategoricalCrossentropy { from_logits, .. } => {
                either(from_logits, [CATEGORICAL, CATEGORICAL_OF_LOGITS], 0.0)
            }
            _ => return None,
        })
    }

    fn of_metric(metric: &Metric) -> Option<Self> {
        Some(match metric {
            Metric::BinaryAccuracy { threshold } => Self { kind: BINARY_ACCURACY, parameter: *threshold },
            Metric::CategoricalAccuracy {} | Metric::SparseCategoricalAccuracy {} => {
                Self::new(CATEGORICAL_ACCURACY, 0.0)
            }
            Metric::MeanSquaredError {} | Metric::RootMeanSquaredError {} => Self::new(SQUARED, 0.0),
            Metric::MeanAbsoluteError {} => Self::new(ABSOLUTE, 0.0),
            Metric::Loss { loss } | Metric::Negative { loss } => return Self::of_loss(loss),
            _ => return None,
        })
    }

    /// The dispatch of a job; its sum is in the places of `first` and the following ones, as many as there are workgroups.
    fn dispatch(
        self,
        label: &str,
        job: &LossJob<'_>,
        indices: bool,
        weights: Option<&[f32]>,
        first: usize,
    ) -> Dispatch {
        let Self { kind, parameter } = self;
        let &LossJob { rows, features, .. } = job;
        let by_rows = kind >= CATEGORICAL;
        let wanted = if by_rows { rows } else { (rows * features).div_ceil(THREADS * SHARE) };
        let kernel: Kernel = if by_rows { JUDGE_ROWS } else { JUDGE_ELEMENTS };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let targets = match job.targets {
            Targets::Dense(values) => bits(values),
            // A class index, or the only value of a row; the kernels compare and calculate with floats.
            Targets::Sparse(values) => values.iter().map(|&value| (value as f32).to_bits()).collect(),
        };
        Dispatch::new(kernel, label, &[rows, features, first], [wanted.clamp(1, PLACES), 1, 1])
            .number(job.scale)
            .number(parameter)
            .constant("KIND", kind)
            .flag("GRADIENT", job.gradient.is_some())
            .flag("WEIGHTED", weights.is_some())
            .flag("INDICES", indices)
            .bind(0, Source::Floats(job.prediction))
            .bind(1, job.gradient.map_or(Source::Nothing, Source::Floats))
            .bind(2, Source::Words(targets))
            .bind(3, Source::Words(weights.map(bits).unwrap_or_default()))
    }
}

/// A class beyond this has no float of its own.
const MOST_CLASSES: usize = 1 << 24;

/// Whether a job is one of the kernels': of rows, and with something in them.
fn fits(job: &LossJob<'_>) -> bool {
    job.units.is_none() && job.prediction.len > 0 && job.features <= MOST_CLASSES
}

/// A dispatch whose sum is in the first of the places, and how many of them.
pub struct Judging {
    /// What to execute; its places are those of [`Source::Scratch`] that it is given.
    pub dispatch: Dispatch,
    /// How many places it uses.
    pub places: usize,
}

impl Judging {
    fn new(dispatch: Dispatch, places: Span) -> Self {
        let used = dispatch.workgroups[0] as usize;
        Self { dispatch: dispatch.bind(4, Source::Scratch(places)), places: used }
    }
}

/// Σ weight·loss and the gradient; none for a loss without a kernel. `places` is all of the memory for sums, of which those from
/// `first` on are free.
///
/// # Errors
/// When a target cannot be used.
pub fn loss(loss: &Loss, job: &LossJob<'_>, first: usize, places: Span) -> Result<Option<Judging>> {
    let Some(form) = Form::of_loss(loss).filter(|_| fits(job)) else { return Ok(None) };
    job.check(loss)?;
    let dispatch = form.dispatch("loss", job, loss.wants_sparse(), job.weights, first);
    Ok(Some(Judging::new(dispatch, places)))
}

/// The weighted sum of a metric; none for one without a kernel.
///
/// # Errors
/// As [`loss`].
pub fn metric(metric: &Metric, job: &LossJob<'_>, first: usize, places: Span) -> Result<Option<Judging>> {
    let Some(form) = Form::of_metric(metric).filter(|_| fits(job)) else { return Ok(None) };
    let mut ignored = None;
    if let Metric::Loss { loss } | Metric::Negative { loss } = metric {
        job.check(loss)?;
        ignored = loss.ignored(job.targets, job.rows);
    } else {
        job.check_sizes(metric.wants_sparse())?;
    }
    let weights = ignored.map(|ignored| {
        let weight = |row: usize| job.weights.map_or(1.0, |weights| weights[row]);
        ignored.iter().enumerate().map(|(row, &ignored)| if ignored { 0.0 } else { weight(row) }).collect::<Vec<_>>()
    });
    let weights = weights.as_deref().or(job.weights);
    let dispatch = form.dispatch("metric", job, metric.wants_sparse(), weights, first);
    Ok(Some(Judging::new(dispatch, places)))
}
