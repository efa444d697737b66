//! Progress of work that takes minutes: a bar on a terminal, a line a minute elsewhere.

use crate::terminal;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// Shows how far some work is. The bar vanishes when it is dropped.
#[derive(Debug)]
pub struct Progress {
    what: String,
    bar: ProgressBar,
    lines: Option<Lines>,
}

impl Progress {
    /// Starts to show the progress of `what`, for instance "embedding prompts".
    pub fn new(what: &str) -> Self {
        let bar = terminal::bar(0);
        // The template is a constant.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        let lines = (!io::stderr().is_terminal()).then(|| Lines::new(PAUSE, Instant::now()));
        Self { what: what.to_owned(), bar, lines }
    }

    /// So much is done; `speed` is for people, for instance "210 tokens/s". The time left follows from `part`, from 0 to 1.
    pub fn at(&mut self, (done, all): (usize, usize), part: f64, speed: &str) {
        self.bar.set_length(all as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(speed.to_owned());
        if let Some(lines) = &mut self.lines
            && let Some(elapsed) = lines.due(Instant::now())
        {
            terminal::say(&line(&self.what, (done, all), speed, left(elapsed, part)));
        }
    }

    /// Says something, beside the bar.
    pub fn say(&self, line: &str) {
        terminal::say(line);
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
    pause: Duration,
    started: Instant,
    next: Instant,
}

impl Lines {
    fn new(pause: Duration, now: Instant) -> Self {
        Self { pause, started: now, next: now + pause }
    }

    /// The time since the start, if a line is due.
    fn due(&mut self, now: Instant) -> Option<Duration> {
        if now < self.next {
            return None;
        }
        self.next = now + self.pause;
        Some(now - self.started)
    }
}

/// The time that is left when `part` took so long.
fn left(elapsed: Duration, part: f64) -> Option<Duration> {
    if part <= 0.0 {
        return None;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - part).max(0.0) / part).ok()
}

fn line(what: &str, (done, all): (usize, usize), speed: &str, left: Option<Duration>) -> String {
    let left = left.map_or(String::new(), |left| format!(", about {} left", for_people(left)));
    format!("{what}: {done} of {all} done, {speed}{left}")
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
        let second = Duration::from_secs(1);
        let mut lines = Lines::new(PAUSE, start);
        let due: Vec<u32> = (0..200).filter(|at| lines.due(start + second * *at).is_some()).collect();
        assert_eq!(due, [60, 120, 180]);
    }

    #[test]
    fn a_line_says_what_is_done_and_what_is_left() {
        let time = left(Duration::from_secs(60), 0.25);
        assert_eq!(
            line("embedding prompts", (1, 4), "30 tokens/s", time),
            "embedding prompts: 1 of 4 done, 30 tokens/s, about 3 min left"
        );
        assert_eq!(
            line("embedding prompts", (0, 4), "0 tokens/s", left(time.unwrap(), 0.0)),
            "embedding prompts: 0 of 4 done, 0 tokens/s"
        );
        let times = [0, 99, 100, 5969, 5970, 86_400].map(|seconds| for_people(Duration::from_secs(seconds)));
        assert_eq!(times, ["0 s", "99 s", "2 min", "99 min", "1 h 39 min", "24 h 0 min"]);
    }
}
