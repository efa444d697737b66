//! What must have come of the requests, from what the provider did alone.

use crate::bench::reading;
use crate::callers::{Outcome, body, is_error, said};
use crate::plan::{Deed, Manners, Plan};
use crate::provider::Noted;
use std::collections::HashMap;

/// The sums over all requests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) answered: usize,
    /// Errors in place of an answer.
    pub(crate) errors: usize,
    /// Streams that end with an error.
    pub(crate) broken_off: usize,
    pub(crate) left: usize,
    /// Calls that cost something, in picodollars.
    pub(crate) spent: u64,
    pub(crate) paid: u64,
    /// Those of them that count as what was reserved.
    pub(crate) estimated: u64,
    pub(crate) decisions: u64,
    /// Calls that the provider saw, repeated ones too.
    pub(crate) calls: usize,
}

/// Prices of the input and the output, in picodollars.
fn prices(model: &str) -> (u64, u64) {
    if model == "best" { (1_000_000, 2_000_000) } else { (3_000_000, 15_000_000) }
}

/// Checks each answer, and says what all of it cost.
pub(crate) fn check(calls: &HashMap<usize, Vec<Noted>>, outcomes: &[(Plan, Outcome)]) -> Expected {
    let mut expected = Expected::default();
    for (plan, outcome) in outcomes {
        let calls = calls.get(&plan.id).unwrap_or_else(|| panic!("the provider never saw {plan:?}: {outcome:?}"));
        expected.calls += calls.len();
        // The calls of one model are one call to the gateway, whose last repetition decides.
        for asked in calls.chunk_by(|one, next| one.model == next.model) {
            expected.pay(*plan, asked[asked.len() - 1]);
        }
        expected.told(*plan, calls[calls.len() - 1].deed, outcome);
    }
    expected
}

impl Expected {
    fn pay(&mut self, plan: Plan, call: Noted) {
        // Of who left before the answer there is nothing to record.
        self.decisions += u64::from(plan.manners != Manners::LeavesBefore);
        let (input, output) = prices(call.model);
        let pico = match call.deed {
            Deed::Status(_) => return,
            // 3 tokens of input are reported.
            Deed::Good | Deed::Slow => 3 * input + plan.output() * output,
            _ => {
                let reading = reading(plan.dialect, &body(plan));
                self.estimated += 1;
                reading.input_tokens * input + reading.max_output_tokens.unwrap_or(100) * output
            }
        };
        self.paid += 1;
        self.spent += pico;
    }

    fn told(&mut self, plan: Plan, last: Deed, outcome: &Outcome) {
        let Outcome::Told { status, text } = outcome else {
            self.left += 1;
            assert_ne!(plan.manners, Manners::Stays, "{plan:?}");
            return;
        };
        if matches!(last, Deed::Good | Deed::Slow) {
            assert_eq!((*status, said(plan, text)), (200, Some(plan.text())), "{plan:?}, {last:?}: {text}");
            self.answered += 1;
            return;
        }
        assert!(is_error(plan, *status, text), "{plan:?}, {last:?}: status {status}, {text}");
        if *status == 200 {
            assert_eq!(said(plan, text), None, "a false end of {plan:?}, {last:?}: {text}");
            self.broken_off += 1;
        } else {
            assert!(matches!(status, 429 | 500..=504), "{plan:?}, {last:?}: status {status}, {text}");
            self.errors += 1;
        }
    }
}
