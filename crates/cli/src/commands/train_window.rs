//! Trying several windows in a training.

use anyhow::Context;
use blindroute_lab::routers::{Trained, with_window};
use blindroute_routing::bundle::Bundle;
use blindroute_routing::tokenizer::Window;
use serde::Serialize;

use super::bundle_import::one_of;

/// The windows to train with.
#[derive(clap::Args, Debug)]
pub(super) struct WindowArgs {
    /// Which 256 tokens of a longer prompt the encoder reads: the first (head), the last (tail), or the first 128 and the
    /// last 128 (both). With several, the one with the best area in the cross-validation is stored in the bundle. A change
    /// drops the bundle's other routers [default: the bundle's own].
    #[arg(long, value_delimiter = ',', value_name = "W,...", value_parser = one_of::<Window>(&["head", "tail", "both"]))]
    window: Vec<Window>,
}

/// A window that was tried.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct WindowTrial {
    /// Which one.
    pub(super) window: Window,
    /// The router's area in the cross-validation.
    pub(super) area: f64,
}

impl WindowArgs {
    /// Trains once per window and keeps the best in the cross-validation, with all that were tried; on ties the first. Warns
    /// of routers that were dropped because the window changed.
    pub(super) fn best(
        &self,
        bundle: Bundle,
        name: &str,
        train: &mut dyn FnMut(Bundle) -> anyhow::Result<Trained>,
    ) -> anyhow::Result<(Trained, Vec<WindowTrial>)> {
        let own = [bundle.parts().encoder.window];
        let windows = if self.window.is_empty() { &own } else { self.window.as_slice() };
        let mut tried = Vec::new();
        let mut best: Option<(WindowTrial, Trained, Vec<String>)> = None;
        for window in windows {
            let (candidate, dropped) = with_window(bundle.clone(), *window)?;
            let trained = train(candidate)?;
            let trial = WindowTrial { window: *window, area: trained.cross_validation.area };
            tried.push(trial);
            if best.as_ref().is_none_or(|(best, ..)| trial.area > best.area) {
                best = Some((trial, trained, dropped));
            }
        }
        let (trial, trained, dropped) = best.context("no window was tried; please report this")?;
        for router in dropped.iter().filter(|router| *router != name) {
            tracing::warn!(
                "the router {router} was trained with another window than {} and is left out; train it again",
                trial.window
            );
        }
        Ok((trained, tried))
    }
}

/// A line of the report, if several were tried.
pub(super) fn describe(tried: &[WindowTrial], chosen: Window) -> Option<String> {
    let areas: Vec<String> = tried.iter().map(|trial| format!("{} {:.4}", trial.window, trial.area)).collect();
    (tried.len() > 1).then(|| format!("window {chosen} (areas in the cross-validation: {})", areas.join(", ")))
}
