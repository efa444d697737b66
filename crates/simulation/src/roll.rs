//! Two versions of the bundle, which the parties hold in turn.
//!
//! Clients know both. So no call may fail by it: nothing here counts as a fault that excuses one.

use crate::driver::{Driver, Event};
use crate::lane::{Lane, PARTIES};
use anyhow::ensure;
use blindroute_runtime::Role;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a party may take to look at its configuration and to read what is new.
const PATIENCE: Duration = Duration::from_secs(30);

/// In each operator's folder, where the second version's files are.
const SECOND: &str = "second";

/// What every party holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    /// The version that came first, 0 or 1.
    first: usize,
    /// Whether the other one is held too.
    both: bool,
}

/// The folder of a version's files in an operator's folder.
fn folder(home: &Path, version: usize) -> PathBuf {
    if version == 0 { home.to_owned() } else { home.join(SECOND) }
}

/// The public part of a version in an operator's folder, or the client's.
pub(crate) fn public_part(home: &Path, version: usize) -> PathBuf {
    folder(home, version).join("public.bin")
}

/// The version of the bundle that has this name in an answer: the path of its public part.
pub(crate) fn version_of(name: &str) -> usize {
    usize::from(Path::new(name).parent().is_some_and(|folder| folder.ends_with(SECOND)))
}

/// Gives the operators of a lane, and its clients, what the provider made for them of a version.
pub(crate) fn hand_out(provider: &Path, lane: &Path, version: usize) -> anyhow::Result<()> {
    for name in PARTIES.map(Role::name).into_iter().chain(["client"]) {
        let to = folder(&lane.join(name), version);
        std::fs::create_dir_all(&to)?;
        std::fs::copy(provider.join("public.bin"), to.join("public.bin"))?;
    }
    for (role, share) in [(Role::Server0, "share0.sealed"), (Role::Server1, "share1.sealed")] {
        std::fs::copy(provider.join(share), folder(&lane.join(role.name()), version).join(share))?;
    }
    Ok(())
}

/// A configuration with other versions. It names files of version `first` at the top, and those of `next` in a table.
fn holding(written: &str, first: usize, next: Option<usize>) -> String {
    let file = |version: usize, name: &str| match version {
        0 => format!("\"{name}\""),
        _ => format!("\"{SECOND}/{name}\""),
    };
    let of_top = |line: &str| {
        let (field, name) = line.split_once(" = ")?;
        let name = name.trim_matches('"').rsplit('/').next()?.to_owned();
        ["bundle", "share"].contains(&field).then(|| (field.to_owned(), name))
    };
    let before = written.split("\n[next]\n").next().unwrap_or(written);
    let (mut text, mut table) = (String::new(), String::new());
    for line in before.lines() {
        if let Some((field, name)) = of_top(line) {
            text += &format!("{field} = {}\n", file(first, &name));
            table.extend(next.map(|next| format!("{field} = {}\n", file(next, &name))));
        } else {
            text += &format!("{line}\n");
        }
    }
    if table.is_empty() { text } else { format!("{text}\n[next]\n{table}") }
}

impl Lane {
    /// Has a party hold these versions, as an operator does.
    fn hold(&self, role: Role, first: usize, next: Option<usize>) -> anyhow::Result<()> {
        let path = self.party(role).configuration();
        let text = holding(&std::fs::read_to_string(&path)?, first, next);
        // As an editor does, so that nobody reads half of it.
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, path)?)
    }
}

impl Driver {
    /// Every party holds the other version too. Nothing is done if it does.
    pub(crate) fn hold_next(&mut self) -> anyhow::Result<()> {
        if std::mem::replace(&mut self.held.both, true) {
            return Ok(());
        }
        let now = Instant::now();
        self.told.events.push(Event::of_no_lane("roll", now, Some(now)));
        self.hold_everywhere(self.held.first, Some(1 - self.held.first), 0)
    }

    /// Every party holds only the version that came last. Nothing is done if it does.
    pub(crate) fn hold_only(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.held.both, false) {
            return Ok(());
        }
        self.held.first = 1 - self.held.first;
        self.hold_everywhere(self.held.first, None, 1)
    }

    /// Changes the configuration of each party, and waits until those that run have said so: in their logs, in lines of this kind.
    fn hold_everywhere(&mut self, first: usize, next: Option<usize>, kind: usize) -> anyhow::Result<()> {
        let mut waiting = Vec::new();
        for (number, lane) in self.deployment.lanes.iter_mut().enumerate() {
            for role in PARTIES {
                let said = lane.party(role).process.log().versions[kind];
                lane.hold(role, first, next)?;
                if lane.party_mut(role).process.id().is_some() {
                    waiting.push((number, role, said));
                }
            }
        }
        let until = Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let lanes = &self.deployment.lanes;
            waiting.retain(|(lane, role, said)| lanes[*lane].party(*role).process.log().versions[kind] == *said);
            if let Some((lane, role, _)) = waiting.first().filter(|_| Instant::now() > until) {
                let log = lanes[*lane].party(*role).process.log().last_lines(5);
                self.told.violations.push(format!("lane {lane}: {role} does not follow its configuration: {log}"));
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(waiting.is_empty(), "a party does not follow its configuration");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_its_versions_and_keeps_the_rest() {
        let written = "party = 0\nshare = \"share0.sealed\"\nbundle = \"public.bin\"\n[store]\nbytes = \"1GB\"\n";
        let both = holding(written, 0, Some(1));
        assert_eq!(
            both,
            format!("{written}\n[next]\nshare = \"second/share0.sealed\"\nbundle = \"second/public.bin\"\n")
        );
        let second = holding(&both, 1, None);
        assert_eq!(second, written.replace("share0", "second/share0").replace("public", "second/public"));
        assert_eq!(holding(&holding(&second, 1, Some(0)), 0, None), written);
        assert_eq!(["lane0/client/public.bin", "lane0/client/second/public.bin"].map(version_of), [0, 1]);
    }
}
