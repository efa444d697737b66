//! RouterBench's prompts: lists of turns, written as Python or NumPy writes them.

/// The turns, one below the other; the text itself if it is no list of turns; none if it is one that cannot be read, for
/// then brackets, quotes and roles would be taken for the prompt.
pub(super) fn joined(text: &str) -> Option<String> {
    let list = without_array(text.trim());
    let opens = |begin: &str| list[1..].trim_start().starts_with(begin);
    if !(list.starts_with('[') && list.ends_with(']') && ["'", "\"", "{"].into_iter().any(opens)) {
        return Some(text.to_owned());
    }
    let mut reader = Reader { rest: list };
    let value = reader.value(0)?;
    let mut turns = Vec::new();
    (reader.rest.trim().is_empty() && texts(&value, &mut turns)).then(|| turns.join("\n"))
}

/// The list in `array(…)`, as NumPy's `repr` writes an array.
fn without_array(text: &str) -> &str {
    let Some(array) = text.strip_prefix("array(").and_then(|array| array.strip_suffix(')')) else { return text };
    array.rfind("], dtype=").map_or(array, |end| &array[..=end])
}

/// A piece of what Python's `repr` writes.
enum Value {
    Text(String),
    List(Vec<Value>),
    Fields(Vec<(String, Value)>),
    /// A number, `None`, `True` or `False`.
    Other,
}

/// Collects the texts of turns: each is a text, or a message whose content is a text or a list of parts. False if one is
/// neither.
fn texts(value: &Value, turns: &mut Vec<String>) -> bool {
    match value {
        Value::Text(text) => turns.push(text.clone()),
        Value::List(values) => return !values.is_empty() && values.iter().all(|value| texts(value, turns)),
        Value::Fields(fields) => {
            let found = fields.iter().find(|(name, _)| name == "content" || name == "text");
            return found.is_some_and(|(_, content)| texts(content, turns));
        }
        Value::Other => return false,
    }
    true
}

/// The deepest list in a list: messages with parts have four.
const DEEPEST: usize = 8;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Skips blanks, and takes this character if it comes next.
    fn takes(&mut self, character: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        if self.takes('[') {
            let mut values = Vec::new();
            while !self.takes(']') {
                values.push(self.value(depth + 1)?);
                // NumPy puts no comma between them.
                self.takes(',');
            }
            return Some(Value::List(values));
        }
        if self.takes('{') {
            let mut fields = Vec::new();
            while !self.takes('}') {
                let Value::Text(name) = self.value(depth + 1)? else { return None };
                if !self.takes(':') {
                    return None;
                }
                fields.push((name, self.value(depth + 1)?));
                self.takes(',');
            }
            return Some(Value::Fields(fields));
        }
        self.rest = self.rest.trim_start();
        if self.rest.starts_with(['\'', '"']) {
            let (text, rest) = string(self.rest)?;
            self.rest = rest;
            return Some(Value::Text(text));
        }
        let end = self.rest.find([',', ']', '}', ':', ' ', '\n']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let known = ["None", "True", "False", "null", "true", "false"].contains(&word) || word.parse::<f64>().is_ok();
        known.then_some(Value::Other)
    }
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
            // As NumPy writes an array, alone or in a table.
            ("['a' 'b']", "a\nb"),
            ("['first turn'\n \"it's the second\"]", "first turn\nit's the second"),
            ("array(['a', 'b'], dtype=object)", "a\nb"),
            ("array(['a'])", "a"),
            // Messages, as Python and as JSON write them, also with parts.
            ("[{'role': 'user', 'content': 'What?'}]", "What?"),
            ("[{'content': 'a', 'role': 'system'}, {'role': 'user', 'content': 'b', 'name': None}]", "a\nb"),
            (r#"[{"role": "user", "content": "What?", "weight": 1.5, "last": true}]"#, "What?"),
            ("[{'role': 'user', 'content': [{'type': 'text', 'text': 'Why?'}]}]", "Why?"),
            ("no list", "no list"),
            ("[]", "[]"),
            ("[1, 2]", "[1, 2]"),
            ("['a'] or ['b'], which is longer?", "['a'] or ['b'], which is longer?"),
            ("array(size) is a call", "array(size) is a call"),
            ("[", "["),
            ("", ""),
        ] {
            assert_eq!(joined(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_is_no_prompt() {
        for text in [
            "['open]",
            r"['\q']",
            r"['\ud800']",
            r"['\u00é']",
            "['a', 1]",
            "[{'role': 'user'}]",
            "[{'role': 'user', 'content': None}]",
            "[{'role' 'user'}]",
            "['a', word]",
            &format!("['a', {}{}]", "[".repeat(100), "]".repeat(100)),
        ] {
            assert_eq!(joined(text), None, "{text}");
        }
    }
}
