//! The encoders that a classification asks: one, or a cascade of them.

use super::super::servers::ServersArgs;
use super::{ClassifyArgs, PlacementArg};
use anyhow::Context;
use blindroute_console::bundles::{self, Shipped};
use blindroute_console::program;
use blindroute_placement::{Cascade, PlacementError, PrivateRouter};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::program::BundlePlan;
use indicatif::ProgressBar;
use std::path::Path;

/// Checks the plans of all encoders, smallest first.
type Check<'a> = &'a dyn Fn(&[&BundlePlan]) -> Result<(), PlacementError>;

/// Starts or connects all encoders, once their plans are checked.
pub(super) fn open(args: &ClassifyArgs, check: Check<'_>, bar: &ProgressBar) -> anyhow::Result<Cascade> {
    bar.set_message("reading the bundle");
    let patient = |router: PrivateRouter| router.with_patience(args.servers.patience(bar));
    if let Some(smallest) = args.servers.connect(args.bundle.as_deref())? {
        let larger = args.larger_config.iter().map(|path| ServersArgs::connect_to(std::slice::from_ref(path), None));
        let routers = std::iter::once(Ok(smallest)).chain(larger).collect::<anyhow::Result<Vec<_>>>()?;
        let plans: Vec<&BundlePlan> = routers.iter().map(|router| &router.public().plan).collect();
        check(&plans)?;
        return joined(routers.into_iter().map(patient));
    }
    let named = |path: &Path| Ok((bundles::read(path)?, path.display().to_string()));
    let smallest = match &args.bundle {
        Some(path) => named(path),
        None => Shipped::Pool.open().map(|bundle| (bundle, Shipped::Pool.name().to_owned())),
    };
    let larger = args.larger.iter().map(|path| named(path));
    let read = std::iter::once(smallest).chain(larger).collect::<anyhow::Result<Vec<(Bundle, String)>>>()?;
    // Before three processes are started in vain.
    let plans: Vec<BundlePlan> = read.iter().map(|(bundle, _)| BundlePlan::of(bundle)).collect();
    check(&plans.iter().collect::<Vec<_>>())?;
    let routers = read.into_iter().map(|(bundle, name)| start(args, &bundle, name, bar));
    joined(routers.collect::<anyhow::Result<Vec<_>>>()?.into_iter().map(patient))
}

/// The encoder of a bundle, with children of its own unless it runs here.
fn start(args: &ClassifyArgs, bundle: &Bundle, name: String, bar: &ProgressBar) -> anyhow::Result<PrivateRouter> {
    let children = match args.placement {
        PlacementArg::Local => None,
        PlacementArg::Full => Some(program::children()?.serve_scores(args.scores)),
    };
    ServersArgs::start(bundle, name, children, bar)
}

fn joined(mut routers: impl Iterator<Item = PrivateRouter>) -> anyhow::Result<Cascade> {
    let smallest = routers.next().context("there is no encoder; please report this")?;
    Ok(routers.fold(Cascade::from(smallest), Cascade::with_larger))
}
