//! Convolution over time: for each step of a window one product of the input's rows with that step's part of the kernel.
//!
//! Time comes first in memory, so that with a stride of 1 the rows of consecutive windows are one matrix.

use super::{Compute, Context, Parts, for_each_rows};
use crate::Result;
use crate::activations::Activation;
use crate::backend::{Call, Workspace};
use crate::layers::{Conv1d, Windows};
use crate::parameter::Parameter;
use crate::scan::gradients::{ColumnSums, OuterProducts, Rows, Segment};
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::{Init, MatrixMut, MatrixRef, Operand, Packed, gemm};

/// The parts of the kernel in the order that the products read, as long as the kernel does not change.
#[derive(Default)]
pub(super) struct State {
    forward: Option<(u64, Vec<Packed>)>,
    backward: Option<(u64, Vec<Packed>)>,
}

/// The sizes of a call.
struct Sizes {
    windows: Windows,
    taps: usize,
    batch: usize,
    groups: usize,
    /// Features and filters, of all groups and of each.
    features: usize,
    filters: usize,
    group_features: usize,
    group_filters: usize,
}

impl Sizes {
    /// None where there is nothing to compute.
    fn new(layer: &Conv1d, call: &Call<'_>) -> Option<Self> {
        let shape = &call.inputs[0].shape;
        if shape.elements() == 0 {
            return None;
        }
        let (features, filters, groups) = (shape.features(), layer.filters, layer.groups);
        Some(Self {
            windows: layer.windows(shape.axis(1))?,
            taps: layer.kernel_size,
            batch: shape.axis(0),
            groups,
            features,
            filters,
            group_features: features / groups,
            group_filters: filters / groups,
        })
    }

    fn rows(&self) -> usize {
        self.windows.count * self.batch
    }

    /// Time steps whose products are worth a task.
    fn steps_per_task(&self, steps: usize) -> usize {
        const MULTIPLICATIONS: usize = 128 * 1024;
        let each = self.batch * self.taps * self.features * self.group_filters;
        (MULTIPLICATIONS / each.max(1)).clamp(1, steps.max(1))
    }

    /// The windows among `first..last` whose step `tap` lies in the sequence, in runs of (window, step of the input, how
    /// many) whose rows lie together on both sides.
    fn runs(&self, tap: usize, first: usize, last: usize) -> Vec<(usize, usize, usize)> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for window in first..last {
            let Some(step) = self.windows.source(window, tap) else { continue };
            match runs.last_mut() {
                Some((start, source, count)) if *start + *count == window && *source + *count == step => *count += 1,
                _ => runs.push((window, step, 1)),
            }
        }
        runs
    }

    /// The windows that read the input's steps `first..last` with their step `tap`, in runs as above.
    fn readers(&self, tap: usize, first: usize, last: usize) -> Vec<(usize, usize, usize)> {
        let Windows { stride, dilation, left, count, .. } = self.windows;
        // window · stride + tap · dilation - left = step
        let offset = tap * dilation;
        let from = (first + left).saturating_sub(offset).div_ceil(stride);
        let to = (last + left).saturating_sub(offset).div_ceil(stride).min(count);
        self.runs(tap, from.min(to), to)
    }

    /// The kernel's part of a step and a group: (features, filters) of the group, in rows of all filters.
    fn part<'a>(&self, kernel: &'a [f32], tap: usize, group: usize) -> &'a [f32] {
        &kernel[tap * self.group_features * self.filters + group * self.group_filters..]
    }

    /// All parts packed, or their transposes; packed again when the parameter has changed.
    fn packed<'a>(
        &self,
        cache: &'a mut Option<(u64, Vec<Packed>)>,
        level: Level,
        kernel: &Parameter,
        transposed: bool,
    ) -> &'a [Packed] {
        let values = kernel.read();
        let version = kernel.version();
        let (k, n, strides) = if transposed {
            (self.group_filters, self.group_features, (1, self.filters))
        } else {
            (self.group_features, self.group_filters, (self.filters, 1))
        };
        let parts =
            || (0..self.taps * self.groups).map(|part| self.part(&values, part / self.groups, part % self.groups));
        let (stored, packed) = cache.get_or_insert_with(|| {
            (version, parts().map(|part| Packed::plain(level, part, k, n, strides.0, strides.1)).collect())
        });
        if *stored != version {
            packed.iter_mut().zip(parts()).for_each(|(packed, part)| packed.repack(part, strides.0, strides.1));
            *stored = version;
        }
        packed
    }
}

