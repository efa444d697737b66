//! Axes of charts: positions of values, and round values for ticks.

/// One axis of a chart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    /// The positions of `low` and `high`.
    ends: (f64, f64),
}

impl Scale {
    /// An axis for values from `low` to `high`. Equal ends are moved apart.
    pub(crate) fn new(low: f64, high: f64, ends: (f64, f64)) -> Self {
        let (low, high) = if high - low > 1e-6 { (low, high) } else { (low - 0.05, high + 0.05) };
        Self { low, high, ends }
    }

    /// The position of a value.
    pub(crate) fn at(&self, value: f64) -> f64 {
        self.ends.0 + (value - self.low) / (self.high - self.low) * (self.ends.1 - self.ends.0)
    }

    /// Whether the value is on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low - 1e-9..=self.high + 1e-9).contains(&value)
    }

    /// About `about` round values on the axis, with their texts.
    pub(crate) fn ticks(&self, about: u32) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / f64::from(about.max(1));
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(10.0 * power);
        let places = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let (first, last) = ((self.low / step - 1e-6).ceil() as i64, (self.high / step + 1e-6).floor() as i64);
        (first..=last).map(|tick| tick as f64 * step).map(|value| (value, format!("{value:.places$}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64) -> Vec<String> {
        Scale::new(low, high, (0.0, 100.0)).ticks(5).into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(0.53, 0.68), ["0.55", "0.60", "0.65"]);
        assert_eq!(texts(0.0, 2.5), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        assert_eq!(texts(0.0, 12.0), ["0", "5", "10"]);
        assert_eq!(texts(0.61, 0.613), ["0.610", "0.611", "0.612", "0.613"]);
        // A single value is in the middle of its axis.
        let one = Scale::new(0.5, 0.5, (0.0, 100.0));
        assert!((one.at(0.5) - 50.0).abs() < 1e-9 && one.holds(0.5) && !one.holds(0.6));
    }
}
