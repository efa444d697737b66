//! RouterBench's prompts: lists of turns, written as Python writes a list of strings.

/// The turns, one below the other; the text itself if it is no such list.
pub(super) fn joined(text: &str) -> String {
    match turns(text.trim()) {
        Some(turns) => turns.join("\n"),
        None => text.to_owned(),
    }
}

/// The strings of a list as Python's `repr` writes it.
fn turns(text: &str) -> Option<Vec<String>> {
    let mut inside = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut turns = Vec::new();
    while !inside.is_empty() {
        let (turn, rest) = string(inside)?;
        turns.push(turn);
        let rest = rest.trim_start();
        inside = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    (!turns.is_empty()).then_some(turns)
}

/// The string at the beginning, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
    let mut string = String::new();
    let mut rest = text[1..].chars();
    loop {
        match rest.next()? {
            end if end == quote => return Some((string, rest.as_str())),
            '\\' => {
                let code = |rest: &mut std::str::Chars<'_>, digits: usize| {
                    let hex = rest.as_str().get(..digits)?;
                    *rest = rest.as_str()[digits..].chars();
                    char::from_u32(u32::from_str_radix(hex, 16).ok()?)
                };
                string.push(match rest.next()? {
                    same @ ('\\' | '\'' | '"') => same,
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'x' => code(&mut rest, 2)?,
                    'u' => code(&mut rest, 4)?,
                    'U' => code(&mut rest, 8)?,
                    _ => return None,
                });
            }
            other => string.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_joined_and_all_else_stands() {
        for (text, expected) in [
            ("['What?']", "What?"),
            (r#"['猜字谜。', "it's \"so\"\n"]"#, "猜字谜。\nit's \"so\"\n"),
            (r"['a\\b\t\'\x41\u00e9\U0001f600']", "a\\b\t'Aé😀"),
            ("['one', 'two', ]", "one\ntwo"),
            ("no list", "no list"),
            ("[]", "[]"),
            ("[1, 2]", "[1, 2]"),
            ("['open]", "['open]"),
            ("['a' 'b']", "['a' 'b']"),
            (r"['\q']", r"['\q']"),
            (r"['\ud800']", r"['\ud800']"),
            (r"['\x4", r"['\x4"),
            (r"['\u00é']", r"['\u00é']"),
            ("[", "["),
            ("", ""),
        ] {
            assert_eq!(joined(text), expected, "{text}");
        }
    }
}
