//! Named weights, shared between layers, programs and optimizers, and their copies on a device.
//!
//! A weight's values lie on the host. A device that works on them keeps a copy beside, for all of its programs; which of the
//! two is newer, the weight knows. Who reads the host's values gets current ones: they are fetched when they are asked for,
//! not after every step. Where a failing device has to become an error, call [`Parameter::fetch`] first.

use crate::{Error, Result};
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A weight's values in the memory of a device.
pub trait DeviceCopy: Send + Sync {
    /// Which device.
    fn device(&self) -> u64;
    /// Copies the values to the host.
    ///
    /// # Errors
    /// When the device is gone.
    fn read(&self, values: &mut [f32]) -> Result<()>;
    /// Copies values from the host.
    ///
    /// # Errors
    /// When the device is gone.
    fn write(&self, values: &[f32]) -> Result<()>;
    /// For the device itself, which knows what it made.
    fn as_any(&self) -> &dyn Any;
}

/// A copy, and what it holds.
struct Resident {
    copy: Arc<dyn DeviceCopy>,
    /// The version whose values it holds.
    version: u64,
}

/// One weight array. A layer owns it; every program that contains the layer refers to the same one.
pub struct Parameter {
    id: u64,
    name: String,
    shape: Vec<usize>,
    value: RwLock<Vec<f32>>,
    version: AtomicU64,
    resident: Mutex<Option<Resident>>,
    /// Whether the copy is newer than `value`.
    outdated: AtomicBool,
}

static IDS: AtomicU64 = AtomicU64::new(0);

