//! A flag that stops a service. It is set by signals, by the end of standard input, or by code.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The signals that usually end a process, with their names.
#[cfg(unix)]
const SIGNALS: [(i32, &str); 4] = {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT"), (SIGHUP, "SIGHUP"), (SIGQUIT, "SIGQUIT")]
};
#[cfg(not(unix))]
const SIGNALS: [(i32, &str); 2] = {
    use signal_hook::consts::{SIGINT, SIGTERM};
    [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")]
};

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    reason: Option<&'static str>,
    callbacks: Vec<Callback>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A handle to the flag. Clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Shared>);

impl std::fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shutdown").field(&self.reason()).finish()
    }
}

impl Shutdown {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// Sets the flag and wakes all threads that wait for it. Later calls change nothing.
    pub fn trigger(&self, reason: &'static str) {
        let callbacks = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.reason.is_some() {
                return;
            }
            // Before anybody can see the flag: a process may end right after that, and the line with it.
            tracing::info!(reason, "stopping");
            state.reason = Some(reason);
            std::mem::take(&mut state.callbacks)
        };
        self.0.changed.notify_all();
        callbacks.into_iter().for_each(|callback| callback());
    }

    /// Why the flag was set, if it was.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).reason
    }

    /// Whether the flag is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.reason().is_some()
    }

    /// Waits up to `limit` until the flag is set. Returns whether it is set.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = self
            .0
            .changed
            .wait_timeout_while(state, limit, |state| state.reason.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.reason.is_some()
    }

    /// Calls `callback` when the flag is set, or at once if it is already set.
    pub fn on_trigger(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.reason.is_none() {
            state.callbacks.push(Box::new(callback));
        } else {
            drop(state);
            callback();
        }
    }

    /// Whether this process was started with SIGHUP ignored, for instance by `nohup`, so that it outlives its terminal.
    /// False if the operating system does not tell.
    #[must_use]
    pub fn ignores_hangups() -> bool {
        let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        // Bit 0 is signal 1, SIGHUP.
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
    }

    /// Sets the flag on the signals that usually end a process: SIGTERM, SIGINT, SIGHUP and SIGQUIT. The reason is the
    /// name of the signal. If SIGHUP is ignored when this is called, as under `nohup`, it stays ignored.
    ///
    /// # Errors
    /// If the system refused the handler or the thread.
    pub fn on_signals(&self) -> io::Result<()> {
        let ignored = Self::ignores_hangups();
        let wanted = SIGNALS.iter().filter(|(_, name)| !(ignored && *name == "SIGHUP"));
        let mut signals = signal_hook::iterator::Signals::new(wanted.map(|(number, _)| *number))?;
        let shutdown = self.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name);
                shutdown.trigger(name);
            }
        })?;
        Ok(())
    }

    /// The exit status of a process that was ended by the signal that set this flag: 128 plus the signal's number.
    /// Nothing if the flag was not set by a signal.
    #[must_use]
    pub fn exit_status(&self) -> Option<u8> {
        let reason = self.reason()?;
        let (number, _) = SIGNALS.iter().find(|(_, name)| *name == reason)?;
        u8::try_from(128 + number).ok()
    }

    /// Sets the flag when `parent` ends, usually standard input that the parent process holds open. The process then
    /// stops in whatever way its parent ended.
    ///
    /// # Errors
    /// If the system refused the thread.
    pub fn on_end_of(&self, mut parent: impl Read + Send + 'static) -> io::Result<()> {
        let shutdown = self.clone();
        std::thread::Builder::new().name("parent-watch".into()).spawn(move || {
            let mut ignored = [0; 256];
            loop {
                match parent.read(&mut ignored) {
                    Ok(count) if count > 0 => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => break,
                }
            }
            shutdown.trigger("the parent process ended");
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_set_once_and_wakes_everyone() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_set() && !shutdown.wait(Duration::from_millis(5)));
        let (called, calls) = std::sync::mpsc::channel();
        let early = called.clone();
        shutdown.on_trigger(move || early.send(1).unwrap());
        let waiting = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || shutdown.wait(Duration::from_secs(5))
        });
        shutdown.on_end_of(&b"ignored"[..]).unwrap();
        assert!(waiting.join().unwrap());
        shutdown.trigger("too late");
        assert_eq!(shutdown.reason(), Some("the parent process ended"));
        // The flag is set before the first call: wait for that, or the second may come first.
        let limit = Duration::from_secs(5);
        assert_eq!(calls.recv_timeout(limit).unwrap(), 1);
        shutdown.on_trigger(move || called.send(2).unwrap());
        assert_eq!(calls.recv_timeout(limit).unwrap(), 2);
    }
}
