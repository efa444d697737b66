//! The metrics there are. Nothing else is shown: the text, the documents and the collector's configuration follow from this table, and
//! tests compare them with it.

use blindroute_placement::Observed;
use blindroute_runtime::choices::{ReportFigures, Revealed};
use blindroute_runtime::exposition::{Exposition, Histogram, Kind, decimal};
use blindroute_runtime::store::StoreFigures;
use blindroute_runtime::tally::{BOUNDS, Outcome, Times};
use blindroute_runtime::{AuditCounts, Figures, Role};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// What is read at one moment.
#[derive(Clone, Debug)]
pub(super) struct Readings {
    pub(super) figures: Figures,
    pub(super) is_ready: bool,
    pub(super) places: u64,
    /// Of the bundle, by digest.
    pub(super) versions: Vec<String>,
    /// Of a server with a register.
    pub(super) registered: Option<u64>,
    /// Of a server with a store.
    pub(super) stored: Option<StoreFigures>,
    /// Of a server: right, wrong, unrevealed, and refused because of those.
    pub(super) audits: Option<[u64; 4]>,
    /// Of a server that counts choices: reports that were counted, refused and lost.
    pub(super) reports: Option<[u64; 3]>,
    /// How often each model was chosen, as far as that was revealed.
    pub(super) choices: Vec<(String, u64)>,
    /// Days left of the own certificate, and of the authority that ends first.
    pub(super) certificates: [Option<u64>; 2],
    /// Whether they answer, and by how many seconds their clocks differ.
    pub(super) parties: Vec<(Role, Option<Option<i64>>)>,
}

impl Readings {
    pub(super) fn of(
        observed: &Observed,
        is_ready: bool,
        parties: Vec<(Role, Option<Option<i64>>)>,
        now: SystemTime,
    ) -> Self {
        let dated = observed.certificates();
        let days = |kind: &str| {
            let days = dated.iter().filter(|dated| dated.what == kind).map(|dated| dated.validity.days_left(now));
            days.min().map(|days| u64::try_from(days).unwrap_or(0))
        };
        let audits = |counts: &AuditCounts| [counts.right(), counts.wrong(), counts.unrevealed(), counts.refused()];
        Self {
            figures: observed.figures(),
            is_ready,
            places: observed.places() as u64,
            versions: observed.versions().iter().map(ToString::to_string).collect(),
            registered: observed.registered().map(|count| count as u64),
            stored: observed.stored(),
            audits: observed.audits().map(audits),
            reports: observed.choices().map(|choices| {
                let ReportFigures { counted, refused, lost } = choices.figures();
                [counted, refused, lost]
            }),
            choices: observed.choices().map(|choices| chosen(&choices.revealed())).unwrap_or_default(),
            certificates: [days("certificate"), days("authority")],
            parties,
        }
    }
}

/// Where the values of a family come from.
enum Read {
    Number(fn(&Readings) -> u64),
    /// Not there if there is nothing to count.
    Maybe(fn(&Readings) -> Option<u64>),
    /// One for each value of the label.
    Each(fn(&Readings) -> Vec<(String, u64)>),
    Times(fn(&Readings) -> Times),
}

/// How often each model was chosen in all batches together, by its name.
fn chosen(revealed: &[Revealed]) -> Vec<(String, u64)> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for batch in revealed {
        for (model, count) in batch.models.iter().zip(&batch.counts) {
            *sums.entry(model).or_default() += count;
        }
    }
    sums.into_iter().map(|(model, count)| (model.to_owned(), count)).collect()
}

/// The name of a label, and all values that it can have; none if the bundle gives them: its digest, or the names of its models.
type Label = (&'static str, fn() -> Vec<String>);

/// A family of metrics.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) label: Option<Label>,
    pub(super) help: &'static str,
    read: Read,
}

const CLAIMS: [&str; 2] = ["taken", "failed"];
const FINDINGS: [&str; 4] = ["right", "wrong", "unrevealed", "refused"];
const STORED: [&str; 3] = ["filled", "used", "dropped"];
const REPORTS: [&str; 3] = ["counted", "refused", "lost"];
const CERTIFICATES: [&str; 2] = ["own", "authority"];

