//! How far private and clear choices agree.

use super::Work;
use super::journal::Journal;
use blindroute_lab::Stop;
use blindroute_lab::data::Split;
use blindroute_lab::encoders::Embedded;
use blindroute_lab::evaluation::rule;
use blindroute_lab::evaluation::{
    Bootstrap, Choices, Estimate, EvaluationError, Outcomes, Point, Run, compare, points, run_of_utilities,
};
use blindroute_routing::bundle::{Matrix, Router};
use serde::Serialize;
use std::fmt::Write as _;

/// The comparison of a split.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    split: String,
    prompts: usize,
    /// The bundle's digest.
    bundle: String,
    /// Of the embeddings made under MPC with the clear ones.
    cosine: Cosines,
    /// Of the intervals.
    bootstrap: Bootstrap,
    routers: Vec<RouterAgreement>,
}

#[derive(Debug, Serialize)]
struct Cosines {
    mean: f64,
    least: f64,
}

/// The comparison of one router.
#[derive(Debug, Serialize)]
struct RouterAgreement {
    router: String,
    /// Its own weight of cost.
    lambda: f32,
    /// Full routes that chose the same model, of all.
    equal: usize,
    clear: Side,
    private: Side,
    /// AUDC of the private choices minus that of the clear ones, paired.
    audc_difference: Estimate,
    /// The share of the rule's choices, over all weights of cost, that are the same.
    equal_over_curve: f64,
    /// How many prompts the clear interpreter decides by a lead below [`CLOSE`]: with rounding, these may go either way.
    close: usize,
    /// Full routes that chose another model.
    differences: Vec<Difference>,
}

/// As in `eval`.
const BOOTSTRAP: Bootstrap = Bootstrap { resamples: 1000, seed: 0 };

/// A lead that is close, see [`rule::lead`].
const CLOSE: f32 = 0.001;

/// Cost and quality of one side.
#[derive(Clone, Copy, Debug, Serialize)]
struct Side {
    /// With the router's own weight of cost.
    #[serde(flatten)]
    point: Point,
    /// Over weights of cost up to 15.
    audc: Estimate,
}

/// A prompt for which the two choices differ.
#[derive(Debug, Serialize)]
struct Difference {
    id: String,
    clear: String,
    private: String,
    /// By how much the clear interpreter had decided against the private choice, see [`rule::lead`].
    lead: f32,
}

impl Agreement {
    pub(super) fn new(split: Split, work: &Work, clear: &Embedded, journal: &Journal) -> anyhow::Result<Self> {
        let outcomes = Outcomes::of_dataset(&work.dataset, &work.places)?;
        let ids = work.places.iter().map(|place| &work.dataset.prompts()[*place].id);
        let answers = ids.map(|id| journal.answer(id)).collect::<anyhow::Result<Vec<_>>>()?;
        let cosine = Cosines {
            mean: answers.iter().map(|answer| answer.cosine).sum::<f64>() / answers.len() as f64,
            least: answers.iter().map(|answer| answer.cosine).fold(f64::INFINITY, f64::min),
        };
        let tokenizer = work.bundle.tokenizer()?;
        let mut routers = Vec::new();
        for (place, &index) in work.routers.iter().enumerate() {
            let router = &work.bundle.parts().routers[index];
            let whole: Vec<usize> = answers.iter().map(|answer| answer.routers[place].whole).collect();
            let head: Vec<&[usize]> = answers.iter().map(|answer| answer.routers[place].head.as_slice()).collect();
            let clear = clear.inputs(&tokenizer, router.lexical);
            let case = Case { work, router, grid: work.grid(index), clear, outcomes: &outcomes };
            routers.push(case.compare(&whole, &head)?);
        }
        let bundle = work.bundle.digest().to_string();
        Ok(Self { split: split.to_string(), prompts: answers.len(), bundle, cosine, bootstrap: BOOTSTRAP, routers })
    }

