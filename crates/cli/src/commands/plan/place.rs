//! Which pairs hold which models: the largest load of a pair is as small as a greedy choice and local improvement make it.

/// Steps of improvement, at most: each makes the placement better, so that few are needed.
const STEPS: usize = 1000;
/// Another copy of a model must lower the largest load by so much of it.
const WORTH: f64 = 0.01;
/// What rounding may change.
const ROUNDING: f64 = 1e-12;

/// What a model needs of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) memory: f64,
    /// Of a session.
    pub(super) seconds: f64,
}

/// Pairs and models.
#[derive(Debug)]
pub(super) struct Problem {
    /// Memory of each pair.
    pub(super) memory: Vec<f64>,
    /// Sessions per hour of each model.
    pub(super) sessions: Vec<f64>,
    /// By model and pair.
    pub(super) needs: Vec<Vec<Need>>,
}

/// The pairs of each model.
pub(super) type Placed = Vec<Vec<usize>>;

/// A model for which no pair has room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NoRoom {
    pub(super) model: usize,
    /// The pair that lacks the least.
    pub(super) pair: usize,
    /// How much memory it has left.
    pub(super) left: f64,
    /// How much more it would need.
    pub(super) lacks: f64,
}

impl Problem {
    /// The share of an hour that each pair is busy, with its sessions one after the other.
    pub(super) fn loads(&self, placed: &Placed) -> Vec<f64> {
        let mut loads = vec![0.0; self.memory.len()];
        for (model, pairs) in placed.iter().enumerate() {
            let load = self.load(model, pairs);
            pairs.iter().for_each(|pair| loads[*pair] += load);
        }
        loads
    }

    /// The load of a model on each of its pairs: they share its sessions so that each is busy for the same time.
    pub(super) fn load(&self, model: usize, pairs: &[usize]) -> f64 {
        let rate: f64 = pairs.iter().map(|pair| 1.0 / self.needs[model][*pair].seconds).sum();
        self.sessions[model] / 3600.0 / rate
    }

    /// The memory that each pair has left; negative if it lacks some.
    pub(super) fn left(&self, placed: &Placed) -> Vec<f64> {
        let mut left = self.memory.clone();
        for (model, pairs) in placed.iter().enumerate() {
            pairs.iter().for_each(|pair| left[*pair] -= self.needs[model][*pair].memory);
        }
        left
    }

    /// Places every model on at least one pair.
    ///
    /// # Errors
    /// If a model has no room.
    pub(super) fn place(&self) -> Result<Placed, NoRoom> {
        let least = |model: usize, of: &dyn Fn(&Need) -> f64| self.needs[model].iter().map(of).fold(f64::MAX, f64::min);
        let by_load = |model: usize| self.sessions[model] * least(model, &|need| need.seconds);
        let by_memory = |model: usize| least(model, &|need| need.memory);
        // The largest first. If memory is short, what needs most of it first.
        let placed = self.greedy(&by_load).or_else(|_| self.greedy(&by_memory))?;
        Ok(self.improved(placed))
    }

    fn greedy(&self, size: &dyn Fn(usize) -> f64) -> Result<Placed, NoRoom> {
        let mut order: Vec<usize> = (0..self.needs.len()).collect();
        order.sort_by(|one, other| size(*other).total_cmp(&size(*one)));
        let mut placed: Placed = vec![Vec::new(); self.needs.len()];
        for model in order {
            let (left, loads) = (self.left(&placed), self.loads(&placed));
            let lacks = |pair: &usize| self.needs[model][*pair].memory - left[*pair];
            let pairs = || 0..self.memory.len();
            let then = |pair: &usize| loads[*pair] + self.load(model, &[*pair]);
            let best = pairs().filter(|pair| lacks(pair) <= 0.0).min_by(|one, other| then(one).total_cmp(&then(other)));
            let Some(best) = best else {
                let pair = pairs().min_by(|one, other| lacks(one).total_cmp(&lacks(other))).unwrap_or(0);
                return Err(NoRoom { model, pair, left: left[pair], lacks: lacks(&pair) });
            };
            placed[model].push(best);
        }
        Ok(placed)
    }

    fn improved(&self, mut placed: Placed) -> Placed {
        for _ in 0..STEPS {
            let better = self.neighbours(&placed).into_iter().filter(|other| self.is_better(other, &placed));
            let best = better.min_by(|one, other| self.largest(one).total_cmp(&self.largest(other)));
            let Some(best) = best else { break };
            placed = best;
        }
        placed
    }

