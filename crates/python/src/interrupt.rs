//! Long work: the interpreter goes on meanwhile, and Ctrl-C ends it.

use blindroute_runtime::Cancel;
use pyo3::intern;
use pyo3::prelude::*;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How often signals are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Runs work with the interpreter released. Python handles signals in its main thread only, so there the work runs in another thread,
/// and an exception of a signal's handler, as `KeyboardInterrupt`, cancels the work, which is waited for. In other threads the work
/// runs where it is called.
///
/// # Errors
/// The exception of a signal's handler. The work has ended by then.
pub(crate) fn interruptible<T: Send>(py: Python<'_>, cancel: &Cancel, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    if !is_main_thread(py)? {
        return Ok(py.detach(work));
    }
    std::thread::scope(|scope| {
        let (done, mut wait) = sync_channel(1);
        let worker = std::thread::Builder::new().name("blindroute".to_owned());
        let worker = worker.spawn_scoped(scope, move || {
            // Whoever waits is there until this thread has ended.
            done.send(work()).ok();
        })?;
        let mut interrupted = None;
        loop {
            let received;
            (received, wait) = py.detach(move || (wait.recv_timeout(LOOK), wait));
            match received {
                Ok(result) => return interrupted.map_or(Ok(result), Err),
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(exception) = py.check_signals() {
                        cancel.cancel();
                        interrupted.get_or_insert(exception);
                    }
                }
                // It panicked.
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => return Err(interrupted.unwrap_or_else(|| crate::fault::ended(py))),
                },
            }
        }
    })
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?.getattr(intern!(py, "ident"))?;
    threading.call_method0(intern!(py, "get_ident"))?.eq(main)
}
