//! What can be done to a deployment, as lines of text.

use anyhow::{Context, bail};
use blindroute_runtime::Role;
use std::fmt;
use std::str::{FromStr, SplitWhitespace};

/// A connection between two parties, which goes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From clients to server 0.
    ClientServer0,
    /// From clients to server 1.
    ClientServer1,
    /// From server 1 to server 0.
    Servers,
    /// From server 0 to the dealer.
    Server0Dealer,
    /// From server 1 to the dealer.
    Server1Dealer,
}

impl Way {
    /// All of a lane.
    pub const ALL: [Self; 5] =
        [Self::ClientServer0, Self::ClientServer1, Self::Servers, Self::Server0Dealer, Self::Server1Dealer];

    fn name(self) -> &'static str {
        match self {
            Self::ClientServer0 => "client-server0",
            Self::ClientServer1 => "client-server1",
            Self::Servers => "server1-server0",
            Self::Server0Dealer => "server0-dealer",
            Self::Server1Dealer => "server1-dealer",
        }
    }

    /// Who is called.
    #[must_use]
    pub fn answers(self) -> Role {
        match self {
            Self::ClientServer0 | Self::Servers => Role::Server0,
            Self::ClientServer1 => Role::Server1,
            Self::Server0Dealer | Self::Server1Dealer => Role::Dealer,
        }
    }
}

/// What happens to one TLS record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// It is not passed on.
    Drop,
    /// It waits so many milliseconds, and what follows waits with it.
    Delay(u64),
    /// It is passed on twice.
    Duplicate,
    /// One bit of it is flipped.
    Corrupt,
    /// The connection is closed instead.
    Cut,
    /// Nothing more is passed on, and the connection stays open.
    Stall,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A client routes texts, in one call. Nobody waits for the answer.
    Route(usize, Vec<usize>),
    /// A client keeps so many sessions ready from now on.
    Prepare(usize, usize),
    /// A party of a lane is ended at once.
    Kill(usize, Role),
    /// A party is asked to end.
    Stop(usize, Role),
    /// A party begins anew, on a disk that works.
    Restart(usize, Role),
    /// A party does nothing for so many milliseconds.
    Pause(usize, Role, u64),
    /// A party's state is copied while it is down for a moment.
    Copy(usize, Role),
    /// The state that was copied last takes the place of a party's, after a kill.
    Restore(usize, Role),
    /// What operators do after that: the party's state begins anew, and the other server forgets its ledger.
    Anew(usize, Role),
    /// Something happens to the record of this number from now on, of those that go there (`true`) or come back.
    Record(usize, Way, bool, u64, RecordFault),
    /// Files of a party can grow no more.
    Disk(usize, Role),
    /// Syncs of a party fail.
    Sync(usize, Role),
    /// A party's clock is so many seconds ahead.
    Skew(usize, Role, i64),
    /// Postgres and all of its processes are ended at once.
    KillDatabase,
    /// Postgres starts again.
    StartDatabase,
    /// A party gets a new certificate.
    Renew(usize, Role),
    /// A client is revoked by the operator of one server, 0 or 1, in every lane.
    Revoke(usize, Role),
    /// A client that was revoked is registered again, with another secret.
    Admit(usize),
    /// The gateway is ended at once.
    KillGateway,
    /// The gateway is asked to end.
    StopGateway,
    /// The gateway starts again.
    StartGateway,
    /// Every party of every lane holds the other version of the bundle too.
    NextBundle,
    /// Every party of every lane holds only the version that came last.
    OnlyBundle,
    /// Milliseconds in which nothing is done.
    Wait(u64),
}

