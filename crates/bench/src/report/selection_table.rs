//! PPRoute's Table 4: the published figures, and ours in its layout.

use crate::measure::selection::SelectMeasurement;
use crate::published::PublishedSelection;
use blindroute_routing::program::SelectMethod;
use std::fmt::Write;

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
pub(crate) fn table(candidates: usize, k: usize, runs: u32, rows: &[SelectMeasurement]) -> String {
    let mut text = format!(
        "Top {k} of {candidates}, then the best by score; medians of {runs} runs; bytes of openings per server, sent and \
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
            Some(PublishedSelection { rounds, bytes, communication_seconds, computation_seconds }) => {
                writeln!(text, "{rounds:>7} {bytes:>11} {communication_seconds:>6.3} {computation_seconds:>7.3}")
            }
            None => writeln!(text, "{:>7} {:>11} {:>6} {:>7}", "-", "-", "-", "-"),
        }
        .ok();
    }
    text.push_str(
        "\nEvery answer is checked against the clear interpreter. comm. is a server's time inside exchanges, including its \
         wait\nfor the other server's work; comp. is the rest of its online time. Nothing leaks: the servers compare the same places \
         for\nevery input. The published HNSW reads only nodes on its path, and so reveals the path; ours reads all nodes, and finds\nthe \
         best only where the graph leads to it (with these similarities it does). Without oblivious memory, HNSW is fast or\nprivate, \
         not both.",
    );
    text
}
