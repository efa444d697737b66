//! What a party counts while it runs: numbers, and nothing about whom or what they are of.
//!
//! No text, id, address or name can get in here, so none can get out. Times are rounded to hundredths of a second, and material to
//! mebibytes: whoever reads these figures often sees single sessions, and should see no more of one than that it ran.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::messages::FailureKind;

/// How a session ended for a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered; at the dealer, its material was dealt.
    Answered,
    /// The client left before it sent its input.
    Unused,
    /// It failed or was refused.
    Failed(FailureKind),
}

impl Outcome {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Answered, Self::Unused].into_iter().chain(FailureKind::ALL.iter().map(|kind| Self::Failed(*kind)))
    }

    /// Its name in metrics, for instance `answered` or `timed_out`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Answered => "answered".to_owned(),
            Self::Unused => "unused".to_owned(),
            Self::Failed(kind) => in_words(&format!("{kind:?}")),
        }
    }
}

/// `TimedOut` as `timed_out`.
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// The upper bounds of the times that are counted together, in hundredths of a second, with how they are written in seconds. Each is
/// four times the one before.
pub const BOUNDS: [(u64, &str); 6] = [(6, "0.06"), (25, "0.25"), (100, "1"), (400, "4"), (1600, "16"), (6400, "64")];

/// Times that were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many there are up to each bound, of which none is in a bound before.
    pub within: [u64; BOUNDS.len()],
    /// All of them.
    pub count: u64,
    /// Their sum, in hundredths of a second.
    pub hundredths: u64,
}

#[derive(Debug, Default)]
struct TimesTally {
    within: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    hundredths: AtomicU64,
}

impl TimesTally {
    fn add(&self, time: Duration) {
        // Rounded to the nearest.
        let hundredths = u64::try_from((time.as_millis() + 5) / 10).unwrap_or(u64::MAX);
        let bound = BOUNDS.iter().zip(&self.within).find(|((bound, _), _)| hundredths <= *bound);
        if let Some((_, within)) = bound {
            add(within, 1);
        }
        add(&self.count, 1);
        add(&self.hundredths, hundredths);
    }

    fn figures(&self) -> Times {
        Times { within: self.within.each_ref().map(read), count: read(&self.count), hundredths: read(&self.hundredths) }
    }
}

/// What a party has counted since it started, and what it holds now.
#[derive(Debug, Default)]
pub struct Tally {
    started: AtomicU64,
    ended: [AtomicU64; 2 + FailureKind::ALL.len()],
    running: AtomicU64,
    ready: AtomicU64,
    connections: AtomicU64,
    turned_away: AtomicU64,
    claimed: AtomicU64,
    unclaimed: AtomicU64,
    set_ups: AtomicU64,
    material: AtomicU64,
    preparing: TimesTally,
    online: TimesTally,
}

/// The figures of a [`Tally`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Sessions that began.
    pub started: u64,
    /// How many ended in each way; in the order of [`Outcome::all`].
    pub ended: Vec<(Outcome, u64)>,
    /// Sessions that are prepared, ready or running now.
    pub running: u64,
    /// Those of them that are prepared and wait for their input.
    pub ready: u64,
    /// Connections of callers that have proven their role, now.
    pub connections: u64,
    /// Connections that were closed because there was no place for them.
    pub turned_away: u64,
    /// Sessions that were entered in the ledger.
    pub claimed: u64,
    /// Sessions that the ledger refused, or could not take.
    pub unclaimed: u64,
    /// How often the weights were set up with the other server.
    pub set_ups: u64,
    /// Material that came from the dealer, or that the dealer sent: mebibytes, each session's rounded up.
    pub material: u64,
    /// From the beginning of a session until it was prepared; at the dealer, until its material was dealt.
    pub preparing: Times,
    /// From the input to the answer.
    pub online: Times,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Counts one more for as long as it lives.
#[derive(Debug)]
pub struct Present<'a>(&'a AtomicU64);

impl<'a> Present<'a> {
    fn new(gauge: &'a AtomicU64) -> Self {
        add(gauge, 1);
        Self(gauge)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Tally {
    /// A session that begins, and runs for as long as the result lives.
    pub fn session(&self) -> Present<'_> {
        add(&self.started, 1);
        Present::new(&self.running)
    }

    /// A session that ended.
    pub fn ended(&self, outcome: Outcome) {
        if let Some((_, counter)) = Outcome::all().zip(&self.ended).find(|(other, _)| *other == outcome) {
            add(counter, 1);
        }
    }

    /// A session that is prepared and waits for its input, for as long as the result lives.
    pub fn ready(&self) -> Present<'_> {
        Present::new(&self.ready)
    }