impl Operation {
    /// A word for the kind of fault or change; nothing for calls, waits, and what ends a fault.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        Some(match self {
            Self::Route(..) | Self::Wait(_) | Self::Restart(..) | Self::Anew(..) | Self::StartDatabase => return None,
            Self::Admit(_) | Self::Skew(_, _, 0) | Self::Prepare(..) => return None,
            Self::OnlyBundle | Self::StartGateway => return None,
            Self::Kill(..) => "kill",
            Self::Stop(..) => "stop",
            Self::Pause(..) => "pause",
            Self::Copy(..) => "copy",
            Self::Restore(..) => "restore",
            Self::Record(_, _, _, _, fault) => fault.kind(),
            Self::Disk(..) => "disk",
            Self::Sync(..) => "sync",
            Self::Skew(..) => "skew",
            Self::KillDatabase => "database",
            Self::Renew(..) => "renew",
            Self::Revoke(..) => "revoke",
            Self::NextBundle => "roll",
            Self::KillGateway | Self::StopGateway => GATEWAY,
        })
    }
}

/// What happens to a gateway.
pub(crate) const GATEWAY: &str = "gateway";

/// All kinds of faults and changes.
pub const KINDS: [&str; 19] = [
    "kill",
    "stop",
    "pause",
    "copy",
    "restore",
    "drop",
    "delay",
    "duplicate",
    "corrupt",
    "cut",
    "stall",
    "disk",
    "sync",
    "skew",
    "database",
    "renew",
    "revoke",
    "roll",
    GATEWAY,
];

impl RecordFault {
    /// A word for it.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Delay(_) => "delay",
            Self::Duplicate => "duplicate",
            Self::Corrupt => "corrupt",
            Self::Cut => "cut",
            Self::Stall => "stall",
        }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(milliseconds) => write!(out, "delay {milliseconds}"),
            other => out.write_str(other.kind()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(client, texts) => {
                write!(out, "route {client}")?;
                texts.iter().try_for_each(|text| write!(out, " {text}"))
            }
            Self::Prepare(client, count) => write!(out, "prepare {client} {count}"),
            Self::Kill(lane, role) => write!(out, "kill {lane} {role}"),
            Self::Stop(lane, role) => write!(out, "stop {lane} {role}"),
            Self::Restart(lane, role) => write!(out, "restart {lane} {role}"),
            Self::Pause(lane, role, milliseconds) => write!(out, "pause {lane} {role} {milliseconds}"),
            Self::Copy(lane, role) => write!(out, "copy {lane} {role}"),
            Self::Restore(lane, role) => write!(out, "restore {lane} {role}"),
            Self::Anew(lane, role) => write!(out, "anew {lane} {role}"),
            Self::Record(lane, way, forward, number, fault) => {
                let direction = if *forward { "there" } else { "back" };
                write!(out, "record {lane} {} {direction} {number} {fault}", way.name())
            }
            Self::Disk(lane, role) => write!(out, "disk {lane} {role}"),
            Self::Sync(lane, role) => write!(out, "sync {lane} {role}"),
            Self::Skew(lane, role, seconds) => write!(out, "skew {lane} {role} {seconds}"),
            Self::KillDatabase => write!(out, "database kill"),
            Self::StartDatabase => write!(out, "database start"),
            Self::Renew(lane, role) => write!(out, "renew {lane} {role}"),
            Self::Revoke(client, role) => write!(out, "revoke {client} {role}"),
            Self::Admit(client) => write!(out, "admit {client}"),
            Self::KillGateway => write!(out, "gateway kill"),
            Self::StopGateway => write!(out, "gateway stop"),
            Self::StartGateway => write!(out, "gateway start"),
            Self::NextBundle => write!(out, "bundle next"),
            Self::OnlyBundle => write!(out, "bundle only"),
            Self::Wait(milliseconds) => write!(out, "wait {milliseconds}"),
        }
    }
}

/// The words of a line.
struct Words<'a>(SplitWhitespace<'a>);

