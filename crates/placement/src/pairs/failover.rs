//! One request on one of several pairs, and on another one if that fails.

use super::standing::{self, Standing};
use super::{Pair, Pairs, lock};
use crate::catalogue::BundleCatalogue;
use crate::error::PlacementError;
use crate::patience::Patience;
use blindroute_protocol::{Meter, Tensor};
use blindroute_routing::program::SessionRequest;
use blindroute_runtime::messages::FailureKind;
use blindroute_runtime::{Cancel, Catalogue, Held, LinkError, Pauses, SessionError, SessionOutcome, Waiting};
use std::time::Instant;

/// The most requests whose work is remembered.
const REMEMBERED: usize = 1024;

/// What bounds the sessions of a request, besides time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trial {
    /// Whether a session had inputs of these texts before. One more may have them then.
    pub(crate) sent: bool,
    /// Whether another version of the bundle is asked next if a pair does not hold this one, so that nothing is waited for.
    pub(crate) other_version: bool,
}

/// A session that failed.
enum Failed {
    /// Before any input was sent.
    Unprepared(SessionError),
    /// After the input may have been sent.
    Running(SessionError),
}

/// A session's work, counted as outstanding until this is dropped.
struct Turn<'a> {
    pairs: &'a Pairs,
    index: usize,
    work: f64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(standing) = lock(&self.pairs.standings).get_mut(self.index) {
            standing.end(self.work);
        }
    }
}

impl Pair {
    /// Runs inputs in one session of this pair: shares that are made here are sent here, or dropped.
    fn attempt(
        &self,
        request: &[u8],
        inputs: &[Tensor<f32>],
        patience: &Patience,
        cancel: &Cancel,
    ) -> Result<SessionOutcome, Failed> {
        // Checked before a session is consumed by inputs that do not fit.
        let shares = self.client.share(request, inputs).map_err(Failed::Unprepared)?;
        let found = match self.pool() {
            Some(pool) => pool.take_in_turn(request, &patience.retry, cancel),
            None => self.client.prepare_in_turn(request, &patience.retry, cancel),
        };
        let (session, waited) = found.map_err(Failed::Unprepared)?;
        let outcome = session.run_until(shares, cancel).map_err(Failed::Running)?;
        Ok(SessionOutcome { waited, ..outcome })
    }
}

impl Pairs {
    /// Runs a request, and says on which pair. While no session can be prepared it waits and tries again, as `patience` says, and
    /// until it is cancelled.
    ///
    /// With one pair, that is its client's own way. With several, a session that fails is followed by one on another pair: by any
    /// number if no input was sent, by one only if inputs were.
    pub(crate) fn run(
        &self,
        request: SessionRequest,
        inputs: &[Tensor<f32>],
        patience: &Patience,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
        (cancel, trial): (&Cancel, Trial),
    ) -> Result<(SessionOutcome, usize), PlacementError> {
        let request = BundleCatalogue::encode(request);
        match self.pairs.as_slice() {
            [] => Err(PlacementError::NeedsServers { placement: "full" }),
            [only] => {
                let asked = (request.as_slice(), inputs);
                let outcome = match only.pool() {
                    Some(pool) => pool.run_cancellable(asked, &patience.retry, go_on, cancel),
                    None => only.client.run_cancellable(asked, &patience.retry, go_on, cancel),
                };
                match &outcome {
                    Ok(_) => self.noted(0, None),
                    Err(error) if is_of_the_pair(error) => self.noted(0, Some(error.to_string())),
                    Err(_) => {}
                }
                Ok((outcome?, 0))
            }
            _ => self.run_on_one_of(&request, inputs, patience, go_on, (cancel, trial)),
        }
    }

    /// Another pair for what this one holds: the one with the least expected wait of those that servers can be asked to hand over to.
    pub(crate) fn to_hand_over(&self, from: usize) -> Option<usize> {
        let pairs = self.pairs.iter().enumerate();
        let cannot = pairs.map(|(index, pair)| index == from || pair.name.is_none()).collect::<Vec<_>>();
        let (standings, now) = (lock(&self.standings), Instant::now());
        standing::choose(&standings, now, &cannot).filter(|index| !standings[*index].is_skipped(now))
    }

