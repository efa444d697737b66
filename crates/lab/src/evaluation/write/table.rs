//! Tables and sentences for a terminal, within [`WIDTH`] columns.

/// The widest line.
pub(super) const WIDTH: usize = 100;
/// What is between two columns.
const GAP: usize = 2;

/// A part of a table.
pub(super) enum Entry {
    /// A line of its own.
    Heading(String),
    /// A name, and the lines of cells beside it.
    Row(String, Vec<Vec<String>>),
}

/// The table with columns as wide as their widest cells. A name that has no room beside the cells gets a line of its own above
/// them.
pub(super) fn table(entries: &[Entry]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    let rows = || {
        entries.iter().filter_map(|entry| if let Entry::Row(name, lines) = entry { Some((name, lines)) } else { None })
    };
    for line in rows().flat_map(|(_, lines)| lines) {
        widths.resize(widths.len().max(line.len()), 0);
        line.iter().zip(&mut widths).for_each(|(cell, width)| *width = letters(cell).max(*width));
    }
    let room = WIDTH.saturating_sub(widths.iter().map(|width| GAP + width).sum());
    let beside = rows().map(|(name, _)| letters(name)).filter(|width| *width <= room).max().unwrap_or(0);
    let mut text = String::new();
    let mut push = |line: &str| {
        text.push_str(line.trim_end());
        text.push('\n');
    };
    for entry in entries {
        match entry {
            Entry::Heading(heading) => push(&shortened(heading, WIDTH)),
            Entry::Row(name, lines) => {
                let mut first = name.as_str();
                if letters(name) > room {
                    push(&shortened(name, WIDTH));
                    first = "";
                }
                for (index, line) in lines.iter().enumerate() {
                    let name = if index == 0 { first } else { "" };
                    let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{:GAP$}{cell:<width$}", ""));
                    push(&format!("{name:<beside$}{}", cells.collect::<String>()));
                }
            }
        }
    }
    text
}

/// The text with line breaks between words, so that lines are no wider than [`WIDTH`]. Wider words are shortened.
pub(super) fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace().map(|word| shortened(word, WIDTH)) {
        match lines.last_mut() {
            Some(line) if letters(line) + 1 + letters(&word) <= WIDTH => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.join("\n")
}

/// A text of at most `most` letters, with an ellipsis in the middle of a longer one.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= most {
        return text.to_owned();
    }
    let (before, after) = (most / 2, most - most / 2 - 1);
    letters[..before].iter().chain(&['…']).chain(&letters[letters.len() - after..]).collect()
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, lines: &[&[&str]]) -> Entry {
        let lines = lines.iter().map(|line| line.iter().map(|cell| (*cell).to_owned()).collect());
        Entry::Row(name.to_owned(), lines.collect())
    }

    #[test]
    fn columns_are_aligned_and_long_names_stand_above() {
        let long = "a name that is too long ".repeat(4);
        let entries = [
            row("", &[&["one", "two ↑"]]),
            Entry::Heading("group".to_owned()),
            row("  short", &[&["1.5", "2"], &["a–b", ""]]),
            row(&long, &[&["3", "4"]]),
        ];
        let expected = format!(
            "         one  two ↑\ngroup\n  short  1.5  2\n         a–b\n{}\n         3    4\n",
            long.trim_end()
        );
        assert_eq!(table(&entries), expected);
        let longer = table(&[row(&"x".repeat(150), &[&["1"]])]);
        assert_eq!(longer.lines().map(letters).collect::<Vec<_>>(), [100, 3]);
    }

    #[test]
    fn sentences_are_broken_between_words() {
        let text = "four ".repeat(25) + &"y".repeat(120);
        let lines: Vec<String> = wrapped(&text).lines().map(str::to_owned).collect();
        assert_eq!(lines.iter().map(|line| letters(line)).collect::<Vec<_>>(), [99, 24, 100]);
        assert!(lines[2].contains('…') && wrapped("").is_empty());
    }

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shortened("short", 30), "short");
        let long = shortened("an-organisation/a-model-with-a-long-name-instruct", 30);
        assert_eq!((letters(&long), long.as_str()), (30, "an-organisation…-name-instruct"));
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
    }
}
