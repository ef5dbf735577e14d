//! Normalization of rows and of columns.

use super::product::{add_parts, cut_rows};
use super::{Cutter, Known, Lower};
use crate::plan::{Dispatch, MOST_WORKGROUPS, Source, groups_for};
use crate::shaders::{
    ADD_MOMENTS, Kernel, NORMALIZE, NORMALIZE_BACKWARD, NORMALIZE_ROWS, NORMALIZE_ROWS_BACKWARD, SETTLE,
    TAKE_GRADIENTS, TAKE_MEANS, TAKE_MOVING, TAKE_VARIANCES,
};
use foliot_core::Result;
use foliot_core::backend::{Call, Workspace};
use foliot_core::layers::{BatchNormalization, RowMethod, RowNormalization};
use foliot_core::parameter::Parameter;
use foliot_core::tensor::Span;

/// What sums over rows are made of, by numbers in moments.wgsl.
const VALUES: u32 = 0;
const SQUARES: u32 = 1;
const BY_COLUMNS: u32 = 2;
const BY_ROWS: u32 = 3;

/// Rows and features of a call.
fn sizes(call: &Call<'_>) -> [usize; 2] {
    let shape = &call.inputs[0].shape;
    [shape.rows(), shape.features()]
}

fn floats(span: Option<Span>) -> Source {
    span.map_or(Source::Nothing, Source::Floats)
}

fn weight(parameter: Option<&Parameter>) -> Source {
    parameter.map_or(Source::Nothing, |parameter| Source::Weight(parameter.id()))
}

/// Where gamma and beta stand among the weights.
fn affine(scale: bool, center: bool) -> [Option<usize>; 2] {
    [scale.then_some(0), center.then_some(usize::from(scale))]
}

/// Sums over the rows of a call, in parts.
fn add_moments(call: &Call<'_>, mode: u32, centers: bool, statistics: Span, parts: Span, flags: Vec<u32>) -> Dispatch {
    let [rows, columns] = sizes(call);
    let [count, share] = cut_rows(rows);
    let sizes = [rows, columns, share, count * columns];
    let gradient = call.outputs[0].gradient.filter(|_| mode == BY_COLUMNS || mode == BY_ROWS);
    Dispatch::new(ADD_MOMENTS, call.name, &sizes, [columns.div_ceil(64), count, 1])
        .constant("MODE", mode)
        .flag("FLAGGED", !flags.is_empty())
        .flag("CENTERS", centers)
        .bind(0, Source::Floats(call.inputs[0].value))
        .bind(1, floats(gradient))
        .bind(2, if mode == VALUES { Source::Nothing } else { Source::Floats(statistics) })
        .bind(3, Source::Floats(parts))
        .bind(4, Source::Words(flags))
}

impl Lower for RowNormalization {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let [rows, columns] = sizes(call);
        Workspace { saved: 2 * rows, scratch: 2 * cut_rows(rows)[0] * columns }
    }

    fn forward(&self, call: &Call<'_>, _known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        out.extend(over_rows(self, NORMALIZE_ROWS, call, call.outputs[0].value, None));
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, _known: &Known, out: &mut Vec<Dispatch>) {
        let [rows, columns] = sizes(call);
        let Some(dy) = call.outputs[0].gradient.filter(|_| rows * columns > 0) else { return };
        if let Some(dx) = call.inputs[0].gradient {
            out.extend(over_rows(self, NORMALIZE_ROWS_BACKWARD, call, dx, Some(dy)));
        }
        let targets = affine(self.scale, self.center).map(|index| call.parameter_gradients[index?]);
        if targets.iter().all(Option::is_none) {
            return;
        }
        let centers = self.method == RowMethod::Layer;
        out.push(add_moments(call, BY_ROWS, centers, call.saved, call.scratch, Vec::new()));
        let [parts, _] = cut_rows(rows);
        for (index, target) in targets.into_iter().enumerate() {
            if let Some(target) = target {
                let from = (call.scratch, index * parts * columns);
                add_parts(out, call.name, [1, columns, parts], from, (target, 0, columns));
            }
        }
    }
}

