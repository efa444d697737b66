//! No files of different folders of a crate use each other in a circle.
//!
//! A file uses another if it names something that stands there: in an import or in a path, also through a `pub use` of a
//! third file. What a file re-exports of its own sub-modules is an address, no use. `x.rs` belongs to the folder `x/` if
//! there is one, as `x/mod.rs` does.

use crate::sources::{Token, each_crate, shipped, shipped_tokens, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The names from the crate's root to a module or an item.
type Names = Vec<String>;

/// A name by which a module knows something, and where that leads.
type Aliases = BTreeMap<(Names, String), Names>;

#[test]
fn no_files_of_different_folders_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for folder in each_crate() {
        let source = folder.join("src");
        let files: Vec<_> = shipped(&folder)
            .into_iter()
            .map(|path| (path.strip_prefix(&source).unwrap().to_owned(), shipped_tokens(&path)))
            .collect();
        let name = folder.file_name().unwrap().display().to_string();
        found.extend(circles(&files).into_iter().map(|circle| format!("{name}: {circle}")));
    }
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

/// The circles of a crate's files that are of more than one folder.
fn circles(files: &[(PathBuf, Vec<Token>)]) -> Vec<String> {
    let uses = uses(files);
    let reached: Vec<BTreeSet<usize>> = (0..files.len()).map(|file| reached(&uses, file)).collect();
    let mut circles: BTreeSet<Vec<usize>> = BTreeSet::new();
    for (file, others) in reached.iter().enumerate() {
        let circle: Vec<usize> = others.iter().copied().filter(|other| reached[*other].contains(&file)).collect();
        let folders: BTreeSet<PathBuf> = circle.iter().map(|file| folder(files, &files[*file].0)).collect();
        if folders.len() > 1 {
            circles.insert(circle);
        }
    }
    let name = |file: &usize| files[*file].0.display().to_string();
    let show = |circle: Vec<usize>| {
        let steps = circle.iter().map(|file| {
            let used: Vec<String> = uses[*file].iter().filter(|used| circle.contains(used)).map(name).collect();
            format!("{} uses {}", name(file), used.join(", "))
        });
        steps.collect::<Vec<_>>().join("; ")
    };
    circles.into_iter().map(show).collect()
}

/// The folder that a file belongs to.
fn folder(files: &[(PathBuf, Vec<Token>)], path: &Path) -> PathBuf {
    let own = path.with_extension("");
    let has_own = files.iter().any(|(other, _)| other.starts_with(&own));
    if has_own { own } else { path.parent().unwrap_or(path).to_owned() }
}

/// The files that a file uses, and those that they use, and so on.
fn reached(uses: &[BTreeSet<usize>], file: usize) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::new(), vec![file]);
    while let Some(file) = next.pop() {
        next.extend(uses[file].iter().filter(|used| found.insert(**used)));
    }
    found
}

/// For each file the files that it uses.
fn uses(files: &[(PathBuf, Vec<Token>)]) -> Vec<BTreeSet<usize>> {
    let mut modules = BTreeMap::new();
    let read: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(file, (path, tokens))| {
            let home = module_of(path);
            let source = Source::read(&home, tokens);
            modules.insert(home, file);
            modules.extend(source.inline.iter().cloned().map(|module| (module, file)));
            source
        })
        .collect();
    let mut aliases = Aliases::new();
    for import in read.iter().flat_map(|source| &source.imports) {
        if let Some(target) = absolute(&import.module, &import.path, &modules, &Aliases::new()) {
            aliases.insert((import.module.clone(), import.name.clone()), target);
        }
    }
    let home_of = |file: usize| module_of(&files[file].0);
    let mut uses = vec![BTreeSet::new(); files.len()];
    for (file, source) in read.iter().enumerate() {
        let imports = source.imports.iter().map(|import| (&import.module, &import.path, import.public));
        for (module, path, public) in imports.chain(source.paths.iter().map(|(module, path)| (module, path, false))) {
            let Some(target) = absolute(module, path, &modules, &aliases) else { continue };
            let used = file_of(&target, &modules, &aliases, 0);
            let address = public && home_of(used).starts_with(&home_of(file));
            if used != file && !address {
                uses[file].insert(used);
            }
        }
    }
    uses
}

