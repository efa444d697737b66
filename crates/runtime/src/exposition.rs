//! The text format of Prometheus, version 0.0.4, in which a process shows its metrics.

use std::fmt::{self, Write as _};

/// The type of the format, for a header of HTTP.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of metrics counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// A value of now.
    Gauge,
    /// How many values there are up to each of some bounds.
    Histogram,
}

impl Kind {
    /// As the format writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The values of a histogram.
#[derive(Clone, Debug)]
pub struct Histogram<'a> {
    /// How each bound is written, and how many values there are up to it, of which none is in a bound before.
    pub within: Vec<(&'a str, u64)>,
    /// All values.
    pub count: u64,
    /// Their sum, as it is written.
    pub sum: String,
}

/// The text, to which families are added one after the other.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// Begins a family, whose samples come next.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {}", kind.name()));
    }

    /// A sample of the family. Any text may be the value of a label.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            let pairs: Vec<String> =
                labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            self.line(format_args!("{name}{{{}}} {value}", pairs.join(",")));
        }
    }

    /// The samples of a histogram.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], values: &Histogram<'_>) {
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        for (bound, within) in &values.within {
            so_far += within;
            self.sample(&bucket, &[labels, &[("le", bound)]].concat(), so_far);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), values.count);
        self.sample(&format!("{name}_sum"), labels, &values.sum);
        self.sample(&format!("{name}_count"), labels, values.count);
    }

    /// The whole text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.0.write_fmt(text);
        self.0.push('\n');
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A whole number of parts, of which so many powers of ten are one, exactly.
#[must_use]
pub fn decimal(value: u128, places: usize) -> String {
    let digits = format!("{value:0width$}", width = places + 1);
    let (whole, parts) = digits.split_at(digits.len() - places);
    let parts = parts.trim_end_matches('0');
    if parts.is_empty() { whole.to_owned() } else { format!("{whole}.{parts}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_written_as_the_format_says() {
        let mut text = Exposition::default();
        text.family("things_total", Kind::Counter, "Things.");
        text.sample("things_total", &[("name", "a \"b\"\\\n"), ("kind", "c")], 7);
        text.family("now", Kind::Gauge, "Now.");
        text.sample("now", &[], 0);
        text.family("seconds", Kind::Histogram, "Times.");
        let within = vec![("0.5", 2), ("1", 1)];
        text.histogram("seconds", &[("of", "x")], &Histogram { within, count: 4, sum: decimal(1_230, 2) });
        let expected = "# HELP things_total Things.\n# TYPE things_total counter\n\
            things_total{name=\"a \\\"b\\\"\\\\\\n\",kind=\"c\"} 7\n\
            # HELP now Now.\n# TYPE now gauge\nnow 0\n\
            # HELP seconds Times.\n# TYPE seconds histogram\n\
            seconds_bucket{of=\"x\",le=\"0.5\"} 2\nseconds_bucket{of=\"x\",le=\"1\"} 3\nseconds_bucket{of=\"x\",le=\"+Inf\"} 4\n\
            seconds_sum{of=\"x\"} 12.3\nseconds_count{of=\"x\"} 4\n";
        assert_eq!(text.into_text(), expected);
    }

    #[test]
    fn decimals_are_exact() {
        let all = [(0, 2, "0"), (5, 2, "0.05"), (100, 2, "1"), (12_345, 2, "123.45"), (7, 0, "7")];
        assert!(all.iter().all(|(value, places, text)| decimal(*value, *places) == *text));
    }
}
