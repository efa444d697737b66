//! One regression tree with a value per model in each leaf.

use super::features::BINS;

/// How trees grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    /// The largest number of splits from the root to a leaf.
    pub(super) depth: usize,
    /// The least number of prompts in a leaf.
    pub(super) least: usize,
    /// How many prompts with residual 0 are added to each leaf, so that small leaves have small values.
    pub(super) shrink: f32,
}

/// The prompts that a tree is grown from.
pub(super) struct Targets<'a> {
    /// Per component, the bin of each prompt.
    pub(super) bins: &'a [Vec<u8>],
    /// `[prompts, models]`, row by row.
    pub(super) residuals: &'a [f32],
    /// The number of models.
    pub(super) models: usize,
}

/// A tree; the root is the first node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Prompts whose bin of this component is at most `last` go to the first of the two following nodes, the others to the second.
    Split { component: usize, last: u8, next: usize },
    /// One value per model.
    Leaf(Vec<f32>),
}

/// A way to split the prompts of a node.
struct Split {
    gain: f32,
    component: usize,
    last: u8,
}

impl Tree {
    /// Grows a tree from these prompts, with splits by these components.
    pub(super) fn grow(targets: &Targets<'_>, prompts: Vec<u32>, components: &[usize], growth: Growth) -> Self {
        let mut nodes = vec![Node::Leaf(Vec::new())];
        let mut open = vec![(0, prompts, 0)];
        while let Some((place, prompts, depth)) = open.pop() {
            let split = (depth < growth.depth).then(|| best(targets, &prompts, components, growth)).flatten();
            let Some(Split { component, last, .. }) = split else {
                nodes[place] = Node::Leaf(targets.leaf(&prompts, growth.shrink));
                continue;
            };
            let next = nodes.len();
            nodes[place] = Node::Split { component, last, next };
            nodes.extend([Node::Leaf(Vec::new()), Node::Leaf(Vec::new())]);
            let bins = &targets.bins[component];
            let (low, high) = prompts.into_iter().partition(|prompt| bins[*prompt as usize] <= last);
            open.extend([(next, low, depth + 1), (next + 1, high, depth + 1)]);
        }
        Self { nodes }
    }

    /// The values for a prompt, from its bin of each component.
    pub(super) fn values(&self, bin: impl Fn(usize) -> u8) -> &[f32] {
        let mut place = 0;
        loop {
            match &self.nodes[place] {
                Node::Split { component, last, next } => place = next + usize::from(bin(*component) > *last),
                Node::Leaf(values) => return values,
            }
        }
    }
}

impl Targets<'_> {
    fn residual(&self, prompt: u32) -> &[f32] {
        &self.residuals[prompt as usize * self.models..][..self.models]
    }

    fn sum(&self, prompts: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.models];
        prompts.iter().for_each(|prompt| add(&mut sum, self.residual(*prompt)));
        sum
    }

    /// The mean residuals, shrunk.
    fn leaf(&self, prompts: &[u32], shrink: f32) -> Vec<f32> {
        let weight = prompts.len() as f32 + shrink;
        self.sum(prompts).iter().map(|sum| if weight > 0.0 { sum / weight } else { 0.0 }).collect()
    }
}

/// The split that lowers the squared error of all models together most; none if no split lowers it.
fn best(targets: &Targets<'_>, prompts: &[u32], components: &[usize], growth: Growth) -> Option<Split> {
    if prompts.len() < 2 * growth.least {
        return None;
    }
    let models = targets.models;
    let total = targets.sum(prompts);
    let worth = |sum: &[f32], count: f32| sum.iter().map(|sum| sum * sum).sum::<f32>() / (count + growth.shrink);
    let whole = worth(&total, prompts.len() as f32);
    let mut best: Option<Split> = None;
    let (mut sums, mut low, mut high) = (vec![0.0f32; BINS * models], vec![0.0f32; models], vec![0.0f32; models]);
    for &component in components {
        let bins = &targets.bins[component];
        let mut counts = [0usize; BINS];
        sums.fill(0.0);
        for &prompt in prompts {
            let bin = usize::from(bins[prompt as usize]);
            counts[bin] += 1;
            add(&mut sums[bin * models..][..models], targets.residual(prompt));
        }
        low.fill(0.0);
        let mut count = 0;
        for last in 0..BINS - 1 {
            count += counts[last];
            add(&mut low, &sums[last * models..][..models]);
            let rest = prompts.len() - count;
            if counts[last] == 0 || count < growth.least || rest < growth.least {
                continue;
            }
            high.iter_mut().zip(total.iter().zip(&low)).for_each(|(high, (total, low))| *high = total - low);
            let gain = worth(&low, count as f32) + worth(&high, rest as f32) - whole;
            if gain > best.as_ref().map_or(1e-6 * whole, |best| best.gain) {
                best = Some(Split { gain, component, last: last as u8 });
            }
        }
    }
    best
}

fn add(sum: &mut [f32], values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWTH: Growth = Growth { depth: 2, least: 1, shrink: 0.0 };

    #[test]
    fn a_tree_by_hand() {
        // Model 0 answers bins below 2 of component 1; model 1 answers, of the others, those with component 0 at 1.
        let bins = vec![vec![0, 1, 0, 1, 0, 1], vec![0, 1, 1, 2, 3, 2]];
        let residuals = [4.0, 0.0, 4.0, 0.0, 4.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0];
        let targets = Targets { bins: &bins, residuals: &residuals, models: 2 };
        let values = |growth: Growth, components: &[usize]| {
            let tree = Tree::grow(&targets, (0..6).collect(), components, growth);
            (0..6).map(|prompt| tree.values(|component| bins[component][prompt]).to_vec()).collect::<Vec<_>>()
        };
        let exact: Vec<Vec<f32>> = residuals.chunks(2).map(<[f32]>::to_vec).collect();
        assert_eq!(values(GROWTH, &[0, 1]), exact);
        // One split: the first is that by component 1.
        let one = values(Growth { depth: 1, ..GROWTH }, &[0, 1]);
        assert_eq!((&one[0], &one[3]), (&vec![4.0, 0.0], &vec![0.0, 4.0 / 3.0]));
        // Three prompts with residual 0 more halve the values of leaves of three.
        let shrunk = values(Growth { depth: 1, shrink: 3.0, ..GROWTH }, &[0, 1]);
        assert_eq!(shrunk[0], [2.0, 0.0]);
        // Leaves of at least 4 prompts are impossible, and component 0 alone cannot tell models apart like this.
        assert_eq!(values(Growth { least: 4, ..GROWTH }, &[0, 1])[0], [2.0, 4.0 / 6.0]);
        assert_ne!(values(GROWTH, &[0]), exact);
    }

    #[test]
    fn equal_residuals_are_not_split() {
        let bins = vec![vec![0, 1, 2, 3]];
        let targets = Targets { bins: &bins, residuals: &[0.5; 4], models: 1 };
        assert_eq!(Tree::grow(&targets, (0..4).collect(), &[0], GROWTH).nodes, [Node::Leaf(vec![0.5])]);
    }
}