/// A pass over all rows that makes `made`; none where there are none.
fn over_rows(
    layer: &RowNormalization,
    kernel: Kernel,
    call: &Call<'_>,
    made: Span,
    dy: Option<Span>,
) -> Option<Dispatch> {
    let [rows, columns] = sizes(call);
    let method: u32 = match layer.method {
        RowMethod::Layer => 0,
        RowMethod::LayerRms => 1,
        RowMethod::Rms => 2,
        RowMethod::Unit => 3,
    };
    let [gamma, beta] = affine(layer.scale, layer.center).map(|index| index.map(|index| call.parameters[index]));
    let dispatch = Dispatch::new(kernel, call.name, &[rows, columns], [rows.min(MOST_WORKGROUPS), 1, 1])
        .number(layer.epsilon)
        .number(layer.epsilon.recip())
        .constant("METHOD", method)
        .flag("SCALED", layer.scale)
        .flag("SHIFTED", layer.center)
        .bind(0, Source::Floats(call.inputs[0].value))
        .bind(1, Source::Floats(call.saved))
        .bind(2, weight(gamma))
        .bind(3, weight(beta))
        .bind(4, Source::Floats(made))
        .bind(5, floats(dy));
    (rows * columns > 0).then_some(dispatch)
}

/// A call of a batch normalization with its regions.
struct Batch<'a> {
    layer: &'a BatchNormalization,
    call: &'a Call<'a>,
    rows: usize,
    columns: usize,
    /// Means, reciprocals of deviations, variances. Lives until the layer has settled.
    statistics: Span,
    /// Sums in parts on the way forward.
    parts: Span,
}

impl<'a> Batch<'a> {
    fn new(layer: &'a BatchNormalization, call: &'a Call<'a>, cutter: &mut Cutter) -> Self {
        let [rows, columns] = sizes(call);
        let statistics = cutter.take(3 * columns);
        let parts = cutter.take(cut_rows(rows)[0] * columns);
        Self { layer, call, rows, columns, statistics, parts }
    }

    /// Σ dy·x̂ and Σ dy, and their parts.
    fn scratch(&self, cutter: &mut Cutter) -> [Span; 2] {
        [cutter.take(2 * self.columns), cutter.take(2 * cut_rows(self.rows)[0] * self.columns)]
    }

    /// Whether the statistics are the batch's.
    fn uses_batch(&self) -> bool {
        self.call.training && !self.layer.frozen
    }

    /// Where the moving mean and variance stand among the weights.
    fn moving(&self) -> [usize; 2] {
        let first = usize::from(self.layer.scale) + usize::from(self.layer.center);
        [first, first + 1]
    }

    fn flags(&self, known: &Known) -> Vec<u32> {
        let input = self.call.inputs[0];
        known.flags_of_rows(&input.shape, input.mask.filter(|_| self.uses_batch())).unwrap_or_default()
    }

    /// The number of rows that count; what is added where there are flags is Keras's.
    fn count(&self, flags: &[u32]) -> f32 {
        match flags {
            [] => self.rows as f32,
            flags => flags.iter().sum::<u32>() as f32 + 1e-7,
        }
    }

    fn by_columns(&self, kernel: Kernel, parts: Span, count: f32) -> Dispatch {
        let momentum = self.layer.momentum;
        let sizes = [self.columns, cut_rows(self.rows)[0]];
        let numbers = [count, self.layer.epsilon, momentum, 1.0 - momentum];
        let dispatch = Dispatch::new(kernel, self.call.name, &sizes, [self.columns.div_ceil(64), 1, 1]);
        let dispatch = numbers.into_iter().fold(dispatch, Dispatch::number);
        dispatch.bind(0, Source::Floats(parts)).bind(1, Source::Floats(self.statistics))
    }

    /// With the moving weights.
    fn with_moving(&self, dispatch: Dispatch) -> Dispatch {
        let [mean, variance] = self.moving().map(|index| Source::Weight(self.call.parameters[index].id()));
        dispatch.bind(2, mean).bind(3, variance)
    }

