//! Dispatches become commands: pipelines are made once, words are uploaded together, all of a submission is one pass.

use super::device::{Buffer, Device};
use crate::plan::{Dispatch, Source};
use crate::shaders::Kernel;
use foliot_core::Result;
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::PoisonError;

/// Dynamic offsets are multiples of this, and no uniform block is larger.
const BLOCK: usize = 256;

/// What tells one pipeline from another: kernel, constants as bits, and which bindings are only read.
type Key = (Kernel, Vec<(&'static str, u64)>, Vec<(u32, bool)>);

/// A pipeline with the layout of its bindings.
struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// What a device keeps for executing plans.
pub(super) struct Pipelines {
    made: HashMap<Key, Pipeline>,
    modules: HashMap<&'static str, wgpu::ShaderModule>,
    sizes_layout: wgpu::BindGroupLayout,
    /// Sizes and words of a submission. The queue keeps uploads and submissions in order.
    words: Option<Buffer>,
}

/// The memories that sources lead to.
pub struct Memories<'a> {
    /// Of [`Source::Floats`].
    pub floats: Option<&'a Buffer>,
    /// Of [`Source::Scratch`].
    pub scratch: Option<&'a Buffer>,
    /// Of [`Source::Weight`].
    pub weights: HashMap<u64, &'a Buffer>,
}

fn entry(binding: u32, ty: wgpu::BufferBindingType, dynamic: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: dynamic, min_binding_size: None },
        count: None,
    }
}

impl Pipelines {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        let sizes_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("sizes"),
            entries: &[entry(0, wgpu::BufferBindingType::Uniform, true)],
        });
        Self { made: HashMap::new(), modules: HashMap::new(), sizes_layout, words: None }
    }

    fn module(&mut self, device: &wgpu::Device, kernel: Kernel) -> wgpu::ShaderModule {
        let make = || {
            let description = wgpu::ShaderModuleDescriptor {
                label: Some(kernel.shader),
                source: wgpu::ShaderSource::Wgsl(kernel.text.into()),
            };
            let checks =
                wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
            // SAFETY: every loop of our shaders counts towards a bound that does not change meanwhile, so each one ends;
            // all other checks stay.
            unsafe { device.create_shader_module_trusted(description, checks) }
        };
        self.modules.entry(kernel.shader).or_insert_with(make).clone()
    }

    fn make(&mut self, device: &wgpu::Device, key: &Key) -> Pipeline {
        let (kernel, constants, bindings) = key;
        let entries: Vec<_> = bindings
            .iter()
            .map(|&(slot, read_only)| entry(slot, wgpu::BufferBindingType::Storage { read_only }, false))
            .collect();
        let label = Some(kernel.shader);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let whole = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout), Some(&self.sizes_layout)],
            immediate_size: 0,
        });
        let module = self.module(device, *kernel);
        let constants: Vec<_> = constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&whole),
            module: &module,
            entry_point: Some(kernel.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }
}

/// Sizes and words of a submission, and where they are.
#[derive(Default)]
struct Uploads {
    words: Vec<u32>,
}

impl Uploads {
    /// Takes words in, at a place where a binding may begin.
    fn push(&mut self, words: &[u32]) -> usize {
        let offset = self.words.len();
        self.words.extend_from_slice(words);
        // A binding holds a word at least.
        let end = (self.words.len().max(offset + 1)).next_multiple_of(BLOCK / 4);
        self.words.resize(end, 0);
        offset
    }
}

fn key_of(dispatch: &Dispatch) -> Key {
    let constants = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
    let only_read = |source: &Source| matches!(source, Source::Words(_));
    let bindings = dispatch.bindings.iter().map(|binding| (binding.slot, only_read(&binding.source))).collect();
    (dispatch.kernel, constants, bindings)
}

