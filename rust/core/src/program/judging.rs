//! Losses and metrics of a batch: targets, masks and weights are brought in line with the rows of the outputs.

use super::loading::gather;
use super::{Array, Expected, Program, Reduction, Values, Window};
use crate::backend::LossJob;
use crate::losses::{Loss, Targets, Unit, Units};
use crate::metrics::{self, Metric};
use crate::tensor::Shape;
use crate::{Error, Result};

impl Program {
    /// Asks for losses and metrics of a batch that has run, and for the gradients of the outputs where the plan has them.
    pub(super) fn judge(
        &mut self,
        index: usize,
        rows: Option<&[i64]>,
        expected: Expected<'_>,
        window: Option<Window>,
    ) -> Result<Judging> {
        let mut asked = self.ask(index, rows, expected, window);
        if asked.is_ok() {
            asked = self.record_outputs(index).and(asked);
        }
        if asked.is_err() {
            // What was asked for before the error is nobody's.
            let _ = self.backend.judged();
        }
        asked
    }

    fn ask(
        &mut self,
        index: usize,
        rows: Option<&[i64]>,
        expected: Expected<'_>,
        window: Option<Window>,
    ) -> Result<Judging> {
        let plan = &self.plans[index];
        let training =
            self.training.as_ref().ok_or_else(|| Error::value("compile", "a compiled model", "one that is not"))?;
        let outputs = self.graph.outputs.len();
        if expected.targets.len() != outputs || expected.weights.len() != outputs {
            return Err(Error::value("y", format!("{outputs} arrays"), expected.targets.len().to_string()));
        }
        let batch = plan.purpose.inputs.first().map_or(0, |shape| shape.axis(0));
        // Pieces of sequences count in means by their steps, so that together they count as the sequences would.
        let part = window.map_or(1.0, |window| window.len as f64 / window.total.max(1) as f64);
        let mut scales = Vec::with_capacity(outputs);
        for (position, output) in self.graph.outputs.iter().enumerate() {
            let tensor = &plan.tensors[output.node][output.output];
            let spec = &training.losses[position];
            let units = units_of(&spec.loss, &tensor.shape)?;
            if units.is_some() && window.is_some() {
                let expected = "a loss of single time steps";
                return Err(Error::value("tbptt", expected, "one of whole samples or batches"));
            }
            let targets = gather_targets(&tensor.shape, &spec.loss, rows, window, expected.targets[position])?;
            let mut mask = None;
            if let Some(span) = tensor.mask {
                self.backend.read_mask(span, &mut |flags| mask = Some(row_weights_of_mask(&tensor.shape, flags)));
            }
            let mut loss_mask = mask.clone();
            if let Some(ignored) = spec.loss.ignored(targets.as_targets(), tensor.shape.rows()) {
                let valid: Vec<f32> = ignored.iter().map(|&ignored| f32::from(u8::from(!ignored))).collect();
                loss_mask = combine(loss_mask, Some(&valid));
            }
            let weights = expected.weights[position]
                .map(|array| gather_weights(&tensor.shape, rows, window, array))
                .transpose()?;
            let (loss_weights, count) = match units {
                None => {
                    let mask = loss_mask.map(|mask| balanced(&mask, spec.reduction));
                    (combine(mask, weights.as_deref()), tensor.shape.rows())
                }
                Some(units) => unit_weights(units, rows, expected.weights[position], mask.is_some())?,
            };
            let scale = match spec.reduction {
                Reduction::Sum => 1.0,
                Reduction::SumOverBatchSize => 1.0 / count.max(1) as f32,
                Reduction::MeanWithSampleWeight => {
                    let sum = loss_weights.as_ref().map_or(count as f32, |weights| weights.iter().sum());
                    if sum == 0.0 { 0.0 } else { 1.0 / sum }
                }
            };
            let factor = training.loss_weights.as_ref().map_or(1.0, |weights| weights[position]);
            let job = |gradient, weights| LossJob {
                prediction: tensor.value,
                gradient,
                targets: targets.as_targets(),
                rows: tensor.shape.rows(),
                samples: tensor.shape.axis(0),
                units,
                features: tensor.shape.features(),
                weights,
                scale: scale * factor,
            };
            self.backend.loss(&spec.loss, &job(tensor.gradient, loss_weights.as_deref()))?;
            scales.push([f64::from(scale), f64::from(scale * factor)]);
            for metric in &training.metrics[position] {
                self.backend.metric(metric, &job(None, mask.as_deref()))?;
            }
            let metric_weights = combine(mask.clone(), weights.as_deref());
            for metric in &training.weighted_metrics[position] {
                self.backend.metric(metric, &job(None, metric_weights.as_deref()))?;
            }
        }
        Ok(Judging { batch, part, scales })
    }

