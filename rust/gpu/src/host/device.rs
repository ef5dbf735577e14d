//! Adapters and devices. A process opens each adapter once; all programs share the device.

use super::execution::Pipelines;
use foliot_core::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What is known of an adapter before it is opened.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its name, as the driver gives it.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// `vulkan`, `metal` or `dx12`.
    pub api: String,
    /// The driver with its version.
    pub driver: String,
    /// Limits that matter for what fits, by WebGPU's names.
    pub limits: Vec<(&'static str, u64)>,
    /// Optional features that kernels can use.
    pub features: Vec<&'static str>,
}

/// The bindings that a kernel needs at most.
const STORAGE_BUFFERS: u32 = 8;

/// Places in the memory that bindings without a use get: one for each slot, so that none overlap.
pub(super) const NOTHING: u64 = 16 * 256;

/// What the process has found.
struct Found {
    adapters: Vec<wgpu::Adapter>,
    devices: Mutex<Vec<Option<Arc<Device>>>>,
    /// Neither drivers nor their threads survive a fork.
    process: u32,
}

static FOUND: OnceLock<Found> = OnceLock::new();

fn found() -> Result<&'static Found> {
    let found = FOUND.get_or_init(|| {
        let mut description = wgpu::InstanceDescriptor::new_without_display_handle();
        description.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        // Validation layers, where they are installed, print to the terminal.
        description.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(description);
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let devices = Mutex::new(adapters.iter().map(|_| None).collect());
        Found { adapters, devices, process: std::process::id() }
    });
    if found.process != std::process::id() {
        let reason = "a process that was forked cannot use the GPU of its parent; start it with the method \"spawn\"";
        return Err(Error::Device { device: "gpu".into(), reason: reason.into() });
    }
    Ok(found)
}

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let info = adapter.get_info();
    let (limits, features) = (adapter.limits(), adapter.features());
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "other",
    };
    let named = [
        ("subgroup", wgpu::Features::SUBGROUP),
        ("shader-f16", wgpu::Features::SHADER_F16),
        ("timestamp-query", wgpu::Features::TIMESTAMP_QUERY),
        ("pipeline-cache", wgpu::Features::PIPELINE_CACHE),
    ];
    Adapter {
        name: info.name,
        kind,
        api: info.backend.to_string(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        limits: vec![
            ("max_buffer_size", limits.max_buffer_size),
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage.into()),
            ("max_compute_workgroup_storage_size", limits.max_compute_workgroup_storage_size.into()),
            ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup.into()),
        ],
        features: named.into_iter().filter(|(_, feature)| features.contains(*feature)).map(|(name, _)| name).collect(),
    }
}

/// The adapters of this machine. Their positions are their numbers.
///
/// # Errors
/// In a forked process.
pub fn adapters() -> Result<Vec<Adapter>> {
    Ok(found()?.adapters.iter().map(describe).collect())
}

/// Memory on a device.
pub struct Buffer(pub(super) wgpu::Buffer);

impl Buffer {
    /// How many words it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.0.size() / 4) as usize
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An open device.
pub struct Device {
    id: u64,
    /// Its name, for messages.
    pub name: String,
    pub(super) handle: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) nothing: wgpu::Buffer,
    pub(super) pipelines: Mutex<Pipelines>,
    /// Why it is lost, or what went wrong where nobody was listening.
    failure: Arc<Mutex<Option<String>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Opens an adapter by its number, once. A device that was lost is opened anew.
    ///
    /// # Errors
    /// When there is no such adapter, or it has not what the kernels need.
    pub fn open(index: usize) -> Result<Arc<Self>> {
        let found = found()?;
        let Some(adapter) = found.adapters.get(index) else {
            let expected = format!("the number of one of {} adapters", found.adapters.len());
            return Err(Error::value("device", expected, index.to_string()));
        };
        let mut devices = locked(&found.devices);
        if let Some(device) = &devices[index]
            && !device.is_lost()
        {
            return Ok(device.clone());
        }
        let device = Arc::new(Self::request(adapter)?);
        devices[index] = Some(device.clone());
        Ok(device)
    }

