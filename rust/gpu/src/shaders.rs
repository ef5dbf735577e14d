//! The kernels: WGSL text and entry points.

/// A kernel of a shader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The shader's name.
    pub shader: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The entry point.
    pub entry: &'static str,
}

macro_rules! kernels {
    ($($name:ident: $shader:literal [$($file:literal),+] $entry:literal;)+) => {
        $(
            pub(crate) const $name: Kernel = Kernel {
                shader: $shader,
                text: concat!($(include_str!(concat!("../shaders/", $file))),+),
                entry: $entry,
            };
        )+
        /// All of them.
        pub const ALL: &[Kernel] = &[$($name),+];
    };
}

kernels! {
    MULTIPLY: "gemm" ["gemm.wgsl"] "multiply";
    SUM_COLUMNS: "sums" ["sums.wgsl"] "sum_columns";
    SUM_PARTS: "sums" ["sums.wgsl"] "sum_parts";
    MOVE_ROWS: "rows" ["rows.wgsl"] "move_rows";
    TRANSPOSE: "rows" ["rows.wgsl"] "transpose";
    ELEMENTWISE: "elementwise" ["math.wgsl", "elementwise.wgsl"] "forward";
    ELEMENTWISE_BACKWARD: "elementwise" ["math.wgsl", "elementwise.wgsl"] "backward";
    SOFTMAX: "softmax" ["math.wgsl", "reduce.wgsl", "softmax.wgsl"] "forward";
    SOFTMAX_BACKWARD: "softmax" ["math.wgsl", "reduce.wgsl", "softmax.wgsl"] "backward";
    GATE_LINEAR: "glu" ["math.wgsl", "glu.wgsl"] "forward";
    GATE_LINEAR_BACKWARD: "glu" ["math.wgsl", "glu.wgsl"] "backward";
    ADD_MOMENTS: "moments" ["moments.wgsl"] "add_moments";
    TAKE_MEANS: "batch_statistics" ["batch_statistics.wgsl"] "take_means";
    TAKE_VARIANCES: "batch_statistics" ["batch_statistics.wgsl"] "take_variances";
    TAKE_MOVING: "batch_statistics" ["batch_statistics.wgsl"] "take_moving";
    TAKE_GRADIENTS: "batch_statistics" ["batch_statistics.wgsl"] "take_gradients";
    SETTLE: "batch_statistics" ["batch_statistics.wgsl"] "settle";
    NORMALIZE: "batch_normalization" ["batch_normalization.wgsl"] "forward";
    NORMALIZE_BACKWARD: "batch_normalization" ["batch_normalization.wgsl"] "backward";
    NORMALIZE_ROWS: "row_normalization" ["reduce.wgsl", "row_normalization.wgsl"] "forward";
    NORMALIZE_ROWS_BACKWARD: "row_normalization" ["reduce.wgsl", "row_normalization.wgsl"] "backward";
    POOL: "pooling" ["math.wgsl", "pooling.wgsl"] "forward";
    POOL_BACKWARD: "pooling" ["math.wgsl", "pooling.wgsl"] "backward";
    FOLD: "merge" ["merge.wgsl"] "fold";
    GATHER: "embedding" ["embedding.wgsl"] "gather";
    ADD_UP: "embedding" ["embedding.wgsl"] "add_up";
    DROP: "dropout" ["dropout.wgsl"] "drop";
    UPDATE: "optimizer" ["optimizer.wgsl"] "update";
    CLIP_VALUES: "optimizer" ["optimizer.wgsl"] "clip_values";
    ADD_SQUARES: "norms" ["reduce.wgsl", "norms.wgsl"] "add_squares";
    CLIP: "norms" ["reduce.wgsl", "norms.wgsl"] "clip";
    JUDGE_ELEMENTS: "loss" ["math.wgsl", "reduce.wgsl", "loss.wgsl"] "by_elements";
    JUDGE_ROWS: "loss" ["math.wgsl", "reduce.wgsl", "loss.wgsl"] "by_rows";
    SIMPLE_RNN: "simple_rnn" ["math.wgsl", "cell.wgsl", "simple_rnn.wgsl"] "forward";
    SIMPLE_RNN_BACKWARD: "simple_rnn" ["math.wgsl", "cell.wgsl", "simple_rnn.wgsl"] "backward";
    LSTM: "lstm" ["math.wgsl", "cell.wgsl", "lstm.wgsl"] "forward";
    LSTM_BACKWARD: "lstm" ["math.wgsl", "cell.wgsl", "lstm.wgsl"] "backward";
    GRU_AFTER: "gru_after" ["math.wgsl", "cell.wgsl", "gru_after.wgsl"] "forward";
    GRU_AFTER_BACKWARD: "gru_after" ["math.wgsl", "cell.wgsl", "gru_after.wgsl"] "backward";
    GRU_BEFORE: "gru_before" ["math.wgsl", "cell.wgsl", "gru_before.wgsl"] "forward";
    GRU_BEFORE_BACKWARD: "gru_before" ["math.wgsl", "cell.wgsl", "gru_before.wgsl"] "backward";
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    #[test]
    fn every_shader_is_valid_without_any_capability_and_with_eight_storage_buffers() {
        for kernel in ALL {
            let module = naga::front::wgsl::parse_str(kernel.text)
                .unwrap_or_else(|error| panic!("{}: {}", kernel.shader, error.emit_to_string(kernel.text)));
            Validator::new(ValidationFlags::all(), Capabilities::empty())
                .validate(&module)
                .unwrap_or_else(|error| panic!("{}: {}", kernel.shader, error.emit_to_string(kernel.text)));
            let bindings = module.global_variables.iter().filter_map(|(_, variable)| variable.binding);
            let slots = bindings.filter(|binding| binding.group == 0).map(|binding| binding.binding);
            assert!(slots.max() < Some(8), "{}: WebGPU promises no more", kernel.shader);
            assert!(module.entry_points.iter().any(|entry| entry.name == kernel.entry), "{kernel:?}");
        }
    }
}
