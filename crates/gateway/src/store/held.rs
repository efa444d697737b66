//! A reservation in the record, which ends exactly once.

use super::settlement::{self, Asked, Outcome, Settlement};
use super::{Store, StoreError, answered};
use crate::money::Amount;
use crate::money::limits::{Exceeded, Limits};
use rusqlite::Connection;
use std::sync::Arc;

/// A call before it is made.
pub(crate) struct NewCall<'a> {
    pub(crate) session: Option<&'a str>,
    pub(crate) model: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) amount: Amount,
}

/// A reserved amount. When it is dropped, it counts as spent.
pub(crate) struct Held {
    store: Store,
    id: i64,
    /// Whether what is written of it has to survive a power failure. Without limits, what that loses endangers no budget, and no call
    /// need wait for the disk: a settlement that is lost leaves a reservation, which is settled as the record is opened again.
    durable: bool,
    /// What is written when it is dropped; nothing once it has ended.
    if_dropped: Option<Outcome>,
}

impl Store {
    /// Reserves an amount for a call, unless a budget would be exceeded.
    pub(crate) async fn reserve(
        &self,
        call: NewCall<'_>,
        limits: Limits,
    ) -> Result<Result<Held, Exceeded>, StoreError> {
        let asked = Asked {
            id: self.new_id(),
            at: self.clock().now(),
            session: call.session.map(|name| self.tag(name)),
            model: call.model.to_owned(),
            provider: call.provider.to_owned(),
            amount: call.amount,
            limits,
        };
        // Whoever waits may stop waiting, and never learn of the reservation: then the call is not made.
        let durable = limits.set().next().is_some();
        let mut held = Held { store: self.clone(), id: asked.id, durable, if_dropped: Some(Outcome::NotMade) };
        // It is dropped before `held`. A reservation that nobody waits for any more is not made, so that none is made after its end.
        let wanted = Arc::new(());
        let still = Arc::downgrade(&wanted);
        let work = move |connection: &Connection| match still.upgrade() {
            Some(_) => settlement::reserve(connection, &asked),
            None => Ok(Ok(())),
        };
        let answer = match self.queue(durable, work).await {
            Ok(answer) => answer,
            Err(error) => {
                held.if_dropped = None;
                return Err(error);
            }
        };
        let reserved = answered(answer).await;
        drop(wanted);
        held.if_dropped = matches!(reserved, Ok(Ok(()))).then_some(Outcome::Unknown);
        Ok(reserved?.map(|()| held))
    }
}

impl Held {
    /// Ends the reservation, and returns what it was settled at once that is on the disk, or without limits in the file. If that fails, the
    /// reservation counts as spent.
    pub(crate) async fn settle(mut self, outcome: Outcome) -> Result<Amount, StoreError> {
        let settlement = Settlement { id: self.id, outcome, durable: self.durable };
        let answer =
            self.store.queue(self.durable, move |connection| settlement::settle(connection, &settlement)).await?;
        self.if_dropped = None;
        answered(answer).await.map(Option::unwrap_or_default)
    }

    /// Ends the reservation soon, without waiting.
    pub(crate) fn settle_soon(mut self, outcome: Outcome) {
        self.if_dropped = Some(outcome);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(outcome) = self.if_dropped.take() {
            self.store.leave(Settlement { id: self.id, outcome, durable: self.durable });
        }
    }
}
