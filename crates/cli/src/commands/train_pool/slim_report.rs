//! What is printed of a pool that was made cheaper.

use std::fmt::{Error, Write as _};

use blindroute_lab::classifiers::{Saved, SlimReport, SlimRow, TaskMeasures, TextCost};

use super::report::percent;

/// The whole report as text.
pub(super) fn table(report: &SlimReport, network: &str) -> Result<String, Error> {
    let mut text = String::new();
    writeln!(text, "\nper text on {network}: {}", cost(&report.start.cost))?;
    writeln!(text, "\n{}", head("each change alone"))?;
    report.alone.iter().try_for_each(|change| writeln!(text, "{}", row(change)))?;
    writeln!(text, "\n{}", head("accepted, each after the one before"))?;
    report.accepted.iter().try_for_each(|change| writeln!(text, "{}", row(change)))?;
    for round in &report.rounds {
        let kept = if round.kept { "" } else { "; the training is not kept" };
        writeln!(
            text,
            "  after training, round {}: loss {:.4} -> {:.4}, accuracy {} -> {}{kept}; new shares: accuracy {}",
            round.round,
            round.changed.loss,
            round.trained.loss,
            percent(round.changed.accuracy),
            percent(round.trained.accuracy),
            percent(round.routed.accuracy),
        )?;
    }
    writeln!(text, "\nthe whole saves {}", saved(&report.saved))?;
    for (before, after) in report.before.iter().zip(&report.after) {
        writeln!(text, "\ntask {}", before.task)?;
        measures(&mut text, "before", before)?;
        measures(&mut text, "after", after)?;
    }
    writeln!(text, "\nreplacements, for an embedding through all layers without exits:")?;
    writeln!(text, "  linear attention, squares, one norm:   {}", cost(&report.embedding))?;
    writeln!(text, "  softmax attention, GELU, two norms:    {}", cost(&report.published))?;
    Ok(text)
}

fn head(title: &str) -> String {
    format!(
        "{title:36} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "seconds", "bytes", "openings", "material", "accuracy", "objective"
    )
}

fn row(change: &SlimRow) -> String {
    let SlimRow { saved, score, .. } = change;
    let part = |part: f64| format!("{:.1} %", 100.0 * part);
    format!(
        "  {:34} {:>9} {:>9} {:>9} {:>9} {:>+9.2} {:>9.4}",
        change.change,
        part(saved.seconds),
        part(saved.bytes),
        part(saved.openings),
        part(saved.material),
        100.0 * change.accuracy,
        score.objective
    )
}

fn saved(of: &Saved) -> String {
    let [seconds, bytes, openings, material] = [of.seconds, of.bytes, of.openings, of.material].map(percent);
    format!("{seconds} of the seconds, {bytes} of the bytes, {openings} of the openings, {material} of the material")
}

fn cost(of: &TextCost) -> String {
    let (milliseconds, megabytes, kilobytes) = (1000.0 * of.seconds, of.bytes / 1e6, of.material / 1e3);
    let openings = of.openings;
    format!(
        "{milliseconds:.1} ms, {megabytes:.3} MB each way, {openings:.0} openings per session, {kilobytes:.1} kB of material per token"
    )
}

fn measures(text: &mut String, name: &str, of: &TaskMeasures) -> Result<(), Error> {
    writeln!(text, "  {name:6} shares {:?}, {}", of.shares, cost(&of.cost))?;
    for (split, found) in [("dev", Some(&of.dev)), ("test", of.test.as_ref())] {
        let Some(found) = found else { continue };
        let exits = found.exits.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(", ");
        let (texts, routed, layers) = (found.texts, percent(found.routed), found.layers);
        writeln!(text, "    {split}, {texts} texts: by exit {exits}; routed {routed} with {layers:.2} layers")?;
    }
    Ok(())
}
