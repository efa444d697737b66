//! The table `[route]`: how the gateway chooses models.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use blindroute_placement::Placement;
use serde::Serialize;

use super::duration;
use super::reader::Table;

/// The deadlines that are allowed.
const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(60);

/// What happens if no model was chosen in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The default model answers.
    #[default]
    Default,
    /// The caller gets an error and may try again.
    Error,
}

/// How the gateway chooses models.
#[derive(Debug, PartialEq, Serialize)]
pub struct Route {
    /// Where encoder and rule run.
    pub placement: Placement,
    /// The bundle; the one in the program if it is `None`.
    pub bundle: Option<PathBuf>,
    /// Configurations of clients, one for each pair of servers; without any, the gateway starts its own servers.
    pub servers: Vec<PathBuf>,
    /// The router's name in the bundle; the first one if it is `None`.
    pub router: Option<String>,
    /// The weight of cost; the router's own if it is `None`.
    pub lambda: Option<f32>,
    /// How many models an answer names, the best first.
    pub ranking: usize,
    /// How long choosing may take.
    #[serde(serialize_with = "duration::serialize")]
    pub deadline: Duration,
    /// The sessions that are kept ready for each length of prompts.
    pub ready: usize,
    /// How many requests may ask for a route at a time. A further one has none, at once.
    pub max_routes: usize,
    /// The names of models that ask the gateway to choose one.
    pub aliases: Vec<String>,
    /// How many characters of the system prompt are read before the user's message.
    pub system_prompt_chars: usize,
    /// What happens if no model was chosen in time.
    pub on_failure: OnFailure,
    /// The model that answers then.
    pub default_model: Option<String>,
    /// Over how many turns to come a switch of the model may pay for the prompt cache that it loses.
    pub switch_turns: u32,
}

impl Default for Route {
    fn default() -> Self {
        Self {
            placement: Placement::Full,
            bundle: None,
            servers: Vec::new(),
            router: None,
            lambda: None,
            ranking: 4,
            deadline: Duration::from_secs(2),
            ready: 2,
            // Four for each thread that waits for servers: more would hardly be answered within the deadline.
            max_routes: 256,
            aliases: vec!["auto".to_owned(), "claude-auto".to_owned()],
            system_prompt_chars: 0,
            on_failure: OnFailure::Default,
            default_model: None,
            switch_turns: 3,
        }
    }
}

impl Route {
    pub(super) fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let count = |field, range, default: usize| {
            table.whole_number(field, range).and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
        };
        let placements = [("full", Placement::Full), ("head", Placement::Head), ("local", Placement::Local)];
        let failures = [("default", OnFailure::Default), ("error", OnFailure::Error)];
        let route = Self {
            placement: table.choice("placement", &placements).unwrap_or(default.placement),
            bundle: table.file("bundle"),
            servers: table.files("servers").unwrap_or_default(),
            router: table.name("router"),
            lambda: table.number("lambda", 0.0..=15.0),
            ranking: count("ranking", 1..=4, default.ranking),
            deadline: table.duration("deadline", DEADLINE).unwrap_or(default.deadline),
            ready: count("ready", 0..=64, default.ready),
            max_routes: count("max_routes", 1..=65_536, default.max_routes),
            aliases: table.names("aliases").unwrap_or(default.aliases),
            system_prompt_chars: count("system_prompt_chars", 0..=100_000, default.system_prompt_chars),
            on_failure: table.choice("on_failure", &failures).unwrap_or(default.on_failure),
            default_model: table.name("default_model"),
            switch_turns: count("switch_turns", 0..=1000, default.switch_turns as usize) as u32,
        };
        if route.aliases.is_empty() && !table.is_faulty("aliases") {
            let problem = table.problem("aliases", "an empty list");
            table.note(problem.expected("at least one name by which callers ask for a route"));
        }
        table.finish();
        route
    }
}
