//! Tables as in PPRoute's paper, with the published figures beside ours.

use crate::measure::encoder::EncoderMeasurement;
use crate::published::{PUBLISHED_TOKENS, VARIANTS, Variant};
use blindroute_runtime::SceneName;
use std::fmt::Write;

/// Table 3: a row per variant of the encoder. Figures of other systems stand beside an encoder of the shape that they are of.
pub(crate) fn encoder_table(
    tokens: usize,
    scene: SceneName,
    runs: u32,
    (rows, is_published): (&[(&Variant, EncoderMeasurement)], bool),
) -> String {
    let mut text = format!("Encoder, {tokens} tokens, {scene}, medians of {runs} (PPRoute, Table 3)\n\n");
    let mut line = |cells: [&str; 9]| {
        let [name, rest @ ..] = cells;
        let _ = write!(text, "{name:<16}");
        for cell in rest {
            let _ = write!(text, "{cell:>12}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    line(["", "online, s", "offline, s", "openings", "MB sent", "PPRoute, s", "CrypTen, s", "rounds", "MB sent"]);
    for (variant, row) in rows {
        let others = |shown: Option<String>| shown.unwrap_or_else(|| "-".to_owned());
        let known = variant.crypten(tokens).filter(|_| is_published);
        line([
            &format!("{} + {}", row.ffn, row.attention),
            &format!("{:.3}", row.figures.ms.online / 1000.0),
            &format!("{:.3}", row.figures.ms.offline / 1000.0),
            &row.figures.openings.to_string(),
            &format!("{:.1}", row.figures.bytes.server0_sent as f64 / 1e6),
            &others((is_published && tokens == PUBLISHED_TOKENS).then(|| variant.pproute.to_string())),
            &others(known.map(|known| format!("{:.1}", known.0))),
            &others(known.map(|known| known.1.to_string())),
            &others(known.map(|known| known.2.to_string())),
        ]);
    }
    text.push_str(
        "\nEmbeddings checked against the clear interpreter. MB sent: by each server, online. Not measured here: PPRoute as \
         published, on its\nmachine; CrypTen 0.4.1, measured once on two cores over loopback, seconds of a whole route (0.5 s of \
         them selection).\n",
    );
    text
}

/// One router of Tables 1 and 2: seconds, baseline and optimised.
pub(crate) struct RouteRow {
    /// Router, baseline and optimised, as PPRoute publishes them.
    pub(crate) paper: (&'static str, &'static str, &'static str),
    pub(crate) name: String,
    pub(crate) online: [f64; 2],
    pub(crate) offline: [f64; 2],
}

/// Tables 1 and 2: a table per router.
pub(crate) fn route_table(tokens: usize, scene: SceneName, runs: u32, models: usize, rows: &[RouteRow]) -> String {
    let mut text = format!("Whole route, {tokens} tokens, {scene}, medians of {runs}, {models} models\n");
    for (number, RouteRow { paper, name, online, offline }) in rows.iter().enumerate() {
        let mut line = |cells: [&str; 4]| {
            let _ = writeln!(text, "{:<34}{:>24}{:>24}{:>8}", cells[0], cells[1], cells[2], cells[3]);
        };
        let ours = |what: &str, [baseline, optimised]: &[f64; 2]| {
            [format!("blindroute ({name}), {what}, s"), format!("{baseline:.3}"), format!("{optimised:.3}")]
                .into_iter()
                .chain([format!("{:.1}x", baseline / optimised)])
                .collect::<Vec<_>>()
        };
        line(["", "", "", ""]);
        let title = format!("Table {}, {}", number + 1, paper.0);
        line([&title, "baseline: gelu + softmax", "optimised: relu + 2relu", "ratio"]);
        for row in [ours("online", online), ours("offline", offline)] {
            line([&row[0], &row[1], &row[2], &row[3]]);
        }
        if tokens == PUBLISHED_TOKENS {
            line(["PPRoute as published, s", paper.1, paper.2, ""]);
        }
        if let (Some(baseline), Some(optimised)) = (VARIANTS[0].crypten(tokens), VARIANTS[2].crypten(tokens)) {
            let [baseline, optimised] = [baseline.0, optimised.0];
            let ratio = format!("{:.1}x", baseline / optimised);
            line(["CrypTen, CSCR's rule, s", &baseline.to_string(), &optimised.to_string(), &ratio]);
        }
    }
    let mut trimmed: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    trimmed.push_str(
        "\nAnswers checked against the clear interpreter. Not measured here: PPRoute as published, on its machine; CrypTen 0.4.1,\n\
         measured once on two cores over loopback, with 112 models. Both make their random numbers while they run: compare with\n\
         offline and online together.\n",
    );
    trimmed
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::published::PPROUTE_ROUTES;

    #[test]
    fn tables_say_what_is_published_where_it_is() {
        let row =
            RouteRow { paper: PPROUTE_ROUTES[0], name: "cscr".to_owned(), online: [6.0, 1.5], offline: [1.0, 0.5] };
        let rows = [row];
        let table = route_table(256, SceneName::Loopback, 5, 9, &rows);
        assert!(table.contains("183-199") && table.contains("4.0x") && table.contains("93.5"), "{table}");
        assert!(table.lines().all(|line| line.len() <= 130 && line.trim_end() == line), "{table}");
        assert!(!route_table(64, SceneName::Wan, 5, 9, &rows).contains("183-199"));
    }
}
