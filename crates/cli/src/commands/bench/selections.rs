//! PPRoute's Table 4: the published figures, and ours in its layout.

use super::select::SelectMeasurement;
use blindroute_routing::program::SelectMethod;
use serde::Serialize;
use std::fmt::Write;

/// A row of PPRoute's Table 4 (arXiv 2604.15728): the top 4 of 112 on its authors' machine, with CrypTen.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Published {
    pub(super) rounds: u32,
    pub(super) bytes: u64,
    pub(super) communication_seconds: f64,
    pub(super) computation_seconds: f64,
}

/// What PPRoute publishes of a selection.
pub(super) fn published(method: SelectMethod) -> Option<Published> {
    let (rounds, bytes, communication_seconds, computation_seconds) = match method {
        SelectMethod::Maximum => (130, 24_962_400, 0.097, 0.504),
        SelectMethod::Hnsw => (78, 14_977_440, 0.062, 0.282),
        SelectMethod::Bitonic => (28_682, 1_234_832, 8.31, 35.2),
        SelectMethod::Kona => (6_976, 299_968, 2.01, 8.63),
        SelectMethod::BruteForce => (6_756, 290_464, 1.94, 8.09),
        SelectMethod::Unsorted => (52, 9_984_960, 0.047, 0.201),
        _ => return None,
    };
    Some(Published { rounds, bytes, communication_seconds, computation_seconds })
}

fn label(method: SelectMethod, k: usize) -> String {
    match method {
        SelectMethod::Maximum => format!("maximum x {k}, all pairs"),
        SelectMethod::MaximumTree => format!("maximum x {k}, tournament"),
        SelectMethod::Hnsw => "HNSW-like, oblivious".to_owned(),
        SelectMethod::Bitonic => "bitonic sort".to_owned(),
        SelectMethod::Kona => "divide-and-conquer bubble".to_owned(),
        SelectMethod::BruteForce => "brute force".to_owned(),
        _ => "unsorted top-k (ours)".to_owned(),
    }
}

/// The measurements as a table, PPRoute's figures beside them.
pub(super) fn table(candidates: usize, k: usize, runs: u32, rows: &[SelectMeasurement]) -> String {
    let mut text = format!(
        "Top {k} of {candidates}, then the best by score; medians of {runs} runs; bytes of openings a server, sent and \
         received.\nOn the right PPRoute's Table 4 as published: another machine, CrypTen.\n\n"
    );
    let (ours, theirs) = ("blindroute, ms", "PPRoute, s");
    writeln!(
        text,
        "{:<26} {:>8} {:>9} {:>26}  {:<8} {:<9} | {:>7} {:>11} {:>14}",
        "", "", "", ours, "", "", "", "", theirs
    )
    .ok();
    writeln!(
        text,
        "{:<26} {:>8} {:>9} {:>8} {:>8} {:>8}  {:<8} {:<9} | {:>7} {:>11} {:>6} {:>7}",
        "method",
        "openings",
        "bytes",
        "comm.",
        "comp.",
        "offline",
        "leaks",
        "answer",
        "rounds",
        "bytes",
        "comm.",
        "comp."
    )
    .ok();
    for row in rows {
        let answer = if row.exact { "exact" } else { "missed" };
        write!(
            text,
            "{:<26} {:>8} {:>9} {:>8.2} {:>8.2} {:>8.2}  {:<8} {:<9} | ",
            label(row.method, k),
            row.figures.openings,
            row.figures.bytes.server0_sent + row.figures.bytes.server1_sent,
            row.figures.ms.communication,
            row.figures.ms.computation,
            row.figures.ms.offline,
            row.leaks,
            answer
        )
        .ok();
        match row.published {
            Some(Published { rounds, bytes, communication_seconds, computation_seconds }) => {
                writeln!(text, "{rounds:>7} {bytes:>11} {communication_seconds:>6.3} {computation_seconds:>7.3}")
            }
            None => writeln!(text, "{:>7} {:>11} {:>6} {:>7}", "-", "-", "-", "-"),
        }
        .ok();
    }
    text.push_str(
        "\nEvery answer is checked against the clear interpreter. comm. is a server's time inside exchanges, which holds its \
         wait\nfor the other server's work; comp. is the rest of its online time. Nothing leaks: what meets is the same for \
         every\ninput. The published HNSW reads only nodes on its path and shows it; ours touches all nodes instead, and finds \
         the\nbest only where the graph leads to it (these similarities do). To be fast and silent it needs oblivious memory.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_row_has_a_method() {
        assert_eq!(SelectMethod::ALL.into_iter().filter_map(published).count(), 6);
        // What sets the table apart: ours has the fewest rounds.
        let rounds = |method| published(method).map(|row| row.rounds);
        assert!(SelectMethod::ALL.into_iter().filter_map(rounds).all(|others| others >= 52));
    }
}
