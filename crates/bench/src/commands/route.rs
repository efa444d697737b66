//! `bench route`: whole routes.

use crate::measure::route::measure_route;
use crate::measure::{check_tokens, variant};
use crate::options::Options;
use crate::published::{PPROUTE_ROUTES, PUBLISHED_TOKENS, VARIANTS};
use crate::report::papers::{RouteRow, route_table};
use crate::report::{print, with};
use blindroute_console::bundles::{self, Shipped};
use blindroute_routing::bundle::{Activation, Attention, Bundle, Rule};
use clap::Args;

/// Measure whole routes.
#[derive(Debug, Args)]
pub struct BenchRouteArgs {
    /// Prompt lengths in tokens, 3 to 256; 32, 128 and 256 if not given, with --table 256
    #[arg(long, value_delimiter = ',')]
    tokens: Vec<usize>,
    /// Attention: softmax or 2relu; the bundle's if not given. With this or --ffn the bundle is minilm.blindroute if none is named
    #[arg(long)]
    attention: Option<String>,
    /// Feed-forward activation: gelu or relu; the bundle's if not given
    #[arg(long)]
    ffn: Option<String>,
    /// Router of the bundle; the first if none is named
    #[arg(long)]
    router: Option<String>,
    /// Print PPRoute's Tables 1 and 2: CSCR and UniRoute, each with gelu + softmax and with relu + 2relu
    #[arg(long, conflicts_with_all = ["attention", "ffn", "router"])]
    table: bool,
    #[command(flatten)]
    common: Options,
}

/// Runs the measurement.
pub(crate) fn run(args: &BenchRouteArgs) -> anyhow::Result<()> {
    let Options { runs, scene, json, bundle } = &args.common;
    check_tokens(&args.tokens)?;
    // The papers' programs are of the published weights; a student's weights are for its own program.
    let other = args.table || args.attention.is_some() || args.ffn.is_some();
    let bundle = bundles::open_or(bundle.as_deref(), if other { Shipped::MiniLm } else { Shipped::Default })?;
    if args.table {
        let tokens = if args.tokens.is_empty() { vec![256] } else { args.tokens.clone() };
        return routes(&bundle, &tokens, &args.common);
    }
    let attention = args.attention.as_deref().map(str::parse::<Attention>).transpose()?;
    let activation = args.ffn.as_deref().map(str::parse::<Activation>).transpose()?;
    let bundle = variant(bundle, attention, activation)?;
    let tokens = if args.tokens.is_empty() { vec![32, 128, 256] } else { args.tokens.clone() };
    for tokens in tokens {
        // Fresh processes, so that the peaks are those of this length.
        let measurement = measure_route(&bundle, args.router.as_deref(), tokens, *scene, *runs)?;
        print(*json, &measurement, &measurement.line())?;
        measurement.figures.confirm(&format!("{tokens} tokens"))?;
    }
    Ok(())
}

/// Tables 1 and 2: measures CSCR and UniRoute, each in both variants, and prints them.
fn routes(bundle: &Bundle, lengths: &[usize], options: &Options) -> anyhow::Result<()> {
    let Options { runs, scene, json, .. } = *options;
    let (baseline, optimised) = (&VARIANTS[0], &VARIANTS[2]);
    for &tokens in lengths {
        let mut rows = Vec::new();
        for paper in PPROUTE_ROUTES {
            let of_kind = |rule: &Rule| match rule {
                Rule::Cscr(_) => paper.0 == "CSCR",
                Rule::UniRoute(_) => paper.0 == "UniRoute",
                Rule::Direct(_) | Rule::Mlp(_) | Rule::Neighbours(_) => false,
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
