//! What the page shows.

use crate::clock::Moment;
use crate::money::Amount;
use crate::store::{HourSpending, Recorded, Savings, Spending};

/// All that the page shows. Texts are escaped when they are written.
#[derive(Clone, Debug)]
pub struct PageData {
    /// The moment of which this is.
    pub now: Moment,
    /// When the gateway was started.
    pub started: Moment,
    /// Spending and savings since the start, today, and of all time, in the order in which they are shown.
    pub sums: Vec<Sums>,
    /// The model that savings are against, if one is named.
    pub reference: Option<String>,
    /// The budgets, if there are any.
    pub budgets: Vec<Budget>,
    /// The budget that each conversation has in a month.
    pub session_budget: Option<Amount>,
    /// The hours of the day.
    pub hours: Vec<HourSpending>,
    /// The last decisions, the latest first.
    pub decisions: Vec<Recorded>,
    /// What of the routing runs on this machine: `full`, `head` or `local`.
    pub placement: String,
    /// The sessions that are ready.
    pub ready: Vec<Ready>,
    /// The servers and the dealer.
    pub parties: Vec<Party>,
    /// The certificates on this machine with which servers are called.
    pub certificates: Vec<Certificate>,
    /// The router's bundle.
    pub bundle: Option<BundleInUse>,
    /// Who saw what, as the last route's report says it.
    pub seen: Option<String>,
}

/// What a period cost and saved.
#[derive(Clone, Debug)]
pub struct Sums {
    /// The period, for instance `Today`.
    pub period: &'static str,
    /// What was spent or is reserved.
    pub spent: Spending,
    /// What was saved.
    pub saved: Savings,
}

/// A budget.
#[derive(Clone, Debug)]
pub struct Budget {
    /// The period, for instance `Today`.
    pub period: &'static str,
    /// The most that calls may cost.
    pub limit: Amount,
    /// What is spent or reserved of it.
    pub spent: Amount,
}

/// Sessions of one kind that are ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which sessions, for instance `up to 64 tokens`.
    pub name: String,
    /// How many there are.
    pub ready: usize,
    /// How many there should be.
    pub wanted: usize,
}

/// A server or a dealer.
#[derive(Clone, Debug)]
pub struct Party {
    /// Its part, for instance `server 0`.
    pub name: String,
    /// Its address.
    pub address: String,
    /// How it is.
    pub health: Health,
    /// When its certificate ends, if it has one.
    pub certificate: Option<Moment>,
}

/// A certificate of the connection to a pair of servers.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Whose it is, for instance `client, for pair 0`.
    pub name: String,
    /// When it ends.
    pub ends: Moment,
}

/// How a party is.
#[derive(Clone, Debug)]
pub enum Health {
    /// It answers, after so many milliseconds.
    Answers {
        /// Milliseconds.
        ms: u32,
    },
    /// It does not answer.
    Silent {
        /// Why, and what to do.
        reason: String,
    },
    /// It answered when it was last asked.
    Answered {
        /// When that was.
        at: Moment,
    },
    /// It was not asked yet.
    NotAsked,
}

/// The bundle in use.
#[derive(Clone, Debug)]
pub struct BundleInUse {
    /// Its name.
    pub name: String,
    /// Its digest, in hexadecimal.
    pub digest: String,
}