impl Device {
    /// Executes dispatches in order. Returns when they are handed over, not when they are done.
    ///
    /// # Errors
    /// When the device has failed.
    pub fn execute(&self, dispatches: &[Dispatch], memories: &Memories<'_>) -> Result<()> {
        if dispatches.is_empty() {
            return self.check();
        }
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let pipelines = &mut *pipelines;
        let mut uploads = Uploads::default();
        let places: Vec<(usize, Vec<usize>)> = dispatches
            .iter()
            .map(|dispatch| {
                let sizes = uploads.push(&dispatch.sizes);
                let words = dispatch.bindings.iter().map(|binding| match &binding.source {
                    Source::Words(words) => uploads.push(words),
                    _ => 0,
                });
                (sizes, words.collect())
            })
            .collect();
        // The last block may be bound whole.
        uploads.words.resize(uploads.words.len() + BLOCK / 4, 0);
        let words = match pipelines.words.take() {
            Some(buffer) if buffer.len() >= uploads.words.len() => buffer,
            _ => self.buffer("words", uploads.words.len().next_power_of_two())?,
        };
        self.upload(&words, 0, &uploads.words)?;
        let result = self.guarded("execution", || {
            for dispatch in dispatches {
                let key = key_of(dispatch);
                if !pipelines.made.contains_key(&key) {
                    let pipeline = pipelines.make(&self.handle, &key);
                    pipelines.made.insert(key, pipeline);
                }
            }
            self.encode(dispatches, &places, memories, &words, pipelines)
        });
        pipelines.words = Some(words);
        if result.is_err() {
            // One of them may be invalid.
            pipelines.made.clear();
        }
        result
    }

    fn encode(
        &self,
        dispatches: &[Dispatch],
        places: &[(usize, Vec<usize>)],
        memories: &Memories<'_>,
        words: &Buffer,
        pipelines: &Pipelines,
    ) -> Result<()> {
        let sizes = self.handle.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("sizes"),
            layout: &pipelines.sizes_layout,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: bound(&words.0, 0, BLOCK as u64) }],
        });
        let mut encoder = self.handle.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
        {
            let mut pass = encoder
                .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("step"), timestamp_writes: None });
            for (dispatch, (size_place, word_places)) in dispatches.iter().zip(places) {
                let Some(Pipeline { pipeline, layout }) = pipelines.made.get(&key_of(dispatch)) else { continue };
                let mut entries = Vec::with_capacity(dispatch.bindings.len());
                for (binding, &place) in dispatch.bindings.iter().zip(word_places) {
                    let resource = self.resource(dispatch, binding.slot, &binding.source, place, memories, words)?;
                    entries.push(wgpu::BindGroupEntry { binding: binding.slot, resource });
                }
                let group = self.handle.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some(&dispatch.label),
                    layout,
                    entries: &entries,
                });
                let [x, y, z] = dispatch.workgroups;
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.set_bind_group(1, &sizes, &[*size_place as u32 * 4]);
                pass.dispatch_workgroups(x, y, z);
            }
        }
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn resource<'a>(
        &'a self,
        dispatch: &Dispatch,
        slot: u32,
        source: &Source,
        place: usize,
        memories: &Memories<'a>,
        words: &'a Buffer,
    ) -> Result<wgpu::BindingResource<'a>> {
        let missing = || self.error(format!("{}: no memory for binding {slot}", dispatch.label));
        let (buffer, offset, len) = match source {
            Source::Floats(span) => (memories.floats.ok_or_else(missing)?, span.offset, span.len),
            Source::Scratch(span) => (memories.scratch.ok_or_else(missing)?, span.offset, span.len),
            Source::Weight(id) => {
                let buffer = *memories.weights.get(id).ok_or_else(missing)?;
                (buffer, 0, buffer.len())
            }
            Source::Words(list) => (words, place, list.len()),
            Source::Nothing => return Ok(bound(&self.nothing, u64::from(slot) * BLOCK as u64, BLOCK as u64)),
        };
        Ok(bound(&buffer.0, offset as u64 * 4, len.max(1) as u64 * 4))
    }
}

fn bound(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: NonZeroU64::new(size) })
}
