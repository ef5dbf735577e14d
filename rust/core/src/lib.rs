//! The mathematics of foliot: recurrent cells, the scan over time, layers, losses, metrics, optimizers, the plan that
//! orders a training step, and Keras-compatible text preprocessing. It knows no Python and no GPU.

pub mod activations;
pub mod backend;
pub mod cells;
pub mod check;
pub mod constraints;
pub mod cpu;
pub mod error;
pub mod files;
pub mod graph;
pub mod initializers;
pub mod layers;
pub mod losses;
pub mod metrics;
pub mod optimizers;
pub mod parameter;
pub mod plan;
pub mod program;
pub mod random;
pub mod regularizers;
pub mod scan;
mod stages;
pub mod steps;
pub mod stream;
mod sums;
pub mod tensor;
pub mod text;
pub mod threads;

pub use error::{Error, Result};
