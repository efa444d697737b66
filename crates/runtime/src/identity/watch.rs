//! Reading certificates and keys again when their files change, and warning before they expire.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::trust::{Source, Trust};
use super::{Dated, Endpoint, IdentityError};
use crate::changes::Seen;

/// How often the files are looked at.
pub const WATCH: Duration = Duration::from_secs(2);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The files of an endpoint, and what was last read of them.
pub(super) struct Held {
    pub(super) source: Source,
    state: Mutex<State>,
    /// Dropped with the last endpoint, which ends the thread that looks.
    watcher: OnceLock<Sender<()>>,
}

struct State {
    trust: Arc<Trust>,
    /// The files when they were last read.
    seen: Seen,
    /// What was wrong with the files at the last look, and whether that was warned of.
    wrong: Option<(String, bool)>,
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// No file changed.
    Unchanged,
    /// New connections use what the files hold now.
    Replaced,
    /// The files cannot be used, so that what was read before stays in use.
    Kept,
}

impl Held {
    pub(super) fn load(source: Source) -> Result<Held, IdentityError> {
        // Before the files are read: a change in between is then seen at the next look.
        let seen = Seen::of(&source.paths());
        let state = State { trust: Arc::new(source.read()?), seen, wrong: None };
        Ok(Held { source, state: Mutex::new(state), watcher: OnceLock::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.state().trust)
    }

    pub(super) fn look(&self) -> Reloaded {
        let now = Seen::of(&self.source.paths());
        let mut state = self.state();
        if state.seen == now && state.wrong.is_none() {
            return Reloaded::Unchanged;
        }
        let role = self.source.role;
        match self.source.read() {
            Ok(trust) => {
                tracing::info!(%role, "certificates changed and were read again; new connections use them");
                state.trust = Arc::new(trust);
                state.wrong = None;
                state.seen = now;
                Reloaded::Replaced
            }
            // Files that are replaced one after the other do not fit together for a moment: only what stays wrong until the
            // next look is worth a warning, and only once.
            Err(error) => {
                let error = error.to_string();
                let (again, told) = match &state.wrong {
                    Some((before, told)) if *before == error => (state.seen == now, *told),
                    _ => (false, false),
                };
                if again && !told {
                    tracing::warn!(%role, error, "changed certificates cannot be used; those read before stay in use");
                }
                state.wrong = Some((error, told || again));
                state.seen = now;
                Reloaded::Kept
            }
        }
    }

    fn warn_of_expiry(&self) {
        let now = SystemTime::now();
        for dated in &self.trust().dated {
            if let Some(days_left) = dated.ends_soon(now) {
                let Dated { what, role, file, .. } = dated;
                tracing::warn!(
                    %role, what, file = %file.display(), days_left,
                    "expires soon; renew it and give all parties the new one in time"
                );
            }
        }
    }
}

impl Endpoint {
    /// The same identity, whose files a thread looks at this often, for as long as the endpoint or a clone of it exists. When a
    /// file changes, all are read again, and connections made from then on use them if they fit together. Certificates in use
    /// that end within 30 days are warned of in the log, now and once a day.
    #[must_use]
    pub fn watching(self, every: Duration) -> Endpoint {
        let (keep, stop) = mpsc::channel();
        if self.held.watcher.set(keep).is_ok() {
            let held = Arc::downgrade(&self.held);
            let started =
                std::thread::Builder::new().name("certificates".into()).spawn(move || watch(&held, &stop, every));
            if let Err(error) = started {
                tracing::warn!(%error, "no thread to look for new certificates; restart this process to renew them");
            }
        }
        self
    }

    /// Looks at the files once.
    #[must_use]
    pub fn look_again(&self) -> Reloaded {
        self.held.look()
    }

    /// The certificates in use, own and others' authorities, and when they end.
    #[must_use]
    pub fn dated(&self) -> Vec<Dated> {
        self.held.trust().dated.clone()
    }
}

fn watch(held: &Weak<Held>, stop: &Receiver<()>, every: Duration) {
    let mut warned: Option<Instant> = None;
    loop {
        {
            let Some(held) = held.upgrade() else { return };
            if held.look() == Reloaded::Replaced || warned.is_none_or(|at| at.elapsed() >= DAY) {
                held.warn_of_expiry();
                warned = Some(Instant::now());
            }
        }
        if stop.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}
