//! What one client has asked for, and whether it may ask for more: one rule, wherever accounts are kept.

use super::asked::{Asked, Refusal};
use super::error::ClientsError;
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 3600;
const MINUTE: f64 = 60e3;

/// How much a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In a day (UTC).
    pub routes_per_day: u64,
    /// In a minute: the size of a bucket that fills evenly. More at once is never given.
    pub routes_per_minute: u64,
}

/// A client asks for something now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asking {
    /// For what.
    pub asked: Asked,
    /// How much it may ask for.
    pub limits: Limits,
    /// When.
    pub now: SystemTime,
}

/// What one client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Routes of this day (UTC).
    pub today: u64,
    /// Routes since the beginning.
    pub ever: u64,
    /// The most bits that its answers can have told about the router.
    pub bits: f64,
}

/// What stands for a client's name: half a digest of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientKey(pub [u8; 16]);

impl ClientKey {
    /// That of a name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        Self(key)
    }
}

/// A client's account. That of one that never asked is all zero: its bucket is full.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Account {
    /// The number of the day of which `today` counts.
    day: u32,
    today: u64,
    ever: u64,
    /// Thousandths of bits.
    millibits: u64,
    /// What was in the bucket of the minute's routes.
    left: f64,
    /// At that time, in milliseconds from 1970.
    at: u64,
}

impl Account {
    /// Bytes of an account.
    pub const BYTES: usize = Self::COUNTED + 8 + 8;
    /// Those of its counts, which come first: all but the bucket.
    pub(super) const COUNTED: usize = 4 + 8 + 8 + 8;

    /// The account after the client has asked for this, if it may.
    ///
    /// # Errors
    /// The reason why it may not. Nothing is counted then.
    pub fn admit(self, Asking { asked, limits, now }: Asking) -> Result<Self, Refusal> {
        let (routes, counts) = (u64::from(asked.routes), self.counts(now));
        let today = counts.today.saturating_add(routes);
        if today > limits.routes_per_day {
            return Err(Refusal::Day);
        }
        let (full, at) = (limits.routes_per_minute as f64, milliseconds(now));
        // A clock that was set back fills nothing, nor does it begin anew.
        let filled = self.left + at.saturating_sub(self.at) as f64 * full / MINUTE;
        let left = filled.min(full) - f64::from(asked.routes);
        if left < 0.0 {
            return Err(Refusal::Minute);
        }
        Ok(Self {
            day: day(now),
            today,
            ever: self.ever.saturating_add(routes),
            // Rounded up: the bound stays one.
            millibits: self.millibits.saturating_add((asked.bits * 1e3).ceil() as u64),
            left,
            at: at.max(self.at),
        })
    }

    /// What the client has asked for.
    #[must_use]
    pub fn counts(&self, now: SystemTime) -> Counts {
        let today = if self.day == day(now) { self.today } else { 0 };
        Counts { today, ever: self.ever, bits: self.millibits as f64 / 1e3 }
    }

    /// For where it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..4].copy_from_slice(&self.day.to_le_bytes());
        let numbers = [self.today, self.ever, self.millibits, self.left.to_bits(), self.at];
        for (bytes, number) in out[4..].chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// The account that was written as these bytes; none if they are another number, or no account's.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (day, rest) = bytes.split_first_chunk()?;
        let (numbers, []) = rest.as_chunks::<8>() else { return None };
        let [today, ever, millibits, left, at] = *<&[[u8; 8]; 5]>::try_from(numbers).ok()?;
        let [today, ever, millibits, left, at] = [today, ever, millibits, left, at].map(u64::from_le_bytes);
        let left = f64::from_bits(left);
        let account = Self { day: u32::from_le_bytes(*day), today, ever, millibits, left, at };
        (left.is_finite() && left >= 0.0).then_some(account)
    }
}

/// The number of the day, counted from 1970.
pub(super) fn day(now: SystemTime) -> u32 {
    u32::try_from(milliseconds(now) / 1000 / DAY).unwrap_or(u32::MAX)
}

fn milliseconds(now: SystemTime) -> u64 {
    u64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

/// Where the accounts of a server's clients are kept.
pub trait Accounts: std::fmt::Debug + Send + Sync {
    /// Changes a client's account by [`Account::admit`], and gives it as it is then. Nobody else changes it meanwhile, also no other
    /// process that keeps its accounts in the same place.
    ///
    /// # Errors
    /// If the place cannot be read or written.
    fn admit(&self, client: ClientKey, asking: Asking) -> Result<Result<Account, Refusal>, ClientsError>;

    /// A client's account.
    ///
    /// # Errors
    /// If the place cannot be read.
    fn of(&self, client: ClientKey) -> Result<Account, ClientsError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_account_is_read_as_it_was_written_and_other_bytes_are_none() {
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let limits = Limits { routes_per_day: 10, routes_per_minute: 6 };
        let asked = Asked { routes: 4, bits: 2.5 };
        let account = Account::default().admit(Asking { asked, limits, now }).unwrap();
        assert_eq!(Account::from_bytes(&account.to_bytes()), Some(account));
        assert_eq!(Account::from_bytes(&[0; Account::BYTES]), Some(Account::default()));
        assert_eq!(account.counts(now), Counts { today: 4, ever: 4, bits: 2.5 });
        let bytes = account.to_bytes();
        assert_eq!(Account::from_bytes(&bytes[1..]), None);
        assert_eq!(Account::from_bytes(&[&bytes[..], &[0]].concat()), None);
        for left in [f64::NAN, f64::INFINITY, -1.0] {
            let changed = Account { left, ..account };
            assert_eq!(Account::from_bytes(&changed.to_bytes()), None, "{left}");
        }
    }
}
