//! Whether an input looks like what it is said to be, by its first line.

use super::Form;
use super::object::{LIST, Object};

/// The mark that some editors put at the beginning of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's first line without the mark.
pub(crate) fn without_mark(line: Vec<u8>) -> Vec<u8> {
    line.strip_prefix(BYTE_ORDER_MARK).map(<[u8]>::to_vec).unwrap_or(line)
}

/// Looks at the first line that is not blank.
///
/// # Errors
/// If the input is surely in another form, why and what to do. A warning, if it may be.
pub(super) fn look(line: &[u8], form: Form) -> Result<Option<String>, String> {
    if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text; save it as UTF-8, for instance with iconv -f UTF-16 -t UTF-8".to_owned());
    }
    let Ok(line) = std::str::from_utf8(line) else { return Ok(None) };
    let line = line.trim();
    let is_list =
        line == "[" || serde_json::from_str::<Vec<serde::de::IgnoredAny>>(line).is_ok_and(|_| line.contains('{'));
    match form {
        Form::Object | Form::Text if line.starts_with('[') => Err(format!("it {LIST}")),
        Form::Object if header(line).is_some() => Err(format!("its first line is the header of a table: {TABLE}")),
        Form::Object | Form::Text => Ok(None),
        Form::Prompt if is_list => Err(format!("it {LIST}, and use --input")),
        Form::Prompt if Object::is_one(line) => {
            Err("its first line is an object with a prompt: this looks like JSON Lines; use --input".to_owned())
        }
        Form::Prompt => match header(line) {
            Some(true) => Err(format!("its first line is the header of a table: {TABLE}")),
            Some(false) => {
                Ok(Some(format!("the first line looks like the header of a table, and is routed as a prompt: {TABLE}")))
            }
            None => Ok(None),
        },
    }
}

const TABLE: &str = "rows of a table are not prompts; write each as {\"id\", \"prompt\"} and use --input";

/// Whether a line is a table's header: surely, if a column is the id and another the prompt; perhaps, if one is a prompt.
fn header(line: &str) -> Option<bool> {
    let separator = [',', ';', '\t'].into_iter().find(|separator| line.contains(*separator))?;
    let names: Vec<String> =
        line.split(separator).map(|name| name.trim().trim_matches('"').to_ascii_lowercase()).collect();
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.|/".contains(&byte))
    };
    let has = |names_of: &[&str]| names.iter().any(|name| names_of.contains(&name.as_str()));
    if !names.iter().all(is_name) || !has(&["prompt", "text", "question", "instruction", "query", "messages"]) {
        return None;
    }
    Some(has(&["prompt"]) && has(&["id", "prompt_id", "sample_id", "custom_id"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_forms_are_refused_where_sure_and_warned_about_where_not() {
        let lines = |line: &str| look(line.as_bytes(), Form::Prompt);
        for (line, says) in [
            (r#"{"id": 1, "prompt": "x"}"#, "this looks like JSON Lines; use --input"),
            (r#"{"custom_id": "a", "body": {"messages": []}}"#, "JSON Lines; use --input"),
            ("[", "is a list; give one object per line"),
            (r#"[{"id": 1, "prompt": "x"}]"#, "is a list; give one object per line"),
            ("id,prompt", "the header of a table"),
            ("\"sample_id\";\"prompt\";\"eval_name\"", "the header of a table"),
        ] {
            assert!(lines(line).unwrap_err().contains(says), "{line}");
        }
        assert!(lines("text,label").unwrap().unwrap().contains("looks like the header of a table"));
        for line in [
            "What is the capital of France?",
            "{\"name\": \"x\"} is JSON; why?",
            r#"{"name": "x"}"#,
            "[1, 2, 3]",
            "id, prompt and text are what?",
            "prompt",
            "Hello, world",
        ] {
            assert_eq!(lines(line), Ok(None), "{line}");
        }
        assert!(look(b"\xff\xfeW\0h\0", Form::Prompt).unwrap_err().contains("UTF-16"));
        assert_eq!(look(b"caf\xe9", Form::Prompt), Ok(None));
    }

    #[test]
    fn a_list_is_no_input_of_objects() {
        assert!(look(b"[", Form::Object).unwrap_err().contains("jq -c '.[]'"));
        assert!(look(b"id;prompt", Form::Object).unwrap_err().contains("the header of a table"));
        assert_eq!(look(br#"{"id": 1}"#, Form::Object), Ok(None));
        assert_eq!(look(br#"{"prompt":"a,b","id":1}"#, Form::Object), Ok(None));
        assert_eq!(without_mark(b"\xef\xbb\xbf{}".to_vec()), b"{}");
    }
}
