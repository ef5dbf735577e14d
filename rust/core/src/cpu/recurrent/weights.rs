//! The weights of a recurrent layer in the order that the kernels read.

use super::regions::Sizes;
use crate::backend::Call;
use crate::cells::panels::{KernelShape, Panels};
use crate::cells::{self, Cell, Weights};
use crate::scan::Projection;
use crate::scan::narrow::NarrowWeights;
use foliot_simd::dispatch::Level;
use foliot_simd::gemm::Packed;

/// The layer's weights in the order that the products read, as long as they do not change.
pub(super) struct PackedWeights {
    /// Which values of the weights these are.
    pub(super) versions: Vec<u64>,
    groups: usize,
    pub(super) recurrent: Weights,
    pub(super) projections: Vec<Projection>,
    /// The transposed kernels of the projections.
    pub(super) transposed: Vec<Packed>,
    /// The recurrent kernel gate by gate, for recurrent dropout.
    pub(super) state_dropout: Option<Vec<Panels>>,
    pub(super) narrow: Option<NarrowWeights>,
}

impl PackedWeights {
    /// Packs the weights if they have changed.
    pub(super) fn update<C: Cell>(stored: &mut Option<Self>, level: Level, call: &Call<'_>, sizes: &Sizes) {
        let versions = || call.parameters.iter().map(|parameter| parameter.version());
        let holds = |packed: &Self| {
            let same_dropout = packed.state_dropout.is_some() == sizes.state_dropout;
            packed.versions.iter().copied().eq(versions()) && packed.groups == sizes.groups && same_dropout
        };
        if !stored.as_ref().is_some_and(holds) {
            *stored = Some(Self::new::<C>(level, call, sizes, versions().collect()));
        }
    }

    fn new<C: Cell>(level: Level, call: &Call<'_>, sizes: &Sizes, versions: Vec<u64>) -> Self {
        let values: Vec<_> = call.parameters.iter().map(|parameter| parameter.read()).collect();
        let (units, width, columns) = (sizes.units, sizes.width, sizes.gates * sizes.units);
        let kernel = slot_order::<C>(&values[0], sizes.features, units, columns);
        let given = sizes.bias.map(|at| &values[at]);
        let bias = given.map_or_else(|| vec![0.0; columns], |bias| input_bias::<C>(bias, columns, units));
        let candidate_bias = match given {
            Some(bias) if bias.len() == 2 * columns => bias[2 * columns - units..].to_vec(),
            _ => vec![0.0; units],
        };
        let per_group = sizes.gates / sizes.groups;
        let part = |group: usize| group * per_group * units;
        let share = per_group * units;
        let projections = (0..sizes.groups).map(|group| Projection {
            kernel: Packed::plain(level, &kernel[part(group)..], sizes.features, share, columns, 1),
            bias: bias[part(group)..][..share].to_vec(),
            slot: group * per_group,
            count: per_group,
        });
        let transposed = (0..sizes.groups)
            .map(|group| Packed::plain(level, &kernel[part(group)..], share, sizes.features, 1, columns))
            .collect();
        let recurrent_kernel = sizes.recurrent_kernel.map_or(&[][..], |at| &values[at]);
        let shape = KernelShape { width, units, gates: sizes.gates, heads: sizes.heads };
        let state_dropout = cells::state_product::<C>().filter(|_| sizes.state_dropout).map(|block| {
            let gates = block.gate..block.gate + block.count;
            gates.map(|gate| shape.forward(level, recurrent_kernel, gate, 1)).collect()
        });
        let mut recurrent = Weights::pack::<C>(level, shape, recurrent_kernel, candidate_bias, sizes.state_dropout);
        for vector in &values[values.len() - sizes.vectors.len()..] {
            recurrent.vectors.extend_from_slice(vector);
        }
        Self {
            versions,
            groups: sizes.groups,
            recurrent,
            projections: projections.collect(),
            transposed,
            state_dropout,
            narrow: sizes.narrow.map(|at| NarrowWeights::pack(level, &values[at], units, width)),
        }
    }
}

/// The columns of a kernel (rows, columns) in the order of the slots.
fn slot_order<C: Cell>(kernel: &[f32], rows: usize, units: usize, columns: usize) -> Vec<f32> {
    let mut ordered = vec![0.0; rows * columns];
    for row in 0..rows {
        for block in C::INPUTS {
            let (from, to) = (row * columns + block.gate * units, row * columns + block.slot * units);
            ordered[to..to + block.count * units].copy_from_slice(&kernel[from..from + block.count * units]);
        }
    }
    ordered
}

/// The bias that the input projection adds, in the order of the slots: the input bias, and the recurrent bias of the gates
/// whose recurrent product is added to the same sum.
fn input_bias<C: Cell>(bias: &[f32], columns: usize, units: usize) -> Vec<f32> {
    let mut ordered = slot_order::<C>(&bias[..columns], 1, units, columns);
    if let (true, Some(block)) = (bias.len() == 2 * columns, cells::state_product::<C>()) {
        for gate in 0..block.count {
            let slot = block.slot + gate;
            if slot * units < columns {
                let source = &bias[columns + (block.gate + gate) * units..][..units];
                ordered[slot * units..][..units].iter_mut().zip(source).for_each(|(sum, value)| *sum += value);
            }
        }
    }
    ordered
}

/// The column block of the kernel that goes to a slot.
pub(super) fn gate_of_slot<C: Cell>(slot: usize) -> usize {
    let holds = |block: &&cells::Block| (block.slot..block.slot + block.count).contains(&slot);
    C::INPUTS.iter().find(holds).map_or(slot, |block| block.gate + slot - block.slot)
}
