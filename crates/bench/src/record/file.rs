//! The record's file: a line of CSV per measurement, with the hardware, the program and what it took.

use super::hardware::Hardware;
use crate::measure::runs::Figures;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where records are kept, in the repository.
pub(crate) const FILE: &str = "benchmarks/records.csv";

/// One line. Times in milliseconds, memory in MiB; ratios are to the clear interpreter, one thread, in the same run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) features: String,
    pub(crate) kernel: String,
    pub(crate) cores: usize,
    pub(crate) commit: String,
    /// What measures it again.
    pub(crate) command: String,
    /// Of which of the shipped bundles.
    pub(crate) bundle: String,
    /// `route`, `head` or `select`; with the following ones it says what was measured.
    pub(crate) task: String,
    pub(crate) tokens: Option<usize>,
    pub(crate) attention: Option<String>,
    pub(crate) ffn: Option<String>,
    pub(crate) router: Option<String>,
    pub(crate) scene: String,
    pub(crate) runs: u32,
    pub(crate) openings: u32,
    pub(crate) server0_sent: u64,
    pub(crate) server1_sent: u64,
    pub(crate) client_sent: u64,
    pub(crate) material: u64,
    pub(crate) online_ms: f64,
    pub(crate) offline_ms: f64,
    pub(crate) clear_ms: f64,
    pub(crate) online_ratio: f64,
    pub(crate) offline_ratio: f64,
    /// Of the server that needed more.
    pub(crate) peak_mib: Option<u64>,
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) bundle: &'static str,
    pub(crate) task: &'static str,
    pub(crate) tokens: Option<usize>,
    pub(crate) attention: Option<String>,
    pub(crate) ffn: Option<String>,
    pub(crate) router: Option<String>,
}

impl Record {
    /// A record of today.
    pub(crate) fn new(hardware: &Hardware, commit: &str, command: String, subject: Subject, figures: &Figures) -> Self {
        let Figures { ms, bytes, .. } = figures;
        let ratio = |time: f64| (time / ms.clear * 1000.0).round() / 1000.0;
        Self {
            date: blindroute_console::date::today(),
            machine: hardware.model.clone(),
            features: hardware.features.clone(),
            kernel: hardware.kernel.to_owned(),
            cores: hardware.cores,
            commit: commit.to_owned(),
            command,
            bundle: subject.bundle.to_owned(),
            task: subject.task.to_owned(),
            tokens: subject.tokens,
            attention: subject.attention,
            ffn: subject.ffn,
            router: subject.router,
            scene: figures.scene.to_owned(),
            runs: figures.runs,
            openings: figures.openings,
            server0_sent: bytes.server0_sent,
            server1_sent: bytes.server1_sent,
            client_sent: bytes.client_sent,
            material: bytes.material,
            online_ms: ms.online,
            offline_ms: ms.offline,
            clear_ms: ms.clear,
            online_ratio: ratio(ms.online),
            offline_ratio: ratio(ms.offline),
            peak_mib: figures.peak_mib.server0.max(figures.peak_mib.server1),
        }
    }

    /// Whether both are of the same task, program and network.
    pub(crate) fn same_subject(&self, other: &Record) -> bool {
        let subject = |r: &Record| {
            let text = [&r.attention, &r.ffn, &r.router].map(Clone::clone);
            (r.bundle.clone(), r.task.clone(), r.tokens, text, r.scene.clone())
        };
        subject(self) == subject(other)
    }

    /// The subject in a few words.
    pub(crate) fn name(&self) -> String {
        let tokens = self.tokens.map(|tokens| format!(" {tokens}")).unwrap_or_default();
        let program = match (&self.attention, &self.ffn) {
            (Some(attention), Some(ffn)) => format!(" {attention} + {ffn}"),
            _ => String::new(),
        };
        let router = self.router.as_ref().map(|router| format!(", {router}")).unwrap_or_default();
        format!("{}{tokens} of {}{program}{router}, {}", self.task, self.bundle, self.scene)
    }

    fn check(&self) -> Result<(), &'static str> {
        let times = [self.online_ms, self.offline_ms, self.clear_ms, self.online_ratio, self.offline_ratio];
        if !times.iter().all(|time| time.is_finite() && *time > 0.0) {
            return Err("times and ratios must be numbers above 0");
        }
        if self.scene.is_empty() || self.task.is_empty() || self.bundle.is_empty() {
            return Err("bundle, task and scene must be there");
        }
        Ok(())
    }
}

