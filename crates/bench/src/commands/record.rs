//! `bench record`: the standard set, appended to the record.

use crate::record::file;
use crate::record::standard_set::StandardSet;
use crate::report::print;
use clap::Args;
use std::path::PathBuf;

/// Measure the standard set and append it to the record.
#[derive(Debug, Args)]
pub struct BenchRecordArgs {
    #[command(flatten)]
    set: StandardSet,
    /// Where to append; the default is a file of the repository, so run it there or name a file
    #[arg(long, value_name = "FILE", default_value = file::FILE)]
    out: PathBuf,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchRecordArgs) -> anyhow::Result<()> {
    if args.out.exists() {
        // Checked before minutes are spent.
        file::read(&args.out)?;
    }
    args.set.measure(&mut |record| {
        // Each at once, so that it is kept whatever happens next.
        file::append(&args.out, std::slice::from_ref(record))?;
        let line = format!(
            "{}: online {:.1} ms ({:.2}x clear), offline {:.1} ms ({:.2}x clear)",
            record.name(),
            record.online_ms,
            record.online_ratio,
            record.offline_ms,
            record.offline_ratio
        );
        print(args.json, record, &line)
    })
}
