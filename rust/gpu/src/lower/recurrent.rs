//! Recurrent layers: the input projection is one product, the cell goes through time in one dispatch (cut where a sequence is
//! long), the gradients of the weights are products over time and batch.
//!
//! Everything lies in the order of processing. With `go_backwards` that is time turned around, for which the input is copied.
//! A masked step keeps the state and has no gradient of its own; so padding costs time, but no memory traffic of indices.

use super::activation::of_cell;
use super::dropout::Draw;
use super::product::{Matrix, add_columns, add_product, partials, product};
use super::rows::{Move, transpose};
use super::{Cutter, Known, Lower};
use crate::plan::{Dispatch, Source};
use crate::shaders::{
    GRU_AFTER, GRU_AFTER_BACKWARD, GRU_BEFORE, GRU_BEFORE_BACKWARD, Kernel, LSTM, LSTM_BACKWARD, SIMPLE_RNN,
    SIMPLE_RNN_BACKWARD,
};
use foliot_core::Result;
use foliot_core::backend::{Call, Workspace};
use foliot_core::layers::{CellKind, CellLayer, Recurrent};
use foliot_core::tensor::Span;

/// Rows of a batch that a workgroup takes through time, as in cell.wgsl.
const ROWS: usize = 4;
/// The most invocations of a workgroup that every adapter has.
const MOST_THREADS: usize = 256;
/// Multiplications of one row that a dispatch makes at most, and steps: far below what makes a watchdog bark.
const WORK: usize = 1 << 26;
const STEPS: usize = 512;

/// Which random numbers each kind of dropout draws, as on the CPU.
const INPUT_STREAM: u32 = 0;
const STATE_STREAM: u32 = 1;

/// The constants of cell.wgsl that say what its functions are.
const ACTIVATION_NAMES: [&str; 5] =
    ["ACTIVATION", "ACTIVATION_A", "ACTIVATION_B", "ACTIVATION_C", "ACTIVATION_BY_INPUT"];
const GATE_NAMES: [&str; 5] = ["GATE", "GATE_A", "GATE_B", "GATE_C", "GATE_BY_INPUT"];

/// What a cell is for the host.
#[derive(Clone, Copy, PartialEq)]
enum Cell {
    SimpleRnn,
    Lstm,
    GruAfter,
    GruBefore,
}

impl Cell {
    fn kernels(self) -> [Kernel; 2] {
        match self {
            Self::SimpleRnn => [SIMPLE_RNN, SIMPLE_RNN_BACKWARD],
            Self::Lstm => [LSTM, LSTM_BACKWARD],
            Self::GruAfter => [GRU_AFTER, GRU_AFTER_BACKWARD],
            Self::GruBefore => [GRU_BEFORE, GRU_BEFORE_BACKWARD],
        }
    }
}

/// A call with its sizes and regions.
struct Job<'a> {
    call: &'a Call<'a>,
    options: &'a Recurrent,
    cell: Cell,
    /// Where the bias stands among the weights.
    bias: Option<usize>,
    batch: usize,
    time: usize,
    features: usize,
    units: usize,
    gates: usize,
    /// Inputs that differ: one, or one for each gate under both kinds of dropout.
    groups: usize,
    drops_inputs: bool,
    drops_states: bool,
    saved: Saved,
}

/// The regions that live from the forward pass to the backward pass.
struct Saved {
    gates: Span,
    states: Span,
    extra: Span,
    x: Span,
    input_masks: Span,
    state_masks: Span,
}

/// The regions of the backward pass.
struct Scratch {
    transposed: Span,
    /// dL/dh, and dL/dc behind it.
    carry: Span,
    x_gradient: Span,
    masked_states: Span,
    partials: Span,
}

