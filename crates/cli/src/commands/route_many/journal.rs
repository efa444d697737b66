//! The journal of many prompts: it keeps each answer at once, so that an interrupted run continues where it stopped.
//!
//! The first line holds a random salt; each further line is JSON, one per answered line of the input. An answer is found again by
//! a digest of the salt, the line's number, the prompt, and everything else that decides the answer: bundle, placement, router
//! and weight of cost. The prompt itself is not kept. Whoever has the file can test guesses of a prompt against the digests, as
//! against the answers beside them, so only its owner can read it.

use anyhow::{Context, bail};
use blindroute_placement::{Placement, RouteReport, UnknownText};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const FORM: &str = "blindroute route 1";

/// The first line.
#[derive(Serialize, Deserialize)]
struct Heading {
    journal: String,
    salt: String,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
struct Entry<A> {
    line: usize,
    asked: String,
    answer: A,
}

/// What decides every answer of a run, beside the prompt.
pub(super) struct Terms {
    pub(super) bundle: String,
    pub(super) placement: Placement,
    pub(super) router: String,
    pub(super) lambda: f32,
    /// The model for text that the router cannot read.
    pub(super) unknown: Option<UnknownText>,
    /// How many models an answer names.
    pub(super) ranked: usize,
}

/// The answers of earlier runs, and the file that keeps those of this one.
pub(super) struct Journal {
    path: PathBuf,
    /// Salt and terms.
    base: Sha256,
    answers: HashMap<String, RouteReport>,
    file: Mutex<File>,
}

impl Journal {
    /// Reads what earlier runs kept, or begins.
    pub(super) fn open(path: &Path, terms: &Terms) -> anyhow::Result<Self> {
        let shown = path.display();
        let mut options = File::options();
        options.create(true).read(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .open(path)
            .with_context(|| format!("cannot write the journal {shown}; name a file that can be written"))?;
        if file.try_lock().is_err() {
            bail!("the journal {shown} is in use by another run; wait until it ends, or name another file");
        }
        let (salt, answers) = match read(&file).with_context(|| format!("the journal {shown}"))? {
            Some(found) => found,
            None => {
                let mut salt = [0u8; 32];
                getrandom::fill(&mut salt).context("the operating system gave no randomness")?;
                let heading = Heading { journal: FORM.to_owned(), salt: base16ct::lower::encode_string(&salt) };
                writeln!(file, "{}", serde_json::to_string(&heading)?)
                    .with_context(|| format!("cannot write the journal {shown}; check the space on its disk"))?;
                (heading.salt, HashMap::new())
            }
        };
        let mut base = Sha256::new();
        add(&mut base, salt.as_bytes());
        add(&mut base, terms.bundle.as_bytes());
        add(&mut base, format!("{:?}", terms.placement).as_bytes());
        add(&mut base, terms.router.as_bytes());
        add(&mut base, &terms.lambda.to_bits().to_le_bytes());
        if let Some(UnknownText { share, model }) = &terms.unknown {
            add(&mut base, &share.to_bits().to_le_bytes());
            add(&mut base, model.as_bytes());
        }
        if terms.ranked != 1 {
            add(&mut base, format!("ranked {}", terms.ranked).as_bytes());
        }
        Ok(Self { path: path.to_owned(), base, answers, file: Mutex::new(file) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// An earlier run's answer to this line.
    pub(super) fn recall(&self, number: usize, prompt: &str) -> Option<&RouteReport> {
        self.answers.get(&self.asked(number, prompt))
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, number: usize, prompt: &str, report: &RouteReport) -> anyhow::Result<()> {
        let entry = Entry { line: number, asked: self.asked(number, prompt), answer: report };
        let line = serde_json::to_string(&entry)?;
        // In one write: after an interruption all lines are whole, except perhaps the last.
        let written =
            self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(format!("{line}\n").as_bytes());
        written
            .with_context(|| format!("cannot write the journal {}; check the space on its disk", self.path.display()))
    }

    fn asked(&self, number: usize, prompt: &str) -> String {
        let mut hash = self.base.clone();
        add(&mut hash, &(number as u64).to_le_bytes());
        add(&mut hash, prompt.as_bytes());
        base16ct::lower::encode_string(&hash.finalize())
    }
}

/// Adds a part with its length, so that different lists of parts have different hashes.
fn add(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_le_bytes());
    hash.update(part);
}

/// Salt and answers of a journal; none if it is empty. A last line that is not whole is removed from the file.
fn read(file: &File) -> anyhow::Result<Option<(String, HashMap<String, RouteReport>)>> {
    let mut reader = BufReader::new(file);
    let mut found: Option<(String, HashMap<String, RouteReport>)> = None;
    let (mut line, mut number, mut whole) = (Vec::new(), 0, 0u64);
    loop {
        line.clear();
        number += 1;
        let bytes = reader.read_until(b'\n', &mut line).context("cannot be read")?;
        if bytes == 0 {
            return Ok(found);
        }
        let hint = "name another file with --journal, or remove this one";
        if line.last() != Some(&b'\n') {
            if found.is_none() && !b"{\"journal\":".starts_with(&line) && !line.starts_with(b"{\"journal\":") {
                bail!("it is not a journal of `blindroute route`; {hint}");
            }
            file.set_len(whole).context("its last line, which is not whole, cannot be removed")?;
            return Ok(found);
        }
        whole += bytes as u64;
        match &mut found {
            None => {
                let heading: Option<Heading> = serde_json::from_slice(&line).ok();
                let heading = heading.filter(|heading| heading.journal == FORM);
                let heading = heading.with_context(|| format!("it is not a journal of `blindroute route`; {hint}"))?;
                found = Some((heading.salt, HashMap::new()));
            }
            Some((_, answers)) => {
                let entry: Option<Entry<serde_json::Value>> = serde_json::from_slice(&line).ok();
                let entry = entry.with_context(|| format!("its line {number} is not an answer; {hint}"))?;
                // An answer from a version with other fields does not count: its line is routed again.
                if let Some(report) = RouteReport::from_json(entry.answer) {
                    answers.insert(entry.asked, report);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            bundle: "ab".into(),
            placement: Placement::Full,
            router: "uniroute".into(),
            lambda: 0.5,
            unknown: None,
            ranked: 1,
        }
    }

    fn report(model: &str) -> RouteReport {
        let text = serde_json::json!({
            "model": model, "price": 0.5, "price_unit": "USD", "placement": "full",
            "bundle": {"name": "default", "digest": "ab"}, "router": "uniroute", "lambda": 0.5, "tokens": 9, "unknown": 0, "bucket": 32,
            "ms": {"client": 1.0, "wait": 2.0, "offline": 2.0, "online": 3.5, "total": 6.5}, "openings": 116,
            "bytes": {"server0_sent": 1, "server1_sent": 1, "client_sent": 2, "material": 3}, "seen": "",
        });
        RouteReport::from_json(text).unwrap()
    }

    #[test]
    fn answers_are_found_again_by_line_prompt_and_terms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let open = |terms: &Terms| Journal::open(&path, terms).unwrap();
        let journal = open(&terms());
        assert!(Journal::open(&path, &terms()).is_err_and(|error| error.to_string().contains("in use by another run")));
        journal.keep(1, "zebracanary", &report("a")).unwrap();
        journal.keep(2, "zebracanary", &report("b")).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("zebracanary") && text.lines().count() == 3);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let journal = open(&terms());
        assert_eq!(journal.recall(1, "zebracanary"), Some(&report("a")));
        assert_eq!(journal.recall(2, "zebracanary"), Some(&report("b")));
        assert!(journal.recall(3, "zebracanary").is_none() && journal.recall(1, "zebra").is_none());
        drop(journal);
        for other in [
            Terms { bundle: "cd".into(), ..terms() },
            Terms { placement: Placement::Head, ..terms() },
            Terms { router: "cscr".into(), ..terms() },
            Terms { lambda: 0.25, ..terms() },
            Terms { ranked: 2, ..terms() },
            Terms { unknown: Some(UnknownText { share: 0.5, model: "large".into() }), ..terms() },
        ] {
            assert!(open(&other).recall(1, "zebracanary").is_none());
        }
        // Another journal has another salt.
        let other = Journal::open(&folder.path().join("other"), &terms()).unwrap();
        assert_ne!(other.asked(1, "x"), open(&terms()).asked(1, "x"));
    }

    #[test]
    fn a_cut_journal_goes_on_from_its_last_whole_line_and_other_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path, &terms()).unwrap();
        journal.keep(1, "x", &report("a")).unwrap();
        journal.keep(2, "y", &report("b")).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        for cut in [1, 30, 200] {
            std::fs::write(&path, &text[..text.len() - cut]).unwrap();
            let journal = Journal::open(&path, &terms()).unwrap();
            assert!(journal.recall(1, "x").is_some() && journal.recall(2, "y").is_none());
            journal.keep(2, "y", &report("b")).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        // Cut in its first line: it begins anew.
        std::fs::write(&path, &text[..20]).unwrap();
        assert!(Journal::open(&path, &terms()).unwrap().recall(1, "x").is_none());
        for (foreign, says) in [("a diary\n", "not a journal"), ("a diary", "not a journal")] {
            std::fs::write(&path, foreign).unwrap();
            let error = Journal::open(&path, &terms()).err().unwrap();
            assert!(format!("{error:#}").contains(says), "{error:#}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), foreign, "it is left as it was");
        }
        std::fs::write(&path, text.replace("\"asked\"", "\"axed\"")).unwrap();
        let error = Journal::open(&path, &terms()).err().unwrap();
        assert!(format!("{error:#}").contains("its line 2 is not an answer"), "{error:#}");
    }
}
