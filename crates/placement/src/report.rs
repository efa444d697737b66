//! What a route reports: the answer and its cost.

use blindroute_routing::bundle::Model;
use blindroute_routing::program::Placement;
use serde::{Deserialize, Serialize};

/// Where the time went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Milliseconds {
    /// Tokenising, embedding and sharing on the client; in `local` all of the router.
    pub client: f64,
    /// From asking for a session until one was ready: as long as `offline` if it was prepared for this route, almost
    /// nothing if a session was kept ready.
    pub wait: f64,
    /// Dealing, sending and preparing the session's material. If the session was kept ready, this happened before the route
    /// began, and is not part of `total`.
    pub offline: f64,
    /// From sending the input to the answer.
    pub online: f64,
    /// The whole route: the sum of client, wait and online.
    pub total: f64,
}

impl Milliseconds {
    /// The sum of this and what came next.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            client: self.client + next.client,
            wait: self.wait + next.wait,
            offline: self.offline + next.offline,
            online: self.online + next.online,
            total: self.total + next.total,
        }
    }
}

/// Payload bytes, without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Sent by server 0 to server 1, online.
    pub server0_sent: u64,
    /// Sent by server 1 to server 0, online.
    pub server1_sent: u64,
    /// Sent by the client to both servers.
    pub client_sent: u64,
    /// Sent by the dealer to both servers, offline.
    pub material: u64,
}

impl Bytes {
    /// The sum of this and what came next.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            server0_sent: self.server0_sent + next.server0_sent,
            server1_sent: self.server1_sent + next.server1_sent,
            client_sent: self.client_sent + next.client_sent,
            material: self.material + next.material,
        }
    }
}

/// Peak memory of each process so far, in MiB; `None` if the system does not tell or the process is elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeakMemory {
    /// Server 0.
    pub server0: Option<u64>,
    /// Server 1.
    pub server1: Option<u64>,
    /// The dealer.
    pub dealer: Option<u64>,
    /// This process.
    pub client: Option<u64>,
}

/// Which bundle a route used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleUsed {
    /// The name that the caller gave it: `default`, or a file. With servers elsewhere, the file of the public part.
    pub name: String,
    /// Its digest; with servers elsewhere the digest of the split, which all parties compare.
    pub digest: String,
}

/// Which of several pairs of servers answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairUsed {
    /// Its place among the configurations, from 0.
    pub index: usize,
    /// The addresses of server 0 and server 1.
    pub servers: [String; 2],
}

impl std::fmt::Display for PairUsed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [zero, one] = &self.servers;
        write!(out, "{} ({zero}, {one})", self.index)
    }
}

/// A model of a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedModel {
    /// Its name in the pool.
    pub model: String,
    /// Its price.
    pub price: f64,
    /// The price's unit.
    pub price_unit: String,
}

impl From<&Model> for RankedModel {
    fn from(model: &Model) -> Self {
        Self { model: model.name.clone(), price: model.price, price_unit: model.unit.clone() }
    }
}

/// The answer to one prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteReport {
    /// The model to call.
    pub model: String,
    /// Its price.
    pub price: f64,
    /// The price's unit.
    pub price_unit: String,
    /// The model to call and, if the [options](crate::RouteOptions::with_ranking) ask for more than one, the next best in their
    /// order; left out of JSON if it is one.
    #[serde(default, skip_serializing_if = "is_alone")]
    pub ranking: Vec<RankedModel>,
    /// Where the router ran.
    pub placement: Placement,
    /// Which bundle was used.
    pub bundle: BundleUsed,
    /// The pair of servers that answered; left out of JSON if there is one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairUsed>,
    /// The router's name.
    pub router: String,
    /// λ, the weight of cost.
    pub lambda: f32,
    /// Tokens used.
    pub tokens: usize,
    /// How many of them stand for words outside the vocabulary. The router cannot read these words.
    pub unknown: usize,
    /// A sentence that says which of how many tokens were read, if the prompt was truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_from: Option<String>,
    /// A sentence about what the router could not read, if that is much of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_note: Option<String>,
    /// Whether the caller's [`UnknownText`](crate::UnknownText) decided the model instead of the router; left out of JSON if
    /// it did not.
    #[serde(skip_serializing_if = "is_false", default)]
    pub by_unknown_text: bool,
    /// The length that servers and dealer see; `None` if they see no length.
    pub bucket: Option<usize>,
    /// How many prompts shared the session, this one included; left out of JSON if it is one. The figures below are those of
    /// the whole session, so all of its prompts report the same.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub batch: usize,
    /// Times.
    pub ms: Milliseconds,
    /// Exchanges between the servers.
    pub openings: u32,
    /// Traffic.
    pub bytes: Bytes,
    /// Whether the servers run for development and protect nothing; left out of JSON if they do not.
    #[serde(skip_serializing_if = "is_false", default)]
    pub development: bool,
    /// Who saw what.
    #[serde(skip_deserializing)]
    pub seen: &'static str,
}

