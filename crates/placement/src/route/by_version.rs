//! Routes by two versions of the bundle: by the one that is asked first, and by the other one if a party does not hold that.

use super::Answer;
use crate::error::PlacementError;
use crate::options::RouteOptions;
use crate::pairs::Trial;
use crate::router::PrivateRouter;
use blindroute_runtime::Cancel;

/// How often a version is asked. A call may wait so long that the servers go on to the next version after it was refused by that, and
/// then drop the one that it waits for.
const TURNS: usize = 4;

impl PrivateRouter {
    /// Routes one prompt.
    pub(super) fn route_by(
        &self,
        versions: [&Self; 2],
        prompt: &str,
        options: &RouteOptions,
        cancel: &Cancel,
    ) -> Answer {
        let (mut turn, mut sent) = (0, false);
        loop {
            let (version, trial) = (versions[turn % 2], Trial { sent, other_version: turn + 1 < TURNS });
            match version.route_here(prompt, options, (cancel, trial)) {
                Err(error) if trial.other_version && error.is_not_held() => {
                    self.not_held(version, &error);
                    (turn, sent) = (turn + 1, sent || error.had_inputs());
                }
                answer => return answer,
            }
        }
    }

    /// Routes several prompts. Those that a version refused are asked of the other one together.
    pub(super) fn batch_by(
        &self,
        versions: [&Self; 2],
        prompts: &[&str],
        options: &RouteOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Answer>, PlacementError> {
        let mut answers: Vec<Answer> = Vec::new();
        let mut sent = vec![false; prompts.len()];
        for turn in 0..TURNS {
            let version = versions[turn % 2];
            let left: Vec<usize> = match turn {
                0 => (0..prompts.len()).collect(),
                _ => (0..prompts.len()).filter(|&place| is_refused(&answers[place])).collect(),
            };
            // Those of sessions that had inputs are apart: only one more session may have them.
            let (before, anew): (Vec<usize>, Vec<usize>) = left.into_iter().partition(|&place| sent[place]);
            for (had_inputs, places) in [(false, anew), (true, before)] {
                let these: Vec<&str> = places.iter().map(|&place| prompts[place]).collect();
                let trial = Trial { sent: had_inputs, other_version: turn + 1 < TURNS };
                let told = version.batch_here(&these, options, (cancel, trial))?;
                if turn == 0 {
                    answers.extend(told);
                    continue;
                }
                for (place, answer) in places.into_iter().zip(told) {
                    answers[place] = answer;
                }
            }
            let refusal = answers.iter().find_map(|answer| answer.as_ref().err().filter(|error| error.is_not_held()));
            let Some(refusal) = refusal else { break };
            self.not_held(version, refusal);
            for (sent, answer) in sent.iter_mut().zip(&answers) {
                *sent |= answer.as_ref().is_err_and(PlacementError::had_inputs);
            }
        }
        Ok(answers)
    }
}

fn is_refused(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(PlacementError::is_not_held)
}