    /// Continues a session on the pair that holds what it left, or on `other` after it was handed over to that one.
    ///
    /// # Errors
    /// [`PlacementError::Lost`] if neither pair holds it any more, so that the texts may run again from their inputs.
    pub(crate) fn run_continuing(
        &self,
        request: SessionRequest,
        (held, index): (Held, usize),
        other: Option<usize>,
        places: &[u16],
    ) -> Result<SessionOutcome, PlacementError> {
        let request = BundleCatalogue::encode(request);
        let Some(pair) = self.pairs.get(index) else { return Err(PlacementError::NeedsServers { placement: "full" }) };
        let work = self.work(&request)?;
        let turn = |index| self.turn(&mut lock(&self.standings), index, work);
        let taker =
            other.and_then(|index| Some((index, self.pairs.get(index)?, self.pairs.get(index)?.name.as_ref()?)));
        let Some((other, taker, name)) = taker else {
            let turn = turn(index);
            let outcome = pair.client.run_continuing(held, &request, places).map_err(lost)?;
            self.answered(&turn, &outcome);
            return Ok(outcome);
        };
        let handed = pair.client.hand_over(held, name, places).map_err(|error| {
            // A server that can still say why is not the one that failed.
            let said = matches!(error, SessionError::Link(LinkError::Failed { .. }));
            self.skip_if_lost(if said { other } else { index }, error)
        })?;
        let turn = turn(other);
        let outcome = taker.client.run_handed_over(handed, &request);
        let outcome = outcome.map_err(|error| self.skip_if_lost(other, error))?;
        self.answered(&turn, &outcome);
        Ok(outcome)
    }

    /// The error of a hand-over that failed by this pair, which is skipped for a while.
    fn skip_if_lost(&self, index: usize, error: SessionError) -> PlacementError {
        if is_of_the_pair(&error) {
            self.skip(index, &error);
        }
        lost(error)
    }

    fn run_on_one_of(
        &self,
        request: &[u8],
        inputs: &[Tensor<f32>],
        patience: &Patience,
        go_on: &dyn Fn(&Waiting<'_>) -> bool,
        (cancel, trial): (&Cancel, Trial),
    ) -> Result<(SessionOutcome, usize), PlacementError> {
        let (mut pauses, mut sent) = (Pauses::default(), trial.sent);
        // Of this round, in which each pair is tried once.
        let mut tried = vec![false; self.pairs.len()];
        let mut failures: Vec<(usize, SessionError)> = Vec::new();
        loop {
            let Some(turn) = self.begin(request, &tried)? else {
                let elsewhere = trial.other_version && failures.iter().any(|(_, error)| error.is_not_held());
                let temporary = failures.iter().find(|(_, error)| error.is_temporary() && !elsewhere);
                let pause =
                    temporary.map(|(_, error)| pauses.next(error, false, &patience.retry, go_on)).transpose()?;
                let Some(pause) = pause.flatten() else { return Err(self.none_left(failures, &pauses, sent)) };
                tracing::warn!(?pause, "no pair of servers can prepare a session now; trying all again");
                cancel.sleep(pause)?;
                failures.clear();
                tried.fill(false);
                continue;
            };
            let index = turn.index;
            let (error, running) = match self.pairs[index].attempt(request, inputs, patience, cancel) {
                Ok(outcome) => {
                    self.answered(&turn, &outcome);
                    return Ok((outcome, index));
                }
                Err(Failed::Unprepared(error)) => (error, false),
                Err(Failed::Running(error)) => (error, true),
            };
            if !is_of_the_pair(&error) {
                return Err(error.into());
            }
            self.skip(index, &error);
            if running && sent {
                // Two sessions had inputs of these texts; there is no third.
                return Err(error.into());
            }
            sent |= running;
            tried[index] = true;
            failures.push((index, error));
        }
    }

    /// Chooses the pair for a session; none if all were tried.
    fn begin(&self, request: &[u8], tried: &[bool]) -> Result<Option<Turn<'_>>, PlacementError> {
        let work = self.work(request)?;
        let mut standings = lock(&self.standings);
        let Some(index) = standing::choose(&standings, Instant::now(), tried) else { return Ok(None) };
        Ok(Some(self.turn(&mut standings, index, work)))
    }

