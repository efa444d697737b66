//! Positions for the names of points, without overlaps.

use super::table::shortened;

/// The width of a letter and the height of a line in the charts' font.
const LETTER: f64 = 6.4;
const LINE: f64 = 13.0;
/// Half the size of a dot, with a margin.
const DOT: f64 = 6.0;
/// The maximum length of a name that is shown in full.
pub(super) const LONGEST: usize = 30;

/// A dot. Without a name it is only avoided by the names of others.
pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) name: String,
}

/// The position of a name: `x` is its left end, `y` its middle.
#[derive(Debug, PartialEq)]
pub(super) struct Label {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) text: String,
    /// Whether it is so far from its dot that a line must join them.
    pub(super) far: bool,
}

#[derive(Clone, Copy)]
struct Box {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Box {
    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    fn holds(&self, x: f64, y: f64) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }
}

/// A position for each dot's name within (left, right, top, bottom), if there is room: beside its dot, or further up or down; away
/// from the points of `lines` if possible. Dots are processed from the top, so that names of a column of dots keep their order.
pub(super) fn place(dots: &[Dot], lines: &[(f64, f64)], bounds: (f64, f64, f64, f64)) -> Vec<Option<Label>> {
    let (left, right, top, bottom) = bounds;
    let mut taken: Vec<Box> = dots
        .iter()
        .map(|dot| Box { left: dot.x - DOT, right: dot.x + DOT, top: dot.y - DOT, bottom: dot.y + DOT })
        .collect();
    let mut order: Vec<usize> = (0..dots.len()).collect();
    order.sort_by(|a, b| dots[*a].y.total_cmp(&dots[*b].y));
    let mut labels: Vec<Option<Label>> = dots.iter().map(|_| None).collect();
    for index in order.into_iter().filter(|index| !dots[*index].name.is_empty()) {
        let dot = &dots[index];
        let text = shortened(&dot.name, LONGEST);
        let width = text.chars().count() as f64 * LETTER;
        let shifts = (0..9).flat_map(|step| [f64::from(step) * LINE * 0.75, -f64::from(step) * LINE * 0.75]);
        let beside = |shift: f64| [dot.x + DOT + 3.0, dot.x - DOT - 3.0 - width].map(|x| (x, dot.y + shift));
        let free: Vec<(f64, f64, Box)> = (shifts.flat_map(beside))
            .map(|(x, y)| (x, y, Box { left: x, right: x + width, top: y - LINE / 2.0, bottom: y + LINE / 2.0 }))
            .filter(|(.., own)| {
                let inside = own.left >= left && own.right <= right && own.top >= top && own.bottom <= bottom;
                inside && !taken.iter().any(|other| other.meets(own))
            })
            .collect();
        let crossed = |own: &Box| lines.iter().filter(|(x, y)| own.holds(*x, *y)).count();
        if let Some((x, y, own)) = free.into_iter().min_by_key(|(.., own)| crossed(own)) {
            taken.push(own);
            labels[index] = Some(Label { x, y, text, far: (y - dot.y).abs() > LINE * 0.8 });
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(x: f64, y: f64, name: &str) -> Dot {
        Dot { x, y, name: name.to_owned() }
    }

    #[test]
    fn names_do_not_overlap() {
        let dots: Vec<Dot> = (0..6).map(|index| dot(100.0, 100.0 + f64::from(index), "a-model-of-7b")).collect();
        let labels: Vec<Label> = place(&dots, &[], (0.0, 400.0, 0.0, 300.0)).into_iter().flatten().collect();
        assert_eq!(labels.len(), 6);
        for (index, label) in labels.iter().enumerate() {
            let alike = |other: &Label| (other.x - label.x).abs() < 80.0 && (other.y - label.y).abs() < LINE - 1e-9;
            assert!(!labels[..index].iter().any(alike), "{labels:?}");
        }
        assert!(labels.iter().any(|label| label.far) && labels.iter().any(|label| !label.far));
    }

    #[test]
    fn names_avoid_lines_if_possible() {
        let dots = [dot(100.0, 100.0, "a model")];
        let line: Vec<(f64, f64)> = (100..200).map(|x| (f64::from(x), 100.0)).collect();
        let bounds = (0.0, 400.0, 0.0, 300.0);
        assert!(place(&dots, &line, bounds)[0].as_ref().unwrap().x < 100.0);
        let both: Vec<(f64, f64)> = (0..400).map(|x| (f64::from(x), 100.0)).collect();
        let beside = place(&dots, &both, bounds)[0].as_ref().unwrap().y;
        assert!((beside - 100.0).abs() > LINE / 2.0, "{beside}");
    }

    #[test]
    fn names_stay_inside_or_are_left_out() {
        let labels =
            place(&[dot(390.0, 20.0, "at the right end"), dot(20.0, 20.0, "left")], &[], (0.0, 400.0, 0.0, 300.0));
        assert!(labels[0].as_ref().unwrap().x < 380.0 && labels[1].as_ref().unwrap().x > 20.0);
        assert_eq!(place(&[dot(50.0, 50.0, "")], &[], (0.0, 400.0, 0.0, 300.0)), [None]);
        assert_eq!(place(&[dot(5.0, 5.0, "no room")], &[], (0.0, 20.0, 0.0, 10.0)), [None]);
    }
}