    fn request(adapter: &wgpu::Adapter) -> Result<Self> {
        static IDS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let name = adapter.get_info().name;
        let failed = |reason: String| Error::Device { device: name.clone(), reason };
        // The adapter's own, so that what fits into its memory fits.
        let limits = adapter.limits();
        if limits.max_storage_buffers_per_shader_stage < STORAGE_BUFFERS {
            return Err(failed(format!(
                "the kernels need max_storage_buffers_per_shader_stage {STORAGE_BUFFERS}; it has {}",
                limits.max_storage_buffers_per_shader_stage
            )));
        }
        let description = wgpu::DeviceDescriptor {
            label: Some("foliot"),
            required_limits: limits,
            memory_hints: wgpu::MemoryHints::Performance,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&description)).map_err(|error| failed(error.to_string()))?;
        let failure = Arc::new(Mutex::new(None));
        let (lost, uncaptured) = (failure.clone(), failure.clone());
        device.set_device_lost_callback(move |_, message| {
            locked(&lost).get_or_insert(format!("it was lost: {message}"));
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            locked(&uncaptured).get_or_insert(error.to_string());
        }));
        let nothing = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("nothing"),
            size: NOTHING,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let pipelines = Mutex::new(Pipelines::new(&device));
        let id = IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Self { id, name, handle: device, queue, nothing, pipelines, failure })
    }

    /// A number that no other device of this process has had.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.name.clone(), reason: reason.into() }
    }

    /// Whether nothing can be done on it any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        locked(&self.failure).is_some()
    }

    pub(super) fn check(&self) -> Result<()> {
        found()?;
        locked(&self.failure).clone().map_or(Ok(()), |reason| Err(self.error(reason)))
    }

    /// Does what may fail on the device, and turns failures into errors.
    pub(super) fn guarded<T>(&self, what: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check()?;
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let mut scopes: Vec<_> = filters.map(|filter| self.handle.push_error_scope(filter)).into();
        let result = body();
        // Scopes are a stack.
        let mut failure = None;
        while let Some(scope) = scopes.pop() {
            failure = pollster::block_on(scope.pop()).or(failure);
        }
        if let Some(error) = failure {
            return Err(self.error(format!("{what}: {error}")));
        }
        let value = result?;
        self.check()?;
        Ok(value)
    }

    /// Refuses what no binding can hold, before anything is allocated.
    fn check_size(&self, what: &str, words: usize) -> Result<()> {
        let (bytes, limits) = (words as u64 * 4, self.handle.limits());
        let bounds = [
            ("max_buffer_size", limits.max_buffer_size),
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
        ];
        match bounds.into_iter().find(|(_, bound)| bytes > *bound) {
            None => Ok(()),
            Some((name, bound)) => {
                Err(self.error(format!("{what} takes {bytes} bytes, more than its {name} of {bound}")))
            }
        }
    }

    /// Memory for so many words, which are zero.
    ///
    /// # Errors
    /// When a limit or the memory does not allow it.
    pub fn buffer(&self, what: &str, words: usize) -> Result<Buffer> {
        self.check_size(what, words)?;
        let description = wgpu::BufferDescriptor {
            label: Some(what),
            // A binding of nothing is not allowed.
            size: words.max(64) as u64 * 4,
            usage: wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::UNIFORM
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        self.guarded(what, || Ok(Buffer(self.handle.create_buffer(&description))))
    }

    /// Copies words to the device, from a position on. What was executed before has read the old ones.
    ///
    /// # Errors
    /// When the device has failed.
    pub fn upload<T: bytemuck::NoUninit>(&self, buffer: &Buffer, offset: usize, words: &[T]) -> Result<()> {
        if words.is_empty() {
            return self.check();
        }
        self.guarded("upload", || {
            self.queue.write_buffer(&buffer.0, offset as u64 * 4, bytemuck::cast_slice(words));
            Ok(())
        })
    }

    /// Copies floats from the device, from a position on, when all that was executed before is done.
    ///
    /// # Errors
    /// When the device has failed.
    pub fn download(&self, buffer: &Buffer, offset: usize, values: &mut [f32]) -> Result<()> {
        if values.is_empty() {
            return self.check();
        }
        let size = size_of_val(values) as u64;
        self.guarded("download", || {
            let staging = self.handle.create_buffer(&wgpu::BufferDescriptor {
                label: Some("download"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut encoder =
                self.handle.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("download") });
            encoder.copy_buffer_to_buffer(&buffer.0, offset as u64 * 4, &staging, 0, size);
            self.queue.submit([encoder.finish()]);
            let (sender, receiver) = std::sync::mpsc::channel();
            staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
                // The receiver waits below.
                let _ = sender.send(result);
            });
            self.handle
                .poll(wgpu::PollType::wait_indefinitely())
                .map_err(|error| self.error(format!("download: {error}")))?;
            match receiver.try_recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(self.error(format!("download: {error}"))),
                Err(error) => return Err(self.error(format!("download: {error}"))),
            }
            let mapped =
                staging.slice(..).get_mapped_range().map_err(|error| self.error(format!("download: {error}")))?;
            values.copy_from_slice(bytemuck::cast_slice(&mapped));
            Ok(())
        })
    }
}
