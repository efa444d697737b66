//! Reading Rust sources, for the checks of this folder.

use std::path::{Path, PathBuf};

/// A word, a `::`, a single sign, or `""` for a string or character; with its line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    /// Whether it is a name or a keyword.
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// The folder of the workspace's crates.
pub(crate) fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folders of all crates, in a fixed order.
pub(crate) fn each_crate() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("src").is_dir());
    folders.sort();
    folders
}

/// All Rust files of a folder and its sub-folders, in a fixed order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The Rust files of a crate's `src` that are shipped: without the files and folders of tests.
pub(crate) fn shipped(crate_folder: &Path) -> Vec<PathBuf> {
    let source = crate_folder.join("src");
    let is_test = |path: &PathBuf| {
        let inside = path.strip_prefix(&source).unwrap().with_extension("");
        inside.iter().any(|part| part == "tests" || part == "testing")
    };
    files(&source).into_iter().filter(|path| !is_test(path)).collect()
}

/// The tokens of a file without its items under `#[cfg(test)]`.
pub(crate) fn shipped_tokens(path: &Path) -> Vec<Token> {
    without_tests(tokens(&std::fs::read_to_string(path).unwrap()))
}

/// Leaves out each item under `#[cfg(test)]`: all up to its closing brace, or to its semicolon if that comes first.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut index) = (Vec::new(), 0);
    while index < tokens.len() {
        let window = tokens[index..].iter().map(|token| token.text.as_str()).take(attribute.len());
        if !window.eq(attribute) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let item = &tokens[index + attribute.len()..];
        let import = item.first().is_some_and(|token| token.is("use"));
        let mut depth = 0_usize;
        for token in item {
            index += 1;
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 && !import => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
        index += attribute.len();
    }
    kept
}

/// What a source says, without its comments.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let text: Vec<char> = source.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let (mut found, mut index, mut line) = (Vec::new(), 0, 1);
    while index < text.len() {
        let (start, first) = (index, text[index]);
        let (end, token) = match first {
            '/' if at(index + 1) == '/' => (line_end(&text, index), None),
            '/' if at(index + 1) == '*' => (comment_end(&text, index), None),
            'r' if raw_string(&text, index).is_some() => (raw_string(&text, index).unwrap(), Some("\"\"".to_owned())),
            'r' if at(index + 1) == '#' => (index + 2, None),
            '"' => (string_end(&text, index), Some("\"\"".to_owned())),
            // A character; a lifetime has no second quote.
            '\'' if at(index + 1) == '\\' => {
                let close = (index + 3..text.len()).find(|at| text[*at] == '\'').unwrap_or(text.len());
                (close + 1, Some("\"\"".to_owned()))
            }
            '\'' if at(index + 2) == '\'' => (index + 3, Some("\"\"".to_owned())),
            ':' if at(index + 1) == ':' => (index + 2, Some("::".to_owned())),
            _ if first.is_alphanumeric() || first == '_' => word(&text, index),
            _ => (index + 1, Some(first.to_string()).filter(|_| !first.is_whitespace())),
        };
        found.extend(token.map(|text| Token { text, line }));
        index = end.min(text.len());
        line += text[start..index].iter().filter(|character| **character == '\n').count();
    }
    found
}

/// The word that begins here and its end. What precedes a string's quote is part of the string: `b""`, `br""`, `c""`.
fn word(text: &[char], start: usize) -> (usize, Option<String>) {
    let length = text[start..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    let end = start + length;
    let word: String = text[start..end].iter().collect();
    match raw_string(text, end - 1).filter(|_| word == "br" || word == "cr") {
        Some(end) => (end, Some("\"\"".to_owned())),
        None => (end, Some(word)),
    }
}

fn line_end(text: &[char], index: usize) -> usize {
    (index..text.len()).find(|at| text[*at] == '\n').unwrap_or(text.len())
}

/// Where a block comment ends, which may hold others.
fn comment_end(text: &[char], mut index: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match (text.get(index), text.get(index + 1)) {
            (Some('/'), Some('*')) => (depth, index) = (depth + 1, index + 2),
            (Some('*'), Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 || index >= text.len() {
            return index;
        }
    }
}

fn string_end(text: &[char], start: usize) -> usize {
    let mut index = start + 1;
    while index < text.len() && text[index] != '"' {
        index += if text[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// Where a raw string that begins with this `r` ends.
fn raw_string(text: &[char], index: usize) -> Option<usize> {
    let hashes = text[index + 1..].iter().take_while(|character| **character == '#').count();
    let start = index + 1 + hashes;
    if text[index] != 'r' || text.get(start) != Some(&'"') {
        return None;
    }
    let ends =
        |at: &usize| text[*at] == '"' && text[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (start + 1..text.len()).find(ends).map(|at| at + 1 + hashes)
}

#[test]
fn tokens_have_their_lines_and_comments_are_left_out() {
    let found = tokens("fn f() {\n    /* a\n b */ g(\"x\n\\\"y\", 'c', '\\n'); // d\n}\n");
    let expected = [
        ("fn", 1),
        ("f", 1),
        ("(", 1),
        (")", 1),
        ("{", 1),
        ("g", 3),
        ("(", 3),
        ("\"\"", 3),
        (",", 4),
        ("\"\"", 4),
        (",", 4),
        ("\"\"", 4),
        (")", 4),
        (";", 4),
        ("}", 5),
    ];
    let found: Vec<(&str, usize)> = found.iter().map(|token| (token.text.as_str(), token.line)).collect();
    assert_eq!(found, expected);
}

#[test]
fn code_of_tests_is_left_out() {
    let source =
        "fn a() {} #[cfg(test)] mod tests { fn b() { {} } } #[cfg(test)] use x::{y}; #[cfg(test)] mod t; fn c() {}";
    let words: Vec<String> = without_tests(tokens(source)).into_iter().map(|token| token.text).collect();
    assert_eq!(words.concat(), "fna(){}fnc(){}");
}
