//! What reaches the terminal: bars that nothing overwrites, and texts from files without control characters.

use blindroute_routing::bundle::is_unprintable;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::Duration;

static BARS: OnceLock<MultiProgress> = OnceLock::new();

fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// A bar on stderr that makes room for log lines; nothing where stderr is not a terminal.
pub fn bar(length: u64) -> ProgressBar {
    bars().add(ProgressBar::new(length))
}

/// The same for work of unknown length, with the time since its start; set its message to say what goes on.
pub fn spinner() -> ProgressBar {
    let bar = bars().add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Does something while no bar is drawn, such as writing results to a terminal that shows the bars too.
pub fn without_bars<T>(work: impl FnOnce() -> T) -> T {
    bars().suspend(work)
}

/// Prints a line on stderr, beside bars.
pub fn say(line: &str) {
    // If stderr is closed there is nobody to tell.
    without_bars(|| writeln!(io::stderr().lock(), "{}", plain_line(line))).ok();
}

/// Stderr, where no bar is drawn while something is written.
#[derive(Clone, Copy, Debug)]
pub struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        write_beside(bars(), &mut io::stderr().lock(), bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn write_beside(bars: &MultiProgress, out: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    bars.suspend(|| out.write_all(bytes))?;
    Ok(bytes.len())
}

/// A text of several lines with its control characters escaped, as JSON escapes them: names, ids and paths come from
/// files, and must not command the terminal. JSON stays what it was.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unprintable(c) && !matches!(c, '\n' | '\t'))
}

/// The same for one line: line breaks are escaped too.
pub fn plain_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unprintable)
}

fn escaped(text: &str, is_escaped: fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            // All of them are below U+10000.
            plain.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use indicatif::{ProgressDrawTarget, TermLike};
    use std::sync::{Arc, Mutex};

    /// A terminal that keeps what happens to it; what is logged goes into the same list.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Vec<String>>>);

    impl Screen {
        fn push(&self, what: &str) -> io::Result<()> {
            self.0.lock().unwrap().push(what.to_owned());
            Ok(())
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.push(&format!("bar {text}"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.push(&format!("bar {text}"))
        }
        fn clear_line(&self) -> io::Result<()> {
            self.push("clear")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.push(&format!("log {}", String::from_utf8_lossy(bytes)))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_line_is_written_while_no_bar_is_drawn() {
        let screen = Screen::default();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let bar = bars.add(ProgressBar::new_spinner().with_message("routing"));
        bar.tick();
        write_beside(&bars, &mut screen.clone(), b"a warning\n").unwrap();
        bar.abandon();
        let seen = screen.0.lock().unwrap().clone();
        let logged = seen.iter().position(|what| what == "log a warning\n").unwrap();
        let drawn = |what: &String| what.contains("routing");
        assert!(seen[..logged].iter().any(drawn), "the bar was there before: {seen:?}");
        let last = seen[..logged].iter().rposition(drawn).unwrap();
        assert!(seen[last..logged].iter().any(|what| what == "clear"), "and was taken away: {seen:?}");
        assert!(seen[logged..].iter().any(drawn), "and came back: {seen:?}");
    }

    #[test]
    fn control_characters_are_escaped_as_json_escapes_them() {
        assert_eq!(plain("a\n\tb\u{1b}[2J\u{9b}\u{202e}\u{7f}é"), "a\n\tb\\u001b[2J\\u009b\\u202e\\u007fé");
        assert_eq!(plain_line("a\nb"), "a\\u000ab");
        let json = serde_json::json!({"id": "\u{9b}\u{7f}\u{1b}\u{2028}x"});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain(&json.to_string())).unwrap(), json);
    }
}
