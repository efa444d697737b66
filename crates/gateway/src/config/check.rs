//! What a configuration means, for people: `blindroute gateway --check`.

use std::fmt;
use std::path::{Path, PathBuf};

use blindroute_dialects::Dialect;
use blindroute_placement::Placement;
use serde::Serialize;

use super::problem::{ConfigError, Problem};
use super::provider::names;
use super::{Budget, Config, Environment, Model, ModelPrices, Provider, Source};

/// A model of the bundle's pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolModel {
    /// The name.
    pub name: String,
    /// The price by which the router chooses.
    pub price: f64,
    /// The price's unit; it may be empty.
    pub price_unit: String,
}

/// What a check found: problems, or what the configuration means.
#[derive(Debug, PartialEq, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// All that is wrong; nothing if the gateway can start.
    pub problems: Vec<Problem>,
    /// What it means, if nothing is wrong.
    pub summary: Option<Summary>,
}

/// What a configuration means.
#[derive(Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Where the gateway listens.
    pub listen: String,
    /// Whether callers need a token.
    pub token: bool,
    /// Where encoder and rule run.
    pub placement: Placement,
    /// How many pairs of servers there are; with none, the gateway starts its own.
    pub pairs: usize,
    /// The providers; with none, the model that is built in answers.
    pub providers: Vec<ProviderReport>,
    /// The models.
    pub models: Vec<ModelReport>,
    /// The model that answers if none was chosen in time.
    pub default_model: Option<String>,
    /// Models of the pool for which no model stands: if one is chosen, the next one of the ranking is called.
    pub unmapped: Vec<PoolModel>,
    /// Models without a price of input or output, which budgets refuse.
    pub unknown_prices: Vec<String>,
    /// Models whose output costs more than the ceiling, which are not called.
    pub above_ceiling: Vec<String>,
    /// Files of `route.bundle` and `route.servers` that are not there.
    pub missing_files: Vec<PathBuf>,
    /// Providers that no model and no embedding uses.
    pub unused_providers: Vec<String>,
    /// What calls may cost.
    pub budget: Budget,
    /// The collector of traces.
    pub traces: Option<String>,
}

/// A provider, without secrets.
#[derive(Debug, PartialEq, Serialize)]
pub struct ProviderReport {
    /// The name.
    pub name: String,
    /// The dialects that it speaks.
    #[serde(serialize_with = "names")]
    pub dialects: Vec<Dialect>,
    /// What its addresses begin with.
    pub base_url: String,
    /// Where its key comes from.
    pub key: Option<Source>,
    /// The names of further headers.
    pub headers: Vec<String>,
}

/// A model.
#[derive(Debug, PartialEq, Serialize)]
pub struct ModelReport {
    /// The name.
    pub name: String,
    /// Its provider.
    pub provider: String,
    /// The name there.
    pub upstream: String,
    /// The models of the pool that it stands for.
    pub pool: Vec<String>,
    /// What it costs.
    pub prices: ModelPrices,
    /// Whether it may be called.
    pub allowed: bool,
}

/// Checks a file. `pool` has the models of the bundle's pool, or none if they are not known.
///
/// # Errors
/// If the file cannot be read. What is wrong in it is in the report.
pub fn check(path: &Path, pool: &[PoolModel], environment: &Environment) -> Result<Report, ConfigError> {
    let file = path.to_owned();
    match Config::load(path, pool, environment) {
        Ok(config) => Ok(Report { file, problems: Vec::new(), summary: Some(Summary::of(&config, pool)) }),
        Err(ConfigError::Invalid { problems, .. }) => Ok(Report { file, problems, summary: None }),
        Err(error) => Err(error),
    }
}

impl Report {
    /// Whether the gateway can start with this file.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Summary {
    /// Of a configuration that was loaded.
    #[must_use]
    pub fn of(config: &Config, pool: &[PoolModel]) -> Self {
        let names = |which: &dyn Fn(&&Model) -> bool| {
            config.models.iter().filter(which).map(|model| model.name.clone()).collect::<Vec<_>>()
        };
        let above = |model: &&Model| match (&config.budget.ceiling, &model.prices.output) {
            (Some(ceiling), Some(price)) => price.millionths() > ceiling.millionths(),
            _ => false,
        };
        let of_embeddings = |name: &str| config.embeddings.as_ref().is_some_and(|found| found.provider == name);
        let unused = |provider: &&Provider| {
            !of_embeddings(&provider.name) && config.models.iter().all(|model| model.provider != provider.name)
        };
        let files = config.route.bundle.iter().chain(&config.route.servers);
        // Without a provider, the model that is built in stands for all.
        let unmapped = pool.iter().filter(|known| !config.is_echo() && config.model_of_pool(&known.name).is_none());
        Self {
            listen: config.listen.to_string(),
            token: config.access.token.is_some(),
            placement: config.route.placement,
            pairs: config.route.servers.len(),
            providers: config.providers.iter().map(ProviderReport::of).collect(),
            models: config.models.iter().map(ModelReport::of).collect(),
            default_model: config.route.default_model.clone(),
            unmapped: unmapped.cloned().collect(),
            unknown_prices: names(&|model| !model.prices.known()),
            above_ceiling: names(&above),
            missing_files: files.filter(|path| !path.is_file()).cloned().collect(),
            unused_providers: config.providers.iter().filter(unused).map(|provider| provider.name.clone()).collect(),
            budget: config.budget.clone(),
            traces: config.telemetry.otlp.clone(),
        }
    }
}

