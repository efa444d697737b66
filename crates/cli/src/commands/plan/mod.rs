//! `blindroute plan`: which models several pairs of servers should hold, from memory, the cost meter and the network.

mod estimate;
mod input;
mod place;

use blindroute_console::files::print;
use estimate::Estimate;
use input::PlanFile;
use place::{Need, NoRoom, Placed, Problem};
use serde::Serialize;
use std::path::PathBuf;

/// Say which pairs of servers should hold which models.
///
/// A pair is the machines of a dealer and two servers; each model that it holds is served by processes of its own. Every model gets
/// at least one pair, the memory of all servers suffices, and the largest load of a pair is as small as a greedy choice with local
/// improvement makes it. Nothing runs: openings, bytes and material are those of the cost meter, times and memory are estimated.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// Pairs and models (TOML): tables `pairs` with name, memory_mib, delay_ms, megabits and perhaps cores; tables `models` with bundle, load
    /// (sessions per hour), bucket, batch and perhaps name, router or task, and sessions (at once)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A pair as it would be.
#[derive(Debug, Serialize)]
struct PairRow<'a> {
    name: &'a str,
    memory_mib: f64,
    used_mib: f64,
    /// The share of an hour that it is busy.
    load: f64,
}

/// A model on a pair.
#[derive(Debug, Serialize)]
struct Row<'a> {
    model: &'a str,
    pair: &'a str,
    sessions_per_hour: f64,
    load: f64,
    why: String,
    #[serde(flatten)]
    estimate: &'a Estimate,
}

/// Prints the placement.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let file = PlanFile::open(&args.file)?;
    let estimates =
        file.models.iter().map(|model| estimate::on_each(model, &file.pairs)).collect::<anyhow::Result<Vec<_>>>()?;
    let need = |estimate: &Estimate| Need { memory: estimate.memory_mib, seconds: estimate.seconds() };
    let problem = Problem {
        memory: file.pairs.iter().map(|pair| pair.memory_mib).collect(),
        sessions: file.models.iter().map(|model| model.load).collect(),
        needs: estimates.iter().map(|pairs| pairs.iter().map(need).collect()).collect(),
    };
    let placed = problem.place().map_err(|error| no_room(&file, &problem, error))?;
    let (loads, left) = (problem.loads(&placed), problem.left(&placed));
    let pairs: Vec<PairRow<'_>> = file
        .pairs
        .iter()
        .zip(loads.iter().zip(&left))
        .map(|(pair, (load, left))| PairRow {
            name: &pair.name,
            memory_mib: pair.memory_mib,
            used_mib: pair.memory_mib - left,
            load: *load,
        })
        .collect();
    let names: Vec<String> = file.models.iter().map(input::ModelEntry::name).collect();
    let mut rows = Vec::new();
    for (model, on) in placed.iter().enumerate() {
        let load = problem.load(model, on);
        for &pair in on {
            let estimate = &estimates[model][pair];
            rows.push(Row {
                model: &names[model],
                pair: &file.pairs[pair].name,
                sessions_per_hour: load * 3600.0 / estimate.seconds(),
                load,
                why: why(&file, &problem, &placed, model),
                estimate,
            });
        }
    }
    let largest = problem.largest(&placed);
    if args.json {
        let answer = serde_json::json!({"largest_load": largest, "pairs": pairs, "placements": rows});
        return print(&answer.to_string());
    }
    print(&table(&pairs, &rows, largest))
}

/// Why a model is where it is: what the pairs would be with it on one of them only.
fn why(file: &PlanFile, problem: &Problem, placed: &Placed, model: usize) -> String {
    let on = &placed[model];
    let alone = |pair: usize| {
        let mut other = placed.clone();
        other[model] = vec![pair];
        let (lacks, largest) = (-problem.left(&other)[pair], problem.largest(&other));
        let name = &file.pairs[pair].name;
        if lacks > 0.0 {
            format!("{name} lacks {lacks:.0} MiB for it")
        } else {
            format!("on {name} alone the largest load would be {}", percent(largest))
        }
    };
    let other = (0..file.pairs.len()).filter(|pair| on.len() > 1 || !on.contains(pair)).map(alone);
    let other: Vec<String> = other.collect();
    if other.is_empty() { "there is no other pair".to_owned() } else { other.join("; ") }
}

fn no_room(file: &PlanFile, problem: &Problem, error: NoRoom) -> anyhow::Error {
    let NoRoom { model, pair, left, lacks } = error;
    let (name, pair_name) = (file.models[model].name(), &file.pairs[pair].name);
    let needs = problem.needs[model][pair].memory;
    let whose = if left < problem.memory[pair] { "is left beside the other models" } else { "is all it has" };
    anyhow::anyhow!(
        "model {name:?} fits on no pair: it needs {needs:.0} MiB on each server, and of pair {pair_name:?}, which comes closest, \
         {left:.0} MiB {whose}: {lacks:.0} MiB too few. Give a pair more memory_mib, or the model fewer sessions at once or a \
         smaller batch"
    )
}

fn percent(load: f64) -> String {
    format!("{:.1} %", 100.0 * load)
}

fn table(pairs: &[PairRow<'_>], rows: &[Row<'_>], largest: f64) -> String {
    let mut lines = vec![format!("{:16} {:>10} {:>20}", "pair", "load", "memory of a server")];
    lines.extend(pairs.iter().map(|pair| {
        let memory = format!("{:.0} of {:.0} MiB", pair.used_mib, pair.memory_mib);
        format!("{:16} {:>10} {memory:>20}", pair.name, percent(pair.load))
    }));
    lines.push(String::new());
    lines.push(format!(
        "{:24} {:16} {:>10} {:>8} {:>9} {:>8} {:>9} {:>11} {:>9}",
        "model", "pair", "sessions/h", "load", "session", "openings", "sent", "material", "memory"
    ));
    for row in rows {
        let estimate = row.estimate;
        lines.push(format!(
            "{:24} {:16} {:>10.1} {:>8} {:>7.2} s {:>8} {:>6.2} MB {:>8.2} MB {:>5.0} MiB",
            row.model,
            row.pair,
            row.sessions_per_hour,
            percent(row.load),
            estimate.seconds(),
            estimate.openings,
            estimate.server_bytes as f64 / 1e6,
            estimate.material_bytes as f64 / 1e6,
            estimate.memory_mib
        ));
        lines.push(format!("  why: {}", row.why));
    }
    lines.push(String::new());
    lines.push(
        "Openings, bytes and material are the cost meter's. Estimated: a session takes openings × delay + bytes / bandwidth + work \
         (6e-11 s per product of a linear layer, 2e-9 s per byte of material, divided by cores); a server needs 64 MiB + 16 or 24 \
         bytes per weight + sessions at once × 3 × material."
            .to_owned(),
    );
    if largest > 1.0 {
        lines.push(format!(
            "A pair would be busy for {} of the time with its sessions one after the other: add pairs, or expect sessions to wait.",
            percent(largest)
        ));
    }
    lines.join("\n")
}