    /// Placements with one model elsewhere, on one pair more or less, or with two models exchanged.
    fn neighbours(&self, placed: &Placed) -> Vec<Placed> {
        let mut neighbours = Vec::new();
        let mut with = |changes: &[(usize, Vec<usize>)]| {
            let mut other = placed.clone();
            changes.iter().for_each(|(model, pairs)| other[*model].clone_from(pairs));
            if self.left(&other).iter().all(|left| *left >= 0.0) {
                neighbours.push(other);
            }
        };
        for (model, pairs) in placed.iter().enumerate() {
            for pair in (0..self.memory.len()).filter(|pair| !pairs.contains(pair)) {
                with(&[(model, [pairs.as_slice(), &[pair]].concat())]);
                for place in 0..pairs.len() {
                    let mut moved = pairs.clone();
                    moved[place] = pair;
                    with(&[(model, moved)]);
                }
            }
            for place in (0..pairs.len()).filter(|_| pairs.len() > 1) {
                let mut fewer = pairs.clone();
                fewer.remove(place);
                with(&[(model, fewer)]);
            }
            for (other, theirs) in placed.iter().enumerate().skip(model + 1).filter(|(_, theirs)| *theirs != pairs) {
                with(&[(model, theirs.clone()), (other, pairs.clone())]);
            }
        }
        neighbours
    }

    pub(super) fn largest(&self, placed: &Placed) -> f64 {
        self.loads(placed).into_iter().fold(0.0, f64::max)
    }

    /// Whether a placement is better: a smaller largest load, and with equal ones more even loads; with more copies only if that is
    /// worth it.
    fn is_better(&self, new: &Placed, old: &Placed) -> bool {
        let copies = |placed: &Placed| placed.iter().map(Vec::len).sum::<usize>();
        let squares = |placed: &Placed| self.loads(placed).iter().map(|load| load * load).sum::<f64>();
        let (largest, before) = (self.largest(new), self.largest(old));
        match copies(new).cmp(&copies(old)) {
            std::cmp::Ordering::Greater => largest < before * (1.0 - WORTH),
            std::cmp::Ordering::Less => largest <= before,
            std::cmp::Ordering::Equal => {
                largest < before - ROUNDING || (largest <= before + ROUNDING && squares(new) < squares(old) - ROUNDING)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Models by their sessions per hour, memory, and seconds on each pair.
    fn problem(memory: &[f64], models: &[(f64, f64, &[f64])]) -> Problem {
        let needs = |(_, memory, seconds): &(f64, f64, &[f64])| {
            seconds.iter().map(|seconds| Need { memory: *memory, seconds: *seconds }).collect()
        };
        Problem {
            memory: memory.to_vec(),
            sessions: models.iter().map(|(sessions, ..)| *sessions).collect(),
            needs: models.iter().map(needs).collect(),
        }
    }

    #[test]
    fn models_are_spread_so_that_the_largest_load_is_least() {
        // Loads of 50, 30 and 20 % on either pair: the large one alone, the others together. Memory for two copies, and no more.
        let problem =
            problem(&[10.0; 2], &[(1000.0, 5.0, &[1.8; 2]), (360.0, 5.0, &[3.0; 2]), (720.0, 5.0, &[1.0; 2])]);
        let placed = problem.place().unwrap();
        assert_eq!(placed, [vec![0], vec![1], vec![1]]);
        let loads = problem.loads(&placed);
        // 1000 · 1.8 s = 0.5 h, and 360 · 3 s + 720 · 1 s = 0.5 h.
        assert!((loads[0] - 0.5).abs() < 1e-9 && (loads[1] - 0.5).abs() < 1e-9, "{loads:?}");
    }

    #[test]
    fn a_model_that_is_too_much_for_one_pair_is_on_both_in_the_ratio_of_their_speeds() {
        // Three hours of work per hour on the first pair, six on the second: together two hours each.
        let problem = problem(&[10.0; 2], &[(3600.0, 5.0, &[3.0, 6.0])]);
        let placed = problem.place().unwrap();
        assert_eq!(placed, [vec![0, 1]]);
        assert!(problem.loads(&placed).iter().all(|load| (load - 2.0).abs() < 1e-9));
    }

    #[test]
    fn memory_decides_before_speed_and_what_does_not_fit_says_by_how_much() {
        let fast_and_small = |memory| problem(&[memory, 100.0], &[(60.0, 50.0, &[1.0, 200.0])]);
        assert_eq!(fast_and_small(50.0).place().unwrap(), [vec![0]]);
        assert_eq!(fast_and_small(49.0).place().unwrap(), [vec![1]]);
        let none = problem(&[30.0, 40.0], &[(60.0, 50.0, &[1.0, 1.0])]);
        assert_eq!(none.place(), Err(NoRoom { model: 0, pair: 1, left: 40.0, lacks: 10.0 }));
        // By load the small model would come first and take the only room of the large one.
        let order = problem(&[60.0, 20.0], &[(600.0, 20.0, &[1.0, 2.0]), (6.0, 50.0, &[1.0, 1.0])]);
        assert_eq!(order.place().unwrap(), [vec![1], vec![0]]);
    }

    #[test]
    fn two_models_are_exchanged_where_that_is_better() {
        // Greedy puts the larger one on the pair where the other would gain more.
        let problem = problem(&[5.0; 2], &[(100.0, 5.0, &[10.0, 11.0]), (90.0, 5.0, &[1.0, 40.0])]);
        assert_eq!(problem.place().unwrap(), [vec![1], vec![0]]);
    }
}
