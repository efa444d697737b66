//! What the repository's Markdown files say, for tests that check it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// Every Markdown file of the repository, without hidden folders, build outputs and `shared`.
pub fn markdown_files() -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![repository()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "shared"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a Markdown text, each with the language of the fenced block that it stands in, if it stands in one.
fn lines(text: &str) -> Vec<(Option<&str>, &str)> {
    let (mut lines, mut block) = (Vec::new(), None);
    for line in text.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(language) => block = if block.is_some() { None } else { Some(language.trim()) },
            None => lines.push((block, line)),
        }
    }
    lines
}

/// The commands in the blocks of shell commands, each as its words: quotes are taken away, comments, redirections and what
/// follows a pipe are left out.
pub fn commands(text: &str) -> Vec<Vec<String>> {
    let shell = lines(text).into_iter().filter(|(block, _)| *block == Some("sh")).map(|(_, line)| line);
    let joined = shell.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    joined.lines().map(words).filter(|words| !words.is_empty()).collect()
}

/// The words of a command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (quote, character) {
            (Some(end), _) if character == end => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// The targets of the links of a Markdown text, outside of code.
pub fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in lines(text).into_iter().filter(|(block, _)| block.is_none()) {
        // Every other part between back quotes is code.
        for prose in line.split('`').step_by(2) {
            found
                .extend(prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to.to_owned()));
        }
        // A link whose text is code: its target follows a back quote.
        for (at, _) in line.match_indices("`](") {
            found.extend(line[at + 3..].split_once(')').map(|(to, _)| to.to_owned()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The anchors that GitHub gives the headings of a Markdown text.
pub fn anchors(text: &str) -> Vec<String> {
    let (mut seen, mut found) = (BTreeMap::<String, usize>::new(), Vec::new());
    for (_, line) in lines(text).into_iter().filter(|(block, line)| block.is_none() && line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = seen.entry(anchor.clone()).or_default();
        found.push(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
        *before += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_a_shell_would() {
        let text = "```sh\na 'b c' \\\n  \"d\"  # e\n\nf | g\n```\n```text\nh\n```\nprose";
        assert_eq!(commands(text), [vec!["a", "b c", "d"], vec!["f"]]);
    }

    #[test]
    fn links_and_anchors_are_found_outside_code() {
        let text = "See [a](b.md#c), [`d`](e), `[f](g)`.\n```sh\n[h](i)\n```\n# Ab, `c` - d!\n## Ab\n## Ab\n";
        assert_eq!(links(text), ["b.md#c", "e"]);
        assert_eq!(anchors(text), ["ab-c---d", "ab", "ab-1"]);
    }
}
