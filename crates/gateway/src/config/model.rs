//! The tables `[[model]]`: what the gateway can call, and what it costs.

use serde::Serialize;

use super::decimal::Decimal;
use super::reader::Table;

/// Prices in USD per million tokens. What is not known is `None`: a call that needs it is refused where money is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModelPrices {
    /// Of the input.
    pub input: Option<Decimal>,
    /// Of input that the provider has in its cache.
    pub cached_input: Option<Decimal>,
    /// Of input that the provider writes to its cache.
    pub cache_write: Option<Decimal>,
    /// Of the output.
    pub output: Option<Decimal>,
}

impl ModelPrices {
    /// Whether input and output have a price.
    #[must_use]
    pub const fn known(&self) -> bool {
        self.input.is_some() && self.output.is_some()
    }
}

/// A model that the gateway can call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The name by which callers ask for it.
    pub name: String,
    /// The name of its provider.
    pub provider: String,
    /// The name by which the provider knows it.
    pub upstream: String,
    /// The models of the router's pool that it stands for.
    pub pool: Vec<String>,
    /// What it costs.
    pub prices: ModelPrices,
    /// The most tokens of input and output together, if they are known.
    pub context: Option<u64>,
    /// The most tokens of output, if they are known.
    pub max_output: Option<u64>,
    /// Whether it can call tools.
    pub tools: bool,
    /// Whether it reads images.
    pub images: bool,
    /// Whether it keeps to a JSON schema.
    pub json_schema: bool,
    /// Whether it reasons before it answers.
    pub reasoning: bool,
    /// Whether it may be called.
    pub allowed: bool,
}

impl Model {
    pub(super) fn read(table: Table<'_>) -> Self {
        let name = table.required_name("name", "a name for the model");
        let tokens = |field| table.whole_number(field, 1..=100_000_000);
        let flag = |field, default| table.flag(field).unwrap_or(default);
        let model = Self {
            provider: table.required_name("provider", "the name of a [[provider]]"),
            upstream: table.name("upstream").unwrap_or_else(|| name.clone()),
            pool: table.names("pool").unwrap_or_default(),
            prices: ModelPrices {
                input: table.decimal("input"),
                cached_input: table.decimal("cached_input"),
                cache_write: table.decimal("cache_write"),
                output: table.decimal("output"),
            },
            context: tokens("context"),
            max_output: tokens("max_output"),
            tools: flag("tools", true),
            images: flag("images", false),
            json_schema: flag("json_schema", true),
            reasoning: flag("reasoning", false),
            allowed: flag("allowed", true),
            name,
        };
        table.finish();
        model
    }
}
