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
        let ask = |turn: usize, _places: &[usize], trial| {
            Ok(self.noted(versions[turn % 2], vec![versions[turn % 2].route_here(prompt, options, (cancel, trial))]))
        };
        in_turns(1, ask)?.swap_remove(0)
    }

    /// Routes several prompts. Those that a version refused are asked of the other one together.
    pub(super) fn batch_by(
        &self,
        versions: [&Self; 2],
        prompts: &[&str],
        options: &RouteOptions,
        cancel: &Cancel,
    ) -> Result<Vec<Answer>, PlacementError> {
        in_turns(prompts.len(), |turn, places, trial| {
            let these: Vec<&str> = places.iter().map(|&place| prompts[place]).collect();
            Ok(self.noted(versions[turn % 2], versions[turn % 2].batch_here(&these, options, (cancel, trial))?))
        })
    }

    /// Takes note if a version is not held.
    fn noted(&self, version: &Self, answers: Vec<Answer>) -> Vec<Answer> {
        if let Some(refusal) = answers.iter().find_map(refusal) {
            self.not_held(version, refusal);
        }
        answers
    }
}

/// Asks for all of `count` texts, then again for those that were refused, and so on. `ask` gets the number of the turn and the places of
/// the texts; it answers them in this order.
fn in_turns(
    count: usize,
    mut ask: impl FnMut(usize, &[usize], Trial) -> Result<Vec<Answer>, PlacementError>,
) -> Result<Vec<Answer>, PlacementError> {
    let mut answers = ask(0, &(0..count).collect::<Vec<_>>(), Trial { sent: false, other_version: true })?;
    let mut sent = vec![false; count];
    for turn in 1..TURNS {
        let mut refused = Vec::new();
        for (place, answer) in answers.iter().enumerate() {
            let Some(error) = refusal(answer) else { continue };
            sent[place] |= error.had_inputs();
            refused.push(place);
        }
        // Those of sessions that had inputs are apart: only one more session may have them.
        let (before, anew): (Vec<usize>, Vec<usize>) = refused.into_iter().partition(|&place| sent[place]);
        for (sent, places) in [(false, anew), (true, before)].into_iter().filter(|(_, places)| !places.is_empty()) {
            let told = ask(turn, &places, Trial { sent, other_version: turn + 1 < TURNS })?;
            for (place, answer) in places.into_iter().zip(told) {
                answers[place] = answer;
            }
        }
    }
    Ok(answers)
}

/// The error of an answer, if it is that a party does not hold the version of the bundle.
fn refusal(answer: &Answer) -> Option<&PlacementError> {
    answer.as_ref().err().filter(|error| error.is_not_held())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for: the places, whether these were sent, and whether another version is asked afterwards.
    type Asked = (Vec<usize>, bool, bool);

    /// What is asked for in all turns, and the codes of the errors at the end.
    fn asked(count: usize, answers: impl Fn(usize, usize) -> PlacementError) -> (Vec<Asked>, Vec<String>) {
        let mut turns = Vec::new();
        let told = in_turns(count, |turn, places, trial| {
            turns.push((places.to_vec(), trial.sent, trial.other_version));
            Ok(places.iter().map(|&place| Err(answers(turn, place))).collect())
        });
        (turns, told.unwrap().into_iter().map(|answer| answer.unwrap_err().code().to_owned()).collect())
    }

    fn not_held(sent: bool) -> PlacementError {
        PlacementError::NoPair { why: "not held".to_owned(), not_held: true, sent }
    }

    #[test]
    fn a_version_that_was_refused_is_asked_again_when_the_other_one_is_refused_too() {
        // The third turn is the first version's again.
        let (turns, codes) = asked(1, |turn, _| if turn < 2 { not_held(false) } else { PlacementError::OutsideRange });
        assert_eq!(turns, [(); 3].map(|()| (vec![0], false, true)));
        assert_eq!(codes, ["outside_range"]);
        let (turns, codes) = asked(1, |_, _| not_held(false));
        assert_eq!(turns.last(), Some(&(vec![0], false, false)));
        assert_eq!((turns.len(), codes), (TURNS, vec!["no_pair".to_owned()]));
    }

    #[test]
    fn texts_that_were_sent_are_asked_apart_and_answered_ones_no_more() {
        let (turns, codes) = asked(3, |turn, place| match (turn, place) {
            (0, 1) | (1, 2) => not_held(true),
            (0, 2) | (1 | 2, 1) => not_held(false),
            _ => PlacementError::OutsideRange,
        });
        let sent = |places: &[usize], other_version| (places.to_vec(), true, other_version);
        let first = [(vec![0, 1, 2], false, true), (vec![2], false, true), sent(&[1], true)];
        assert_eq!(turns, [&first[..], &[sent(&[1, 2], true), sent(&[1], false)]].concat());
        assert_eq!(codes, ["outside_range"; 3]);
    }
}
