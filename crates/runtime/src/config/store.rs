//! The table `[store]` of a server.

use crate::store::{Hours, MOST_STORED, StoreOptions};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};

/// The least room that is of use: one session takes more.
const LEAST: u64 = 1 << 10;

/// Where a server stores material of sessions to come. Both servers need the table, and server 1 says in it what is stored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StoreConfig {
    /// The folder of the material. No other server may use it.
    pub folder: PathBuf,
    /// The file of the key, outside of that folder. The server makes it if it is not there.
    pub key: PathBuf,
    /// The most bytes in the folder: a number, or a text such as "20GB".
    #[serde(deserialize_with = "bytes")]
    pub bytes: u64,
    /// When the stores are filled: "HH:MM-HH:MM" (UTC). At all hours without it. Server 1 only.
    #[serde(default, deserialize_with = "hours")]
    pub hours: Option<Hours>,
    /// What is stored. Server 1 only.
    #[serde(default)]
    pub keep: Vec<KeepConfig>,
}

/// Sessions of one request, of which so many are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeepConfig {
    /// How many sessions.
    pub count: usize,
    /// The router by its name in the bundle; the default one without it.
    pub router: Option<String>,
    /// Tokens of a prompt, padding included, in placement `full`. Without it, the placement is `head`.
    pub bucket: Option<usize>,
    /// How many models an answer names; one without it.
    pub ranked: Option<usize>,
    /// How many prompts share a session; one without it.
    pub prompts: Option<usize>,
    /// Any other request, in JSON as clients send it, in place of all these.
    pub request: Option<String>,
}

impl KeepConfig {
    fn names_a_route(&self) -> bool {
        self.router.is_some() || self.bucket.is_some() || self.ranked.is_some() || self.prompts.is_some()
    }
}

impl StoreConfig {
    pub(super) fn resolve(store: &mut Option<Self>, base: &Path) {
        if let Some(Self { folder, key, .. }) = store {
            [folder, key].into_iter().for_each(|path| *path = base.join(&path));
        }
    }

    /// Where the store is.
    #[must_use]
    pub fn options(&self) -> StoreOptions {
        StoreOptions { folder: self.folder.clone(), key: self.key.clone(), bytes: self.bytes }
    }

    pub(super) fn problem(store: Option<&Self>, party: u8) -> Option<(&'static str, &'static str)> {
        let Self { bytes, hours, keep, .. } = store?;
        if *bytes < LEAST {
            return Some(("store.bytes", "is too little for a session: expected some GB, such as \"20GB\""));
        }
        if party == 0 {
            let leads = hours.is_some() || !keep.is_empty();
            return leads.then_some((
                "store",
                "says what is stored or when: expected that at server 1, which has both servers store",
            ));
        }
        if keep.is_empty() {
            return Some((
                "store.keep",
                "is missing: expected a table [[store.keep]] for each request of which sessions are stored",
            ));
        }
        if keep.iter().any(|keep| keep.request.is_some() && keep.names_a_route()) {
            return Some((
                "store.keep",
                "has a request and a route: expected either `request`, or `router`, `bucket`, `ranked`, `prompts`",
            ));
        }
        let counts = keep.iter().map(|keep| keep.count);
        let all = counts.clone().fold(0_usize, usize::saturating_add);
        (counts.min() == Some(0) || all > MOST_STORED).then_some((
            "store.keep",
            "has a count that is out of range: expected at least 1, and 32768 for all tables together",
        ))
    }
}

/// Bytes as a number, or as a text with a unit.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number of bytes, or a text with a unit, such as 500MB or 20GB")]
    enum Written {
        Number(u64),
        Text(String),
    }
    let expected = &"a number of bytes, or a text with a unit, such as 500MB or 20GB";
    match Written::deserialize(deserializer)? {
        Written::Number(bytes) => Ok(bytes),
        Written::Text(text) => {
            parse_bytes(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("another text"), expected))
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let times = match unit.trim() {
        "" => 1,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(times)
}

fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Hours>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = &"two different times of a day in UTC, such as 01:00-05:00";
    Hours::parse(&text).map(Some).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("another text"), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_a_thousand() {
        let sizes = ["7", "500MB", "20GB", "1 TB", "0"].map(|text| parse_bytes(text).unwrap());
        assert_eq!(sizes, [7, 500_000_000, 20_000_000_000, 1_000_000_000_000, 0]);
        for wrong in ["", "GB", "20gb", "20GiB", "-1GB", "1.5GB", "99999999999TB"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
    }
}
