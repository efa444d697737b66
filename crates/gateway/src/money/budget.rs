//! Money is reserved before a call and settled after it, so that no two calls take the last cent.
//!
//! Days and months are those of UTC. A call belongs to the day and the month in which its money was reserved, however long it takes. It is
//! reserved at the most that it can cost; if its real usage costs more after all, the difference counts too, and the next call finds
//! the budget exceeded.
//!
//! Whatever is not known counts as spent: a [`Reservation`] that is dropped, whose usage is unknown, or whose process ended, is
//! settled at the reserved amount and marked as estimated. Only [`Reservation::release`] gives all of it back.

use crate::money::limits::{Exceeded, Limits};
use crate::money::{Amount, Prices, Tokens};
use crate::store::{Held, NewCall, Outcome, Store, StoreError};

/// The most that one call may reserve: a million USD. What is more is a mistake in prices or tokens.
const MOST: Amount = Amount::from_pico(1_000_000_000_000_000_000);

/// Why no money is reserved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A budget could be exceeded.
    #[error("{0}")]
    Exceeded(Exceeded),
    /// The model's prices are not known.
    #[error(
        "the prices of model {model} are not known, so no budget can hold; set its input and output price, or 0 if it costs nothing"
    )]
    UnknownPrices {
        /// The model.
        model: String,
    },
    /// The call could cost more than any call does.
    #[error(
        "a call of model {model} could cost {asked}; expected at most {MOST}; check its prices and the most output tokens"
    )]
    BeyondReason {
        /// The model.
        model: String,
        /// The most that it could cost.
        asked: Amount,
    },
    /// The record cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A call before it is made.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its session, if it has one. The record holds the name under a key only.
    pub session: Option<&'a str>,
    /// The model's name in the configuration.
    pub model: &'a str,
    /// The provider's name in the configuration.
    pub provider: &'a str,
    /// The model's prices, if they are known.
    pub prices: Option<Prices>,
    /// The tokens of the input, estimated: rather too many.
    pub input: u64,
    /// The most tokens of the output.
    pub max_output: u64,
}

/// Where money is reserved.
#[derive(Clone, Debug)]
pub struct Budget {
    store: Store,
    limits: Limits,
}

impl Budget {
    /// With these limits, over this record.
    #[must_use]
    pub const fn new(store: Store, limits: Limits) -> Self {
        Self { store, limits }
    }

    /// Its limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reserves the most that a call can cost. If the future is dropped before it is ready, nothing stays reserved.
    ///
    /// # Errors
    /// If a budget could be exceeded, the prices are not known, or the record cannot be written: then the call must not be made.
    pub async fn reserve(&self, call: Call<'_>) -> Result<Reservation, BudgetError> {
        let model = || call.model.to_owned();
        let prices = call.prices.ok_or_else(|| BudgetError::UnknownPrices { model: model() })?;
        let amount = prices.most(call.input, call.max_output);
        if amount > MOST {
            return Err(BudgetError::BeyondReason { model: model(), asked: amount });
        }
        let Call { session, model, provider, .. } = call;
        let held = self.store.reserve(NewCall { session, model, provider, amount }, self.limits).await?;
        let held = held.map_err(BudgetError::Exceeded)?;
        Ok(Reservation { held, prices, amount })
    }
}

/// Money that is reserved for one call. It is settled exactly once: each way to end it takes it, and a dropped one is settled at the
/// reserved amount.
#[must_use = "a reservation that is dropped counts as spent"]
pub struct Reservation {
    held: Held,
    prices: Prices,
    amount: Amount,
}

impl Reservation {
    /// The most that the call can cost, which is reserved.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// What so many tokens of the call cost.
    #[must_use]
    pub fn cost(&self, tokens: &Tokens) -> Amount {
        self.prices.of(tokens)
    }

    /// Settles the real usage, and returns its cost once that is on the disk. `reference` is what the call would have cost at the
    /// [reference](crate::money::savings), if that is compared.
    ///
    /// # Errors
    /// If the record cannot be written; the reserved amount counts as spent then. The same holds if the future is dropped before the
    /// settlement is in the queue.
    pub async fn settle(self, tokens: Tokens, reference: Option<Amount>) -> Result<Amount, StoreError> {
        let amount = self.cost(&tokens);
        self.held.settle(Outcome::Spent { tokens, amount, reference }).await
    }

    /// Settles the real usage soon, without waiting: for a stream whose client is gone.
    pub fn settle_soon(self, tokens: Tokens, reference: Option<Amount>) {
        let amount = self.cost(&tokens);
        self.held.settle_soon(Outcome::Spent { tokens, amount, reference });
    }

    /// Settles the reserved amount, marked as estimated, since the usage is not known.
    ///
    /// # Errors
    /// If the record cannot be written; the reserved amount counts as spent then.
    pub async fn settle_unknown(self) -> Result<Amount, StoreError> {
        self.held.settle(Outcome::Unknown).await
    }

    /// Gives all of it back. Only for a call that surely was not made, or surely costs nothing.
    ///
    /// # Errors
    /// If the record cannot be written; the reserved amount counts as spent then.
    pub async fn release(self) -> Result<(), StoreError> {
        self.held.settle(Outcome::NotMade).await.map(|_nothing| ())
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reservation").field("amount", &self.amount).finish_non_exhaustive()
    }
}
