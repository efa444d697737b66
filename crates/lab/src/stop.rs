//! Ending long work from outside: embedding, training, evaluation and calibration look often whether they should go on.

use std::fmt;
use std::sync::Arc;

/// Whether work should end before it is done. Long functions of this crate take one and look at it between small steps, from any
/// thread. When it says so, they return an error with [`Stopped`] and no result.
///
/// ```
/// use blindroute_lab::Stop;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicBool, Ordering};
///
/// let asked = Arc::new(AtomicBool::new(false));
/// let stop = Stop::when({
///     let asked = Arc::clone(&asked);
///     move || asked.load(Ordering::Relaxed)
/// });
/// assert!(stop.check().is_ok() && Stop::never().check().is_ok());
/// asked.store(true, Ordering::Relaxed);
/// assert!(stop.check().is_err());
/// ```
#[derive(Clone, Default)]
pub struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

/// The work was stopped by its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped as asked, before the work was done")]
pub struct Stopped;

impl Stop {
    /// Never: the work is done to its end.
    pub fn never() -> Self {
        Self::default()
    }

    /// As soon as this is true. It is called often and from several threads, so it must be quick.
    pub fn when(asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(asked)))
    }

    /// An error if the work should end.
    ///
    /// # Errors
    /// [`Stopped`] if it should.
    pub fn check(&self) -> Result<(), Stopped> {
        match &self.0 {
            Some(asked) if asked() => Err(Stopped),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Stop(when asked)" } else { "Stop(never)" })
    }
}

#[cfg(test)]
mod tests;
