//! What is printed of a trained pool.

use std::fmt::Write as _;
use std::path::Path;

use blindroute_console::files::{print, write_bundle};
use blindroute_lab::classifiers::{CascadeReport, GainReport, SplitReport, TaskReport, TrainedCascade, TrainedPool};
use blindroute_routing::bundle::Bundle;

/// Writes a trained pool with this note on its origin, and prints how good each task is.
pub(super) fn finish(trained: TrainedPool, note: &str, out: &Path, network: &str, json: bool) -> anyhow::Result<()> {
    let TrainedPool { bundle, reports } = trained;
    let exits = bundle.parts().pool.as_ref().map(|pool| pool.exits.clone()).unwrap_or_default();
    let (bytes, digest) = write(bundle, note, out)?;
    print(&if json {
        let report = serde_json::json!({
            "out": out, "bytes": bytes, "digest": digest, "exits": exits, "network": network, "tasks": reports,
        });
        report.to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\n{}", out.display(), table(&reports, &exits, network)?)
    })
}

/// The same for a pool whose texts may go on to a larger encoder.
pub(super) fn finish_cascade(
    trained: TrainedCascade,
    note: &str,
    out: &Path,
    network: &str,
    json: bool,
) -> anyhow::Result<()> {
    let TrainedCascade { bundle, reports } = trained;
    let (bytes, digest) = write(bundle, note, out)?;
    print(&if json {
        let report = serde_json::json!({
            "out": out, "bytes": bytes, "digest": digest, "network": network, "tasks": reports,
        });
        report.to_string()
    } else {
        format!("{}: {bytes} bytes, digest {digest}\n{}", out.display(), cascade_table(&reports, network)?)
    })
}

/// Writes a bundle with this note on its origin; its size and digest.
fn write(bundle: Bundle, note: &str, out: &Path) -> anyhow::Result<(usize, String)> {
    let mut parts = bundle.into_parts();
    parts.origin = format!("{}\n{note}", parts.origin);
    let bundle = Bundle::new(parts)?;
    Ok((write_bundle(&bundle, out)?, bundle.digest().to_string()))
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn table(reports: &[TaskReport], exits: &[usize], network: &str) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for report in reports {
        writeln!(text, "\ntask {}: {} labels, {} training texts", report.task, report.labels, report.train)?;
        if report.rounded > 0 {
            writeln!(text, "  {} labels rounded to the nearest whole number", report.rounded)?;
        }
        for (exit, gain) in exits.iter().zip(&report.gains) {
            writeln!(text, "  gain after {exit} layers: {}", rivals(gain))?;
        }
        for (name, split) in [("dev", Some(&report.dev)), ("test", report.test.as_ref())] {
            let Some(split) = split else { continue };
            write_split(&mut text, name, split, exits, network)?;
        }
        if let Some(open) = &report.open {
            let (layers, accuracy) = (open.layers, percent(open.accuracy));
            writeln!(text, "    in the open, thresholds {:?}, {layers:.2} layers: {accuracy}", open.thresholds)?;
        }
    }
    Ok(text)
}

/// How good each kind of gain is, and which is taken.
fn rivals(gain: &GainReport) -> String {
    let [learned, spread, gated, lead] = [gain.learned, gain.spread, gain.gated, gain.lead].map(percent);
    format!("learned {learned}, spread {spread}, gated {gated}, lead {lead}; takes {}", gain.kind)
}

fn cascade_table(reports: &[CascadeReport], network: &str) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for report in reports {
        writeln!(text, "\ntask {}: {} labels", report.task, report.labels)?;
        if report.rounded > 0 {
            writeln!(text, "  {} labels rounded to the nearest whole number", report.rounded)?;
        }
        writeln!(text, "  gain for the larger encoder: {}", rivals(&report.gain))?;
        for (name, split) in [("dev", Some(&report.dev)), ("test", report.test.as_ref())] {
            let Some(of) = split else { continue };
            let [small, large, routed, share] = [of.small, of.large, of.routed, of.share].map(percent);
            let [random, oracle] = [of.random, of.oracle].map(percent);
            writeln!(text, "  {name}, {} texts: small {small}, large {large}", of.texts)?;
            writeln!(
                text,
                "    {share} go on beyond {}, about {:.1} ms on {network} per text: routed {routed}, at random {random}, oracle {oracle}",
                report.threshold,
                1000.0 * of.seconds
            )?;
        }
    }
    Ok(text)
}

fn write_split(text: &mut String, name: &str, of: &SplitReport, exits: &[usize], network: &str) -> std::fmt::Result {
    let accuracies = exits.iter().zip(&of.exits).map(|(exit, share)| format!("{exit} layers {}", percent(*share)));
    writeln!(text, "  {name}, {} texts: {}", of.texts, accuracies.collect::<Vec<_>>().join(", "))?;
    let route = &of.chosen;
    let (milliseconds, shares) = (1000.0 * route.seconds, &route.shares);
    let [gain, random, confidence] = [route.gain, route.random, route.confidence].map(percent);
    writeln!(
        text,
        "    shares {shares:?}, {:.2} layers and about {milliseconds:.1} ms on {network} per text: by gain {gain}, at random {random}, by confidence {confidence}",
        route.layers,
    )
}