impl<'a> Job<'a> {
    fn new(call: &'a Call<'a>, cutter: &mut Cutter) -> Option<Self> {
        let (kind, options) = call.layer.recurrent()?;
        let [batch, time, features] = options.input_sizes(&call.inputs[0].shape);
        let cell = match (kind, options.reset_after) {
            (CellKind::SimpleRnn, _) => Cell::SimpleRnn,
            (CellKind::Lstm, _) => Cell::Lstm,
            (CellKind::Gru, Some(true)) => Cell::GruAfter,
            (CellKind::Gru, _) => Cell::GruBefore,
            // Refused before.
            _ => return None,
        };
        let (units, gates) = (options.units, kind.gates());
        let (drops_inputs, drops_states) =
            (call.training && options.drops_inputs(), call.training && options.drops_states());
        let groups = if drops_inputs && options.recurrent_dropout > 0.0 { gates } else { 1 };
        let copies_x = options.go_backwards || drops_inputs;
        let when = |condition: bool, len: usize| if condition { len } else { 0 };
        let steps = batch * time * units;
        let saved = Saved {
            gates: cutter.take(gates * steps),
            states: cutter.take(steps + batch * units),
            extra: cutter.take(match cell {
                Cell::SimpleRnn => 0,
                Cell::Lstm => steps + batch * units,
                Cell::GruAfter | Cell::GruBefore => steps,
            }),
            x: cutter.take(when(copies_x, groups * batch * time * features)),
            input_masks: cutter.take(when(drops_inputs, groups * batch * features)),
            state_masks: cutter.take(when(drops_states, gates * batch * units)),
        };
        Some(Self {
            call,
            options,
            cell,
            bias: CellLayer { kind, options }.bias(),
            batch,
            time,
            features,
            units,
            gates,
            groups,
            drops_inputs,
            drops_states,
            saved,
        })
    }

    fn scratch(&self, cutter: &mut Cutter) -> Scratch {
        let (state, rows) = (self.batch * self.units, self.batch * self.time);
        // Gradients of one column block, of two, and of all.
        let blocks = [1, 2, self.gates].map(|blocks| blocks * self.units);
        let of = |width: usize| blocks.map(|columns| partials([width, columns, rows])).into_iter().max().unwrap_or(0);
        Scratch {
            transposed: cutter.take(self.units * self.width()),
            carry: cutter.take(self.states().count() * state),
            x_gradient: cutter.take(if self.copies_x() { rows * self.features } else { 0 }),
            masked_states: cutter.take(if self.drops_states { rows * self.units } else { 0 }),
            partials: cutter.take(of(self.features).max(of(self.units))),
        }
    }

    /// Columns of the gates.
    fn width(&self) -> usize {
        self.gates * self.units
    }

    fn state_len(&self) -> usize {
        self.batch * self.units
    }

    /// h, and c of an LSTM, as they lie in memory.
    fn states(&self) -> impl Iterator<Item = Span> {
        [Some(self.saved.states), (self.cell == Cell::Lstm).then_some(self.saved.extra)].into_iter().flatten()
    }

    /// The flags (steps, batch) in the order of processing; none where every step counts.
    fn flags(&self, known: &Known) -> Option<Vec<u32>> {
        let mask = self.call.inputs[0].mask.filter(|_| !self.options.single_step)?;
        let mask = known.mask(mask);
        let (batch, time) = (self.batch, self.time);
        let at = |step: usize| if self.options.go_backwards { time - 1 - step } else { step };
        let flag = |step: usize, row: usize| u32::from(mask[row * time + at(step)] != 0);
        Some((0..time).flat_map(|step| (0..batch).map(move |row| (step, row))).map(|(s, r)| flag(s, r)).collect())
    }

    /// Which rows of the last output count; none where all do.
    fn last_flags(&self, flags: Option<&Vec<u32>>) -> Option<Vec<u32>> {
        let flags = flags.filter(|_| self.options.zero_output_for_mask)?;
        Some(flags[flags.len() - self.batch.min(flags.len())..].to_vec())
    }

    fn copies_x(&self) -> bool {
        self.options.go_backwards || self.drops_inputs
    }

    /// The input of a group in the order of processing, through the mask of dropout.
    fn x(&self, group: usize) -> Matrix {
        let span = if self.copies_x() { self.saved.x } else { self.call.inputs[0].value };
        let start = group * self.batch * self.time * self.features;
        Matrix { start, ..Matrix::new(Source::Floats(span), self.features) }
    }

    /// The columns of a group: all of them, or those of a gate.
    fn columns(&self) -> usize {
        self.width() / self.groups
    }

    /// Moves a group's input, or its gradient back, through mask and direction of time.
    fn move_x(&self, group: usize, source: Span, target: Span) -> Move {
        let rows = [self.batch * self.time, self.features];
        let masks = Source::Floats(self.saved.input_masks);
        let factors = self.drops_inputs.then_some((masks, group * self.batch * self.features, self.batch));
        let reversed = self.options.go_backwards.then_some([self.batch, self.time]);
        Move { reversed, factors, ..Move::new(rows, Some(Source::Floats(source)), Source::Floats(target)) }
    }

