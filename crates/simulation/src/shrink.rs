//! Shorter lists that fail too.

use crate::operation::Operation;

/// Leaves out parts of a list as long as it fails without them: halves, quarters and so on (delta debugging, Zeller 2002), with at
/// most `runs` tries.
pub fn shrink(list: &[Operation], mut runs: usize, mut fails: impl FnMut(&[Operation]) -> bool) -> Vec<Operation> {
    let (mut list, mut part) = (list.to_vec(), list.len().div_ceil(2));
    while part > 0 && runs > 0 {
        let (mut from, mut shorter) = (0, false);
        while from < list.len() && runs > 0 {
            let to = (from + part).min(list.len());
            let without = [&list[..from], &list[to..]].concat();
            runs -= 1;
            if !without.is_empty() && fails(&without) {
                (list, shorter) = (without, true);
            } else {
                from = to;
            }
        }
        if !shorter || part > list.len() {
            part /= 2;
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_left_and_the_number_of_runs_is_limited() {
        let list: Vec<Operation> = (0..40).map(Operation::Wait).collect();
        let both = |list: &[Operation]| [7, 31].iter().all(|wait| list.contains(&Operation::Wait(*wait)));
        assert_eq!(shrink(&list, 1000, both), [Operation::Wait(7), Operation::Wait(31)]);
        let mut runs = 0;
        let left = shrink(&list, 5, |list| {
            runs += 1;
            both(list)
        });
        assert!(runs == 5 && both(&left));
    }
}
