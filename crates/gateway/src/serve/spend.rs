//! The money of a call: reserved before it, settled when it ends.

use super::Gateway;
use super::snapshot::Snapshot;
use crate::clock::Moment;
use crate::decide::{Callable, Key};
use crate::money::budget::{BudgetError, Call, Reservation};
use crate::money::savings::Turn;
use crate::money::{Amount, Prices, Tokens};
use crate::upstream::{End, Settle};
use blindroute_dialects::errors::{ApiError, ErrorKind};
use blindroute_dialects::usage::Usage;
use std::sync::{Arc, OnceLock};

/// The most output tokens of a model whose limit is not known, for a caller that gives no limit either.
const MOST_OUTPUT: u64 = 32_768;

/// A call that is paid for.
pub(super) struct Paying {
    /// The conversation.
    pub(super) key: Key,
    /// Its name for the record, if conversations have budgets.
    pub(super) session: Option<String>,
    /// The tokens of the input, estimated.
    pub(super) input: u64,
    /// The most tokens of the output that the caller asks for.
    pub(super) output: Option<u64>,
    /// When the request came.
    pub(super) at: Moment,
}

impl Paying {
    /// Reserves the most that a call of this model can cost.
    ///
    /// # Errors
    /// If a budget would be exceeded, or prices have to be known and are not. The call must not be made then.
    pub(super) async fn reserve(
        &self,
        snapshot: &Snapshot,
        callable: &Callable,
    ) -> Result<Option<Reservation>, ApiError> {
        if callable.prices.is_none() && !snapshot.has_budget() {
            return Ok(None);
        }
        let model = &callable.model;
        let call = Call {
            session: self.session.as_deref(),
            model: &model.name,
            provider: &model.provider,
            prices: callable.prices,
            input: self.input,
            max_output: self.output.or(model.max_output).unwrap_or(MOST_OUTPUT),
        };
        snapshot.budget.reserve(call).await.map(Some).map_err(|error| refused(&error))
    }

    /// What is done when the call ends: its usage is settled, and its cost is told.
    pub(super) fn settle(
        &self,
        gateway: &Arc<Gateway>,
        snapshot: &Arc<Snapshot>,
        (callable, reservation): (&Callable, Option<Reservation>),
        cost: Arc<OnceLock<Amount>>,
    ) -> Settle {
        let (gateway, snapshot, callable) = (Arc::clone(gateway), Arc::clone(snapshot), callable.clone());
        let (key, at) = (self.key, self.at);
        Box::new(move |usage, end| {
            let answered = end == End::Proper;
            // What is reported before the end is less than what is billed: the answer's tokens are counted when it is written.
            let tokens = usage.filter(|_| answered).map(tokens_of);
            let amount = tokens.zip(callable.prices).map(|(tokens, prices)| prices.of(&tokens));
            if let Some((tokens, amount)) = tokens.zip(amount) {
                gateway.metrics.settled(&callable.model.provider, &callable.model.name, &tokens, amount);
                // Set once: this is called once.
                let _ = cost.set(amount);
            }
            let reference = tokens.and_then(|tokens| {
                let amount = amount.unwrap_or_default();
                gateway.compared(&snapshot, key, (&callable, at), (tokens, amount, answered))
            });
            let Some(reservation) = reservation else { return };
            match (tokens, end) {
                (Some(tokens), _) => reservation.settle_soon(tokens, reference),
                (None, End::Refused) => {
                    // Outside of a runtime it counts as spent, which is the safe side.
                    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                        runtime.spawn(async move {
                            if let Err(error) = reservation.release().await {
                                tracing::warn!(%error, "money that was reserved for a refused call counts as spent");
                            }
                        });
                    }
                }
                // Unknown usage counts as what was reserved.
                (None, _) => drop(reservation),
            }
        })
    }
}

impl Gateway {
    /// What a turn would have cost at the reference, if there is one.
    fn compared(
        &self,
        snapshot: &Snapshot,
        key: Key,
        (callable, at): (&Callable, Moment),
        (tokens, amount, answered): (Tokens, Amount, bool),
    ) -> Option<Amount> {
        let reference = snapshot.config.budget.reference_model.as_deref();
        let prices = reference.and_then(|name| snapshot.catalogue.named(name)).and_then(|named| named.prices);
        let by_reference = reference == Some(callable.model.name.as_str());
        let turn = Turn { at, tokens, amount, by_reference, answered };
        self.conversations
            .used(key, tokens, |conversation| prices.map(|prices: Prices| conversation.at_reference(&turn, &prices)))
            .flatten()
    }
}

fn tokens_of(usage: Usage) -> Tokens {
    let Usage { input, cached, cache_writes, output, .. } = usage;
    Tokens { input, cached, cache_write: cache_writes, output }
}

fn refused(error: &BudgetError) -> ApiError {
    let message = error.to_string();
    match error {
        BudgetError::Exceeded(_) => {
            ApiError::new(ErrorKind::RateLimit, message).with_status(429).with_code("budget_exceeded")
        }
        BudgetError::UnknownPrices { .. } | BudgetError::BeyondReason { .. } => {
            ApiError::new(ErrorKind::InvalidRequest, message).with_parameter("model").with_code("price_unknown")
        }
        _ => ApiError::new(ErrorKind::Server, message).with_status(500).with_code("record"),
    }
}