    fn copy(&self, source: Source, target: Source, starts: [usize; 2]) -> Move {
        Move { starts, ..Move::new([self.batch, self.units], Some(source), target) }
    }

    /// The dispatches of the cell over all steps, or none where there are no steps.
    fn over_time(
        &self,
        kernel: Kernel,
        flags: Option<&Vec<u32>>,
        bind: impl Fn(Dispatch) -> Dispatch,
    ) -> Vec<Dispatch> {
        if self.batch == 0 {
            return Vec::new();
        }
        let share = (WORK / (self.width() * self.units)).clamp(1, STEPS);
        let activation = of_cell(self.options.activation);
        let gate = self.options.recurrent_activation.and_then(of_cell);
        let dispatch = |first: usize| {
            let last = (first + share).min(self.time);
            let sizes = [self.batch, self.units, first, last];
            let mut dispatch = Dispatch::new(kernel, self.call.name, &sizes, [self.batch.div_ceil(ROWS), 1, 1])
                .constant("THREADS", self.units.next_multiple_of(32).min(MOST_THREADS) as u32);
            for (function, names) in [(activation, ACTIVATION_NAMES), (gate, GATE_NAMES)] {
                if let Some(function) = function {
                    dispatch = function.constants(dispatch, names);
                }
            }
            let dispatch = dispatch
                .flag("MASKED", flags.is_some())
                .flag("ZERO_MASKED", self.options.zero_output_for_mask)
                .flag("SEQUENCES", self.options.return_sequences)
                .flag("BIASED", self.options.use_bias)
                .flag("DROPPED", self.drops_states)
                .bind(0, Source::Floats(self.saved.gates))
                .bind(1, Source::Floats(self.saved.states))
                .bind(2, if self.cell == Cell::SimpleRnn { Source::Nothing } else { Source::Floats(self.saved.extra) })
                .bind(6, Source::Words(flags.cloned().unwrap_or_default()))
                .bind(7, if self.drops_states { Source::Floats(self.saved.state_masks) } else { Source::Nothing });
            bind(dispatch)
        };
        (0..self.time).step_by(share).map(dispatch).collect()
    }

    fn weight(&self, index: usize) -> Source {
        Source::Weight(self.call.parameters[index].id())
    }

    /// The layer's output of every step, or its gradient, where there is one.
    fn of_every_step(&self, span: Option<Span>) -> Source {
        span.filter(|_| self.options.return_sequences).map_or(Source::Nothing, Source::Floats)
    }

    fn forward(&self, known: &Known, out: &mut Vec<Dispatch>) {
        let Self { call, batch, time, features, .. } = *self;
        let name = call.name;
        let Recurrent { seed, dropout, recurrent_dropout, .. } = *self.options;
        let draw = |stream, rate| Draw { seed, step: call.step, stream, rate };
        let Saved { input_masks, state_masks, .. } = self.saved;
        if self.drops_inputs {
            draw(INPUT_STREAM, dropout).push(out, name, input_masks.len, None, input_masks);
        }
        if self.drops_states {
            draw(STATE_STREAM, recurrent_dropout).push(out, name, state_masks.len, None, state_masks);
        }
        for group in 0..if self.copies_x() { self.groups } else { 0 } {
            let starts = [0, group * batch * time * features];
            Move { starts, ..self.move_x(group, call.inputs[0].value, self.saved.x) }.push(out, name);
        }
        for (index, span) in self.states().enumerate() {
            let given = call.inputs.get(1 + index).map(|given| Source::Floats(given.value));
            let carried = call.states.get(index).map(|state| Source::Weight(state.id()));
            let source = given.or(carried);
            Move::new([batch, self.units], source, Source::Floats(span)).push(out, name);
        }
        for group in 0..self.groups {
            let column = group * self.columns();
            let kernel = Matrix::new(self.weight(0), self.width()).at_column(column);
            let bias = self.bias.map(|at| (self.weight(at), column));
            let sizes = [batch * time, self.columns(), features];
            product(out, name, sizes, &self.x(group), &kernel, bias, (self.saved.gates, column, self.width()));
        }

        let flags = self.flags(known);
        let bias = self.bias.filter(|_| self.cell == Cell::GruAfter);
        let bias = bias.map_or(Source::Nothing, |at| self.weight(at));
        out.extend(self.over_time(self.cell.kernels()[0], flags.as_ref(), |dispatch| {
            let output = self.of_every_step(Some(call.outputs[0].value));
            dispatch.bind(3, self.weight(1)).bind(4, bias.clone()).bind(5, output)
        }));
        let last = time * self.state_len();
        for (index, span) in self.states().enumerate() {
            let source = Source::Floats(span);
            if index == 0 && !self.options.return_sequences {
                let shown = self.copy(source.clone(), Source::Floats(call.outputs[0].value), [last, 0]);
                Move { flags: self.last_flags(flags.as_ref()), ..shown }.push(out, name);
            }
            if let Some(output) = call.outputs.get(1 + index) {
                self.copy(source.clone(), Source::Floats(output.value), [last, 0]).push(out, name);
            }
            if let Some(carried) = call.states.get(index) {
                self.copy(source, Source::Weight(carried.id()), [last, 0]).push(out, name);
            }
        }
    }

