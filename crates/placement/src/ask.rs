//! Asking the servers about several texts, and once more about those whose answer names nothing.

use crate::error::PlacementError;
use crate::report::{Bytes, Milliseconds};
use blindroute_protocol::Output;
use blindroute_routing::program::{self, outside_range};
use blindroute_runtime::SessionOutcome;
use std::sync::Arc;
use std::time::Duration;

/// The most sessions in which a text is asked for. An answer that names no single model or label may be the fault of one
/// session alone, so it is asked for once more.
pub(crate) const SESSIONS: usize = 2;

/// What was decided for a text, such as the model of a prompt as its place in the pool.
pub(crate) struct Decided<A> {
    pub(crate) answer: A,
    /// What all sessions of this text took.
    pub(crate) ran: Ran,
    /// How many texts shared the last of these sessions.
    pub(crate) batch: usize,
}

/// Each text's output, and what their session took.
pub(crate) type Answered = (Vec<Output>, Ran);

/// Asks for `count` texts in one session by `run`, which is given their places. Those whose output `read` cannot read, because
/// it names no single answer, go into another session, until there were `sessions`. `tell` hears what came of each place.
pub(crate) fn ask<A>(
    count: usize,
    sessions: usize,
    run: &mut dyn FnMut(&[usize]) -> Result<Answered, PlacementError>,
    read: &dyn Fn(&Output) -> Result<A, PlacementError>,
    tell: &mut dyn FnMut(usize, Result<Decided<A>, PlacementError>),
) {
    let mut places: Vec<usize> = (0..count).collect();
    let mut so_far = Ran::default();
    for session in 1..=sessions {
        let batch = places.len();
        let (outputs, ran) = match run(&places) {
            Ok(answered) => answered,
            Err(error) if batch == 1 => return tell(places[0], Err(error)),
            Err(error) => {
                let shared = Arc::new(error);
                return places.iter().for_each(|&place| tell(place, Err(PlacementError::Batch(Arc::clone(&shared)))));
            }
        };
        so_far = so_far.and(ran);
        let mut again = Vec::new();
        for (&place, output) in places.iter().zip(&outputs) {
            match read(output) {
                Ok(answer) => tell(place, Ok(Decided { answer, ran: so_far, batch })),
                Err(error) if is_final(&error) => tell(place, Err(error)),
                Err(_) if session < sessions => again.push(place),
                Err(error) => tell(place, Err(error)),
            }
        }
        if again.is_empty() {
            return;
        }
        tracing::warn!(texts = again.len(), "an answer names nothing, or several; asking once more in another session");
        places = again;
    }
}

/// Whether another session would end the same: it would compute the same, or be refused for what it is.
fn is_final(error: &PlacementError) -> bool {
    match error {
        PlacementError::OutsideRange => true,
        PlacementError::Batch(shared) => !matches!(**shared, PlacementError::Lost(_)),
        _ => false,
    }
}

/// What a session took.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ran {
    pub(crate) waited: Duration,
    pub(crate) offline: Duration,
    pub(crate) online: Duration,
    pub(crate) openings: u32,
    pub(crate) bytes: Bytes,
    /// The pair of servers that answered last.
    pub(crate) pair: Option<usize>,
    /// Whether a server said that its deployment protects nothing.
    pub(crate) development: bool,
}

impl Ran {
    /// The sum of this and the next session.
    pub(crate) fn and(self, next: Self) -> Self {
        Self {
            waited: self.waited + next.waited,
            offline: self.offline + next.offline,
            online: self.online + next.online,
            openings: self.openings + next.openings,
            bytes: self.bytes.and(next.bytes),
            pair: next.pair,
            development: self.development || next.development,
        }
    }

