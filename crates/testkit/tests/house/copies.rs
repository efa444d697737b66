//! No run of more than 12 lines of code stands twice, to the letter or with other names.
//!
//! Two lines are the same if they are equal after every name, number and string is replaced by a sign for its kind.
//! Keywords and signs stay. Not counted as code are:
//!
//! - comments and empty lines, and everything that only tests compile;
//! - imports;
//! - the declaration of an `enum` or a `struct`, with its attributes: it names things, and two lists of named things have
//!   one shape whatever they say. A run of lines ends before it;
//! - a run in which at most [`TABLE`] different lines occur: the rows of a table.

use crate::sources::{Token, each_crate, shipped, shipped_tokens, tokens};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Lines that may stand twice.
const LONGEST: usize = 12;

/// Different lines that a table of constants or of short match arms has at most.
const TABLE: usize = 4;

const KEYWORDS: [&str; 37] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn",
    "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "Self",
    "static", "struct", "super", "trait", "true", "type", "unsafe", "use", "where",
];

/// What stands for a declaration, at which runs end.
const DECLARATION: &str = "a declaration";

/// One line: its number and its shape.
type Line = (usize, String);

#[test]
fn no_run_of_lines_stands_twice() {
    let mut files = Vec::new();
    // All of testkit serves tests.
    for folder in each_crate().into_iter().filter(|folder| !folder.ends_with("testkit")) {
        for path in shipped(&folder) {
            files.push((name(&path), lines(&shipped_tokens(&path))));
        }
    }
    assert!(files.len() > 100, "the sources were not found");
    let copies = copies(&files);
    assert!(copies.is_empty(), "{} runs of lines stand twice:\n{}", copies.len(), copies.join("\n"));
}

/// The path from the folder of the crates on.
fn name(path: &Path) -> String {
    path.strip_prefix(crate::sources::crates()).unwrap().display().to_string()
}

/// The lines of code, each as its shape.
fn lines(tokens: &[Token]) -> Vec<Line> {
    let mut lines: BTreeMap<usize, String> = BTreeMap::new();
    for token in code(tokens) {
        let shape = match token.text.as_str() {
            word if KEYWORDS.contains(&word) || word == "while" => word,
            word if word.starts_with(|first: char| first.is_ascii_digit()) => "0",
            DECLARATION => DECLARATION,
            _ if token.is_word() => "name",
            sign => sign,
        };
        let line = lines.entry(token.line).or_default();
        line.push_str(shape);
        line.push(' ');
    }
    lines.into_iter().collect()
}

/// The tokens without imports, and with one [`DECLARATION`] for each declaration of an `enum` or a `struct`.
fn code(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut index) = (Vec::new(), 0);
    while let Some(token) = tokens.get(index) {
        let rest = &tokens[index..];
        // A generic bound can be written `use<...>`; it is no import.
        if token.is("use") && rest.get(1).is_none_or(|next| !next.is("<")) {
            take_prefix(&mut kept);
            index += rest.iter().take_while(|token| !token.is(";")).count() + 1;
        } else if token.is("enum") || token.is("struct") {
            take_prefix(&mut kept);
            kept.push(Token { text: DECLARATION.to_owned(), line: token.line });
            let head = rest.iter().take_while(|token| !token.is("{") && !token.is(";")).count();
            let braces = rest.get(head).is_some_and(|token| token.is("{"));
            index = if braces { closing_brace(tokens, index + head) } else { index + head } + 1;
        } else {
            kept.push(token.clone());
            index += 1;
        }
    }
    kept
}

/// Takes away the visibility and the attributes with which these tokens end.
fn take_prefix(kept: &mut Vec<Token>) {
    while kept.last().is_some_and(|last| ["pub", "(", "crate", "super", "in", ")"].contains(&&*last.text)) {
        kept.pop();
    }
    while kept.last().is_some_and(|last| last.is("]")) {
        let (mut depth, mut at) = (0_usize, kept.len());
        while at > 0 {
            at -= 1;
            match kept[at].text.as_str() {
                "]" => depth += 1,
                "[" if depth == 1 => break,
                "[" => depth -= 1,
                _ => {}
            }
        }
        if at == 0 || !kept[at - 1].is("#") {
            return;
        }
        kept.truncate(at - 1);
    }
}