impl Words<'_> {
    fn word(&mut self) -> anyhow::Result<&str> {
        self.0.next().context("the line ends too early")
    }

    fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(&mut self) -> anyhow::Result<T> {
        let word = self.word()?;
        word.parse().with_context(|| format!("{word:?} is no number"))
    }

    fn role(&mut self) -> anyhow::Result<Role> {
        let word = self.word()?;
        let role = [Role::Server0, Role::Server1, Role::Dealer].into_iter().find(|role| role.name() == word);
        role.with_context(|| format!("{word:?} is none of server0, server1, dealer"))
    }

    fn party(&mut self) -> anyhow::Result<(usize, Role)> {
        Ok((self.number()?, self.role()?))
    }

    fn record(&mut self) -> anyhow::Result<Operation> {
        let (lane, way) = (self.number()?, self.word()?);
        let way = Way::ALL.into_iter().find(|known| known.name() == way).context("there is no such way")?;
        let forward = match self.word()? {
            "there" => true,
            "back" => false,
            other => bail!("{other:?} is neither there nor back"),
        };
        let number = self.number()?;
        let fault = match self.word()? {
            "drop" => RecordFault::Drop,
            "delay" => RecordFault::Delay(self.number()?),
            "duplicate" => RecordFault::Duplicate,
            "corrupt" => RecordFault::Corrupt,
            "cut" => RecordFault::Cut,
            "stall" => RecordFault::Stall,
            other => bail!("{other:?} is no fault of a record"),
        };
        Ok(Operation::Record(lane, way, forward, number, fault))
    }
}

impl FromStr for Operation {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let mut words = Words(line.split_whitespace());
        let word = words.word()?.to_owned();
        let party =
            |words: &mut Words<'_>, of: fn(usize, Role) -> Self| words.party().map(|(lane, role)| of(lane, role));
        let operation = match word.as_str() {
            "route" => {
                let client = words.number()?;
                let mut texts = Vec::new();
                for text in words.0.by_ref() {
                    texts.push(text.parse()?);
                }
                Self::Route(client, texts)
            }
            "prepare" => Self::Prepare(words.number()?, words.number()?),
            "kill" => party(&mut words, Self::Kill)?,
            "stop" => party(&mut words, Self::Stop)?,
            "restart" => party(&mut words, Self::Restart)?,
            "copy" => party(&mut words, Self::Copy)?,
            "restore" => party(&mut words, Self::Restore)?,
            "anew" => party(&mut words, Self::Anew)?,
            "disk" => party(&mut words, Self::Disk)?,
            "sync" => party(&mut words, Self::Sync)?,
            "renew" => party(&mut words, Self::Renew)?,
            "revoke" => party(&mut words, Self::Revoke)?,
            "pause" => {
                let (lane, role) = words.party()?;
                Self::Pause(lane, role, words.number()?)
            }
            "skew" => {
                let (lane, role) = words.party()?;
                Self::Skew(lane, role, words.number()?)
            }
            "record" => words.record()?,
            "database" => match words.word()? {
                "kill" => Self::KillDatabase,
                "start" => Self::StartDatabase,
                other => bail!("{other:?} is neither kill nor start"),
            },
            "gateway" => match words.word()? {
                "kill" => Self::KillGateway,
                "stop" => Self::StopGateway,
                "start" => Self::StartGateway,
                other => bail!("{other:?} is none of kill, stop, start"),
            },
            "bundle" => match words.word()? {
                "next" => Self::NextBundle,
                "only" => Self::OnlyBundle,
                other => bail!("{other:?} is neither next nor only"),
            },
            "admit" => Self::Admit(words.number()?),
            "wait" => Self::Wait(words.number()?),
            other => bail!("there is no operation {other:?}"),
        };
        if let Some(more) = words.0.next() {
            bail!("{more:?} is one word too many");
        }
        Ok(operation)
    }
}

/// A list as text, a line for each operation.
#[must_use]
pub fn write(operations: &[Operation]) -> String {
    operations.iter().map(|operation| format!("{operation}\n")).collect()
}

/// The list of a text. Empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// With the number of a line that is no operation.
pub fn read(text: &str) -> anyhow::Result<Vec<Operation>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(number, line)| line.parse().with_context(|| format!("line {}: {line:?}", number + 1))).collect()
}
