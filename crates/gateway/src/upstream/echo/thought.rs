//! The rules by which the built-in model answers.

use super::schema;
use super::tokens;
use super::wish::{Choice, Format, Tool, Wish};
use blindroute_dialects::json::Json;
use blindroute_dialects::reading::{BYTES_PER_TOKEN, Reading, Turn};

/// What it thinks, if it is to think.
const PONDERING: &str = "There is nothing to think about: I repeat the message.";

/// The fewest letters of a word of a tool's name that calls the tool.
const FEWEST_LETTERS: usize = 4;

/// An answer in no dialect.
pub(super) struct Thought {
    pub(super) pondering: Option<&'static str>,
    pub(super) said: Said,
    pub(super) finish: Finish,
}

pub(super) enum Said {
    Text(String),
    Call { name: String, arguments: String },
}

/// Why it stopped.
pub(super) enum Finish {
    End,
    Sequence(String),
    Length,
    Call,
}

impl Thought {
    /// Answers.
    ///
    /// # Errors
    /// If a tool is demanded that is not there.
    pub(super) fn of(wish: &Wish<'_>, reading: &Reading, model: &str) -> Result<Self, &'static str> {
        let pondering = wish.thinks.then_some(PONDERING);
        let said = reading.last_user.as_ref().map_or("", |text| text.as_str());
        if let Some(tool) = called(wish, said, reading.turn)? {
            let arguments = schema::arguments(tool.schema).to_string();
            return Ok(Self {
                pondering,
                said: Said::Call { name: tool.name.to_owned(), arguments },
                finish: Finish::Call,
            });
        }
        let text = match &wish.format {
            Format::Text => format!("{model} was chosen. No provider is configured, so this is your message: {said}"),
            Format::Object => Json::Object(Vec::new()).to_string(),
            Format::Schema(schema) => schema::instance(schema).to_string(),
        };
        let (text, finish) = stopped(text, &wish.stop);
        let room = reading.max_output_tokens.map(|most| most.saturating_sub(pondering.map_or(0, tokens)));
        let (text, finish) = match room.and_then(|room| cut(&text, room)) {
            Some(part) => (part.to_owned(), Finish::Length),
            None => (text, finish),
        };
        Ok(Self { pondering, said: Said::Text(text), finish })
    }

    /// The tokens of the thoughts.
    pub(super) fn pondered(&self) -> u64 {
        self.pondering.map_or(0, tokens)
    }

    /// All its tokens.
    pub(super) fn tokens(&self) -> u64 {
        self.pondered()
            + match &self.said {
                Said::Text(text) => tokens(text),
                Said::Call { name, arguments } => tokens(name) + tokens(arguments),
            }
    }
}

/// The tool that is called.
fn called<'w, 'r>(wish: &'w Wish<'r>, said: &str, turn: Turn) -> Result<Option<&'w Tool<'r>>, &'static str> {
    let meant = || wish.tools.iter().find(|tool| is_meant(tool.name, said));
    match wish.choice {
        Choice::Forbidden => Ok(None),
        Choice::Allowed => Ok(meant().filter(|_| turn == Turn::NewUser)),
        Choice::Required => match meant().or_else(|| wish.tools.first()) {
            Some(tool) => Ok(Some(tool)),
            None => Err("tool_choice demands a tool, and the request has none that the caller runs; give tools"),
        },
        Choice::Named(name) => match wish.tools.iter().find(|tool| tool.name == name) {
            Some(tool) => Ok(Some(tool)),
            None => Err("tool_choice names a tool that is not among tools; give it, or name another"),
        },
    }
}

/// Whether a word of the tool's name stands in a text.
fn is_meant(name: &str, said: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric();
    let mut words = said.split(|character| !is_part(character)).map(str::to_lowercase);
    let parts = parts(name);
    words.any(|word| parts.contains(&word))
}

/// The words of a name that are long enough, in small letters.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut was_small = false;
    for character in name.chars() {
        let begins = !character.is_alphanumeric() || (character.is_uppercase() && was_small);
        if begins {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut().filter(|_| character.is_alphanumeric()) {
            last.extend(character.to_lowercase());
        }
        was_small = character.is_lowercase();
    }
    let letters = |part: &String| part.chars().filter(|character| character.is_alphabetic()).count();
    parts.retain(|part| letters(part) >= FEWEST_LETTERS);
    parts
}

/// The text up to the first of the stop sequences.
fn stopped(mut text: String, stop: &[&str]) -> (String, Finish) {
    let found = stop.iter().filter_map(|sequence| Some((text.find(sequence)?, *sequence))).min_by_key(|(at, _)| *at);
    match found {
        Some((at, sequence)) => {
            text.truncate(at);
            (text, Finish::Sequence(sequence.to_owned()))
        }
        None => (text, Finish::End),
    }
}

/// The part of a text that so many tokens hold; nothing if they hold all of it.
fn cut(text: &str, room: u64) -> Option<&str> {
    let bytes = usize::try_from(room.saturating_mul(BYTES_PER_TOKEN)).unwrap_or(usize::MAX);
    (bytes < text.len()).then(|| &text[..text.floor_char_boundary(bytes)])
}