/// Where the brace that opens here closes.
fn closing_brace(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return index,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// A line for each run of more than [`LONGEST`] lines that stands twice: its length and its two places.
fn copies(files: &[(String, Vec<Line>)]) -> Vec<String> {
    let window = LONGEST + 1;
    let mut places: HashMap<Vec<&str>, Vec<(usize, usize)>> = HashMap::new();
    for (file, (_, lines)) in files.iter().enumerate() {
        for (at, run) in lines.windows(window).enumerate() {
            let run: Vec<&str> = run.iter().map(|(_, shape)| shape.as_str()).collect();
            let ends = run.iter().any(|line| line.contains(DECLARATION));
            if !ends && run.iter().collect::<HashSet<_>>().len() > TABLE {
                places.entry(run).or_default().push((file, at));
            }
        }
    }
    // Pairs of places that follow each other are one longer run.
    let mut pairs = Vec::new();
    for places in places.values() {
        for (index, first) in places.iter().enumerate() {
            let apart = |other: &&(usize, usize)| other.0 != first.0 || other.1 >= first.1 + window;
            pairs.extend(places[index + 1..].iter().filter(apart).map(|second| (first.0, second.0, first.1, second.1)));
        }
    }
    pairs.sort_unstable();
    let all: HashSet<_> = pairs.iter().copied().collect();
    let begins =
        |(a, b, i, j): &(usize, usize, usize, usize)| *i == 0 || *j == 0 || !all.contains(&(*a, *b, i - 1, j - 1));
    let starts = pairs.iter().filter(|pair| begins(pair));
    starts
        .map(|&(a, b, i, j)| {
            let more = (1..).take_while(|more| all.contains(&(a, b, i + more, j + more))).count();
            let place = |file: usize, line: usize| format!("{}:{}", files[file].0, files[file].1[line].0);
            format!("{} lines: {} and {}", window + more, place(a, i), place(b, j))
        })
        .collect()
}

/// Copies among sources that are given as text.
#[cfg(test)]
fn copies_in(sources: &[&str]) -> Vec<String> {
    let numbered = sources.iter().enumerate();
    copies(&numbered.map(|(number, source)| (number.to_string(), lines(&tokens(source)))).collect::<Vec<_>>())
}

/// A function of so many lines, with a name of its own in each.
#[cfg(test)]
fn function(name: &str, length: usize) -> String {
    let statements = ["let x = f(1);", "if x { y() }", "g(x, &x);", "x += 1;", "return;", "loop { h(); }", "x = [1];"];
    let body: Vec<&str> = (0..length - 2).map(|line| statements[line % statements.len()]).collect();
    format!("fn {name}() {{\n{}\n}}\n", body.join("\n").replace('x', name))
}

#[test]
fn a_copy_is_seen_with_other_names_comments_and_numbers() {
    let first = function("first", LONGEST + 1);
    let second =
        format!("mod other;\n{}", function("second", LONGEST + 1).replace('1', "27").replace(";\n", "; // why\n\n"));
    assert_eq!(copies_in(&[&first, &second]), ["13 lines: 0:1 and 1:2"]);
    assert_eq!(copies_in(&[&format!("{first}{second}")]), ["13 lines: 0:1 and 0:15"]);
    let longer = [function("first", LONGEST + 3), function("second", LONGEST + 3)];
    assert_eq!(copies_in(&[&longer[0], &longer[1]]), ["15 lines: 0:1 and 1:1"]);
}

#[test]
fn what_is_no_copy_is_let_pass() {
    let short = [function("first", LONGEST), function("second", LONGEST)];
    assert_eq!(copies_in(&[&short[0], &short[1]]), [""; 0]);
    let other = function("second", LONGEST + 1).replacen("+=", "-=", 1);
    assert_eq!(copies_in(&[&function("first", LONGEST + 1), &other]), [""; 0]);
    let rows = format!("const A: [u8; 20] = [\n{}];", "1,\n".repeat(20));
    assert_eq!(copies_in(&[&rows, &rows]), [""; 0], "a table");
    let variants: String = (0..9).map(|at| format!("#[error(\"{at}\")]\nA{at} {{\nb: u8,\n}},\n")).collect();
    let errors = format!("#[derive(A, B)]\n#[c(\"[\")]\npub enum E {{\n{variants}}}\n");
    let records = "#[derive(A)]\npub(crate) struct E {\nfield: [u8; 4],\n}\nstruct U;\nstruct T(u8);\n".repeat(3);
    let declared = [errors, records].concat();
    let broken = [function("first", 10), "struct A;\n".to_owned(), function("second", 10)].concat();
    assert_eq!(copies_in(&[&broken, &broken]), [""; 0], "two short runs");
    assert_eq!(copies_in(&[&declared, &declared]), [""; 0], "declarations");
    let after = [declared.clone(), function("first", LONGEST + 1)].concat();
    assert_eq!(copies_in(&[&after, &after]).len(), 1, "code after declarations");
    let imports = "pub use a::{\nb,\nc::{d,\ne},\n};\nuse f;\nuse g::h;\n".repeat(4);
    assert_eq!(copies_in(&[&imports, &imports]), [""; 0], "imports");
}