    /// Takes what losses and metrics have come to into the means. Returns the loss.
    pub(super) fn conclude(&mut self, judging: Judging, penalty: f64) -> Result<f64> {
        let Judging { batch, part, scales } = judging;
        let mut judged = self.backend.judged()?.into_iter();
        let (mut total, mut losses) = (penalty, Vec::with_capacity(scales.len()));
        let (mut states, mut weighted_states) = (Vec::with_capacity(self.metrics.len()), Vec::new());
        let counts = self.training.iter().flat_map(|training| training.metrics.iter().zip(&training.weighted_metrics));
        for ([scale, share], (metrics, weighted)) in scales.into_iter().zip(counts) {
            let sum: f64 = judged.next().iter().flatten().sum();
            losses.push(sum * scale);
            total += sum * share;
            let mut of_part = |metrics: &[Metric], into: &mut Vec<_>| {
                into.extend(metrics.iter().zip(judged.by_ref()).map(|(metric, state)| metric.of_part(state, part)));
            };
            of_part(metrics, &mut states);
            of_part(weighted, &mut weighted_states);
        }
        for (index, parameter) in self.parameters.iter().enumerate() {
            if let Some(regularizer) = self.graph.regularizer(index) {
                total += regularizer.penalty(parameter.shape(), &parameter.read());
            }
        }
        for (mean, loss) in
            std::iter::once(&mut self.loss).chain(&mut self.losses).zip(std::iter::once(total).chain(losses))
        {
            mean.sum += loss * batch as f64 * part;
            mean.weight += batch as f64 * part;
        }
        for (state, added) in self.metrics.iter_mut().zip(states.into_iter().chain(weighted_states)) {
            metrics::add(state, added);
        }
        Ok(total)
    }
}

/// A batch whose losses and metrics were asked for.
pub(super) struct Judging {
    /// Its samples.
    batch: usize,
    /// Which part of the samples' steps it has.
    part: f64,
    /// For each output, what its loss and its share of the whole loss are multiplied with.
    scales: Vec<[f64; 2]>,
}

/// Targets in the order of the prediction's rows.
enum Gathered {
    Dense(Vec<f32>),
    Sparse(Vec<i32>),
}

impl Gathered {
    fn as_targets(&self) -> Targets<'_> {
        match self {
            Self::Dense(values) => Targets::Dense(values),
            Self::Sparse(values) => Targets::Sparse(values),
        }
    }
}

/// The shape in which an array with `width` values for each sample lines up with an output: time is an axis of its own
/// where the output has one.
fn aligned(output: &Shape, width: usize) -> Shape {
    let batch = output.axis(0);
    if output.is_time_major() && output.axis(1) > 0 {
        Shape::known(&[batch, output.axis(1), width / output.axis(1)])
    } else {
        Shape::known(&[batch, width])
    }
}

/// How many values of an array, or of a window of it, belong to a sample.
fn sample_width(
    name: &str,
    array: Array<'_>,
    rows: Option<&[i64]>,
    window: Option<Window>,
    batch: usize,
) -> Result<usize> {
    let length = array.shape.first().copied().unwrap_or(0);
    let fits = rows.map_or(length == batch, |rows| rows.iter().all(|&row| row >= 0 && (row as usize) < length));
    if !fits {
        return Err(Error::value(name, "as many samples as x has", length.to_string()));
    }
    let width: usize = array.shape[1..].iter().product();
    let Some(Window { len, total, .. }) = window else { return Ok(width) };
    if array.shape.get(1) != Some(&total) {
        return Err(Error::value(
            name,
            format!("{total} time steps, as the inputs have"),
            format!("{:?}", array.shape),
        ));
    }
    Ok(width / total.max(1) * len)
}

/// How the rows of an output make up what a loss is one number for; none for a loss of rows.
fn units_of(loss: &Loss, output: &Shape) -> Result<Option<Units>> {
    let unit = loss.unit(output.rank())?;
    let samples = output.axis(0);
    let inner =
        if output.is_time_major() { output.rows().checked_div(samples * output.axis(1)).unwrap_or(0) } else { 1 };
    Ok((unit != Unit::Row).then_some(Units { unit, samples, inner }))
}

/// The weights of the units, and how many losses a mean is over. One loss of a whole batch counts once with each sample's
/// weight, as in Keras, and knows no mask; in Keras the loss of a sample does not go with a mask.
fn unit_weights(
    units: Units,
    rows: Option<&[i64]>,
    array: Option<Array<'_>>,
    masked: bool,
) -> Result<(Option<Vec<f32>>, usize)> {
    if masked && units.unit == Unit::Sample {
        return Err(Error::value("loss", "an output without a mask, for a loss of whole samples", "one with a mask"));
    }
    let Some(array) = array else { return Ok((None, units.count(0))) };
    let width = sample_width("sample_weight", array, rows, None, units.samples)?;
    let Values::Float(values) = array.values else {
        return Err(Error::type_("sample_weight", "an array of floats", "another element type"));
    };
    if width != 1 {
        return Err(Error::value("sample_weight", "one weight for each sample", format!("{:?}", array.shape)));
    }
    let mut weights = vec![0.0; units.samples];
    gather(&Shape::known(&[units.samples, 1]), rows, None, values, &mut weights);
    if units.unit == Unit::Batch {
        weights = vec![weights.iter().sum()];
    }
    Ok((Some(weights), units.samples))
}

