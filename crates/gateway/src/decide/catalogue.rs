//! The models that can be called: those of the configuration, or without providers the router's own pool, answered by the model that
//! is built in.

use crate::config::{Config, Decimal, Model, ModelPrices, PoolModel};
use crate::money::{Amount, Prices};
use blindroute_dialects::Dialect;

/// The name of the provider that is built in.
pub(crate) const BUILT_IN: &str = "echo";

/// A model that can be called.
#[derive(Clone, Debug)]
pub(crate) struct Callable {
    pub(crate) model: Model,
    /// What its tokens cost, if input and output have a price.
    pub(crate) prices: Option<Prices>,
    /// The dialects of its provider.
    dialects: Vec<Dialect>,
}

impl Callable {
    /// A model of which only the name is known.
    pub(crate) fn unpriced(name: &str, provider: &str) -> Self {
        let model = Model { provider: provider.to_owned(), ..built_in(name).model };
        Self { model, prices: None, dialects: Vec::new() }
    }

    /// Whether its provider speaks this dialect, so that nothing is translated.
    pub(crate) fn speaks(&self, dialect: Dialect) -> bool {
        self.dialects.contains(&dialect)
    }

    /// Whether the model that is built in answers in its place.
    pub(crate) fn is_built_in(&self) -> bool {
        self.model.provider == BUILT_IN
    }
}

/// All models that can be called.
#[derive(Debug)]
pub(crate) struct Catalogue {
    callables: Vec<Callable>,
}

impl Catalogue {
    /// Those of a configuration.
    pub(crate) fn of(config: &Config, pool: &[PoolModel]) -> Self {
        if config.is_echo() {
            return Self { callables: pool.iter().map(|model| built_in(&model.name)).collect() };
        }
        let callable = |model: &Model| {
            let dialects = config.provider(&model.provider).map(|provider| provider.dialects.clone());
            Callable { model: model.clone(), prices: prices(&model.prices), dialects: dialects.unwrap_or_default() }
        };
        Self { callables: config.models.iter().map(callable).collect() }
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Callable] {
        &self.callables
    }

    /// The model of this name.
    pub(crate) fn named(&self, name: &str) -> Option<&Callable> {
        self.callables.iter().find(|callable| callable.model.name == name)
    }

    /// The model that stands for this one of the router's pool.
    pub(crate) fn of_pool(&self, name: &str) -> Option<&Callable> {
        self.callables.iter().find(|callable| callable.model.pool.iter().any(|known| known == name))
    }
}

fn built_in(name: &str) -> Callable {
    let model = Model {
        name: name.to_owned(),
        provider: BUILT_IN.to_owned(),
        upstream: name.to_owned(),
        pool: vec![name.to_owned()],
        prices: ModelPrices::default(),
        context: None,
        max_output: None,
        tools: true,
        images: true,
        json_schema: true,
        reasoning: false,
        allowed: true,
    };
    // It costs nothing.
    let free = Amount::ZERO;
    let prices = Some(Prices { input: free, cached: free, cache_write: free, output: free });
    Callable { model, prices, dialects: vec![Dialect::Chat, Dialect::Responses, Dialect::Messages] }
}

/// Prices in whole numbers. Cached input without a price of its own costs what input costs, and so does writing to the cache.
fn prices(prices: &ModelPrices) -> Option<Prices> {
    // In USD per million tokens a millionth is a picodollar per token.
    let per_token = |price: &Decimal| Amount::from_pico(price.millionths());
    let input = prices.input.as_ref().map(per_token)?;
    let output = prices.output.as_ref().map(per_token)?;
    let [cached, cache_write] =
        [&prices.cached_input, &prices.cache_write].map(|price| price.as_ref().map_or(input, per_token));
    Some(Prices { input, cached, cache_write, output })
}
