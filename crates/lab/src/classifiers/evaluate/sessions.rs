//! Which texts share a session, and the capacities that are tried.

use crate::routers::draws::shuffle;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

/// Texts that share a session: their bucket, and their places.
pub type Session = (usize, Vec<usize>);

/// The sessions of texts of these buckets, each with at most as many texts as `most` says of its bucket. The seed chooses their
/// order, by which sessions are filled and served.
pub fn sessions(buckets: &[usize], most: &dyn Fn(usize) -> usize, seed: u64) -> Vec<Session> {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..buckets.len()).collect();
    shuffle(&mut order, &mut draws);
    let mut by_bucket: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for text in order {
        by_bucket.entry(buckets[text]).or_default().push(text);
    }
    let of_bucket = |(bucket, texts): (usize, Vec<usize>)| {
        texts.chunks(most(bucket).max(1)).map(|texts| (bucket, texts.to_vec())).collect::<Vec<_>>()
    };
    let mut sessions: Vec<Session> = by_bucket.into_iter().flat_map(of_bucket).collect();
    shuffle(&mut sessions, &mut draws);
    sessions
}

/// The capacities to try for a pool with so many exits beside a task's own: the same share past every exit, or a share of those
/// that came so far.
#[must_use]
pub fn capacity_grid(exits: usize, own: &[f32]) -> Vec<Vec<f32>> {
    let stages = exits.saturating_sub(1);
    let even = [0.125, 0.25, 0.5, 0.75].map(|share: f32| vec![share; stages]);
    let falling = [0.25, 0.5, 0.75].map(|share: f32| (1..=stages as i32).map(|stage| share.powi(stage)).collect());
    let mut grid: Vec<Vec<f32>> = Vec::new();
    for capacities in falling.into_iter().chain(even) {
        if stages > 0 && capacities != own && !grid.contains(&capacities) {
            grid.push(capacities);
        }
    }
    grid
}

/// By exit, the share of a session's texts that leave there, if so many of `batch` go on past each exit but the last.
#[must_use]
pub fn leaving(going: &[usize], batch: usize) -> Vec<f64> {
    let come = std::iter::once(batch).chain(going.iter().copied());
    let go = going.iter().copied().chain([0]);
    come.zip(go).map(|(come, go)| come.saturating_sub(go) as f64 / batch.max(1) as f64).collect()
}
