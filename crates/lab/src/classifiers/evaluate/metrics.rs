//! How good labels are: measures of found labels against the true ones, for texts that count several times or not at all.

use serde::Serialize;

/// A measure of a method's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of right labels.
    Accuracy,
    /// Of two labels: F1 of the second.
    F1,
    /// Of two labels: Matthews' correlation.
    Matthews,
    /// Of more than two labels: the mean of the labels' F1.
    MacroF1,
    /// Of more than two labels that are whole numbers: Spearman's correlation of the found number with the true one.
    Spearman,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Accuracy, Self::F1, Self::Matthews, Self::MacroF1, Self::Spearman];

    /// Its heading in reports.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "F1",
            Self::Matthews => "Matthews",
            Self::MacroF1 => "macro F1",
            Self::Spearman => "Spearman",
        }
    }

    /// Its name in files.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::F1 => "f1",
            Self::Matthews => "matthews",
            Self::MacroF1 => "macro_f1",
            Self::Spearman => "spearman",
        }
    }

    /// Those of a task with so many labels, which are whole numbers or not.
    pub(super) fn of_task(labels: usize, numbers: bool) -> Vec<Self> {
        match (labels, numbers) {
            (..=2, _) => vec![Self::Accuracy, Self::F1, Self::Matthews],
            (_, false) => vec![Self::Accuracy, Self::MacroF1],
            (_, true) => vec![Self::Accuracy, Self::MacroF1, Self::Spearman],
        }
    }
}

/// The true labels of texts.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    labels: usize,
    label: Vec<usize>,
    /// The labels' numbers and the texts' true numbers, with their order; if labels are whole numbers.
    numbers: Option<Numbers>,
}

#[derive(Clone, Debug)]
struct Numbers {
    of_label: Vec<f64>,
    of_text: Vec<f64>,
    order: Vec<usize>,
}

impl Truth {
    /// The places of true labels among so many, and numbers of all labels and texts.
    pub(super) fn new(labels: usize, label: Vec<usize>, numbers: Option<(Vec<f64>, Vec<f64>)>) -> Self {
        let numbers = numbers.map(|(of_label, of_text)| {
            let mut order: Vec<usize> = (0..of_text.len()).collect();
            order.sort_by(|a, b| of_text[*a].total_cmp(&of_text[*b]));
            Numbers { of_label, of_text, order }
        });
        Self { labels, label, numbers }
    }

    pub(super) fn label(&self, text: usize) -> usize {
        self.label[text]
    }

    pub(super) fn texts(&self) -> usize {
        self.label.len()
    }
}

/// The labels that texts got; none for a text without an answer, which counts as wrong.
#[derive(Clone, Debug)]
pub(super) struct Found {
    label: Vec<Option<usize>>,
    /// The answered texts by the number of their label.
    order: Vec<usize>,
}

impl Found {
    pub(super) fn new(label: Vec<Option<usize>>, truth: &Truth) -> Self {
        let mut order = Vec::new();
        if let Some(numbers) = &truth.numbers {
            let number = |text: &usize| label[*text].map_or(f64::NAN, |label| numbers.of_label[label]);
            order.extend((0..label.len()).filter(|text| label[*text].is_some()));
            order.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        Self { label, order }
    }

    /// Each measure, where each text counts so many times.
    pub(super) fn measure(&self, metrics: &[Metric], truth: &Truth, times: &[u32]) -> Vec<f64> {
        let counts = Counts::of(self, truth, times);
        let value = |metric: &Metric| match metric {
            Metric::Accuracy => counts.right.iter().sum::<f64>() / counts.all,
            Metric::F1 => counts.f1(1),
            Metric::Matthews => counts.matthews(),
            Metric::MacroF1 => counts.macro_f1(),
            Metric::Spearman => self.spearman(truth, times),
        };
        metrics.iter().map(value).collect()
    }

    /// Spearman's correlation over the answered texts: that of the ranks, where equal numbers share their mean rank.
    fn spearman(&self, truth: &Truth, times: &[u32]) -> f64 {
        let Some(numbers) = &truth.numbers else { return f64::NAN };
        let counts = |text: &usize| self.label[*text].is_some() && times[*text] > 0;
        let order: Vec<usize> = numbers.order.iter().copied().filter(counts).collect();
        let truths = ranks(&order, &|text| numbers.of_text[text], times);
        let order: Vec<usize> = self.order.iter().copied().filter(counts).collect();
        let number = |text: usize| self.label[text].map_or(f64::NAN, |label| numbers.of_label[label]);
        let found = ranks(&order, &number, times);
        let all: f64 = order.iter().map(|text| f64::from(times[*text])).sum();
        // The mean rank is the same whatever is equal.
        let middle = (all + 1.0) / 2.0;
        let sum = |a: &[f64], b: &[f64]| -> f64 {
            order.iter().map(|&text| f64::from(times[text]) * (a[text] - middle) * (b[text] - middle)).sum()
        };
        sum(&truths, &found) / (sum(&truths, &truths) * sum(&found, &found)).sqrt()
    }
}

/// The ranks of texts by their numbers, counted from 1; 0 for those that are not in the order.
fn ranks(order: &[usize], number: &dyn Fn(usize) -> f64, times: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; times.len()];
    let mut before = 0.0;
    for equal in order.chunk_by(|a, b| number(*a).total_cmp(&number(*b)).is_eq()) {
        let count: f64 = equal.iter().map(|text| f64::from(times[*text])).sum();
        equal.iter().for_each(|text| ranks[*text] = before + (count + 1.0) / 2.0);
        before += count;
    }
    ranks
}

/// How many texts have a label, got it, and both, by label.
struct Counts {
    right: Vec<f64>,
    truth: Vec<f64>,
    /// With one more place, for texts without an answer.
    found: Vec<f64>,
    all: f64,
}

impl Counts {
    fn of(found: &Found, truth: &Truth, times: &[u32]) -> Self {
        let labels = truth.labels;
        let mut counts =
            Self { right: vec![0.0; labels], truth: vec![0.0; labels], found: vec![0.0; labels + 1], all: 0.0 };
        for ((label, found), times) in truth.label.iter().zip(&found.label).zip(times) {
            let times = f64::from(*times);
            counts.all += times;
            counts.truth[*label] += times;
            counts.found[found.unwrap_or(labels)] += times;
            counts.right[*label] += if *found == Some(*label) { times } else { 0.0 };
        }
        counts
    }

    /// F1 of a label; 0 if no text has it or got it.
    fn f1(&self, label: usize) -> f64 {
        let either = self.truth[label] + self.found[label];
        if either > 0.0 { 2.0 * self.right[label] / either } else { 0.0 }
    }

    /// The mean F1 of the labels that a text has or got.
    fn macro_f1(&self) -> f64 {
        let labels: Vec<usize> =
            (0..self.truth.len()).filter(|label| self.truth[*label] + self.found[*label] > 0.0).collect();
        labels.iter().map(|label| self.f1(*label)).sum::<f64>() / labels.len() as f64
    }

    /// Matthews' correlation, in the form for any number of labels; 0 if all texts have, or got, one label.
    fn matthews(&self) -> f64 {
        let right: f64 = self.right.iter().sum();
        let both: f64 = self.truth.iter().zip(&self.found).map(|(truth, found)| truth * found).sum();
        let squares = |counts: &[f64]| self.all * self.all - counts.iter().map(|count| count * count).sum::<f64>();
        let scale = (squares(&self.truth) * squares(&self.found)).sqrt();
        if scale > 0.0 { (right * self.all - both) / scale } else { 0.0 }
    }
}
