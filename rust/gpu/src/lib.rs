//! Training and inference on Vulkan, Metal and D3D12 devices.
//!
//! [`lower`] turns the layer calls of the core's plan into dispatches, which are plain data ([`plan`]): a shader's text, an entry
//! point, what is bound, sizes. [`host`] executes them through wgpu, the one maintained host of WGSL on all three APIs.
//! [`Gpu`] puts the two behind the core's [`foliot_core::backend::Backend`]: it collects dispatches until somebody asks for a
//! number, and keeps weights and optimizer slots on the device.

mod backend;
pub mod host;
pub mod lower;
pub mod plan;
pub mod recorder;
pub mod shaders;

pub use backend::Gpu;
