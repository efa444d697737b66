//! The sessions of many texts: one after the other, or with several pairs up to one per pair at a time.

use super::{Pairs, lock};
use crate::error::PlacementError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often a lane that has no pair looks whether there is one again.
const LOOK: Duration = Duration::from_millis(50);

/// Each text's answer, or why there is none, by the text's place.
type Answers<T> = BTreeMap<usize, Result<T, PlacementError>>;

/// The texts of a session, by their places among the caller's texts.
pub(crate) trait Places: Sync {
    /// These places.
    fn places(&self) -> Vec<usize>;
}

/// The end of a text: its place, and what came of it.
pub(crate) type Tell<'a, T> = dyn FnMut(usize, Result<T, PlacementError>) + 'a;

impl Pairs {
    /// Runs sessions and gives the answers of all their texts. `session` tells each of its texts' answers once. After an error that
    /// all texts would meet, no further session is begun, and the texts of those that were not have this error.
    pub(crate) fn sessions<S: Places, T: Send>(
        &self,
        sessions: &[S],
        session: impl Fn(&S, &mut Tell<'_, T>) + Sync,
    ) -> Answers<T> {
        let (answers, next) = (Mutex::new(Answers::new()), AtomicUsize::new(0));
        let stopped: Mutex<Option<Arc<PlacementError>>> = Mutex::default();
        let lane = |lane: usize| {
            loop {
                // A lane for each pair that is up, and always the first.
                while lane > 0 && lane >= self.up() && next.load(Ordering::Relaxed) < sessions.len() {
                    std::thread::sleep(LOOK);
                }
                let Some(texts) = sessions.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                let mut told = Vec::new();
                let why = lock(&stopped).clone();
                match why {
                    None => session(texts, &mut |place, answer| told.push((place, answer))),
                    Some(why) => {
                        let unasked = |place| (place, Err(PlacementError::Batch(Arc::clone(&why))));
                        told.extend(texts.places().into_iter().map(unasked));
                    }
                }
                let mut stopped = lock(&stopped);
                for (place, answer) in told {
                    let answer = match answer {
                        Err(error) if error.stops_all() => {
                            let why = if let PlacementError::Batch(shared) = error { shared } else { Arc::new(error) };
                            stopped.get_or_insert_with(|| Arc::clone(&why));
                            Err(PlacementError::Batch(why))
                        }
                        answer => answer,
                    };
                    lock(&answers).insert(place, answer);
                }
            }
        };
        std::thread::scope(|scope| {
            for number in 1..self.len().min(sessions.len()) {
                let (lane, thread) = (&lane, std::thread::Builder::new().name(format!("pair-{number}")));
                if let Err(error) = thread.spawn_scoped(scope, move || lane(number)) {
                    tracing::warn!(%error, "a thread could not be started; fewer sessions run at the same time");
                    break;
                }
            }
            lane(0);
        });
        answers.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many pairs are not skipped now.
    fn up(&self) -> usize {
        let now = Instant::now();
        lock(&self.standings).iter().filter(|standing| !standing.is_skipped(now)).count()
    }
}
