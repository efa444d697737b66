//! Tables as in PPRoute's paper, with the published figures beside ours.
//!
//! The figures of others are constants, and labelled so: they were taken on other machines, or on one of ours once.

use super::encoder::{EncoderMeasurement, measure_encoder};
use super::measure::{print, variant};
use super::route::measure_route;
use blindroute_routing::bundle::{Activation, Attention, Bundle, Rule};
use blindroute_runtime::SceneName;
use std::fmt::Write;

/// The length that PPRoute's tables are of.
const PUBLISHED_TOKENS: usize = 256;

/// PPRoute (arXiv 2604.15728), seconds at 256 tokens: Tables 1 and 2, router, baseline, optimised.
const PPROUTE_ROUTES: [(&str, &str, &str); 2] = [("CSCR", "183-199", "9.1-9.4"), ("UniRoute", "186-190", "8.1-9.9")];

/// A variant of Table 3, and others' figures of it.
struct Variant {
    attention: Attention,
    activation: Activation,
    /// PPRoute's Table 3, seconds at 256 tokens.
    pproute: f64,
    /// CrypTen 0.4.1 on two cores like ours, loopback, default provider, at 32, 128 and 256 tokens.
    crypten: [CrypTen; 3],
}

/// Seconds of a whole route (of which the selection is 0.5), rounds of the encoder, megabytes sent a party.
struct CrypTen(f64, u32, u32);

const VARIANTS: [Variant; 3] = [
    Variant {
        attention: Attention::Softmax,
        activation: Activation::Gelu,
        pproute: 189.3,
        crypten: [CrypTen(10.7, 1074, 286), CrypTen(38.7, 1140, 1528), CrypTen(93.5, 1200, 4492)],
    },
    Variant {
        attention: Attention::TwoRelu,
        activation: Activation::Gelu,
        pproute: 8.35,
        crypten: [CrypTen(8.0, 672, 249), CrypTen(28.4, 672, 937), CrypTen(58.6, 672, 2365)],
    },
    Variant {
        attention: Attention::TwoRelu,
        activation: Activation::Relu,
        pproute: 7.38,
        crypten: [CrypTen(5.6, 558, 190), CrypTen(21.3, 558, 701), CrypTen(46.5, 558, 1893)],
    },
];

impl Variant {
    fn crypten(&self, tokens: usize) -> Option<&CrypTen> {
        [32, 128, 256].iter().position(|known| *known == tokens).map(|index| &self.crypten[index])
    }
}

/// Table 3: measures the three variants and prints them.
pub(super) fn encoders(
    bundle: &Bundle,
    lengths: &[usize],
    scene: SceneName,
    runs: u32,
    json: bool,
) -> anyhow::Result<()> {
    for &tokens in lengths {
        let mut rows = Vec::new();
        for variant in &VARIANTS {
            let row = measure_encoder(bundle, (variant.attention, variant.activation), tokens, scene, runs)?;
            if json {
                print(true, &with(&row, &encoder_references(variant, tokens))?, "")?;
            }
            row.figures.confirm(&format!("{} + {}, {tokens} tokens", row.ffn, row.attention))?;
            rows.push((variant, row));
        }
        if !json {
            print(false, &(), &encoder_table(tokens, scene, runs, &rows))?;
        }
    }
    Ok(())
}

fn encoder_references(variant: &Variant, tokens: usize) -> serde_json::Value {
    serde_json::json!({
        "pproute_published_seconds": (tokens == PUBLISHED_TOKENS).then_some(variant.pproute),
        "crypten_route_seconds": variant.crypten(tokens).map(|known| known.0),
        "crypten_rounds": variant.crypten(tokens).map(|known| known.1),
        "crypten_megabytes_sent": variant.crypten(tokens).map(|known| known.2),
    })
}

fn encoder_table(tokens: usize, scene: SceneName, runs: u32, rows: &[(&Variant, EncoderMeasurement)]) -> String {
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
        let known = variant.crypten(tokens);
        line([
            &format!("{} + {}", row.ffn, row.attention),
            &format!("{:.3}", row.figures.ms.online / 1000.0),
            &format!("{:.3}", row.figures.ms.offline / 1000.0),
            &row.figures.openings.to_string(),
            &format!("{:.1}", row.figures.bytes.server0_sent as f64 / 1e6),
            &others((tokens == PUBLISHED_TOKENS).then(|| variant.pproute.to_string())),
            &others(known.map(|known| known.0.to_string())),
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
struct RouteRow {
    paper: (&'static str, &'static str, &'static str),
    name: String,
    online: [f64; 2],
    offline: [f64; 2],
}

/// Tables 1 and 2: measures CSCR and UniRoute, each in both variants, and prints them.
pub(super) fn routes(
    bundle: &Bundle,
    lengths: &[usize],
    scene: SceneName,
    runs: u32,
    json: bool,
) -> anyhow::Result<()> {
    let (baseline, optimised) = (&VARIANTS[0], &VARIANTS[2]);
    for &tokens in lengths {
        let mut rows = Vec::new();
        for paper in PPROUTE_ROUTES {
            let of_kind = |rule: &Rule| match rule {
                Rule::Cscr(_) => paper.0 == "CSCR",
                Rule::UniRoute(_) => paper.0 == "UniRoute",
                Rule::Direct(_) => false,
            };
            let Some(router) = bundle.parts().routers.iter().find(|router| of_kind(&router.rule)) else {
                anyhow::bail!("the bundle has no router of {}'s form; train one, or name the default bundle", paper.0);
            };
            let (mut online, mut offline) = ([0.0; 2], [0.0; 2]);
            for (column, kind) in [baseline, optimised].into_iter().enumerate() {
                let bundle = variant(bundle.clone(), Some(kind.attention), Some(kind.activation))?;
                let row = measure_route(&bundle, Some(&router.name), tokens, scene, runs)?;
                if json {
                    let published = [paper.1, paper.2][column];
                    let published = (tokens == PUBLISHED_TOKENS).then_some(published);
                    let crypten = kind.crypten(tokens).map(|known| known.0);
                    let references = serde_json::json!({
                        "pproute_published_seconds": published, "crypten_route_seconds": crypten
                    });
                    print(true, &with(&row, &references)?, "")?;
                }
                row.figures.confirm(&format!("{}, {} + {}", router.name, row.ffn, row.attention))?;
                online[column] = row.figures.ms.online / 1000.0;
                offline[column] = row.figures.ms.offline / 1000.0;
            }
            rows.push(RouteRow { paper, name: router.name.clone(), online, offline });
        }
        if !json {
            print(false, &(), &route_table(tokens, scene, runs, bundle.parts().models.len(), &rows))?;
        }
    }
    Ok(())
}

fn route_table(tokens: usize, scene: SceneName, runs: u32, models: usize, rows: &[RouteRow]) -> String {
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

/// A row of JSON with others' figures.
fn with(row: &impl serde::Serialize, others: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let mut row = serde_json::to_value(row)?;
    if let (Some(row), Some(others)) = (row.as_object_mut(), others.as_object()) {
        row.extend(others.clone());
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn variants_are_those_of_the_table() {
        assert!(VARIANTS.iter().all(|variant| variant.crypten(256).is_some() && variant.crypten(64).is_none()));
        let rounds: Vec<u32> =
            VARIANTS.iter().filter_map(|variant| variant.crypten(256)).map(|known| known.1).collect();
        assert_eq!(rounds, [1200, 672, 558]);
    }
}
