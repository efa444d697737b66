//! `bench compare`: a fresh run against the record's last.

use crate::record::change::{Change, Verdict, heading, last};
use crate::record::file::{self, Record};
use crate::record::standard_set::StandardSet;
use crate::report::print;
use clap::Args;
use std::path::PathBuf;

/// Compare with the record.
#[derive(Debug, Args)]
pub struct BenchCompareArgs {
    #[command(flatten)]
    set: StandardSet,
    /// The record; the default is a file of the repository, so run it there or name a file
    #[arg(long, value_name = "FILE", default_value = file::FILE)]
    record: PathBuf,
    /// Compare the last lines of this file instead of measuring
    #[arg(long, value_name = "FILE")]
    fresh: Option<PathBuf>,
    /// The largest factor by which the ratio of a time to the clear interpreter may grow
    #[arg(long, value_name = "FACTOR", default_value_t = 1.3, value_parser = tolerance)]
    tolerance: f64,
    /// Compare openings and bytes only, and fail on any difference: they are the same on every machine
    #[arg(long, conflicts_with = "tolerance")]
    counts: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1.0..=100.0).contains(number));
    number.ok_or_else(|| "expected a number from 1 to 100, for instance 1.3".to_owned())
}

/// Runs the change.
pub(crate) fn run(args: &BenchCompareArgs) -> anyhow::Result<()> {
    let record = file::read(&args.record)?;
    if !args.json {
        print(false, &(), &heading())?;
    }
    let mut worse = 0;
    let mut compared = 0;
    let tolerance = (!args.counts).then_some(args.tolerance);
    let mut compare = |now: &Record| {
        let change = Change::of(last(&record, now), now, tolerance);
        worse += usize::from(change.verdict == Verdict::Worse);
        // With fewer openings or bytes than recorded, the record is out of date.
        worse += usize::from(change.verdict == Verdict::Better && args.counts);
        compared += usize::from(change.verdict != Verdict::New);
        print(args.json, &change, &change.line())
    };
    match &args.fresh {
        None => args.set.measure(&mut compare)?,
        Some(path) => {
            let fresh = file::read(path)?;
            // Of each subject the last.
            let later = |at: usize| fresh[at + 1..].iter().any(|record| record.same_subject(&fresh[at]));
            fresh.iter().enumerate().filter(|(at, _)| !later(*at)).try_for_each(|(_, record)| compare(record))?;
        }
    }
    if worse > 0 && args.counts {
        anyhow::bail!(
            "{worse} of {compared} measurements have other openings or bytes than {}; if the change is intended, record it \
             with `blindroute bench record`",
            args.record.display()
        );
    }
    if worse > 0 {
        anyhow::bail!(
            "{worse} of {compared} measurements got worse than {} tolerates (times over {} times their ratio to the clear \
             interpreter, or more openings or bytes); measure again on an idle machine to be sure",
            args.record.display(),
            args.tolerance
        );
    }
    if compared == 0 {
        anyhow::bail!(
            "none of these measurements is in {}; record them with `blindroute bench record`",
            args.record.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerances_are_checked() {
        assert_eq!(tolerance("1.3"), Ok(1.3));
        assert!(["0.9", "NaN", "x", "inf"].iter().all(|text| tolerance(text).is_err()));
    }
}
