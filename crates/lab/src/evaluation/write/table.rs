//! Tables and sentences for a terminal, within [`WIDTH`] columns.

/// The widest line.
pub(super) const WIDTH: usize = 100;
/// What is between two columns.
const GAP: usize = 2;

/// A part of a table.
pub(crate) enum Entry {
    /// A line of its own.
    Heading(String),
    /// A name, and the lines of cells beside it.
    Row(String, Vec<Vec<String>>),
}

/// The table with columns as wide as their widest cells. A name that has no room beside the cells gets a line of its own above
/// them.
pub(crate) fn table(entries: &[Entry]) -> String {
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

/// The text with lines of at most 100 columns. Longer ones are broken between words, and what follows is indented by two columns
/// more; a longer word is shortened.
pub fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for whole in text.lines() {
        let indent = whole.len() - whole.trim_start_matches(' ').len();
        let mut line = " ".repeat(indent);
        let mut begun = false;
        for word in whole[indent..].split(' ').map(|word| shortened(word, WIDTH - indent.min(WIDTH / 2) - 2)) {
            if begun && letters(&line) + 1 + letters(&word) > WIDTH {
                lines.push(line.trim_end().to_owned());
                line = " ".repeat(indent + 2);
                begun = false;
            }
            // Blanks between columns stay, except at a break.
            if begun {
                line.push(' ');
            }
            line.push_str(&word);
            begun = begun || !word.is_empty();
        }
        lines.push(line);
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
        let text = format!("short\n  {}{}", "four ".repeat(25), "y".repeat(120));
        let found = wrapped(&text);
        let lines: Vec<&str> = found.lines().collect();
        assert_eq!(lines.iter().map(|line| letters(line)).collect::<Vec<_>>(), [5, 96, 33, 100]);
        assert!(lines[1].starts_with("  four") && lines[2].starts_with("    four") && lines[3].contains('…'));
        // Columns that fit stay as they are.
        let row = format!("a   b  {}", "words of a remark ".repeat(6));
        assert!(wrapped(&row).starts_with("a   b  words of") && wrapped(&row).lines().count() == 2);
        assert_eq!((wrapped(""), wrapped("a  b")), (String::new(), "a  b".to_owned()));
    }

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shortened("short", 30), "short");
        let long = shortened("an-organisation/a-model-with-a-long-name-instruct", 30);
        assert_eq!((letters(&long), long.as_str()), (30, "an-organisation…-name-instruct"));
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
    }
}
