//! The program `blindroute-simulation`: many lists, one list again, or load.

use anyhow::{Context, bail};
use blindroute_simulation::load::{Callers, load};
use blindroute_simulation::operation::{read, write};
use blindroute_simulation::{Operation, Reference, Settings, Size, Summary, list, run, shrink};
use clap::Parser;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Disturb a deployment by lists of operations, or load it.
///
/// Each list runs on a deployment of its own. A list that fails is made shorter and written to --keep.
#[derive(Debug, Parser)]
#[command(name = "blindroute-simulation", version)]
struct Arguments {
    /// The program of the parties; blindroute-operator beside this program if it is not given
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// The program of a gateway; blindroute beside this program if it is not given, and no gateway if there is none
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// Seed of the first list; each further list has the next one
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Go on until so many faults happened
    #[arg(long, value_name = "N", default_value_t = 0)]
    faults: usize,
    /// Go on for so many hours at least
    #[arg(long, value_name = "HOURS", default_value_t = 0.0)]
    hours: f64,
    /// Faults and other scenes of each list
    #[arg(long, value_name = "N", default_value_t = 120)]
    scenes: usize,
    /// Write a JSON object for each list to this file, a line each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder for lists that fail
    #[arg(long, value_name = "DIR", default_value = "target/simulation")]
    keep: PathBuf,
    /// Run the list of this file, and nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "load")]
    replay: Option<PathBuf>,
    /// Runs by which a list that fails is made shorter
    #[arg(long, value_name = "N", default_value_t = 40)]
    shrink: usize,
    /// Load a deployment without faults
    #[arg(long)]
    load: bool,
    /// Lanes
    #[arg(long, value_name = "N", default_value_t = 2)]
    lanes: usize,
    /// Clients; with --load, callers at once
    #[arg(long, value_name = "N", default_value_t = 6)]
    clients: usize,
    /// With --load, callers of a gateway that has room for four requests at once, besides those of --clients
    #[arg(long, value_name = "N", default_value_t = 16)]
    overload: usize,
    /// Minutes of load
    #[arg(long, value_name = "MINUTES", default_value_t = 30.0)]
    minutes: f64,
}

/// Texts of the clients.
const TEXTS: usize = 24;

fn beside(name: &str) -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let program = match &arguments.operator {
        Some(program) => program.clone(),
        None => beside("blindroute-operator")?,
    };
    if !program.is_file() {
        bail!(
            "there is no {}; build it with the same profile (cargo build -p blindroute-operator), or name it with --operator",
            program.display()
        );
    }
    let reference = Arc::new(Reference::new(TEXTS)?);
    let (lanes, clients) = (arguments.lanes, arguments.clients);
    let gateway = arguments.gateway.clone().or_else(|| Some(beside("blindroute").ok()?).filter(|path| path.is_file()));
    if gateway.is_none() {
        eprintln!(
            "there is no blindroute beside this program, so there is no gateway; build it, or name it with --gateway"
        );
    }
    let settings = Settings {
        program,
        gateway,
        lanes,
        clients,
        level: "trace",
        faults: true,
        max_sessions: 32,
        gateway_routes: 256,
    };
    if arguments.load {
        return loaded(&arguments, &settings, &reference);
    }
    if let Some(file) = &arguments.replay {
        let operations = read(&std::fs::read_to_string(file)?)?;
        let checked = run(&settings, &reference, &operations)?;
        writeln!(std::io::stdout(), "{}", checked.json(0))?;
        if checked.violations.is_empty() { Ok(()) } else { bail!("{}", checked.violations.join("\n")) }
    } else {
        lists(&arguments, &settings, &reference)
    }
}

fn lists(arguments: &Arguments, settings: &Settings, reference: &Arc<Reference>) -> anyhow::Result<()> {
    let mut out = arguments.out.as_ref().map(File::create).transpose().context("the file of --out")?;
    let (started, mut summary) = (Instant::now(), Summary::default());
    for seed in arguments.seed.. {
        // Every third list disturbs one lane only, so that each call has to be answered.
        let only = (settings.lanes > 1 && seed % 3 == 0).then_some(seed as usize % settings.lanes);
        let size = Size { lanes: settings.lanes, clients: settings.clients, texts: TEXTS, only };
        let operations = list(seed, size, arguments.scenes);
        let checked = run(settings, reference, &operations)?;
        summary.add(&checked);
        if let Some(out) = &mut out {
            writeln!(out, "{}", checked.json(seed))?;
        }
        eprintln!(
            "seed {seed}: {} faults, {} answers, {} errors, {} violations; {} faults in {:.0} s so far",
            checked.faults.values().sum::<usize>(),
            checked.answers,
            checked.errors.values().sum::<usize>(),
            checked.violations.len(),
            summary.all_faults(),
            started.elapsed().as_secs_f64()
        );
        if !checked.violations.is_empty() {
            eprintln!("{}", checked.violations.join("\n"));
            keep(arguments, &operations, seed, &|list| {
                run(settings, reference, list).is_ok_and(|checked| !checked.violations.is_empty())
            })?;
        }
        if summary.all_faults() >= arguments.faults && started.elapsed().as_secs_f64() >= arguments.hours * 3600.0 {
            break;
        }
    }
    writeln!(std::io::stdout(), "{}", summary.table())?;
    if summary.violations > 0 { bail!("{} violations", summary.violations) } else { Ok(()) }
}

/// Writes a list that failed, and a shorter one that fails too.
fn keep(
    arguments: &Arguments,
    operations: &[Operation],
    seed: u64,
    fails: &dyn Fn(&[Operation]) -> bool,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(&arguments.keep)?;
    let file = |name: &str| -> PathBuf { Path::new(&arguments.keep).join(format!("{seed}{name}.txt")) };
    std::fs::write(file(""), write(operations))?;
    eprintln!("written to {}; looking for a shorter one that fails", file("").display());
    let shorter = shrink(operations, arguments.shrink, fails);
    std::fs::write(file("-shorter"), write(&shorter))?;
    eprintln!("{} of {} lines are left, in {}", shorter.len(), operations.len(), file("-shorter").display());
    Ok(())
}

fn loaded(arguments: &Arguments, settings: &Settings, reference: &Arc<Reference>) -> anyhow::Result<()> {
    let settings = Settings { level: "warn", ..settings.clone() };
    let time = Duration::from_secs_f64(arguments.minutes * 60.0);
    let callers = Callers { of_lanes: arguments.clients, of_gateway: arguments.overload };
    let told = load(&settings, reference, callers, time)?.json();
    if let Some(out) = &arguments.out {
        std::fs::write(out, told.to_string())?;
    }
    Ok(writeln!(std::io::stdout(), "{told:#}")?)
}