/// The names of the module that a file is.
fn module_of(path: &Path) -> Names {
    let mut names: Names = path.with_extension("").iter().map(|name| name.display().to_string()).collect();
    names.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    names
}

/// The path from the crate's root of what `path` names in `module`; nothing if it leads to another crate or to a name of the
/// module itself.
fn absolute(module: &Names, path: &[String], modules: &BTreeMap<Names, usize>, aliases: &Aliases) -> Option<Names> {
    let (mut names, mut rest) = (module.clone(), path);
    match rest.first()?.as_str() {
        "crate" => (names, rest) = (Names::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {}
        first => {
            let child = [module.as_slice(), &[first.to_owned()]].concat();
            if let Some(target) = aliases.get(&(module.clone(), first.to_owned())) {
                (names, rest) = (target.clone(), &rest[1..]);
            } else if !modules.contains_key(&child) {
                return None;
            }
        }
    }
    while rest.first().is_some_and(|name| name == "super") {
        names.pop();
        rest = &rest[1..];
    }
    names.extend_from_slice(rest);
    Some(names)
}

/// The file where something stands, found through re-exports.
fn file_of(target: &[String], modules: &BTreeMap<Names, usize>, aliases: &Aliases, depth: usize) -> usize {
    let known = (0..=target.len()).rev().find(|length| modules.contains_key(&target[..*length])).unwrap_or(0);
    let (module, rest) = target.split_at(known);
    let alias = rest.first().and_then(|name| aliases.get(&(module.to_vec(), name.clone())));
    match alias {
        Some(alias) if depth < 9 => file_of(&[alias, &rest[1..]].concat(), modules, aliases, depth + 1),
        _ => modules[module],
    }
}

/// What is read off one file.
#[derive(Default)]
struct Source {
    /// The modules in braces.
    inline: Vec<Names>,
    imports: Vec<Import>,
    /// Paths in code, each with its module.
    paths: Vec<(Names, Names)>,
}

/// One name of an import.
struct Import {
    module: Names,
    name: String,
    path: Names,
    public: bool,
}

impl Source {
    fn read(home: &Names, tokens: &[Token]) -> Self {
        let mut source = Self::default();
        let (mut depth, mut module, mut opened) = (0_usize, home.clone(), Vec::new());
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            let next = |ahead: usize, text: &str| tokens.get(index + ahead).is_some_and(|token| token.is(text));
            let before = |text: &str| index > 0 && tokens[index - 1].is(text);
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if opened.pop_if(|open| *open == depth).is_some() {
                        module.pop();
                    }
                }
                "mod" if next(2, "{") => {
                    opened.push(depth);
                    module.push(tokens[index + 1].text.clone());
                    source.inline.push(module.clone());
                }
                "use" if !next(1, "<") => {
                    let length = tokens[index..].iter().take_while(|token| !token.is(";")).count();
                    let public = before("pub") || before(")");
                    for (path, name) in tree(&tokens[index + 1..index + length]) {
                        source.imports.push(Import { module: module.clone(), name, path, public });
                    }
                    index += length;
                }
                // `pub(in path)` says who may see something: no use.
                _ if token.is_word() && next(1, "::") && !before("::") && !before("in") => {
                    let path = tokens[index..].chunks(2).take_while(|pair| pair[0].is_word());
                    let mut path: Vec<&[Token]> = path.collect();
                    if let Some(end) = path.iter().position(|pair| !pair.get(1).is_some_and(|sign| sign.is("::"))) {
                        path.truncate(end + 1);
                    }
                    source.paths.push((module.clone(), path.iter().map(|pair| pair[0].text.clone()).collect()));
                }
                _ => {}
            }
            index += 1;
        }
        source
    }
}