impl ProviderReport {
    fn of(provider: &Provider) -> Self {
        Self {
            name: provider.name.clone(),
            dialects: provider.dialects.clone(),
            base_url: provider.base_url.clone(),
            key: provider.key.as_ref().map(|key| key.source.clone()),
            headers: provider.headers.keys().cloned().collect(),
        }
    }
}

impl ModelReport {
    fn of(model: &Model) -> Self {
        let Model { name, provider, upstream, pool, prices, allowed, .. } = model.clone();
        Self { name, provider, upstream, pool, prices, allowed }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.summary {
            Some(summary) if self.is_good() => write!(f, "{file} is good.\n{summary}"),
            _ => {
                writeln!(f, "{file} cannot be used. Problems: {}", self.problems.len())?;
                self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))
            }
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = if self.token { "callers need a token" } else { "without a token" };
        writeln!(f, "listen: {}, {token}", self.listen)?;
        let placement = match self.placement {
            Placement::Full => "full",
            Placement::Head => "head",
            Placement::Local => "local",
        };
        let servers = match self.pairs {
            _ if self.placement == Placement::Local => "no servers".to_owned(),
            0 => "servers that the gateway starts".to_owned(),
            pairs => format!("pairs of servers: {pairs}"),
        };
        writeln!(f, "placement: {placement}, {servers}")?;
        if self.providers.is_empty() {
            writeln!(f, "providers: none; the model that is built in repeats what it is sent")?;
        }
        self.providers.iter().try_for_each(|provider| write!(f, "{provider}"))?;
        self.models.iter().try_for_each(|model| write!(f, "{model}"))?;
        if let Some(name) = &self.default_model {
            writeln!(f, "if no model is chosen in time: {name}")?;
        }
        let Budget { daily, monthly, session, ceiling, reference_model } = &self.budget;
        for (limit, of) in [
            (daily, "a day"),
            (monthly, "a month"),
            (session, "a conversation in a month"),
            (ceiling, "a million tokens of output"),
        ] {
            limit.iter().try_for_each(|limit| writeln!(f, "at most {limit} USD for {of}"))?;
        }
        reference_model.iter().try_for_each(|name| writeln!(f, "savings are compared with {name}"))?;
        self.traces.iter().try_for_each(|collector| writeln!(f, "traces go to {collector}"))?;
        let missing: Vec<String> = self.missing_files.iter().map(|path| path.display().to_string()).collect();
        let unmapped: Vec<String> = self.unmapped.iter().map(ToString::to_string).collect();
        for (names, what) in [
            (&missing, "files of route.bundle and route.servers that are not there"),
            (&unmapped, "models of the pool for which no [[model]] stands (name them in `pool`)"),
            (&self.unknown_prices, "models without prices, which budgets refuse (set input and output)"),
            (&self.above_ceiling, "models above budget.ceiling, which are not called"),
            (&self.unused_providers, "providers that nothing uses"),
        ] {
            if !names.is_empty() {
                writeln!(f, "note: {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for PoolModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.price)?;
        if !self.price_unit.is_empty() {
            write!(f, " {}", self.price_unit)?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for ProviderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match &self.key {
            None => "without a key".to_owned(),
            Some(Source::Environment(name)) => format!("with the key in {name}"),
            Some(Source::File(path)) => format!("with the key in {}", path.display()),
        };
        let dialects: Vec<&str> = self.dialects.iter().map(|dialect| dialect.name()).collect();
        writeln!(f, "provider {}: {} ({}), {key}", self.name, self.base_url, dialects.join(", "))
    }
}

impl fmt::Display for ModelReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model {}: {} of {}", self.name, self.upstream, self.provider)?;
        if let ModelPrices { input: Some(input), output: Some(output), .. } = &self.prices {
            write!(f, ", {input} and {output} USD per million tokens of input and output")?;
        }
        match self.pool.as_slice() {
            _ if !self.allowed => writeln!(f, ", not allowed"),
            [] => writeln!(f, ", only called by its name"),
            pool => writeln!(f, ", for {}", pool.join(", ")),
        }
    }
}