impl Compute for Conv1d {
    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let Some(sizes) = Sizes::new(self, call) else { return Workspace::default() };
        let elements = call.outputs[0].shape.elements();
        let linear = self.activation == Activation::Linear {};
        let partials = OuterProducts::new(sizes.group_features, sizes.filters, sizes.rows())
            .partials()
            .max(ColumnSums::new(sizes.filters, sizes.rows()).partials());
        Workspace { saved: if linear { 0 } else { elements }, scratch: elements + partials }
    }

    fn forward(&self, context: Context<'_>, call: &Call<'_>) -> Result<f64> {
        let Context { level, memory, kept, .. } = context;
        let Some(sizes) = Sizes::new(self, call) else { return Ok(0.0) };
        let Sizes { batch, groups, features, filters, group_features, group_filters, .. } = sizes;
        let kernel = sizes.packed(&mut kept.conv.forward, level, call.parameters[0], false);
        let bias = call.parameters.get(1).map(|bias| bias.read());
        let linear = self.activation == Activation::Linear {};
        let [x, z, y] = memory.many([call.inputs[0].value, call.saved, call.outputs[0].value]);
        let (x, sums) = (&*x, if linear { Parts(y.as_mut_ptr()) } else { Parts(z.as_mut_ptr()) });
        let y = Parts(y.as_mut_ptr());
        let count = sizes.windows.count;
        for_each_rows(count, sizes.steps_per_task(count), |start, count| {
            let (first, len) = (start * batch * filters, count * batch * filters);
            // SAFETY: tasks have disjoint windows.
            let sums = unsafe { sums.part(first, len) };
            match &bias {
                Some(bias) => sums.chunks_exact_mut(filters).for_each(|row| row.copy_from_slice(bias)),
                None => sums.fill(0.0),
            }
            for tap in 0..sizes.taps {
                for (window, step, run) in sizes.runs(tap, start, start + count) {
                    for group in 0..groups {
                        let a = MatrixRef::new(&x[step * batch * features + group * group_features..], features, 1);
                        let target = &mut sums[(window - start) * batch * filters + group * group_filters..];
                        let b = Operand::Packed(&kernel[tap * groups + group]);
                        let c = MatrixMut::new(target, filters);
                        gemm(level, run * batch, group_filters, group_features, a, b, Init::Accumulate, c);
                    }
                }
            }
            if !linear {
                // SAFETY: as above.
                self.activation.forward(level, filters, sums, unsafe { y.part(first, len) });
            }
        });
        Ok(0.0)
    }

    fn backward(&self, context: Context<'_>, call: &Call<'_>) {
        let Context { level, memory, kept, .. } = context;
        let (Some(output_gradient), Some(sizes)) = (call.outputs[0].gradient, Sizes::new(self, call)) else { return };
        let Sizes { batch, groups, features, filters, group_features, group_filters, .. } = sizes;
        let elements = sizes.rows() * filters;
        let dz = call.scratch.part(0, elements);
        let partials = call.scratch.part(elements, call.scratch.len - elements);
        let linear = self.activation == Activation::Linear {};
        if !linear {
            let [z, y, dy, dz] = memory.many([call.saved, call.outputs[0].value, output_gradient, dz]);
            self.activation.backward(level, filters, z, y, dy, dz);
        }
        let dz = if linear { output_gradient } else { dz };
        if let Some(kernel) = call.parameter_gradients[0] {
            let [x, dz, kernel, partials] = memory.many([call.inputs[0].value, dz, kernel, partials]);
            let sum = OuterProducts::new(group_features, filters, sizes.rows());
            for tap in 0..sizes.taps {
                let runs = sizes.runs(tap, 0, sizes.windows.count);
                let segments: Vec<Segment> = runs
                    .into_iter()
                    .map(|(window, step, run)| Segment { left: step * batch, right: window * batch, rows: run * batch })
                    .collect();
                partials.fill(0.0);
                let kernel = &mut kernel[tap * group_features * filters..][..group_features * filters];
                for group in 0..groups {
                    let (start, column) = (group * group_features, group * group_filters);
                    let left = Rows { values: x, stride: features, start, width: group_features };
                    let right = Rows { values: dz, stride: filters, start: column, width: group_filters };
                    sum.add(level, 0, &segments, left, right, column, partials);
                }
                sum.finish(partials, kernel);
            }
        }
        if let Some(bias) = call.parameter_gradients.get(1).copied().flatten() {
            let [dz, bias, partials] = memory.many([dz, bias, partials]);
            let sum = ColumnSums::new(filters, sizes.rows());
            partials.fill(0.0);
            sum.add(0, sizes.rows(), Rows::whole(dz, filters), 0, partials);
            sum.finish(partials, bias);
        }
        if let Some(input_gradient) = call.inputs[0].gradient {
            let kernel = sizes.packed(&mut kept.conv.backward, level, call.parameters[0], true);
            let [dz, dx] = memory.many([dz, input_gradient]);
            let (dz, dx) = (&*dz, Parts(dx.as_mut_ptr()));
            let time = sizes.windows.time;
            for_each_rows(time, sizes.steps_per_task(time), |start, count| {
                // SAFETY: tasks have disjoint time steps.
                let dx = unsafe { dx.part(start * batch * features, count * batch * features) };
                dx.fill(0.0);
                for tap in 0..sizes.taps {
                    for (window, step, run) in sizes.readers(tap, start, start + count) {
                        for group in 0..groups {
                            let a = MatrixRef::new(&dz[window * batch * filters + group * group_filters..], filters, 1);
                            let target = &mut dx[(step - start) * batch * features + group * group_features..];
                            let b = Operand::Packed(&kernel[tap * groups + group]);
                            let c = MatrixMut::new(target, features);
                            gemm(level, run * batch, group_features, group_filters, a, b, Init::Accumulate, c);
                        }
                    }
                }
            });
        }
    }
}
