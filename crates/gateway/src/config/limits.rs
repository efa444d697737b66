//! The tables `[budget]`, `[timeouts]`, `[retries]`, `[privacy]` and `[embeddings]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;

use super::decimal::Decimal;
use super::duration;
use super::reader::Table;

/// The timeouts that are allowed.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3600);

/// The most that a call may be delayed.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// What calls may cost, in USD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// In a day.
    pub daily: Option<Decimal>,
    /// In a month.
    pub monthly: Option<Decimal>,
    /// In a month, for each conversation by itself.
    pub session: Option<Decimal>,
    /// The most that a million tokens of output may cost.
    pub ceiling: Option<Decimal>,
    /// The model with which savings are compared.
    pub reference_model: Option<String>,
}

impl Budget {
    pub(super) fn read(table: Table<'_>) -> Self {
        let budget = Self {
            daily: table.decimal("daily"),
            monthly: table.decimal("monthly"),
            session: table.decimal("session"),
            ceiling: table.decimal("ceiling"),
            reference_model: table.name("reference_model"),
        };
        table.finish();
        budget
    }
}

/// How long a call of a provider may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallTimeouts {
    /// For a connection.
    #[serde(serialize_with = "duration::serialize")]
    pub connect: Duration,
    /// From the request to the first token.
    #[serde(serialize_with = "duration::serialize")]
    pub first_token: Duration,
    /// Between tokens.
    #[serde(serialize_with = "duration::serialize")]
    pub idle: Duration,
    /// For all of it.
    #[serde(serialize_with = "duration::serialize")]
    pub total: Duration,
}

impl Default for CallTimeouts {
    fn default() -> Self {
        let [connect, first_token, idle, total] = [10, 60, 60, 600].map(Duration::from_secs);
        Self { connect, first_token, idle, total }
    }
}

impl CallTimeouts {
    pub(super) fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let timeouts = Self {
            connect: table.duration("connect", TIMEOUT).unwrap_or(default.connect),
            first_token: table.duration("first_token", TIMEOUT).unwrap_or(default.first_token),
            idle: table.duration("idle", TIMEOUT).unwrap_or(default.idle),
            total: table.duration("total", TIMEOUT).unwrap_or(default.total),
        };
        for (field, part) in [("connect", timeouts.connect), ("first_token", timeouts.first_token)] {
            if part > timeouts.total {
                let found = format!("{}, which is longer than total", duration::text(part));
                table.note(table.problem(field, found).expected(format!("at most {}", duration::text(timeouts.total))));
            }
        }
        table.finish();
        timeouts
    }
}

/// How calls that failed before their first token are made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retries {
    /// The most calls of one model, with the first one.
    pub attempts: u32,
    /// The longest wait that a provider may ask for.
    #[serde(serialize_with = "duration::serialize")]
    pub longest_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 2, longest_wait: Duration::from_secs(20) }
    }
}

impl Retries {
    pub(super) fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let attempts = table.whole_number("attempts", 1..=10).and_then(|number| u32::try_from(number).ok());
        let wait = table.duration("longest_wait", Duration::ZERO..=Duration::from_secs(300));
        table.finish();
        Self { attempts: attempts.unwrap_or(default.attempts), longest_wait: wait.unwrap_or(default.longest_wait) }
    }
}

/// How answers that come in pieces are passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Streams {
    /// As they come.
    #[default]
    On,
    /// Filled up, so that sizes of packets say less about the text.
    Pad,
    /// Whole.
    Off,
}

/// The shortest and the longest time that a call waits, so that its start says less about the end of the route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub from: Duration,
    /// The longest.
    pub to: Duration,
}

impl Serialize for Delay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [from, to] = [self.from, self.to].map(duration::text);
        serializer.serialize_str(&if from == to { from } else { format!("{from}-{to}") })
    }
}

impl Delay {
    /// A duration, or two with a hyphen between them.
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (duration::parse(from)?, duration::parse(to)?);
        (from <= to && to <= LONGEST_DELAY).then_some(Self { from, to })
    }
}

/// What those who watch the network or this machine learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Privacy {
    /// How long calls wait after the route.
    pub delay: Delay,
    /// How answers that come in pieces are passed on.
    pub streams: Streams,
    /// How many days decisions are kept.
    pub store_days: u32,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { delay: Delay::default(), streams: Streams::On, store_days: 30 }
    }
}

impl Privacy {
    pub(super) fn read(table: Table<'_>) -> Self {
        let default = Self::default();
        let expected = "a duration up to 1m, or a range of two, for instance \"0s-2s\"";
        let delay = table.text("delay", expected, |text| Delay::parse(text).is_some());
        let streams = table.choice("streams", &[("on", Streams::On), ("pad", Streams::Pad), ("off", Streams::Off)]);
        let days = table.whole_number("store_days", 1..=3650).and_then(|number| u32::try_from(number).ok());
        table.finish();
        Self {
            delay: delay.and_then(Delay::parse).unwrap_or_default(),
            streams: streams.unwrap_or_default(),
            store_days: days.unwrap_or(default.store_days),
        }
    }
}

/// Who answers requests for embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Embeddings {
    /// The provider's name.
    pub provider: String,
    /// The models that may be asked for.
    pub models: Vec<String>,
}

impl Embeddings {
    /// The table, or nothing if the file has none.
    pub(super) fn read(table: Table<'_>) -> Option<Self> {
        let there = table.is_there();
        let provider = if there {
            table.required_name("provider", "the name of a [[provider]]")
        } else {
            table.name("provider").unwrap_or_default()
        };
        let models = table.names("models").unwrap_or_default();
        if there && models.is_empty() && !table.is_faulty("models") {
            table.missing("models", "at least one name of a model");
        }
        table.finish();
        there.then_some(Self { provider, models })
    }
}