impl Parameter {
    /// A parameter with the given values.
    ///
    /// # Errors
    /// When the shape and the number of values disagree.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, value: Vec<f32>) -> Result<Self> {
        let parameter = Self::unchecked(name.into(), shape, value);
        parameter.check(parameter.read().len())?;
        Ok(parameter)
    }

    /// A parameter whose values are as many as its shape says.
    pub(crate) fn of(name: &str, shape: Vec<usize>, value: Vec<f32>) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), value.len());
        Self::unchecked(name.into(), shape, value)
    }

    fn unchecked(name: String, shape: Vec<usize>, value: Vec<f32>) -> Self {
        Self {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            name,
            shape,
            value: RwLock::new(value),
            version: AtomicU64::new(0),
            resident: Mutex::new(None),
            outdated: AtomicBool::new(false),
        }
    }

    /// A parameter of zeros.
    #[must_use]
    pub fn zeros(name: impl Into<String>, shape: Vec<usize>) -> Self {
        let value = vec![0.0; shape.iter().product()];
        Self::unchecked(name.into(), shape, value)
    }

    fn check(&self, elements: usize) -> Result<()> {
        if self.shape.iter().product::<usize>() == elements {
            return Ok(());
        }
        let expected = format!("{} values for shape {:?}", self.shape.iter().product::<usize>(), self.shape);
        Err(Error::value(&self.name, expected, format!("{elements} values")))
    }

    /// A number that no other weight of this process has.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name, such as `kernel`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape, which never changes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values. If a device has newer ones they are fetched; those that were fetched last remain where it cannot give them.
    pub fn read(&self) -> RwLockReadGuard<'_, Vec<f32>> {
        self.fetch_or_forget();
        // A panic while the lock was held leaves plain numbers behind, never a broken invariant.
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values, to write. Whatever was derived from the old ones (packed weights, a device's copy) is stale from now on.
    pub fn write(&self) -> RwLockWriteGuard<'_, Vec<f32>> {
        self.fetch_or_forget();
        let guard = self.value.write().unwrap_or_else(PoisonError::into_inner);
        self.version.fetch_add(1, Ordering::Release);
        guard
    }

    /// Replaces the values.
    ///
    /// # Errors
    /// When the number of values is wrong.
    pub fn assign(&self, value: &[f32]) -> Result<()> {
        self.check(value.len())?;
        self.write().copy_from_slice(value);
        Ok(())
    }

    /// Changes with every write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn resident(&self) -> MutexGuard<'_, Option<Resident>> {
        self.resident.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch_or_forget(&self) {
        // The failure was reported where the device was last used, or will be where `fetch` is called first.
        let _ = self.fetch();
    }

    /// Brings the host's values up to date.
    ///
    /// # Errors
    /// When the device that has newer ones cannot give them. The values that were fetched last are the weight's again then.
    pub fn fetch(&self) -> Result<()> {
        if !self.outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut resident = self.resident();
        // Another thread may have fetched them while this one waited.
        if !self.outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut values = self.value.write().unwrap_or_else(PoisonError::into_inner);
        let fetched = resident.as_ref().map_or(Ok(()), |resident| resident.copy.read(&mut values));
        if fetched.is_err() {
            *resident = None;
            self.version.fetch_add(1, Ordering::Release);
        }
        self.outdated.store(false, Ordering::Release);
        fetched
    }

    /// The copy on a device, with current values. `make` makes one where there is none.
    ///
    /// # Errors
    /// What the devices report.
    pub fn on_device(
        &self,
        device: u64,
        make: impl FnOnce(&[f32]) -> Result<Arc<dyn DeviceCopy>>,
    ) -> Result<Arc<dyn DeviceCopy>> {
        if self.resident().as_ref().is_some_and(|resident| resident.copy.device() != device) {
            self.fetch()?;
        }
        let mut resident = self.resident();
        if let Some(Resident { copy, version }) = resident.as_mut().filter(|resident| resident.copy.device() == device)
        {
            if *version != self.version() {
                let values = self.value.read().unwrap_or_else(PoisonError::into_inner);
                *version = self.version();
                copy.write(&values)?;
            }
            return Ok(copy.clone());
        }
        let values = self.value.read().unwrap_or_else(PoisonError::into_inner);
        let version = self.version();
        let copy = make(&values)?;
        *resident = Some(Resident { copy: copy.clone(), version });
        Ok(copy)
    }

    /// Says that a device has changed its copy: it is the newest from now on.
    pub fn changed_on_device(&self) {
        if let Some(resident) = self.resident().as_mut() {
            resident.version = self.version.fetch_add(1, Ordering::AcqRel) + 1;
            self.outdated.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        device: u64,
        values: Mutex<Vec<f32>>,
        lost: AtomicBool,
    }

    impl Fake {
        fn of(parameter: &Parameter, device: u64) -> Arc<dyn DeviceCopy> {
            let make = |values: &[f32]| {
                let values = Mutex::new(values.to_vec());
                Ok(Arc::new(Self { device, values, lost: AtomicBool::new(false) }) as Arc<dyn DeviceCopy>)
            };
            parameter.on_device(device, make).unwrap()
        }
    }

    impl DeviceCopy for Fake {
        fn device(&self) -> u64 {
            self.device
        }

        fn read(&self, values: &mut [f32]) -> Result<()> {
            if self.lost.load(Ordering::Relaxed) {
                return Err(Error::value("device", "one that is there", "one that is lost"));
            }
            values.copy_from_slice(&self.values.lock().unwrap());
            Ok(())
        }

        fn write(&self, values: &[f32]) -> Result<()> {
            self.values.lock().unwrap().copy_from_slice(values);
            Ok(())
        }

        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    fn inside(copy: &Arc<dyn DeviceCopy>) -> &Fake {
        copy.as_any().downcast_ref().unwrap()
    }

    #[test]
    fn the_newer_side_wins() {
        let weight = Parameter::new("kernel", vec![2], vec![1.0, 2.0]).unwrap();
        let copy = Fake::of(&weight, 0);
        assert_eq!(*inside(&copy).values.lock().unwrap(), [1.0, 2.0]);
        let version = weight.version();
        *inside(&copy).values.lock().unwrap() = vec![3.0, 4.0];
        weight.changed_on_device();
        assert_ne!(weight.version(), version);
        assert_eq!(*weight.read(), [3.0, 4.0]);
        // Reading changes nothing, so the copy is still good.
        *inside(&copy).values.lock().unwrap() = vec![-1.0, -1.0];
        Fake::of(&weight, 0);
        assert_eq!(*inside(&copy).values.lock().unwrap(), [-1.0, -1.0]);
        weight.assign(&[5.0, 6.0]).unwrap();
        Fake::of(&weight, 0);
        assert_eq!(*inside(&copy).values.lock().unwrap(), [5.0, 6.0]);
        // A write starts from the device's values.
        *inside(&copy).values.lock().unwrap() = vec![7.0, 8.0];
        weight.changed_on_device();
        weight.write()[0] = 9.0;
        assert_eq!(*weight.read(), [9.0, 8.0]);
    }

    #[test]
    fn another_device_takes_over() {
        let weight = Parameter::new("kernel", vec![1], vec![1.0]).unwrap();
        let first = Fake::of(&weight, 0);
        *inside(&first).values.lock().unwrap() = vec![2.0];
        weight.changed_on_device();
        assert_eq!(*inside(&Fake::of(&weight, 1)).values.lock().unwrap(), [2.0]);
    }

    #[test]
    fn a_lost_device_leaves_what_was_fetched_last() {
        let weight = Parameter::new("kernel", vec![1], vec![1.0]).unwrap();
        let copy = Fake::of(&weight, 0);
        weight.changed_on_device();
        inside(&copy).lost.store(true, Ordering::Relaxed);
        assert!(weight.fetch().is_err());
        assert!(weight.fetch().is_ok());
        assert_eq!(*weight.read(), [1.0]);
        assert_eq!(*inside(&Fake::of(&weight, 0)).values.lock().unwrap(), [1.0]);
    }
}
