//! RouterBench's prompts: lists of turns in the syntax of Python or NumPy.

/// The turns joined by line breaks, or the text itself if it is not a list of turns. None for a list that cannot be read, because
/// then brackets, quotes and roles would become part of the prompt.
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

/// The list inside `array(…)`, the `repr` of a NumPy array.
fn without_array(text: &str) -> &str {
    let Some(array) = text.strip_prefix("array(").and_then(|array| array.strip_suffix(')')) else { return text };
    array.rfind("], dtype=").map_or(array, |end| &array[..=end])
}

/// A value in the syntax of Python's `repr`.
enum Value {
    Text(String),
    List(Vec<Value>),
    Fields(Vec<(String, Value)>),
    /// A number, `None`, `True` or `False`.
    Other,
}

/// Collects the texts of turns. A turn is a text, or a message whose content is a text or a list of parts. False for anything
/// else.
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

/// The maximum depth of nested lists. Messages with parts have depth four.
const DEEPEST: usize = 8;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Skips white space, and consumes this character if it comes next.
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
                // NumPy writes no commas.
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

/// The string at the beginning, and the rest of the text.
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
    fn lists_are_joined_and_other_text_is_unchanged() {
        for (text, expected) in [
            ("['What?']", "What?"),
            (r#"['猜字谜。', "it's \"so\"\n"]"#, "猜字谜。\nit's \"so\"\n"),
            (r"['a\\b\t\'\x41\u00e9\U0001f600']", "a\\b\t'Aé😀"),
            ("['one', 'two', ]", "one\ntwo"),
            // The syntax of NumPy, alone or in a table.
            ("['a' 'b']", "a\nb"),
            ("['first turn'\n \"it's the second\"]", "first turn\nit's the second"),
            ("array(['a', 'b'], dtype=object)", "a\nb"),
            ("array(['a'])", "a"),
            // Messages in the syntax of Python and JSON, also with parts.
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
    fn unreadable_lists_are_refused() {
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