/// All of them.
pub(super) const ALL: [Family; 25] = [
    Family {
        name: "blindroute_operator_build_info",
        kind: Kind::Gauge,
        label: Some(("version", || vec![version()])),
        help: "The version of the program; always 1.",
        read: Read::Each(|_| vec![(version(), 1)]),
    },
    gauge("blindroute_operator_ready", "1 if /readyz says that the party takes sessions, 0 if not.", |all| {
        u64::from(all.is_ready)
    }),
    counter("blindroute_operator_sessions_started_total", "Sessions that began.", |all| all.figures.started),
    gauge("blindroute_operator_sessions_running", "Sessions that are prepared, ready or running now.", |all| {
        all.figures.running
    }),
    gauge("blindroute_operator_sessions_prepared", "Sessions that are prepared and wait for their input.", |all| {
        all.figures.ready
    }),
    gauge("blindroute_operator_sessions_limit", "The most sessions at once (max_sessions).", |all| all.places),
    gauge("blindroute_operator_connections", "Connections of callers that have proven their role.", |all| {
        all.figures.connections
    }),
    counter("blindroute_operator_connections_refused_total", "Connections for which there was no place.", |all| {
        all.figures.turned_away
    }),
    counter(
        "blindroute_operator_material_mebibytes_total",
        "Material from the dealer (at the dealer, sent), each session's rounded up to a mebibyte.",
        |all| all.figures.material,
    ),
    counter("blindroute_operator_weight_set_ups_total", "How often the servers set up the weights.", |all| {
        all.figures.set_ups
    }),
    Family {
        name: "blindroute_operator_sessions_ended_total",
        kind: Kind::Counter,
        label: Some(("outcome", || Outcome::all().map(Outcome::name).collect())),
        help: "Sessions that ended: answered (dealt, at the dealer), unused by their client, or by the kind of failure.",
        read: Read::Each(|all| all.figures.ended.iter().map(|(outcome, count)| (outcome.name(), *count)).collect()),
    },
    Family {
        name: "blindroute_operator_ledger_claims_total",
        kind: Kind::Counter,
        label: Some(("result", || words(&CLAIMS))),
        help: "Sessions and reports that the ledger took, and those that it refused or could not take.",
        read: Read::Each(|all| labelled(&CLAIMS, [all.figures.claimed, all.figures.unclaimed].map(Some))),
    },
    Family {
        name: "blindroute_operator_audits_total",
        kind: Kind::Counter,
        label: Some(("finding", || words(&FINDINGS))),
        help: "Audits of the dealer by what they found, and sessions that were refused because of it. Servers only.",
        read: Read::Each(|all| labelled(&FINDINGS, all.audits.map_or([None; 4], |counts| counts.map(Some)))),
    },
    Family {
        name: "blindroute_operator_stored_sessions",
        kind: Kind::Gauge,
        label: None,
        help: "Sessions whose material is stored. Only with a store.",
        read: Read::Maybe(|all| all.stored.map(|stored| stored.sessions)),
    },
    Family {
        name: "blindroute_operator_stored_mebibytes",
        kind: Kind::Gauge,
        label: None,
        help: "Room that stored material takes, rounded up to a mebibyte. Only with a store.",
        read: Read::Maybe(|all| all.stored.map(|stored| stored.bytes.div_ceil(1 << 20))),
    },
    Family {
        name: "blindroute_operator_stored_sessions_total",
        kind: Kind::Counter,
        label: Some(("event", || words(&STORED))),
        help: "Sessions whose material was stored, used, and dropped without use. Only with a store.",
        read: Read::Each(|all| {
            let counts = |StoreFigures { filled, used, dropped, .. }| [filled, used, dropped].map(Some);
            labelled(&STORED, all.stored.map_or([None; 3], counts))
        }),
    },
    Family {
        name: "blindroute_operator_versions",
        kind: Kind::Gauge,
        label: Some(("bundle", Vec::new)),
        help: "The versions of the bundle that the party holds, by digest, as `bundle verify` prints it; always 1.",
        read: Read::Each(|all| all.versions.iter().map(|digest| (digest.clone(), 1)).collect()),
    },
    Family {
        name: "blindroute_operator_clients_registered",
        kind: Kind::Gauge,
        label: None,
        help: "Clients in the register that were not revoked. Only with a register.",
        read: Read::Maybe(|all| all.registered),
    },
    Family {
        name: "blindroute_operator_choice_reports_total",
        kind: Kind::Counter,
        label: Some(("result", || words(&REPORTS))),
        help: "Reports of chosen models by what became of them. Only with [choices].",
        read: Read::Each(|all| labelled(&REPORTS, all.reports.map_or([None; 3], |counts| counts.map(Some)))),
    },
    Family {
        name: "blindroute_operator_choices_total",
        kind: Kind::Counter,
        label: Some(("model", Vec::new)),
        help: "How often each model was chosen, in the batches of reports that were revealed. Only with [choices].",
        read: Read::Each(|all| all.choices.clone()),
    },
    Family {
        name: "blindroute_operator_certificate_days_left",
        kind: Kind::Gauge,
        label: Some(("certificate", || words(&CERTIFICATES))),
        help: "Whole days until the own certificate ends, and until the first of the trusted authorities does; 0 once it has.",
        read: Read::Each(|all| labelled(&CERTIFICATES, all.certificates)),
    },
    Family {
        name: "blindroute_operator_party_answers",
        kind: Kind::Gauge,
        label: Some(("party", parties)),
        help: "Whether a party that this one calls answered when it was last called.",
        read: Read::Each(|all| {
            let answers = all.parties.iter();
            answers.map(|(party, answer)| (party.name().to_owned(), u64::from(answer.is_some()))).collect()
        }),
    },
    Family {
        name: "blindroute_operator_clock_difference",
        kind: Kind::Gauge,
        label: Some(("party", parties)),
        help: "Seconds by which the clock of a party that this one calls is ahead or behind. Certificates allow 600.",
        read: Read::Each(|all| {
            let clocks = all.parties.iter().filter_map(|(party, answer)| Some((party, (*answer)??)));
            clocks.map(|(party, ahead)| (party.name().to_owned(), ahead.unsigned_abs())).collect()
        }),
    },
    Family {
        name: "blindroute_operator_preparation_seconds",
        kind: Kind::Histogram,
        label: None,
        help: "From the begin of a session until it was prepared (at the dealer, dealt), in hundredths of a second.",
        read: Read::Times(|all| all.figures.preparing),
    },
    Family {
        name: "blindroute_operator_online_seconds",
        kind: Kind::Histogram,
        label: None,
        help: "From the input of a session to its answer, in hundredths of a second. Servers only.",
        read: Read::Times(|all| all.figures.online),
    },
];

