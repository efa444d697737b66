//! The configuration of a gateway that runs, and how it changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::changes::{Changes, take_over};
use super::check::PoolModel;
use super::environment::Environment;
use super::problem::ConfigError;
use super::stamp::Stamp;
use super::{Config, Loaded, read, rules};

/// The configuration of a gateway that runs.
///
/// A file that changed is read and checked as a whole, and then takes the place of the one before in one step: whoever holds an
/// [`Arc`] of the old one goes on with it. If anything is wrong, the last good configuration stays, and the log says once what is
/// wrong. Some fields keep their values until the gateway is started again; see [`Changes`].
#[derive(Debug)]
pub struct Reload {
    path: Option<PathBuf>,
    pool: Vec<PoolModel>,
    environment: Environment,
    current: watch::Sender<Arc<Config>>,
    /// Held while a file is read, so that two reloads follow each other.
    seen: Mutex<Seen>,
}

/// What was last seen of the files.
#[derive(Debug)]
struct Seen {
    /// Of the attempt before, good or not: the configuration's hash.
    content: Content,
    /// The files of keys that it read, as they were.
    files: Vec<(PathBuf, Stamp)>,
    /// What the look before found, if it was new.
    fresh: Option<(Content, Vec<Stamp>)>,
}

/// The hash of a file; nothing if it cannot be read.
type Content = Option<[u8; 32]>;

fn content(text: &Result<Zeroizing<String>, ConfigError>) -> Content {
    text.as_ref().ok().map(|text| Sha256::digest(text.as_bytes()).into())
}

impl Reload {
    /// Reads the configuration for the first time. `pool` has the models of the bundle's pool, or none if they are not known.
    ///
    /// # Errors
    /// If the file cannot be read, or with all that is wrong in it.
    pub fn open(path: &Path, pool: Vec<PoolModel>, environment: Environment) -> Result<Self, ConfigError> {
        let text = read(path);
        let content = content(&text);
        let mut loaded = Loaded::of(path, &text?, &pool, &environment);
        let files = std::mem::take(&mut loaded.files);
        let (current, _) = watch::channel(Arc::new(loaded.good(path)?));
        let seen = Mutex::new(Seen { content, files, fresh: None });
        Ok(Self { path: Some(path.to_owned()), pool, environment, current, seen })
    }

    /// A configuration that has no file and never changes.
    #[must_use]
    pub fn fixed(config: Config) -> Self {
        let (current, _) = watch::channel(Arc::new(config));
        let seen = Mutex::new(Seen { content: None, files: Vec::new(), fresh: None });
        Self { path: None, pool: Vec::new(), environment: Environment::process(), current, seen }
    }

    /// The configuration that holds now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.borrow())
    }

    /// The configuration that holds now, and notice of each later one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// Reads the file now, changed or not, and says what is different from now on.
    ///
    /// # Errors
    /// If the file cannot be used. The configuration from before stays.
    pub fn reload(&self) -> Result<Changes, ConfigError> {
        let Some(path) = &self.path else { return Ok(Changes::default()) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.attempt(path, read(path), &mut seen)
    }

    /// Looks once whether the file, or a file of a key, changed. A change is taken up by the second look that finds the same, so
    /// that a file that is being written is left alone. Nothing if there was nothing to do.
    pub fn look(&self) -> Option<Result<Changes, ConfigError>> {
        let path = self.path.as_ref()?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let text = read(path);
        let found = (content(&text), seen.files.iter().map(|(path, _)| Stamp::of(path)).collect::<Vec<_>>());
        if found.0 == seen.content && found.1.iter().eq(seen.files.iter().map(|(_, stamp)| stamp)) {
            seen.fresh = None;
            return None;
        }
        if seen.fresh.as_ref() != Some(&found) {
            seen.fresh = Some(found);
            return None;
        }
        Some(self.attempt(path, text, &mut seen))
    }

    /// Looks again and again, with so much time between, until this is dropped everywhere else or the task is aborted.
    pub fn watch(self: &Arc<Self>, every: Duration) -> JoinHandle<()> {
        let reload = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(reload) = reload.upgrade() else { return };
                // Files can be on slow disks.
                let look = tokio::task::spawn_blocking(move || reload.look().is_some());
                if let Err(error) = look.await {
                    tracing::error!(%error, "could not look whether the configuration changed; it is tried again");
                }
            }
        })
    }

    /// Takes a text up, or keeps what there is, and logs which.
    fn attempt(
        &self,
        path: &Path,
        text: Result<Zeroizing<String>, ConfigError>,
        seen: &mut Seen,
    ) -> Result<Changes, ConfigError> {
        seen.fresh = None;
        seen.content = content(&text);
        let result = text.and_then(|text| self.take_up(path, &text, seen));
        match &result {
            Ok(changes) if changes.is_empty() => {
                tracing::debug!(path = %path.display(), "the configuration is the same")
            }
            Ok(Changes { applied, needs_restart }) => {
                tracing::info!(path = %path.display(), ?applied, ?needs_restart, "the configuration changed");
            }
            Err(error) => tracing::error!("{error}\nThe configuration from before stays."),
        }
        result
    }

    fn take_up(&self, path: &Path, text: &str, seen: &mut Seen) -> Result<Changes, ConfigError> {
        // Editors and shells empty a file before they write it.
        if text.trim().is_empty() {
            return Err(ConfigError::Emptied { path: path.to_owned() });
        }
        let mut loaded = Loaded::of(path, text, &self.pool, &self.environment);
        seen.files = std::mem::take(&mut loaded.files);
        let lines = std::mem::take(&mut loaded.lines);
        let mut config = loaded.good(path)?;
        let old = self.current();
        let changes = take_over(&old, &mut config);
        // What is good in the file need not be good with the values that stay: without a token, for instance, the gateway may
        // listen on this machine only.
        let problems = rules::problems(&config, &lines, &self.pool);
        if !problems.is_empty() {
            return Err(ConfigError::NeedsRestart { path: path.to_owned(), fields: changes.needs_restart, problems });
        }
        if config != *old {
            self.current.send_replace(Arc::new(config));
        }
        Ok(changes)
    }
}