    /// The report as text.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "{} prompts of the {} split\ncosine of private and clear embeddings: mean {:.6}, least {:.6}\n",
            self.prompts, self.split, self.cosine.mean, self.cosine.least
        );
        for of in &self.routers {
            let share = 100.0 * of.equal as f64 / self.prompts as f64;
            let _ = writeln!(
                text,
                "router {}, λ {:.4}: {} of {} full routes chose the same model ({share:.2}%)",
                of.router, of.lambda, of.equal, self.prompts
            );
            for (name, side) in [("clear", of.clear), ("private", of.private)] {
                let Side { point, audc } = side;
                let audc = estimate(audc, |value| format!("{value:.5}"));
                let _ = writeln!(text, "  {name:<8} score {:.4}  cost {:.4}  AUDC {audc}", point.score, point.cost);
            }
            let difference = estimate(of.audc_difference, |value| format!("{value:+.5}"));
            let _ = writeln!(text, "  AUDC, private − clear: {difference}");
            let _ = writeln!(text, "  {} prompts are decided by a lead below {CLOSE}", of.close);
            let _ = writeln!(text, "  over the curve {:.3}% of choices are the same", 100.0 * of.equal_over_curve);
            for Difference { id, clear, private, lead } in &of.differences {
                let _ = writeln!(text, "  {id}: privately {private}");
                let _ = writeln!(text, "    in the clear {clear}, by a lead of {lead:.6}");
            }
        }
        let Bootstrap { resamples, seed } = self.bootstrap;
        let _ = writeln!(text, "In brackets: 95 % intervals from {resamples} paired bootstrap resamples, seed {seed}.");
        text.truncate(text.trim_end().len());
        text
    }
}

/// One router's numbers.
struct Case<'a> {
    work: &'a Work,
    router: &'a Router,
    grid: Vec<f32>,
    /// What the rule reads, computed in the clear.
    clear: Matrix,
    outcomes: &'a Outcomes,
}

impl Case<'_> {
    /// `whole`: the model of each prompt's full route; `head`: for each prompt the model of each weight of cost.
    fn compare(&self, whole: &[usize], head: &[&[usize]]) -> Result<RouterAgreement, EvaluationError> {
        let Router { name, lambda, rule, .. } = self.router;
        let utilities: Vec<Vec<f32>> = self.clear.iter_rows().map(|row| rule::utilities(rule, row)).collect();
        let clear = run_of_utilities(&utilities, rule::costs(rule), &self.grid);
        let private = Run::Choices(
            (self.grid.iter().enumerate())
                .map(|(at, lambda)| Choices { lambda: *lambda, models: head.iter().map(|models| models[at]).collect() })
                .collect(),
        );
        let own = Run::Choices(vec![Choices { lambda: *lambda, models: whole.to_vec() }]);
        let chosen: Vec<usize> =
            utilities.iter().map(|utilities| rule::best(utilities, rule::costs(rule), *lambda)).collect();
        let model = |index: usize| self.work.dataset.models()[index].name.clone();
        let differ = (0..whole.len()).filter(|place| whole[*place] != chosen[*place]);
        let differences: Vec<Difference> = differ
            .map(|place| Difference {
                id: self.work.dataset.prompts()[self.work.places[place]].id.clone(),
                clear: model(chosen[place]),
                private: model(whole[place]),
                lead: rule::lead(rule, self.clear.row(place), *lambda, whole[place]),
            })
            .collect();
        let closest = |place: usize| {
            let others = (0..self.outcomes.models()).filter(|model| *model != chosen[place]);
            others.map(|other| rule::lead(rule, self.clear.row(place), *lambda, other)).fold(f32::INFINITY, f32::min)
        };
        let point = |run: &Run| points(run, self.outcomes)[0];
        let compared = compare(&private, &clear, self.outcomes, BOOTSTRAP, &Stop::never())?;
        Ok(RouterAgreement {
            router: name.clone(),
            lambda: *lambda,
            equal: whole.len() - differences.len(),
            // The grid begins with the router's own weight of cost.
            clear: Side { point: point(&clear), audc: compared.from.audc },
            private: Side { point: point(&own), audc: compared.of.audc },
            audc_difference: compared.difference.audc,
            close: (0..chosen.len()).filter(|place| closest(*place) < CLOSE).count(),
            equal_over_curve: equal_share(&clear, &private),
            differences,
        })
    }
}

/// A number with its interval, which is finite for areas.
fn estimate(estimate: Estimate, number: impl Fn(f64) -> String) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), &number);
    let interval = estimate.interval.map(|interval| format!(" [{}, {}]", shown(interval.low), shown(interval.high)));
    shown(estimate.value) + &interval.unwrap_or_default()
}

/// The share of the choices of two runs, with the same weights of cost, that are the same.
fn equal_share(a: &Run, b: &Run) -> f64 {
    let (Run::Choices(a), Run::Choices(b)) = (a, b) else { return f64::NAN };
    let pairs = || a.iter().zip(b).flat_map(|(a, b)| a.models.iter().zip(&b.models));
    pairs().filter(|(a, b)| a == b).count() as f64 / pairs().count() as f64
}