/// Reads all records of a file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("cannot read the record {}; make one with `blindroute bench record`", path.display())
    })?;
    parse(&text).with_context(|| format!("the record {}", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Record>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading =
        reader.headers().map_err(|error| anyhow::anyhow!(explain(&error, &csv::StringRecord::new())))?.clone();
    let mut records = Vec::new();
    for record in reader.deserialize() {
        let record: Record = record.map_err(|error| anyhow::anyhow!(explain(&error, &heading)))?;
        let line = records.len() + 2;
        record.check().map_err(|problem| anyhow::anyhow!("line {line}: {problem}; {HINT}"))?;
        records.push(record);
    }
    Ok(records)
}

/// What to do with a file that is none of ours.
const HINT: &str = "restore the file from the repository, or make a new one with `blindroute bench record --out FILE`";

fn explain(error: &csv::Error, heading: &csv::StringRecord) -> String {
    let line = error.position().map(|position| format!("line {}: ", position.line())).unwrap_or_default();
    let problem = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the heading {expected_len}")
        }
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err.field().and_then(|field| heading.get(usize::try_from(field).ok()?));
            match column {
                Some(column) => format!("{column}: {}", err.kind()),
                None => err.to_string(),
            }
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => "it is no CSV".to_owned(),
    };
    format!("{line}{problem}; {HINT}")
}

/// Appends records; a new file begins with the heading.
pub(crate) fn append(path: &Path, records: &[Record]) -> anyhow::Result<()> {
    let new = !path.exists();
    if !new {
        // Refuses to make a damaged file longer.
        read(path)?;
    }
    if let Some(folder) = path.parent().filter(|_| new) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let open = std::fs::File::options().create(true).append(true).open(path);
    let file = open.with_context(|| format!("cannot write {}", path.display()))?;
    let mut writer = csv::WriterBuilder::new().has_headers(new).from_writer(file);
    for record in records {
        writer.serialize(record)?;
    }
    writer.flush().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A record with everything in it.
    pub(crate) fn sample() -> Record {
        Record {
            date: "2026-01-02".to_owned(),
            machine: "A Processor, with a comma".to_owned(),
            features: "aes avx2".to_owned(),
            kernel: "avx2".to_owned(),
            cores: 2,
            commit: "0123456789+".to_owned(),
            command: "bench route --tokens 32".to_owned(),
            bundle: "minilm".to_owned(),
            task: "route".to_owned(),
            tokens: Some(32),
            attention: Some("2relu".to_owned()),
            ffn: Some("relu".to_owned()),
            router: Some("uniroute".to_owned()),
            scene: "loopback".to_owned(),
            runs: 5,
            openings: 144,
            server0_sent: 13_873_168,
            server1_sent: 13_873_168,
            client_sent: 99_048,
            material: 46_058_941,
            online_ms: 93.125,
            offline_ms: 141.5,
            clear_ms: 16.25,
            online_ratio: 5.731,
            offline_ratio: 8.708,
            peak_mib: Some(518),
        }
    }

    #[test]
    fn records_are_written_and_read_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("benchmarks/records.csv");
        let select = Record { tokens: None, attention: None, ffn: None, router: None, peak_mib: None, ..sample() };
        append(&path, &[sample()]).unwrap();
        append(&path, std::slice::from_ref(&select)).unwrap();
        assert_eq!(read(&path).unwrap(), [sample(), select]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() == 3 && text.starts_with("date,machine,features,kernel,cores,commit,"), "{text}");
    }

    #[test]
    fn a_damaged_record_says_where_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("records.csv");
        append(&path, &[sample(), sample()]).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to, what) in [
            ("93.125", "fast", "online_ms"),
            ("93.125", "-1", "above 0"),
            ("93.125", "NaN", "above 0"),
            ("openings,", "opened,", "missing field `openings`"),
            (",2relu", "", "25 fields, the heading 26"),
        ] {
            std::fs::write(&path, good.replace(from, to)).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(what) && error.contains("line 2") && error.contains("restore"), "{error}");
            assert!(append(&path, &[sample()]).is_err());
        }
        let error = format!("{:#}", read(Path::new("nowhere.csv")).unwrap_err());
        assert!(error.contains("bench record"), "{error}");
        assert_eq!(parse("").unwrap(), []);
    }
}
