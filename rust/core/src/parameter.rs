//! Named weights, shared between layers, programs and optimizers.

use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One weight array. A layer owns it; every program that contains the layer refers to the same one.
pub struct Parameter {
    name: String,
    shape: Vec<usize>,
    value: RwLock<Vec<f32>>,
    version: AtomicU64,
}

impl Parameter {
    /// A parameter with the given values.
    ///
    /// # Errors
    /// When the shape and the number of values disagree.
    pub fn new(name: impl Into<String>, shape: Vec<usize>, value: Vec<f32>) -> Result<Self> {
        let parameter = Self { name: name.into(), shape, value: RwLock::new(Vec::new()), version: AtomicU64::new(0) };
        parameter.check(value.len())?;
        *parameter.write() = value;
        Ok(parameter)
    }

    /// A parameter of zeros.
    #[must_use]
    pub fn zeros(name: impl Into<String>, shape: Vec<usize>) -> Self {
        let value = RwLock::new(vec![0.0; shape.iter().product()]);
        Self { name: name.into(), shape, value, version: AtomicU64::new(0) }
    }

    fn check(&self, elements: usize) -> Result<()> {
        if self.shape.iter().product::<usize>() == elements {
            return Ok(());
        }
        let expected = format!("{} values for shape {:?}", self.shape.iter().product::<usize>(), self.shape);
        Err(Error::value(&self.name, expected, format!("{elements} values")))
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

    /// The values.
    pub fn read(&self) -> RwLockReadGuard<'_, Vec<f32>> {
        // A panic while the lock was held leaves plain numbers behind, never a broken invariant.
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values, to write. Whatever was derived from the old ones (packed weights) is stale from now on.
    pub fn write(&self) -> RwLockWriteGuard<'_, Vec<f32>> {
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
}