    fn backward(&self, known: &Known, out: &mut Vec<Dispatch>) {
        let Self { call, .. } = *self;
        let name = call.name;
        let scratch = self.scratch(&mut Cutter::of(call.scratch));
        let flags = self.flags(known);
        let carry = Source::Floats(scratch.carry);
        Move::new([self.states().count() * self.batch, self.units], None, carry.clone()).push(out, name);
        for index in 0..self.states().count() {
            let shown = call.outputs[0].gradient.filter(|_| index == 0 && !self.options.return_sequences);
            let shown = shown.map(|span| (span, self.last_flags(flags.as_ref())));
            let returned = call.outputs.get(1 + index).and_then(|output| output.gradient).map(|span| (span, None));
            for (span, flags) in [shown, returned].into_iter().flatten() {
                let added = self.copy(Source::Floats(span), carry.clone(), [0, index * self.state_len()]);
                Move { accumulate: true, flags, ..added }.push(out, name);
            }
        }
        transpose(out, name, [self.units, self.width()], self.weight(1), scratch.transposed);
        let mut steps = self.over_time(self.cell.kernels()[1], flags.as_ref(), |dispatch| {
            let gradient = self.of_every_step(call.outputs[0].gradient);
            dispatch.bind(3, Source::Floats(scratch.transposed)).bind(4, carry.clone()).bind(5, gradient)
        });
        steps.reverse();
        out.append(&mut steps);
        for index in 0..self.states().count() {
            if let Some(target) = call.inputs.get(1 + index).and_then(|input| input.gradient) {
                let starts = [index * self.state_len(), 0];
                self.copy(carry.clone(), Source::Floats(target), starts).push(out, name);
            }
        }
        self.weight_gradients(&scratch, out);
        if let Some(target) = call.inputs[0].gradient {
            self.input_gradient(&scratch, target, out);
        }
    }

    fn gates_matrix(&self) -> Matrix {
        Matrix::new(Source::Floats(self.saved.gates), self.width())
    }

    fn weight_gradients(&self, scratch: &Scratch, out: &mut Vec<Dispatch>) {
        let Self { call, units, features, .. } = *self;
        let (name, width, rows) = (call.name, self.width(), self.batch * self.time);
        let gates = self.gates_matrix();
        let gradients = &call.parameter_gradients;
        if let Some(target) = gradients[0] {
            for group in 0..self.groups {
                let (columns, start) = (self.columns(), group * self.columns());
                let (x, gates) = (self.x(group).transposed(), gates.clone().at_column(start));
                add_product(out, name, [features, columns, rows], &x, &gates, (target, start, width), scratch.partials);
            }
        }
        let states = || Matrix::new(Source::Floats(self.saved.states), units).transposed();
        let extra = Matrix::new(Source::Floats(self.saved.extra), units);
        if let Some(target) = gradients[1] {
            let mut add = |columns: usize, left: &Matrix, right: &Matrix, start: usize| {
                add_product(out, name, [units, columns, rows], left, right, (target, start, width), scratch.partials);
            };
            match self.cell {
                _ if self.drops_states => self.masked_state_gradients(target, scratch, out),
                Cell::SimpleRnn | Cell::Lstm => add(width, &states(), &gates, 0),
                Cell::GruAfter => {
                    add(2 * units, &states(), &gates, 0);
                    add(units, &states(), &extra, 2 * units);
                }
                Cell::GruBefore => {
                    add(2 * units, &states(), &gates, 0);
                    add(units, &extra.clone().transposed(), &gates.clone().at_column(2 * units), 2 * units);
                }
            }
        }
        if let Some(target) = self.bias.and_then(|at| gradients[at]) {
            add_columns(out, name, [rows, width], &gates, (target, 0), scratch.partials);
            if self.cell == Cell::GruAfter {
                add_columns(out, name, [rows, 2 * units], &gates, (target, width), scratch.partials);
                add_columns(out, name, [rows, units], &extra, (target, width + 2 * units), scratch.partials);
            }
        }
    }

