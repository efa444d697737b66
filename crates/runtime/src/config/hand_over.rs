//! The tables `[[hand_over]]` and `[[accept_hand_over]]` of a server: the pairs that it hands sessions over to, and those that may
//! hand over to it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ServerConfig;
use crate::messages::PAIR_NAME_MAX;

/// Another pair that this server hands over to: its server of the same position.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HandOverConfig {
    /// The name by which clients ask for the pair, the same at both servers.
    pub name: String,
    /// Where the server of the same position listens there, "host:port".
    pub address: String,
    /// The authority of that pair's certificates, if it is another one.
    pub authority: Option<PathBuf>,
}

/// Pairs whose server of the same position may hand over to this one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AcceptHandOverConfig {
    /// The authority of their certificates, if it is another one.
    pub authority: Option<PathBuf>,
}

impl ServerConfig {
    pub(super) fn resolve_hand_over(&mut self, base: &Path) {
        let to = self.hand_over.iter_mut().map(|to| &mut to.authority);
        let from = self.accept_hand_over.iter_mut().map(|from| &mut from.authority);
        to.chain(from).flatten().for_each(|path| *path = base.join(&path));
    }

    /// What is wrong with the pairs to hand over to.
    pub(super) fn hand_over_problem(&self) -> Option<(&'static str, &'static str)> {
        let names: Vec<&str> = self.hand_over.iter().map(|to| to.name.as_str()).collect();
        name_problem("hand_over", &names)
            .or_else(|| self.hand_over.iter().find_map(|to| super::address("hand_over", &to.address)))
    }
}

/// What is wrong with names of pairs.
pub(super) fn name_problem(field: &'static str, names: &[&str]) -> Option<(&'static str, &'static str)> {
    if !names.iter().all(|name| (1..=PAIR_NAME_MAX).contains(&name.len())) {
        return Some((field, "has a name of a pair that is empty or long: expected 1 to 64 bytes"));
    }
    let twice = names.iter().enumerate().any(|(place, name)| names[..place].contains(name));
    twice.then_some((field, "names a pair twice: expected each name once"))
}