    fn by_elements(&self, kernel: Kernel, made: Span, share: f32) -> Dispatch {
        let BatchNormalization { scale, center, .. } = *self.layer;
        let [gamma, beta] = affine(scale, center).map(|index| index.map(|index| self.call.parameters[index]));
        let count = self.rows * self.columns;
        Dispatch::new(kernel, self.call.name, &[count, self.columns], groups_for(count))
            .number(share)
            .flag("SCALED", scale)
            .flag("SHIFTED", center)
            .bind(0, Source::Floats(self.call.inputs[0].value))
            .bind(1, Source::Floats(self.statistics))
            .bind(2, weight(gamma))
            .bind(3, weight(beta))
            .bind(4, Source::Floats(made))
    }
}

impl Lower for BatchNormalization {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let (mut saved, mut scratch) = (Cutter::counting(), Cutter::counting());
        Batch::new(self, call, &mut saved).scratch(&mut scratch);
        Workspace { saved: saved.used, scratch: scratch.used }
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        let job = Batch::new(self, call, &mut Cutter::of(call.saved));
        if job.rows * job.columns == 0 {
            return Ok(());
        }
        if job.uses_batch() {
            let flags = job.flags(known);
            let count = job.count(&flags);
            for (mode, kernel) in [(VALUES, TAKE_MEANS), (SQUARES, TAKE_VARIANCES)] {
                out.push(add_moments(call, mode, false, job.statistics, job.parts, flags.clone()));
                out.push(job.by_columns(kernel, job.parts, count));
            }
        } else {
            out.push(job.with_moving(job.by_columns(TAKE_MOVING, job.parts, 1.0)));
        }
        let normalize = job.by_elements(NORMALIZE, call.outputs[0].value, 0.0);
        out.push(normalize.bind(5, Source::Nothing).bind(6, Source::Nothing).bind(7, Source::Words(Vec::new())));
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        let job = Batch::new(self, call, &mut Cutter::of(call.saved));
        let Some(dy) = call.outputs[0].gradient.filter(|_| job.rows * job.columns > 0) else { return };
        let [sums, parts] = job.scratch(&mut Cutter::of(call.scratch));
        out.push(add_moments(call, BY_COLUMNS, false, job.statistics, parts, Vec::new()));
        let gradient = |index: Option<usize>| call.parameter_gradients[index?];
        let [gamma, beta] = affine(self.scale, self.center);
        // The moving means are weights of their own; only a caller who asks for every gradient sees these.
        let [mean, variance] = job.moving().map(|index| gradient(Some(index)).filter(|_| !job.uses_batch()));
        out.push(
            job.by_columns(TAKE_GRADIENTS, parts, 1.0)
                .flag("SCALED", self.scale)
                .flag("OF_GAMMA", gradient(gamma).is_some())
                .flag("OF_BETA", gradient(beta).is_some())
                .flag("OF_MEAN", mean.is_some())
                .flag("OF_VARIANCE", variance.is_some())
                .bind(2, floats(mean))
                .bind(3, floats(variance))
                .bind(4, Source::Floats(sums))
                .bind(5, weight(gamma.map(|index| call.parameters[index])))
                .bind(6, floats(gradient(gamma)))
                .bind(7, floats(gradient(beta))),
        );
        if let Some(dx) = call.inputs[0].gradient {
            let flags = job.flags(known);
            let share = if job.uses_batch() { job.count(&flags).recip() } else { 0.0 };
            let normalize = job.by_elements(NORMALIZE_BACKWARD, dx, share).flag("FLAGGED", !flags.is_empty());
            out.push(normalize.bind(5, Source::Floats(dy)).bind(6, Source::Floats(sums)).bind(7, Source::Words(flags)));
        }
    }

    fn settle(&self, call: &Call<'_>, out: &mut Vec<Dispatch>) {
        let job = Batch::new(self, call, &mut Cutter::of(call.saved));
        if job.uses_batch() && job.rows * job.columns > 0 {
            out.push(job.with_moving(job.by_columns(SETTLE, job.parts, 1.0)));
        }
    }
}
