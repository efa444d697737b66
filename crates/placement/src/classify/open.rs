//! Classification in the open: texts that would gain from more layers go on in sessions of their own.

use super::options::Asked;
use crate::ask::{Answered, Ran};
use crate::error::PlacementError;
use crate::pairs::Trial;
use crate::router::PrivateRouter;
use blindroute_protocol::{Output, Shape, Tensor};
use blindroute_routing::program::{Placement, SessionRequest, onward, outside_range, split_output, stack_inputs};
use blindroute_runtime::Held;

/// What a session left of its texts.
enum Left {
    /// With a pair of servers.
    Servers(Held, usize),
    /// In the clear.
    Here(Vec<Tensor<f32>>),
}

/// Texts of one bucket that share their first session.
pub(super) struct OpenTexts<'a> {
    pub(super) router: &'a PrivateRouter,
    pub(super) asked: &'a Asked,
    pub(super) bucket: usize,
    /// The inputs of each text.
    pub(super) texts: &'a [&'a [Tensor<f32>]],
}

/// A session of texts in the open.
struct Session<L> {
    /// The exit up to which it runs.
    exit: usize,
    /// The exit where the session before left them, with their places in that session.
    from: Option<(usize, L, Vec<usize>)>,
    /// Whether it may go on with another pair than that of the session before.
    moves: bool,
}

/// What came of a session: the texts' outputs, what it left, and what it took.
type Done<L> = (Output, Option<L>, Ran);

/// Runs a session of these texts.
type Run<'a, L> = dyn FnMut(Session<L>, &[usize]) -> Result<Done<L>, PlacementError> + 'a;

/// What came of the sessions of some texts.
pub(super) struct Ended {
    /// Each text's output where it left, or of the last session that it was in, and what all sessions took.
    pub(super) answered: Answered,
    /// By text, the exit of that output.
    pub(super) exits: Vec<usize>,
    /// Why texts that go on got no further, so that their outputs are no answers.
    pub(super) failed: Option<PlacementError>,
}

/// Whether the output is that of a text that goes on.
pub(super) fn goes_on(output: &Output) -> bool {
    // What was outside its range has no answer further on.
    onward(output) == Some(true) && !outside_range(output)
}

/// Runs the sessions of so many texts, one for each of these exits with the texts that are left.
///
/// # Errors
/// If the first session fails. What texts that left earlier have is theirs, whatever happens to the others.
fn chain<L>(stops: &[usize], count: usize, session: &mut Run<'_, L>) -> Result<Ended, PlacementError> {
    let mut outputs = vec![Output::default(); count];
    let mut exits = vec![0; count];
    let (mut going, mut ran): (Vec<usize>, _) = ((0..count).collect(), Ran::default());
    let (mut from, mut failed): (Option<(usize, L, Vec<usize>)>, _) = (None, None);
    for &exit in stops {
        let first = from.is_none();
        // Once, from the pair of the first exit.
        let moves = from.as_ref().is_some_and(|(exit, ..)| stops.first() == Some(exit));
        let (output, left, took) = match session(Session { exit, from, moves }, &going) {
            Err(error) if !first => {
                tracing::warn!(%error, texts = going.len(), "texts could not go on");
                failed = Some(error);
                break;
            }
            done => done?,
        };
        ran = ran.and(took);
        let (mut next, mut places) = (Vec::new(), Vec::new());
        for (place, (output, &text)) in split_output(&output, going.len())?.into_iter().zip(&going).enumerate() {
            if goes_on(&output) {
                next.push(text);
                places.push(place);
            }
            (outputs[text], exits[text]) = (output, exit);
        }
        going = next;
        if going.is_empty() {
            break;
        }
        from = left.map(|left| (exit, left, places));
    }
    Ok(Ended { answered: (outputs, ran), exits, failed })
}

impl OpenTexts<'_> {
    /// Classifies them.
    pub(super) fn run(&self, stops: &[usize]) -> Result<Ended, PlacementError> {
        chain(stops, self.texts.len(), &mut |session, texts| self.session(session, texts))
    }

    fn session(&self, session: Session<Left>, texts: &[usize]) -> Result<Done<Left>, PlacementError> {
        let Session { exit, from, moves } = session;
        let begin = from.as_ref().map(|(exit, ..)| *exit);
        let task = self.asked.open_task(self.bucket, begin, exit, texts.len());
        let request = SessionRequest::new(task).with_batch(texts.len());
        let inputs = || {
            let inputs: Vec<&[Tensor<f32>]> = texts.iter().map(|&text| self.texts[text]).collect();
            stack_inputs(&inputs)
        };
        let here = |inputs| {
            let (output, kept) = self.router.clear_keeping(request, inputs)?;
            Ok((output, (!kept.is_empty()).then_some(Left::Here(kept)), Ran::default()))
        };
        let (mut outcome, pair) = match from {
            None if self.asked.placement == Placement::Local => return here(inputs()?),
            None => self.router.private_until(request, &inputs()?, (&self.asked.cancel, Trial::default()))?,
            Some((_, Left::Here(kept), places)) => {
                return here(kept.iter().map(|tensor| elements(tensor, &places)).collect());
            }
            Some((_, Left::Servers(held, pair), places)) => {
                let places: Vec<u16> = places.iter().filter_map(|place| u16::try_from(*place).ok()).collect();
                let other = (moves && self.asked.hand_over).then(|| self.router.pairs.to_hand_over(pair)).flatten();
                let outcome = self.router.private_continuing(request, (held, pair), other, &places)?;
                (outcome, other.unwrap_or(pair))
            }
        };
        let (output, held) = (std::mem::take(&mut outcome.output), outcome.held.take());
        Ok((output, held.map(|held| Left::Servers(held, pair)), (outcome, pair).into()))
    }
}