/// A family of one number, without a label.
const fn plain(name: &'static str, kind: Kind, help: &'static str, read: fn(&Readings) -> u64) -> Family {
    Family { name, kind, label: None, help, read: Read::Number(read) }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Readings) -> u64) -> Family {
    plain(name, Kind::Gauge, help, read)
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Readings) -> u64) -> Family {
    plain(name, Kind::Counter, help, read)
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn parties() -> Vec<String> {
    Role::ALL.map(|role| role.name().to_owned()).to_vec()
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

fn labelled<const N: usize>(labels: &[&str; N], values: [Option<u64>; N]) -> Vec<(String, u64)> {
    labels.iter().zip(values).filter_map(|(label, value)| Some(((*label).to_owned(), value?))).collect()
}

/// All families as text; before the party serves only the version.
pub(super) fn text(readings: Option<&Readings>) -> String {
    let mut out = Exposition::default();
    for family in &ALL {
        let Family { name, kind, label, help, read } = family;
        out.family(name, *kind, help);
        let label = label.map_or("", |(label, _)| label);
        let Some(readings) = readings else {
            if *name == ALL[0].name {
                out.sample(name, &[(label, &version())], 1);
            }
            continue;
        };
        match read {
            Read::Number(read) => out.sample(name, &[], read(readings)),
            Read::Maybe(read) => read(readings).into_iter().for_each(|value| out.sample(name, &[], value)),
            Read::Each(read) => {
                read(readings).iter().for_each(|(value, count)| out.sample(name, &[(label, value)], count));
            }
            Read::Times(read) => out.histogram(name, &[], &histogram(&read(readings))),
        }
    }
    out.into_text()
}

fn histogram(times: &Times) -> Histogram<'static> {
    let within = BOUNDS.iter().map(|(_, bound)| *bound).zip(times.within).collect();
    Histogram { within, count: times.count, sum: decimal(times.hundredths.into(), 2) }
}

/// The names of all families.
#[must_use]
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|family| family.name).collect()
}

/// The rows of the table in docs/OPERATOR.md: the name, the kind, the label, and what it says.
#[must_use]
pub fn documented() -> Vec<String> {
    let row = |Family { name, kind, label, help, .. }: &Family| {
        let label = label.map_or_else(String::new, |(label, _)| format!("`{label}`"));
        format!("| `{name}` | {} | {label} | {help} |", kind.name())
    };
    ALL.iter().map(row).collect()
}