    /// With recurrent dropout the product of each gate has a state of its own.
    fn masked_state_gradients(&self, target: Span, scratch: &Scratch, out: &mut Vec<Dispatch>) {
        let Self { batch, units, .. } = *self;
        let (name, rows, width) = (self.call.name, batch * self.time, self.width());
        for gate in 0..self.gates {
            let start = gate * units;
            let candidate = gate == 2;
            let gates = self.gates_matrix().at_column(start);
            let extra = Matrix::new(Source::Floats(self.saved.extra), units);
            let (left, right) = if self.cell == Cell::GruBefore && candidate {
                // q is masked already.
                (extra, gates)
            } else {
                let source = Some(Source::Floats(self.saved.states));
                let factors = Some((Source::Floats(self.saved.state_masks), gate * self.state_len(), batch));
                let masked = Source::Floats(scratch.masked_states);
                Move { factors, ..Move::new([rows, units], source, masked.clone()) }.push(out, name);
                let right = if self.cell == Cell::GruAfter && candidate { extra } else { gates };
                (Matrix::new(masked, units), right)
            };
            let left = left.transposed();
            add_product(out, name, [units, units, rows], &left, &right, (target, start, width), scratch.partials);
        }
    }

    fn input_gradient(&self, scratch: &Scratch, target: Span, out: &mut Vec<Dispatch>) {
        let Self { call, batch, time, features, .. } = *self;
        let sum = if self.copies_x() { scratch.x_gradient } else { target };
        for group in 0..self.groups {
            let (columns, column) = (self.columns(), group * self.columns());
            let kernel = Matrix::new(self.weight(0), self.width()).at_column(column).transposed();
            let gates = self.gates_matrix().at_column(column);
            product(out, call.name, [batch * time, features, columns], &gates, &kernel, None, (sum, 0, features));
            if self.copies_x() {
                Move { accumulate: group > 0, ..self.move_x(group, sum, target) }.push(out, call.name);
            }
        }
    }
}

impl Lower for Recurrent {
    fn refuses(&self) -> Option<String> {
        let functions = [("activation", Some(self.activation)), ("recurrent_activation", self.recurrent_activation)];
        for (option, function) in functions {
            if let Some(function) = function.filter(|function| of_cell(*function).is_none()) {
                return Some(format!("{option}={function:?}, which needs a whole row of a cell"));
            }
        }
        let options = [
            ("use_peepholes", self.use_peepholes),
            ("proj_size", self.proj_size.is_some()),
            ("heads", self.heads > 1),
            ("zoneout", self.zoneout > 0.0),
            ("zoneout_cell", self.zoneout_cell > 0.0),
            ("checkpoint_every", self.checkpoint_every.is_some()),
        ];
        options.into_iter().find(|(_, set)| *set).map(|(name, _)| name.into())
    }

    fn workspace(&self, call: &Call<'_>) -> Workspace {
        let mut saved = Cutter::counting();
        let mut scratch = Cutter::counting();
        if let Some(job) = Job::new(call, &mut saved)
            && call.outputs.iter().any(|output| output.gradient.is_some())
        {
            job.scratch(&mut scratch);
        }
        Workspace { saved: saved.used, scratch: scratch.used }
    }

    fn forward(&self, call: &Call<'_>, known: &mut Known, out: &mut Vec<Dispatch>) -> Result<()> {
        if let Some(job) = Job::new(call, &mut Cutter::of(call.saved)) {
            job.forward(known, out);
        }
        Ok(())
    }

    fn backward(&self, call: &Call<'_>, known: &Known, out: &mut Vec<Dispatch>) {
        if let Some(job) = Job::new(call, &mut Cutter::of(call.saved)) {
            job.backward(known, out);
        }
    }
}
