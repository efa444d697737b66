//! What traces say of requests.

use super::reply::Reply;
use super::snapshot::Snapshot;
use crate::decide::{Callable, Decision};
use crate::trace::{Attribute, Span, Trace};
use crate::upstream::{End, Settle};
use blindroute_dialects::reading::Reading;
use std::time::Duration;

/// What is asked of models, in all dialects.
const OPERATION: Attribute = Attribute::Operation("chat");

/// What stands for every name that is not configured.
const OTHER: &str = "other";

/// Which model was asked for.
pub(super) fn asked(trace: &Trace, snapshot: &Snapshot, reading: &Reading) {
    let name = &reading.model;
    let known = snapshot.config.route.aliases.contains(name) || snapshot.catalogue.named(name).is_some();
    let name = if known { name.as_str() } else { OTHER };
    trace.say([OPERATION, Attribute::RequestModel(name.to_owned())]);
}

/// The route, if there was one.
pub(super) fn routed(trace: &Trace, decision: &Decision<'_>) {
    let Some(route) = &decision.route else { return };
    let took = Duration::try_from_secs_f64(route.ms.total / 1000.0).unwrap_or_default();
    trace.add(|| {
        let attributes = vec![Attribute::Placement(route.placement.name()), Attribute::Router(route.router.clone())];
        Span::route(took, attributes)
    });
}

/// A call of a model, whose span ends as it is settled.
pub(super) fn call(trace: &Trace, callable: &Callable, fallback: bool, settle: Settle) -> Settle {
    let (open, model) = (trace.call(), callable.model.clone());
    Box::new(move |usage, end| {
        open.end(|| {
            let mut attributes = vec![
                OPERATION,
                Attribute::Provider(model.provider),
                Attribute::RequestModel(model.upstream),
                Attribute::Fallback(fallback),
            ];
            if let Some(usage) = usage {
                attributes.extend([Attribute::InputTokens(usage.input), Attribute::OutputTokens(usage.output)]);
            }
            attributes.extend(match end {
                End::Proper => None,
                End::Refused => Some(Attribute::Error("refused")),
                End::Failed => Some(Attribute::Error("failed")),
                End::ClientLeft => Some(Attribute::Error("client_left")),
            });
            attributes
        });
        settle(usage, end);
    })
}

/// What was answered.
pub(super) fn answered(trace: &Trace, reply: &Reply) {
    trace.say([Attribute::Status(reply.response.status().as_u16())]);
    trace.say(reply.model.clone().map(Attribute::ResponseModel));
    trace.say(reply.why.map(|why| Attribute::Why(why.name())));
}