fn gather_targets(
    output: &Shape,
    loss: &Loss,
    rows: Option<&[i64]>,
    window: Option<Window>,
    array: Array<'_>,
) -> Result<Gathered> {
    let batch = output.axis(0);
    let sparse = loss.wants_sparse();
    let width = sample_width("y", array, rows, window, batch)?;
    if loss.wants_labels() {
        let shape = Shape::known(&[batch, width]);
        return match array.values {
            Values::Integer(values) => {
                let mut target = vec![0; batch * width];
                gather(&shape, rows, window, values, &mut target);
                Ok(Gathered::Sparse(target))
            }
            _ => Err(Error::type_("y", "labels as integers", "another element type")),
        };
    }
    let per_sample = output.rows().checked_div(batch).unwrap_or(0);
    let wanted = if sparse { per_sample } else { per_sample * output.features() };
    if width != wanted && batch > 0 {
        let mut expected = output.0.clone();
        if sparse {
            expected.pop();
        }
        let kind = if sparse { "class indices" } else { "targets" };
        let received = format!("{:?}", array.shape);
        return Err(Error::value(
            "y",
            format!("{kind} of shape {} for the output {output}", Shape(expected)),
            received,
        ));
    }
    let shape = aligned(output, width);
    Ok(match array.values {
        Values::Float(values) => {
            let mut target = vec![0.0; batch * width];
            gather(&shape, rows, window, values, &mut target);
            Gathered::Dense(target)
        }
        Values::Integer(values) => {
            let mut target = vec![0; batch * width];
            gather(&shape, rows, window, values, &mut target);
            if sparse {
                Gathered::Sparse(target)
            } else {
                Gathered::Dense(target.into_iter().map(|value| value as f32).collect())
            }
        }
        Values::Flag(_) => return Err(Error::type_("y", "numbers", "flags")),
    })
}

/// A weight for each row of the prediction.
fn gather_weights(output: &Shape, rows: Option<&[i64]>, window: Option<Window>, array: Array<'_>) -> Result<Vec<f32>> {
    let batch = output.axis(0);
    // A weight for a whole row holds in every window.
    let window = window.filter(|_| array.shape.len() > 1);
    let width = sample_width("sample_weight", array, rows, window, batch)?;
    let per_sample = output.rows().checked_div(batch).unwrap_or(0);
    let Values::Float(values) = array.values else {
        return Err(Error::type_("sample_weight", "an array of floats", "another element type"));
    };
    if width != 1 && width != per_sample {
        let expected = format!("one weight for each sample, or {per_sample}");
        return Err(Error::value("sample_weight", expected, format!("{:?}", array.shape)));
    }
    let mut weights = vec![0.0; batch * width];
    if width == per_sample {
        gather(&aligned(output, width), rows, window, values, &mut weights);
        return Ok(weights);
    }
    gather(&Shape::known(&[batch, 1]), rows, None, values, &mut weights);
    let mut repeated = vec![0.0; batch * per_sample];
    // Rows lie time first: (time, batch, rest).
    let rest = per_sample / output.axis(1).max(1);
    for (row, target) in repeated.iter_mut().enumerate() {
        *target = weights[row / rest.max(1) % batch];
    }
    Ok(repeated)
}

/// A mask (batch, time) as a weight for each row of the prediction.
fn row_weights_of_mask(output: &Shape, flags: &[u8]) -> Vec<f32> {
    let row = |row: usize| f32::from(flags[output.flag_of_row(flags.len(), row)] != 0);
    (0..output.rows()).map(row).collect()
}

/// Keras's weight of an unmasked row: the mean over all rows then is the mean over the unmasked ones.
fn balanced(mask: &[f32], reduction: Reduction) -> Vec<f32> {
    let valid: f32 = mask.iter().sum();
    let factor = if reduction == Reduction::SumOverBatchSize && valid > 0.0 { mask.len() as f32 / valid } else { 1.0 };
    mask.iter().map(|flag| flag * factor).collect()
}

fn combine(mask: Option<Vec<f32>>, weights: Option<&[f32]>) -> Option<Vec<f32>> {
    match (mask, weights) {
        (Some(mask), Some(weights)) => Some(mask.iter().zip(weights).map(|(mask, weight)| mask * weight).collect()),
        (Some(mask), None) => Some(mask),
        (None, weights) => weights.map(<[f32]>::to_vec),
    }
}
