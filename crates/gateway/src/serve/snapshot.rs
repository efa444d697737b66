//! The configuration of now with what follows from it. Each request keeps the one that it began with.

use crate::config::{Config, PoolModel};
use crate::decide::Catalogue;
use crate::money::Amount;
use crate::money::budget::Budget;
use crate::money::limits::{Limits, SpanLimits};
use crate::observe::Names;
use crate::store::Store;
use crate::upstream::Manner;
use blindroute_placement::{PrivateRouter, RouteOptions};
use std::sync::Arc;

/// A million USD millionths are a USD, and a picodollar is a millionth of a millionth.
const PICO_OF_MILLIONTH: u64 = 1_000_000;

/// A configuration with what follows from it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) config: Arc<Config>,
    pub(super) catalogue: Catalogue,
    pub(super) budget: Budget,
    pub(super) manner: Manner,
    pub(super) options: RouteOptions,
    /// The most that a token of the output may cost.
    pub(super) ceiling: Option<Amount>,
}

impl Snapshot {
    pub(super) fn of(config: Arc<Config>, pool: &[PoolModel], store: &Store, router: &PrivateRouter) -> Self {
        let usd =
            |amount: &crate::config::Decimal| Amount::from_pico(amount.millionths().saturating_mul(PICO_OF_MILLIONTH));
        let all =
            SpanLimits { day: config.budget.daily.as_ref().map(usd), month: config.budget.monthly.as_ref().map(usd) };
        let session = SpanLimits { day: None, month: config.budget.session.as_ref().map(usd) };
        let limits = Limits { all, session };
        Self {
            catalogue: Catalogue::of(&config, pool),
            budget: Budget::new(store.clone(), limits),
            manner: Manner::of(&config),
            options: options(&config, router),
            ceiling: config.budget.ceiling.as_ref().map(|price| Amount::from_pico(price.millionths())),
            config,
        }
    }

    /// Whether a budget is set, so that prices have to be known.
    pub(super) fn has_budget(&self) -> bool {
        self.budget.limits().set().next().is_some()
    }

    /// Whether conversations have budgets, so that the record has to know them apart.
    pub(super) fn has_session_budget(&self) -> bool {
        self.budget.limits().session != SpanLimits::default()
    }

    /// The names that metrics and logs may hold.
    pub(super) fn names(&self) -> Names {
        if !self.config.is_echo() {
            return Names::from(&*self.config);
        }
        let models = self.catalogue.all().iter().map(|callable| &callable.model);
        Names::new(models.clone().map(|model| model.provider.clone()), models.map(|model| model.name.clone()))
    }
}

/// How prompts are routed: with the longest ranking that the configuration asks for and the router has.
fn options(config: &Config, router: &PrivateRouter) -> RouteOptions {
    let route = &config.route;
    let plan = &router.public().plan;
    let most = plan.router(route.router.as_deref()).and_then(|index| plan.routers.get(index));
    let most = most.map_or(1, |of| of.most_ranked(plan.models));
    let mut options = RouteOptions::default().with_ranking(route.ranking.min(most).max(1));
    (options.placement, options.router, options.lambda) = (route.placement, route.router.clone(), route.lambda);
    options
}