impl RouteReport {
    /// Reads the report of an earlier route from its JSON; `None` if it is no report of this version.
    #[must_use]
    pub fn from_json(value: serde_json::Value) -> Option<Self> {
        let mut report: Self = serde_json::from_value(value).ok()?;
        if report.ranking.is_empty() {
            let (model, price_unit) = (report.model.clone(), report.price_unit.clone());
            report.ranking.push(RankedModel { model, price: report.price, price_unit });
        }
        Some(Self { seen: seen(report.placement, report.batch, report.ranking.len()), ..report })
    }
}

/// Who saw what, in one line.
pub(crate) fn seen(placement: Placement, batch: usize, ranked: usize) -> &'static str {
    match (placement, batch > 1, ranked > 1) {
        (Placement::Local, _, false) => "you: prompt, router, choice; no server was asked",
        (Placement::Local, _, true) => "you: prompt, router, ranking; no server was asked",
        (Placement::Head, false, false) => {
            "you: prompt, embedding, choice; servers and dealer: that a head ran, not even the length"
        }
        (Placement::Head, false, true) => {
            "you: prompt, embedding, ranking; servers and dealer: that a head ran and how many models you learn, not even the \
             length"
        }
        (Placement::Head, true, false) => {
            "you: prompts, embeddings, choices; servers and dealer: that a head ran for so many prompts, not even the lengths"
        }
        (Placement::Head, true, true) => {
            "you: prompts, embeddings, rankings; servers and dealer: that a head ran for so many prompts and how many models you \
             learn, not even the lengths"
        }
        (Placement::Full, false, false) => "you: prompt, choice; servers and dealer: the length's bucket only",
        (Placement::Full, false, true) => {
            "you: prompt, ranking; servers and dealer: the length's bucket and how many models you learn only"
        }
        (Placement::Full, true, false) => {
            "you: prompts, choices; servers and dealer: the lengths' common bucket and the number of prompts only"
        }
        (Placement::Full, true, true) => {
            "you: prompts, rankings; servers and dealer: the lengths' common bucket, the number of prompts and how many models \
             you learn only"
        }
    }
}

fn is_alone(ranking: &[RankedModel]) -> bool {
    ranking.len() < 2
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn one() -> usize {
    1
}

fn is_one(batch: &usize) -> bool {
    *batch == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_batch_and_ranking_only_for_several() {
        let ranked = |model: &str| RankedModel { model: model.into(), price: 1.0, price_unit: "USD".into() };
        let report = |batch| RouteReport {
            model: "m".into(),
            price: 1.0,
            price_unit: "USD".into(),
            ranking: ["m", "n"][..1 + usize::from(batch > 1)].iter().map(|model| ranked(model)).collect(),
            placement: Placement::Full,
            bundle: BundleUsed { name: "default".into(), digest: "ab".into() },
            pair: (batch > 1).then(|| PairUsed { index: 1, servers: ["a:1".into(), "b:2".into()] }),
            router: "r".into(),
            lambda: 0.5,
            tokens: 9,
            unknown: 0,
            cut_from: None,
            unknown_note: None,
            by_unknown_text: false,
            bucket: Some(32),
            batch,
            ms: Milliseconds::default(),
            openings: 144,
            bytes: Bytes::default(),
            development: false,
            seen: seen(Placement::Full, batch, 1 + usize::from(batch > 1)),
        };
        let json = |batch| serde_json::to_value(report(batch)).unwrap();
        assert_eq!((json(1).get("batch"), &json(8)["batch"]), (None, &8.into()));
        assert_eq!(json(8)["pair"], serde_json::json!({"index": 1, "servers": ["a:1", "b:2"]}));
        assert!(json(1).get("pair").is_none() && json(1).get("ranking").is_none());
        let second = serde_json::json!({"model": "n", "price": 1.0, "price_unit": "USD"});
        assert_eq!((&json(8)["ranking"][0]["model"], &json(8)["ranking"][1]), (&"m".into(), &second));
        assert!(json(8)["seen"].as_str().unwrap().contains("how many models"));
        assert!(json(1).get("unknown_note").is_none() && json(1).get("by_unknown_text").is_none());
        assert!(json(8)["seen"].as_str().unwrap().contains("number of prompts"));
        assert!(!json(1)["seen"].as_str().unwrap().contains("number"));
        for batch in [1, 8] {
            assert_eq!(RouteReport::from_json(json(batch)), Some(report(batch)));
        }
        assert_eq!(RouteReport::from_json(serde_json::json!({})), None);
    }
}
