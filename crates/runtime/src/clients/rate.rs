//! How many routes a client may ask for in a minute: a bucket of tokens that fills evenly.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

const MINUTE: f64 = 60.0;

/// The buckets of all clients. They are full when a server starts.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: HashMap<String, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: SystemTime,
}

impl Rates {
    /// Takes so many out of a client's bucket, if they are there. Of a client that asks for more than a minute's routes at once
    /// the bucket is never full enough.
    pub(super) fn take(&mut self, client: &str, per_minute: u64, routes: u32, now: SystemTime) -> bool {
        let full = per_minute as f64;
        let bucket = match self.buckets.get(client) {
            // A clock that was set back fills nothing.
            Some(bucket) => {
                let passed = now.duration_since(bucket.at).unwrap_or(Duration::ZERO).as_secs_f64();
                (bucket.left + passed * full / MINUTE).min(full)
            }
            None => full,
        };
        let wanted = f64::from(routes);
        let enough = wanted <= bucket;
        let left = if enough { bucket - wanted } else { bucket };
        self.buckets.insert(client.to_owned(), Bucket { left, at: now });
        enough
    }
}
