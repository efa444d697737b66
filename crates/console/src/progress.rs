//! Progress of work that takes minutes: a bar on a terminal, a line a minute elsewhere.

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Shows how far some work is. The bar vanishes when this is dropped.
#[derive(Debug)]
pub struct Progress {
    what: String,
    bar: ProgressBar,
    started: Instant,
    /// Where stderr is no terminal.
    lines: Option<Lines>,
}

impl Progress {
    /// Starts to show the progress of `what`, for instance "embedding prompts".
    pub fn new(what: &str) -> Self {
        let bar = terminal::bar(0);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len}, {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        let started = Instant::now();
        let lines = (!io::stderr().is_terminal()).then(|| Lines { next: started + PAUSE });
        Self { what: what.to_owned(), bar, started, lines }
    }

    /// So much is done, and `units` of so many units of work, by which speed and remaining time are measured, for instance
    /// "tokens". The clock starts again when no unit is done.
    pub fn at(&mut self, (done, all): (usize, usize), units: (usize, usize), unit: &str) {
        let now = Instant::now();
        if units.0 == 0 {
            self.started = now;
        }
        let pace = pace(now - self.started, units, unit);
        if let Some(lines) = &mut self.lines
            && lines.due(now)
        {
            terminal::say(&format!("{}: {done} of {all} done, {pace}", self.what));
        }
        self.bar.set_length(all as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(pace);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// When the next line is due.
#[derive(Debug)]
struct Lines {
    next: Instant,
}

impl Lines {
    fn due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + PAUSE;
        }
        due
    }
}

/// The speed and the time that is left.
fn pace(elapsed: Duration, (done, all): (usize, usize), unit: &str) -> String {
    let speed = format!("{:.0} {unit}/s", done as f64 / elapsed.as_secs_f64().max(1e-3));
    if done == 0 {
        return speed;
    }
    let left = elapsed.as_secs_f64() * all.saturating_sub(done) as f64 / done as f64;
    format!("{speed}, about {} left", for_people(Duration::from_secs_f64(left)))
}

fn for_people(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..100 => format!("{seconds} s"),
        seconds @ ..5970 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_every_minute() {
        let start = Instant::now();
        let mut lines = Lines { next: start + PAUSE };
        let due: Vec<u32> = (0..200).filter(|at| lines.due(start + Duration::from_secs(1) * *at)).collect();
        assert_eq!(due, [60, 120, 180]);
    }

    #[test]
    fn the_pace_says_how_fast_it_is_and_what_is_left() {
        let minute = Duration::from_secs(60);
        assert_eq!(pace(minute, (1800, 7200), "tokens"), "30 tokens/s, about 3 min left");
        assert_eq!(pace(minute, (7200, 7200), "tokens"), "120 tokens/s, about 0 s left");
        assert_eq!(pace(Duration::ZERO, (0, 7200), "tokens"), "0 tokens/s");
        let times = [0, 99, 100, 5969, 5970, 86_400].map(|seconds| for_people(Duration::from_secs(seconds)));
        assert_eq!(times, ["0 s", "99 s", "2 min", "99 min", "1 h 39 min", "24 h 0 min"]);
    }
}