    /// Where the time of an answer went that took so long in total.
    pub(crate) fn milliseconds(&self, total: Duration) -> Milliseconds {
        Milliseconds {
            client: milliseconds(total.saturating_sub(self.waited + self.online)),
            wait: milliseconds(self.waited),
            offline: milliseconds(self.offline),
            online: milliseconds(self.online),
            total: milliseconds(total),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl From<(SessionOutcome, usize)> for Ran {
    fn from((outcome, pair): (SessionOutcome, usize)) -> Self {
        let [zero, one] = outcome.servers;
        let bytes = Bytes {
            server0_sent: zero.bytes_sent,
            server1_sent: one.bytes_sent,
            client_sent: outcome.bytes_sent,
            material: zero.material_bytes + one.material_bytes,
        };
        let SessionOutcome { waited, offline, online, development, .. } = outcome;
        Self { waited, offline, online, openings: zero.openings, bytes, pair: Some(pair), development }
    }
}

/// The place in the pool of the one model that an answer to one prompt names.
///
/// # Errors
/// If it names no model, or several, or if the prompt's values were outside their ranges.
pub fn choice(output: &Output) -> Result<usize, PlacementError> {
    if outside_range(output) {
        return Err(PlacementError::OutsideRange);
    }
    let bits = output.bits.first().map(Vec::as_slice).unwrap_or_default();
    let chosen: Vec<usize> = bits.iter().enumerate().filter(|(_, bit)| **bit).map(|(index, _)| index).collect();
    match chosen.as_slice() {
        [one] => Ok(*one),
        _ => Err(PlacementError::NoChoice(chosen.len())),
    }
}

/// The places in the pool of `models` of the `count` models that an answer to one prompt names, the best first.
///
/// # Errors
/// If a row of it names no model, or several, if two rows name the same, or if the prompt's values were outside their ranges.
pub fn ranking(output: &Output, models: usize, count: usize) -> Result<Vec<usize>, PlacementError> {
    if count == 1 {
        return Ok(vec![choice(output)?]);
    }
    if outside_range(output) {
        return Err(PlacementError::OutsideRange);
    }
    program::ranking(output, models).filter(|named| named.len() == count).ok_or(PlacementError::NoRanking(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_routing::program::split_output;

    #[test]
    fn an_answer_that_names_no_single_model_concerns_one_prompt() {
        // Three prompts, three models: the second's answer names none, the third's two.
        let bits = vec![vec![false, true, false, false, false, false, true, false, true]];
        let outputs = split_output(&Output { values: Vec::new(), bits }, 3).unwrap();
        let chosen: Vec<_> = outputs.iter().map(choice).collect();
        assert!(matches!(
            chosen.as_slice(),
            [Ok(1), Err(PlacementError::NoChoice(0)), Err(PlacementError::NoChoice(2))]
        ));
    }

    #[test]
    fn a_ranking_names_as_many_models_as_were_asked_for() {
        let output =
            |bits: &[u8]| Output { values: Vec::new(), bits: vec![bits.iter().map(|bit| *bit == 1).collect()] };
        assert!(matches!(ranking(&output(&[0, 1, 0]), 3, 1).as_deref(), Ok([1])));
        assert!(matches!(ranking(&output(&[0, 1, 0, 1, 0, 0]), 3, 2).as_deref(), Ok([1, 0])));
        for wrong in [&[0, 1, 0][..], &[0, 1, 0, 0, 1, 0], &[0, 1, 0, 0, 0, 0], &[0, 1, 0, 1, 0, 0, 0, 0, 1]] {
            assert!(matches!(ranking(&output(wrong), 3, 2), Err(PlacementError::NoRanking(2))), "{wrong:?}");
        }
        assert!(matches!(ranking(&output(&[0, 0, 0]), 3, 1), Err(PlacementError::NoChoice(0))));
        let marked = Output { values: vec![vec![1.0]], ..output(&[0, 1, 0, 1, 0, 0]) };
        assert!(matches!(ranking(&marked, 3, 2), Err(PlacementError::OutsideRange)));
    }

    /// One-hot, or nothing.
    fn answer(model: Option<usize>) -> Output {
        Output { values: Vec::new(), bits: vec![(0..3).map(|index| Some(index) == model).collect()] }
    }

    /// A prompt's place, and what came of it.
    type Told = (usize, Result<Decided<usize>, PlacementError>);

    /// The places asked for in each session, and what came of each prompt, when `answers` has the models of each session.
    fn asked_of(answers: &[&[Option<usize>]]) -> (Vec<Vec<usize>>, Vec<Told>) {
        let (mut sessions, mut told) = (Vec::new(), Vec::new());
        let mut run = |places: &[usize]| {
            let answers = answers[sessions.len()];
            sessions.push(places.to_vec());
            let ran = Ran { openings: 10, online: Duration::from_millis(5), ..Ran::default() };
            Ok((answers.iter().map(|&model| answer(model)).collect(), ran))
        };
        ask(answers[0].len(), SESSIONS, &mut run, &choice, &mut |place, decided| told.push((place, decided)));
        told.sort_by_key(|(place, _)| *place);
        (sessions, told)
    }

    #[test]
    fn case_48_an_answer_without_a_model_is_asked_for_once_more_alone() {
        let (sessions, told) = asked_of(&[&[Some(1), None, Some(0), None], &[Some(2), None]]);
        assert_eq!(sessions, [vec![0, 1, 2, 3], vec![1, 3]]);
        let model = |place: usize| told[place].1.as_ref().map(|decided| decided.answer).ok();
        assert_eq!([model(0), model(1), model(2), model(3)], [Some(1), Some(2), Some(0), None]);
        let openings = |place: usize| told[place].1.as_ref().map(|decided| (decided.ran.openings, decided.batch)).ok();
        assert_eq!((openings(0), openings(1)), (Some((10, 4)), Some((20, 2))));
        let said = told[3].1.as_ref().err().unwrap().to_string();
        assert!(said.contains("names 0 models") && said.contains("split") && !said.contains("--lambda"), "{said}");
        assert_eq!(asked_of(&[&[Some(1), Some(1)]]).0, [vec![0, 1]], "nothing to ask twice");
        assert_eq!(asked_of(&[&[None], &[None]]).0.len(), 2, "never a third time");
    }

    #[test]
    fn case_36_a_prompt_beyond_the_ranges_gets_no_answer_and_no_second_session() {
        let marked = |mark: f64| Output { values: vec![vec![mark]], ..answer(Some(1)) };
        assert!(matches!(choice(&marked(0.0)), Ok(1)));
        let (mut sessions, mut told) = (0, Vec::new());
        let mut run = |_: &[usize]| {
            sessions += 1;
            Ok((vec![marked(1.0), marked(0.0)], Ran::default()))
        };
        ask(2, SESSIONS, &mut run, &choice, &mut |place, decided| told.push((place, decided)));
        assert!(matches!(
            told.as_slice(),
            [(0, Err(PlacementError::OutsideRange)), (1, Ok(Decided { answer: 1, .. }))]
        ));
        assert_eq!(sessions, 1);
        assert!(told[0].1.as_ref().err().unwrap().to_string().contains("no answer for this prompt"));
    }

    #[test]
    fn a_second_session_that_fails_is_the_error_of_those_that_needed_it() {
        let (mut sessions, mut told) = (0, Vec::new());
        let mut run = |_: &[usize]| {
            sessions += 1;
            let answers = vec![answer(None), answer(Some(1)), answer(None)];
            if sessions == 1 { Ok((answers, Ran::default())) } else { Err(PlacementError::OtherBundle) }
        };
        ask(3, SESSIONS, &mut run, &choice, &mut |place, decided| told.push((place, decided)));
        assert!(matches!(
            told.as_slice(),
            [(1, Ok(_)), (0, Err(PlacementError::Batch(_))), (2, Err(PlacementError::Batch(_)))]
        ));
    }
}
