//! What has to hold between fields.

use std::collections::BTreeMap;

use blindroute_placement::Placement;

use super::check::PoolModel;
use super::problem::Problem;
use super::reader::Lines;
use super::{Config, OnFailure};

/// What is wrong between fields that are good each for itself. `pool` has the models of the bundle's pool, or none if they are
/// not known.
pub(super) fn problems(config: &Config, lines: &Lines, pool: &[PoolModel]) -> Vec<Problem> {
    let mut rules = Rules { config, lines, found: Vec::new() };
    rules.access();
    rules.route();
    rules.providers();
    rules.models();
    rules.pool(pool);
    rules.references();
    rules.found
}

struct Rules<'a> {
    config: &'a Config,
    lines: &'a Lines,
    found: Vec<Problem>,
}

impl<'a> Rules<'a> {
    fn problem(&self, field: impl Into<String>, found: impl Into<String>) -> Problem {
        let field = field.into();
        let table = field.rsplit_once('.').map_or("", |(table, _)| table);
        let line = self.lines.get(&field).or_else(|| self.lines.get(table)).copied();
        Problem::new(field, line, found)
    }

    fn access(&mut self) {
        let named = ["access.token_env", "access.token_file"].iter().any(|field| self.lines.contains_key(*field));
        if !self.config.listen.ip().is_loopback() && self.config.access.token.is_none() && !named {
            let problem = self.problem("access", "no token although other machines can call the gateway");
            self.found.push(
                problem
                    .expected("token_env or token_file")
                    .hint("without a token, whoever reaches the port spends your keys; or listen on 127.0.0.1"),
            );
        }
    }

    fn route(&mut self) {
        let route = &self.config.route;
        if route.placement == Placement::Local && !route.servers.is_empty() {
            let problem = self.problem("route.servers", "servers with the placement \"local\", which has none");
            self.found.push(problem.expected("no servers, or the placement \"full\" or \"head\""));
        }
        let needed = route.on_failure == OnFailure::Default && !self.config.is_echo();
        if needed && route.default_model.is_none() && !self.lines.contains_key("route.default_model") {
            let problem = self.problem("route.default_model", "nothing");
            self.found.push(
                problem
                    .expected("the name of a [[model]]")
                    .hint("or set on_failure = \"error\", so that callers try again"),
            );
        }
    }

    /// Names that an earlier one of these has.
    fn twice(&mut self, field: &str, names: impl Iterator<Item = &'a str>) {
        let mut places = BTreeMap::new();
        for (at, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
            if places.insert(name, at).is_some() {
                let problem = self.problem(format!("{field}[{at}].name"), format!("\"{name}\" for the second time"));
                self.found.push(problem.expected("each name once"));
            }
        }
    }

    fn providers(&mut self) {
        self.twice("provider", self.config.providers.iter().map(|provider| provider.name.as_str()));
        if !self.config.is_echo() && self.config.models.is_empty() {
            let problem = self.problem("model", "no model although there are providers");
            self.found.push(problem.expected("at least one [[model]]"));
        }
    }

    fn models(&mut self) {
        self.twice("model", self.config.models.iter().map(|model| model.name.as_str()));
        for model in &self.config.models {
            if !model.provider.is_empty() {
                let names = self.config.providers.iter().map(|provider| provider.name.as_str());
                self.reference(&format!("model.{}.provider", model.name), &model.provider, names, "[[provider]]");
            }
            if self.config.route.aliases.contains(&model.name) {
                let problem = self.problem(format!("model.{}.name", model.name), "a name that is in route.aliases");
                self.found
                    .push(problem.expected("another name").hint("an alias asks for a route, a name for its model"));
            }
            let longest = model.context.unwrap_or(u64::MAX);
            if let Some(output) = model.max_output.filter(|output| *output > longest) {
                let problem = self.problem(format!("model.{}.max_output", model.name), output.to_string());
                self.found.push(problem.expected(format!("at most context, {longest}")));
            }
        }
    }

    fn pool(&mut self, pool: &'a [PoolModel]) {
        let mut stands_for: BTreeMap<&str, &str> = BTreeMap::new();
        for model in &self.config.models {
            for name in &model.pool {
                let field = format!("model.{}.pool", model.name);
                if !pool.is_empty() {
                    self.reference(
                        &field,
                        name,
                        pool.iter().map(|known| known.name.as_str()),
                        "model of the bundle's pool",
                    );
                }
                if let Some(other) = stands_for.insert(name, &model.name) {
                    let problem = self.problem(field, format!("\"{name}\", for which \"{other}\" stands too"));
                    self.found.push(problem.expected("each model of the pool once"));
                }
            }
        }
    }

    fn references(&mut self) {
        let models = || self.config.models.iter().map(|model| model.name.as_str());
        let default = self.config.route.default_model.as_deref();
        if let Some(name) = default {
            self.reference("route.default_model", name, models(), "[[model]]");
        }
        if default.and_then(|name| self.config.model(name)).is_some_and(|model| !model.allowed) {
            let problem = self.problem("route.default_model", "a model with allowed = false");
            self.found.push(problem.expected("a model that may be called"));
        }
        if let Some(name) = &self.config.budget.reference_model {
            self.reference("budget.reference_model", name, models(), "[[model]]");
        }
        if let Some(embeddings) = self.config.embeddings.as_ref().filter(|found| !found.provider.is_empty()) {
            let providers = self.config.providers.iter().map(|provider| provider.name.as_str());
            self.reference("embeddings.provider", &embeddings.provider, providers, "[[provider]]");
        }
    }

    /// A name that has to be one of these.
    fn reference(&mut self, field: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone, of: &str) {
        if names.clone().any(|known| known == name) {
            return;
        }
        let problem = self.problem(field, format!("\"{name}\", which there is not"));
        let listed: Vec<&str> = names.clone().filter(|known| !known.is_empty()).take(20).collect();
        let expected = match listed.is_empty() {
            true => format!("the name of a {of}, of which there is none"),
            false => format!("the name of a {of}: {}", listed.join(", ")),
        };
        self.found.push(problem.expected(expected).meant(name, names));
    }
}
