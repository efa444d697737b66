//! Measures how many prompts a polynomial encoder answers wrongly without saying so when values leave their ranges: the
//! ranges are made smaller until they do.
//!
//! `cargo run --release -p blindroute-lab --example overflow -- BUNDLE DATA [PROMPTS]`: a bundle with linear attention and a router,
//! a data set, and how many of its test prompts of up to 32 tokens are routed. All parties run in memory. Prints, for each range
//! and each bit less: prompts whose values left it (by the fixed-point interpreter), prompts that were refused, prompts whose choice
//! changed, and of these those that were not refused.
#![allow(clippy::print_stdout)]

use blindroute_lab::data::{Dataset, Split};
use blindroute_lab::encoders::widths::with_widths;
use blindroute_protocol::{Clear, Error as ProtocolError, Fixed};
use blindroute_routing::bundle::{Bundle, Widths};
use blindroute_routing::program::{BundlePlan, RouteInputs, RouteProgram, Task, outside_range, weight_tensors};
use blindroute_testkit::TestWorld;
use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

/// The largest bucket of the measurement.
const BUCKET: usize = 32;

#[derive(Default)]
struct Counts {
    left: usize,
    refused: usize,
    changed: usize,
    unnoticed: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(bundle), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err("usage: overflow BUNDLE DATA [PROMPTS]".into());
    };
    let most: usize = arguments.next().map_or(Ok(50), |count| count.to_string_lossy().parse())?;
    let bundle = Bundle::open(&bundle)?.bundle;
    let tokenizer = bundle.tokenizer()?;
    let dataset = Dataset::load(&data)?;
    let texts = dataset.places(Split::Test).into_iter().map(|place| tokenizer.encode(&dataset.prompts()[place].text));
    let prompts: Vec<Vec<u32>> =
        texts.filter_map(Result::ok).map(|tokens| tokens.ids).filter(|ids| ids.len() <= BUCKET).take(most).collect();
    println!("{} prompts", prompts.len());
    println!("{:<16} {:>5} {:>12} {:>8} {:>8} {:>10}", "range", "bits", "beyond it", "refused", "changed", "unnoticed");
    let given = bundle.parts().encoder.widths;
    for (name, most) in [
        ("mean_range", given.mean_range),
        ("context_range", given.context_range),
        ("sum_range", given.sum_range),
        ("inner_range", given.inner_range),
    ] {
        for bits in (1..=most).rev() {
            // So that the norms of rows say that a sum left its ring.
            let sums = if name == "sum_range" { bits } else { given.sum_range };
            let high = given.norm_high.min((2 * sums).saturating_sub(2));
            let Ok(widths) = with_widths(given, &[(name.to_owned(), bits), ("norm_high".to_owned(), high)]) else {
                continue;
            };
            let Counts { left, refused, changed, unnoticed } = measure(&bundle, widths, &prompts)?;
            println!("{name:<16} {bits:>5} {left:>12} {refused:>8} {changed:>8} {unnoticed:>10}");
        }
    }
    Ok(())
}

fn measure(bundle: &Bundle, widths: Widths, prompts: &[Vec<u32>]) -> Result<Counts, Box<dyn Error>> {
    let mut plan = BundlePlan::of(bundle);
    plan.encoder.widths = widths;
    let plan = Arc::new(plan);
    let weights = weight_tensors(bundle, &plan)?;
    let router = bundle.parts().routers.first().ok_or("the bundle has no router")?;
    let tokenizer = bundle.tokenizer()?;
    let program = RouteProgram::new(Arc::clone(&plan), Task::route(0, BUCKET))?;
    let mut counts = Counts::default();
    for ids in prompts {
        let parts = bundle.parts();
        let inputs = RouteInputs::embed(&parts.embedding, &parts.encoder, ids, BUCKET)?;
        let features = router.lexical.map(|settings| tokenizer.lexical(ids, settings));
        let inputs = inputs.with_lexical(features).with_lambda(router.lambda);
        let clear = Clear::run(&program, &weights, inputs.clone())?;
        let left = match Fixed::run(&program, &weights, &inputs) {
            Ok(_) => false,
            Err(ProtocolError::Overflow { .. }) => true,
            Err(other) => return Err(other.into()),
        };
        let private = TestWorld::seeded(1).run(&program, &weights, &inputs)?.output;
        let (refused, changed) = (outside_range(&private), private.bits != clear.bits);
        counts.left += usize::from(left);
        counts.refused += usize::from(refused);
        counts.changed += usize::from(changed);
        counts.unnoticed += usize::from(changed && !refused);
    }
    Ok(counts)
}