    /// A session with this pair, whose work is counted from now on.
    fn turn(&self, standings: &mut [Standing], index: usize, work: f64) -> Turn<'_> {
        if let Some(standing) = standings.get_mut(index) {
            standing.begin(work);
        }
        Turn { pairs: self, index, work }
    }

    /// The work of a request: millions of bytes that its parties send each other, from the cost meter.
    fn work(&self, request: &[u8]) -> Result<f64, PlacementError> {
        if let Some(work) = lock(&self.work).get(request) {
            return Ok(*work);
        }
        let Some(first) = self.pairs.first() else { return Ok(1.0) };
        let program = first.client.catalogue().program(request).map_err(SessionError::Request)?;
        let cost = Meter::cost(&program)?;
        let work = (cost.material_bytes + 2 * cost.opening_bytes).max(1) as f64 / 1e6;
        let mut known = lock(&self.work);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(request.to_vec(), work);
        Ok(work)
    }

    fn answered(&self, turn: &Turn<'_>, outcome: &SessionOutcome) {
        // Not the wait: a session that was ready cost the pair as much as another one.
        let took = outcome.offline + outcome.online;
        self.noted(turn.index, None);
        let was_skipped = lock(&self.standings)[turn.index].answered(turn.work, took);
        if was_skipped {
            tracing::info!(pair = %self.pairs[turn.index].used, "this pair of servers answers again");
        }
    }

    /// Skips a pair for a while.
    fn skip(&self, index: usize, error: &SessionError) {
        self.noted(index, (!error.is_busy()).then(|| error.to_string()));
        let pair = &self.pairs[index].used;
        let mut standings = lock(&self.standings);
        if error.is_busy() {
            standings[index].was_full(Instant::now());
            tracing::debug!(%pair, %error, "this pair of servers has no room; using another one");
        } else if let Some(pause) = standings[index].failed(Instant::now()) {
            let seconds = pause.as_secs();
            tracing::warn!(%pair, %error, seconds, "this pair of servers failed and is skipped for so long");
        }
    }

    fn none_left(&self, mut failures: Vec<(usize, SessionError)>, pauses: &Pauses, sent: bool) -> PlacementError {
        let not_held = failures.iter().any(|(_, error)| error.is_not_held());
        // All say the same, and what that is decides what to do.
        if !sent
            && failures.iter().all(|(_, error)| error.is_not_held())
            && let Some((_, error)) = failures.pop()
        {
            return error.into();
        }
        let failures = failures.into_iter().map(|(index, error)| {
            let error = pauses.unprepared(error);
            format!("pair {}: {error}", self.pairs[index].used)
        });
        PlacementError::NoPair { why: failures.collect::<Vec<_>>().join("; "), not_held, sent }
    }
}

/// That what servers held is gone, unless the request is refused for what it is.
fn lost(error: SessionError) -> PlacementError {
    if is_of_the_pair(&error) { PlacementError::Lost(error) } else { error.into() }
}

/// Whether another pair may answer what failed by this error: not if the request is refused for what it is, or this process fails.
fn is_of_the_pair(error: &SessionError) -> bool {
    match error {
        SessionError::Link(LinkError::Failed { failure, .. }) => failure.kind != FailureKind::BadRequest,
        SessionError::Link(LinkError::Internal(_)) => false,
        SessionError::Link(_)
        | SessionError::SameShare(_)
        | SessionError::Disagreement(_)
        | SessionError::ProgramMismatch
        | SessionError::Grant { .. }
        | SessionError::Expired { .. } => true,
        SessionError::Unprepared { source, .. } => is_of_the_pair(source),
        _ => false,
    }
}