    /// Whether a session is being prepared or runs, and does not only wait for its input.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        read(&self.running) > read(&self.ready)
    }

    /// A connection of a caller that has proven its role, for as long as the result lives.
    pub fn connection(&self) -> Present<'_> {
        Present::new(&self.connections)
    }

    /// A connection that found no place.
    pub fn turned_away(&self) {
        add(&self.turned_away, 1);
    }

    /// Whether the ledger took a session.
    pub fn claim(&self, taken: bool) {
        add(if taken { &self.claimed } else { &self.unclaimed }, 1);
    }

    /// The weights were set up with the other server.
    pub fn set_up(&self) {
        add(&self.set_ups, 1);
    }

    /// The material of a session.
    pub fn material(&self, bytes: u64) {
        add(&self.material, bytes.div_ceil(1 << 20));
    }

    /// How long a session took to prepare.
    pub fn prepared(&self, time: Duration) {
        self.preparing.add(time);
    }

    /// How long a session took from its input to its answer.
    pub fn answered(&self, time: Duration) {
        self.online.add(time);
    }

    /// All figures. Those that change meanwhile may be of different moments.
    #[must_use]
    pub fn figures(&self) -> Figures {
        Figures {
            started: read(&self.started),
            ended: Outcome::all().zip(self.ended.iter().map(read)).collect(),
            running: read(&self.running),
            ready: read(&self.ready),
            connections: read(&self.connections),
            turned_away: read(&self.turned_away),
            claimed: read(&self.claimed),
            unclaimed: read(&self.unclaimed),
            set_ups: read(&self.set_ups),
            material: read(&self.material),
            preparing: self.preparing.figures(),
            online: self.online.figures(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_apart_and_has_a_name_of_its_own() {
        let tally = Tally::default();
        let outcomes: Vec<Outcome> = Outcome::all().collect();
        for (index, outcome) in outcomes.iter().enumerate() {
            (0..=index).for_each(|_| tally.ended(*outcome));
        }
        let counted: Vec<(Outcome, u64)> = outcomes.iter().copied().zip(1..).collect();
        assert_eq!(tally.figures().ended, counted);
        let mut names: Vec<String> = outcomes.iter().map(|outcome| outcome.name()).collect();
        assert!(
            ["answered", "unused", "busy", "timed_out", "ledger_refused"]
                .iter()
                .all(|name| names.contains(&(*name).to_owned()))
        );
        names.sort();
        names.dedup();
        assert_eq!(names.len(), outcomes.len());
    }

    #[test]
    fn what_is_present_is_counted_while_it_is() {
        let tally = Tally::default();
        let (session, other) = (tally.session(), tally.session());
        let ready = tally.ready();
        let now = || {
            let Figures { started, running, ready, connections, .. } = tally.figures();
            [started, running, ready, connections]
        };
        assert_eq!(now(), [2, 2, 1, 0]);
        assert!(tally.is_busy(), "one of the two is not ready");
        let connection = tally.connection();
        drop((session, ready));
        assert_eq!(now(), [2, 1, 0, 1]);
        drop((other, connection));
        assert_eq!(now(), [2, 0, 0, 0]);
        assert!(!tally.is_busy());
        let (_session, _ready) = (tally.session(), tally.ready());
        assert!(!tally.is_busy(), "it waits for its input");
    }

    #[test]
    fn times_and_material_are_coarse() {
        let tally = Tally::default();
        for millis in [0, 4, 64, 65, 250, 999, 64_000, 64_010] {
            tally.answered(Duration::from_millis(millis));
        }
        let times = tally.figures().online;
        assert_eq!((times.within, times.count), ([3, 2, 1, 0, 0, 1], 8));
        // 0, 0, 6, 7, 25, 100, 6400 and 6401 hundredths.
        assert_eq!(times.hundredths, 12_939);
        assert_eq!(tally.figures().preparing, Times::default());
        [1, 1 << 20, (1 << 20) + 1].iter().for_each(|bytes| tally.material(*bytes));
        assert_eq!(tally.figures().material, 4);
    }
}