/// These elements of a batch.
fn elements(batch: &Tensor<f32>, places: &[usize]) -> Tensor<f32> {
    let each = batch.shape().rows * batch.shape().columns;
    let part = |place: &usize| batch.data()[place * each..(place + 1) * each].iter().copied();
    Tensor::new(Shape { batch: places.len(), ..batch.shape() }, places.iter().flat_map(part).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use blindroute_runtime::SessionError;

    /// What a session was asked: its exit, its texts, and the places of those that continue.
    type AskedOf = (usize, Vec<usize>, Option<Vec<usize>>);

    #[test]
    fn texts_change_the_pair_after_the_first_exit_and_not_again() {
        let mut moved = Vec::new();
        let mut session = |session: Session<()>, texts: &[usize]| {
            moved.push(session.moves);
            let [answers, goes, marks] = [vec![0.0; 2 * texts.len()], vec![1.0; texts.len()], vec![0.0; texts.len()]];
            let values = if session.exit == 5 { vec![answers, marks] } else { vec![answers, goes, marks] };
            Ok((Output { values, bits: Vec::new() }, (session.exit < 5).then_some(()), Ran::default()))
        };
        chain(&[1, 2, 5], 3, &mut session).unwrap();
        assert_eq!(moved, [false, true, false]);
    }

    /// The exits, and whether texts got no further; or the error of the first session.
    type Exits = Result<(Vec<usize>, bool), String>;

    /// Four texts of which the second and the last go on to the last exit; the session of this number fails, and this text's values
    /// are outside their range. What was asked, and the exits and why texts got no further.
    fn asked_of(fails: usize, outside: Option<usize>) -> (Vec<AskedOf>, Exits) {
        let mut asked = Vec::new();
        let mut session = |session: Session<()>, texts: &[usize]| {
            let last = session.exit == 5;
            asked.push((session.exit, texts.to_vec(), session.from.map(|(.., places)| places)));
            if fails == asked.len() {
                return Err(PlacementError::Lost(SessionError::NothingHeld));
            }
            let answers = texts.iter().flat_map(|text| [*text as f64, 1.0]).collect();
            let goes = texts.iter().map(|text| f64::from(u8::from(text % 2 == 1))).collect();
            let marks = texts.iter().map(|text| f64::from(u8::from(Some(*text) == outside))).collect();
            let values = if last { vec![answers, marks] } else { vec![answers, goes, marks] };
            Ok((Output { values, bits: Vec::new() }, (!last).then_some(()), Ran { openings: 7, ..Ran::default() }))
        };
        let found = chain(&[0, 2, 5], 4, &mut session).map(|Ended { answered: (outputs, ran), exits, failed }| {
            assert!(outputs.iter().enumerate().all(|(text, output)| output.values[0] == [text as f64, 1.0]));
            assert_eq!(outputs.iter().any(goes_on), failed.is_some(), "a text without an answer says why");
            assert_eq!(ran.openings as usize, 7 * (asked.len() - usize::from(failed.is_some())));
            (exits, failed.is_some())
        });
        (asked, found.map_err(|error| error.to_string()))
    }

    #[test]
    fn texts_that_go_on_continue_by_their_places_in_the_session_before() {
        let (asked, exits) = asked_of(0, None);
        let expected =
            [(0, vec![0, 1, 2, 3], None), (2, vec![1, 3], Some(vec![1, 3])), (5, vec![1, 3], Some(vec![0, 1]))];
        assert_eq!((asked.as_slice(), exits), (expected.as_slice(), Ok((vec![0, 5, 0, 5], false))));
    }

    #[test]
    fn texts_that_left_keep_their_answers_if_the_others_get_no_further() {
        assert!(asked_of(1, None).1.unwrap_err().contains("lost the texts"));
        assert_eq!(asked_of(2, None).1, Ok((vec![0; 4], true)));
        let (asked, exits) = asked_of(3, None);
        assert_eq!((asked.len(), exits), (3, Ok((vec![0, 2, 0, 2], true))));
    }

    #[test]
    fn a_text_outside_its_range_goes_no_further() {
        let (asked, exits) = asked_of(0, Some(3));
        assert_eq!((asked[1].1.as_slice(), exits), ([1].as_slice(), Ok((vec![0, 5, 0, 0], false))));
    }
}
