//! Reading a party's configuration again while it runs. The versions of the bundle follow it; the rest needs a restart.

use super::HostError;
use blindroute_runtime::changes::Seen;
use blindroute_runtime::config::Rolling;
use blindroute_runtime::identity::Reloaded;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// A look at the files of a configuration.
pub(super) type Look = Box<dyn FnMut() -> Reloaded + Send>;

/// Makes a party hold the versions that a configuration names.
type Apply<C> = Box<dyn Fn(&C) -> Result<(), HostError> + Send>;

/// A configuration, and what was last seen of its file and of those that it names.
struct Followed<C> {
    path: PathBuf,
    config: C,
    apply: Apply<C>,
    files: Vec<PathBuf>,
    seen: Seen,
    /// What is wrong with the files since the last look.
    wrong: Option<String>,
}

/// Looks at the file of this configuration and at those of its versions, and applies it when one of them has changed.
pub(super) fn follow<C: Rolling + Send + 'static>(path: PathBuf, config: C, apply: Apply<C>) -> Look {
    let files = files(&path, &config);
    let mut followed = Followed { seen: Seen::of(&files), files, path, config, apply, wrong: None };
    Box::new(move || followed.look())
}

fn files<C: Rolling>(path: &Path, config: &C) -> Vec<PathBuf> {
    let versions = config.versions();
    let named = versions.iter().flat_map(|files| [Some(files.bundle), files.share]);
    named.flatten().chain([path]).map(Path::to_owned).collect()
}

impl<C: Rolling> Followed<C> {
    fn look(&mut self) -> Reloaded {
        let now = Seen::of(&self.files);
        let again = now == self.seen;
        if again && self.wrong.is_none() {
            return Reloaded::Unchanged;
        }
        self.seen = now;
        match self.read() {
            Ok(()) => {
                self.wrong = None;
                Reloaded::Replaced
            }
            // Files that are replaced one after the other do not fit together for a moment: only what is still wrong at the next
            // look is worth a warning. It is then not tried again before a file changes.
            Err(error) => {
                if again {
                    let path = self.path.display();
                    tracing::warn!(%path, error, "the changed configuration cannot be used; the versions before stay in use");
                }
                self.wrong = (!again).then_some(error);
                Reloaded::Kept
            }
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let loaded = C::load(&self.path).map_err(|error| error.to_string())?.config;
        self.files = files(&self.path, &loaded);
        self.seen = Seen::of(&self.files);
        (self.apply)(&loaded).map_err(|error| error.to_string())?;
        let followed = self.config.with_versions_of(&loaded);
        if followed != loaded {
            let path = self.path.display();
            tracing::warn!(%path, "only the versions of the bundle were read again; the other changes need a restart");
        }
        self.config = followed;
        Ok(())
    }
}

/// Looks this often, until the other side of `stop` is gone.
pub(super) fn keep_looking(mut look: Look, stop: &Receiver<()>, every: Duration) {
    while stop.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        look();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_runtime::config::{Configuration, DealerConfig};
    use std::sync::{Arc, Mutex};

    #[test]
    fn what_does_not_fit_is_tried_once_more_and_what_was_read_stays_until_a_file_changes() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let write = |next: &str| {
            let text = "listen = \"127.0.0.1:0\"\nbundle = \"old.bin\"\nstate = \"state\"\n[identity]\nauthority = \"a\"\n\
                        certificate = \"c\"\nkey = \"k\"\n";
            std::fs::write(at("dealer.toml"), format!("{text}{next}")).unwrap();
        };
        std::fs::write(at("old.bin"), b"old").unwrap();
        write("");
        let (config, held) = (DealerConfig::load(&at("dealer.toml")).unwrap().config, Arc::new(Mutex::new(Vec::new())));
        let applied = Arc::clone(&held);
        let apply = move |config: &DealerConfig| {
            let read = |files: blindroute_runtime::config::VersionFiles<'_>| {
                let path = files.bundle.to_owned();
                std::fs::read_to_string(&path).map_err(|source| HostError::PublicPart {
                    path,
                    source: blindroute_routing::bundle::BundleError::Container(source.into()),
                })
            };
            let versions = config.versions().into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            applied.lock().unwrap().push(versions);
            Ok(())
        };
        let mut look = follow(at("dealer.toml"), config, Box::new(apply));
        assert_eq!(look(), Reloaded::Unchanged);
        write("[next]\nbundle = \"new.bin\"\n");
        // The file that it names is not there yet.
        assert_eq!([look(), look(), look()], [Reloaded::Kept, Reloaded::Kept, Reloaded::Unchanged]);
        assert!(held.lock().unwrap().is_empty());
        std::fs::write(at("new.bin"), b"new").unwrap();
        assert_eq!([look(), look()], [Reloaded::Replaced, Reloaded::Unchanged]);
        write("[next]\nbundle = \"new.bin\"\nshare = \"share.bin\"\n");
        assert_eq!(look(), Reloaded::Kept, "the dealer has no share");
        write("");
        assert_eq!(look(), Reloaded::Replaced);
        assert_eq!(*held.lock().unwrap(), [vec!["old", "new"], vec!["old"]]);
    }
}
