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

/// The files of the versions that a configuration names, as they were before they were read.
pub(super) struct Named {
    files: Vec<PathBuf>,
    seen: Seen,
}

impl Named {
    pub(super) fn by<C: Rolling>(config: &C) -> Self {
        let versions = config.versions();
        let named = versions.iter().flat_map(|files| [Some(files.bundle), files.share]);
        let files: Vec<PathBuf> = named.flatten().map(Path::to_owned).collect();
        Self { seen: Seen::of(&files), files }
    }

    fn look_again(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, Seen::of(&self.files));
        before != self.seen
    }
}

/// A configuration, and what was last seen of its file and of those that it names.
struct Followed<C> {
    path: PathBuf,
    config: C,
    apply: Apply<C>,
    seen: Seen,
    named: Named,
    /// What is wrong with the files since the last look.
    wrong: Option<String>,
}

/// Looks at the file of this configuration and at those of its versions, and applies it when one of them has changed. Those of the
/// versions may have changed since `named` was made, and the configuration since it was read.
pub(super) fn follow<C: Rolling + Send + 'static>(path: PathBuf, config: C, named: Named, apply: Apply<C>) -> Look {
    let seen = Seen::of(&[&path]);
    let unchanged = C::load(&path).is_ok_and(|loaded| loaded.config == config);
    let seen = if unchanged { seen } else { Seen::default() };
    let mut followed = Followed { path, config, apply, seen, named, wrong: None };
    Box::new(move || followed.look())
}

impl<C: Rolling> Followed<C> {
    fn look(&mut self) -> Reloaded {
        // Before anything is read: what changes from here on is seen at the next look.
        let before = std::mem::replace(&mut self.seen, Seen::of(&[&self.path]));
        let again = !self.named.look_again() && before == self.seen;
        if again && self.wrong.is_none() {
            return Reloaded::Unchanged;
        }
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
        self.named = Named::by(&loaded);
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
    use blindroute_routing::bundle::BundleError;
    use blindroute_runtime::config::{Configuration, DealerConfig, VersionFiles};
    use std::sync::{Arc, Mutex};

    /// A dealer's configuration, and what was held in turn.
    struct World {
        home: tempfile::TempDir,
        held: Arc<Mutex<Vec<Vec<String>>>>,
    }

    impl World {
        fn new() -> Self {
            let world = Self { home: tempfile::tempdir().unwrap(), held: Arc::default() };
            std::fs::write(world.at("old.bin"), b"old").unwrap();
            world.write("");
            world
        }

        fn at(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn write(&self, next: &str) {
            let text = "listen = \"127.0.0.1:0\"\nbundle = \"old.bin\"\nstate = \"state\"\n[identity]\nauthority = \"a\"\n\
                        certificate = \"c\"\nkey = \"k\"\n";
            std::fs::write(self.at("dealer.toml"), format!("{text}{next}")).unwrap();
        }

        fn config(&self) -> DealerConfig {
            DealerConfig::load(&self.at("dealer.toml")).unwrap().config
        }

        fn follow(&self, config: DealerConfig, named: Named) -> Look {
            let held = Arc::clone(&self.held);
            let apply = move |config: &DealerConfig| {
                let read = |files: VersionFiles<'_>| {
                    let path = files.bundle.to_owned();
                    let unread = |source: std::io::Error| BundleError::Container(source.into());
                    std::fs::read_to_string(&path)
                        .map_err(|error| HostError::PublicPart { path, source: unread(error) })
                };
                let versions = config.versions().into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
                held.lock().unwrap().push(versions);
                Ok(())
            };
            follow(self.at("dealer.toml"), config, named, Box::new(apply))
        }
    }

    #[test]
    fn what_does_not_fit_is_tried_once_more_and_what_was_read_stays_until_a_file_changes() {
        let world = World::new();
        let config = world.config();
        let named = Named::by(&config);
        let mut look = world.follow(config, named);
        assert_eq!(look(), Reloaded::Unchanged);
        world.write("[next]\nbundle = \"new.bin\"\n");
        // The file that it names is not there yet.
        assert_eq!([look(), look(), look()], [Reloaded::Kept, Reloaded::Kept, Reloaded::Unchanged]);
        assert!(world.held.lock().unwrap().is_empty());
        std::fs::write(world.at("new.bin"), b"new").unwrap();
        assert_eq!([look(), look()], [Reloaded::Replaced, Reloaded::Unchanged]);
        world.write("[next]\nbundle = \"new.bin\"\nshare = \"share.bin\"\n");
        assert_eq!(look(), Reloaded::Kept, "the dealer has no share");
        world.write("");
        assert_eq!(look(), Reloaded::Replaced);
        assert_eq!(*world.held.lock().unwrap(), [vec!["old", "new"], vec!["old"]]);
    }

    #[test]
    fn what_changed_while_the_party_started_is_read_at_the_first_look() {
        let world = World::new();
        let config = world.config();
        let named = Named::by(&config);
        // After the configuration was read, and before it is followed.
        std::fs::write(world.at("new.bin"), b"new").unwrap();
        world.write("[next]\nbundle = \"new.bin\"\n");
        let mut look = world.follow(config, named);
        assert_eq!([look(), look()], [Reloaded::Replaced, Reloaded::Unchanged]);
        let config = world.config();
        let named = Named::by(&config);
        // The same for a file that it names.
        std::fs::write(world.at("new.bin"), b"newest").unwrap();
        let mut look = world.follow(config, named);
        assert_eq!([look(), look()], [Reloaded::Replaced, Reloaded::Unchanged]);
        assert_eq!(*world.held.lock().unwrap(), [vec!["old", "new"], vec!["old", "newest"]]);
    }
}
