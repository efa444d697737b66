//! How much a request asks for: answers, and the most bits that they can tell about the router.

use blindroute_protocol::{Meter, OutputSize};
use blindroute_routing::program::{BundlePlan, SessionRequest, Task, Work};
use blindroute_runtime::clients::Asked;
use std::sync::Arc;

/// What the answers of a session are counted as.
///
/// An answer that names one of n models or labels tells at most log₂ n bits, whatever the client sent; with places, once for each
/// place; with whether a text goes on, one more. What has other answers (scores, measurements) counts with all bits that are
/// revealed. A request that no program serves is refused elsewhere, and counts as one answer without bits.
pub(crate) fn asked(plan: &Arc<BundlePlan>, request: SessionRequest) -> Asked {
    let routes = u32::try_from(request.batch).unwrap_or(u32::MAX);
    let names = |count: usize| (count.max(1) as f64).log2();
    let each = match request.task {
        Work::Task(Task::Route { ranked, .. } | Task::Head { ranked, .. }) => Some(names(plan.models) * ranked as f64),
        Work::Task(Task::Classify { classifier, scores: false, onward, .. }) => {
            let task = plan.pool.as_ref().and_then(|pool| pool.tasks.get(classifier));
            task.map(|task| names(task.task.labels.len()) + f64::from(u8::from(onward)))
        }
        Work::Task(Task::Classify { .. }) | Work::Measurement(_) => None,
    };
    let bits = match each {
        Some(bits) => bits * f64::from(routes),
        None => revealed(plan, request),
    };
    Asked { routes, bits }
}

/// All bits of what the program reveals.
fn revealed(plan: &Arc<BundlePlan>, request: SessionRequest) -> f64 {
    let outputs = request.program(plan).and_then(|program| Meter::outputs(&program)).unwrap_or_default();
    let bits = |size: OutputSize| match size {
        OutputSize::Words(form) => form.shape.len() * form.bits as usize,
        OutputSize::Bits(count) => count,
    };
    outputs.into_iter().map(|output| bits(output.size) as f64).sum()
}