/// The paths of an import, each with the name that it gives.
fn tree(tokens: &[Token]) -> Vec<(Names, String)> {
    let (mut found, mut prefixes, mut path, mut name) = (Vec::new(), Vec::new(), Names::new(), None);
    let mut index = 0;
    let mut end = |path: &mut Names, name: &mut Option<String>, prefix: Option<&Names>| {
        let own = path.len() > prefix.map_or(0, Vec::len);
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        if let Some(last) = path.last().filter(|_| own) {
            found.push((path.clone(), name.take().unwrap_or_else(|| last.clone())));
        }
        *path = prefix.cloned().unwrap_or_default();
    };
    while let Some(token) = tokens.get(index) {
        match token.text.as_str() {
            "::" => {}
            "{" => prefixes.push(path.clone()),
            "," => end(&mut path, &mut name, prefixes.last()),
            "}" => {
                end(&mut path, &mut name, prefixes.last());
                prefixes.pop();
                path = prefixes.last().cloned().unwrap_or_default();
            }
            "as" => {
                index += 1;
                name = tokens.get(index).map(|token| token.text.clone());
            }
            "*" => path.push("*".to_owned()),
            word => path.push(word.to_owned()),
        }
        index += 1;
    }
    end(&mut path, &mut name, None);
    found
}

/// The circles of files that are given as text.
#[cfg(test)]
fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
    circles(&files.iter().map(|(path, text)| (PathBuf::from(path), tokens(text))).collect::<Vec<_>>())
}

#[test]
fn circles_are_seen_however_a_file_is_named() {
    for (one, other) in [
        ("use crate::b::c::Y;", "use crate::a::X;"),
        ("use crate::b::{c::{self, Y}, d};", "use super::super::a;"),
        ("use crate::Y;", "use crate::X as Z;"),
        ("fn f() { crate::b::c::g() }", "fn f() -> super::super::a::X {}"),
        ("use crate::b; fn f() { b::c::g() }", "use crate::{a::*};"),
        ("mod inner { use super::super::b::c::Y; }", "mod inner { fn f() { crate::X::g() } }"),
        ("pub(crate) use crate::b::Y;", "fn f() { /* x */ crate :: a :: g() }"),
    ] {
        let root = ("lib.rs", "mod a; mod b; pub use a::X; pub use self::b::Y;");
        let found = circles_in(&[root, ("a.rs", one), ("b/mod.rs", "pub mod c; pub use c::{Y};"), ("b/c.rs", other)]);
        assert_eq!(found, ["a.rs uses b/c.rs; b/c.rs uses a.rs"], "{one} and {other}");
    }
}

#[test]
fn what_is_no_circle_is_let_pass() {
    for (one, other) in [
        ("use crate::b::c::Y;", "use crate::d::X;"),
        ("use crate::b::c::Y;", "// use crate::a::X;\nconst S: &str = \"crate::a::X\";"),
        ("use other::b::c::Y; fn f() { Vec::new(); }", "use crate::a::X;"),
        ("use crate::b::c::Y;", "mod inner { pub(in super::super::super) fn f() {} pub(in crate::a) fn g() {} }"),
    ] {
        let found =
            circles_in(&[("lib.rs", ""), ("a.rs", one), ("b/mod.rs", "pub mod c;"), ("b/c.rs", other), ("d.rs", "")]);
        assert_eq!(found, [""; 0], "{one} and {other}");
    }
    let one_folder = [("lib.rs", ""), ("a.rs", "use crate::b::Y;"), ("b.rs", "use crate::a::X;")];
    assert_eq!(circles_in(&one_folder), [""; 0]);
    let own_folder = [("lib.rs", ""), ("a.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "use super::X;")];
    assert_eq!(circles_in(&own_folder), [""; 0]);
}
