//! The wgpu host: adapters, devices, and the execution of plans. No wgpu type leaves this module.

mod device;
mod execution;

pub use device::{Adapter, Buffer, Device, adapters};
pub use execution::Memories;
