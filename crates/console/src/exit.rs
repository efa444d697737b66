//! How a program ends: its exit status, and the last line on stderr.
//!
//! A status is a number here, since the program may run inside a process that is not its own and ends later.

use crate::terminal;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// The exit status of success.
const SUCCESS: u8 = 0;
/// The exit status of a command that failed.
const FAILURE: u8 = 1;
/// The exit status of a command line that is not understood.
const REFUSED: u8 = 2;

/// The exit status of a command's result; an error is printed with its causes, in one line.
pub fn status(result: anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => SUCCESS,
        // Whoever reads our output has closed it.
        Err(error) if broken_pipe(&error) => FAILURE,
        Err(error) => {
            // None of our errors holds a prompt, a share or a key.
            terminal::say(&format!("error: {}", chain(&error)));
            FAILURE
        }
    }
}

/// Prints help, the version, or what is wrong with these arguments, of which the first is the program's name. A word that is not expected may be a piece of a prompt, so
/// it is not repeated.
pub fn refuse(error: &clap::Error, program: clap::Command, arguments: &[OsString]) -> u8 {
    let name = program.get_name().to_owned();
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => Some(word),
        _ => None,
    };
    let command = commands_of(program, arguments.iter().skip(1));
    let routes = command == "route";
    let hint = match word {
        Some(word) if routes && word.starts_with('-') && word.contains(char::is_whitespace) => {
            "a prompt that begins with a dash would be taken for an option; put -- before it".to_owned()
        }
        Some(word) if routes && !word.starts_with('-') => {
            "there is more than one word: put the prompt in quotes, or use --input for several prompts".to_owned()
        }
        Some(word) if !command.is_empty() && !word.starts_with('-') => {
            format!(
                "{command} takes no word without an option: name files by their options, as a bundle by --bundle FILE"
            )
        }
        _ => {
            // Help goes to stdout, errors to stderr. If neither can be printed there is nobody to tell.
            error.print().ok();
            return u8::try_from(error.exit_code()).unwrap_or(REFUSED);
        }
    };
    terminal::say(&format!("error: {hint}; see `{name} {command} --help`"));
    REFUSED
}

/// The command among the arguments, as `bundle show`.
fn commands_of<'a>(mut command: clap::Command, arguments: impl Iterator<Item = &'a OsString>) -> String {
    let mut path: Vec<String> = Vec::new();
    for argument in arguments {
        let name = argument.to_string_lossy();
        match command.find_subcommand(name.as_ref()).cloned() {
            Some(found) => {
                path.push(found.get_name().to_owned());
                command = found;
            }
            None if name.starts_with('-') && path.is_empty() => {}
            None => break,
        }
    }
    path.join(" ")
}

/// Whether writing the output failed because its reader closed it.
fn broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// An error and its causes, without a cause that its effect already quotes.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_nothing_twice() {
        let error = anyhow::anyhow!("disk full").context("cannot write: disk full").context("no bundle");
        assert_eq!(chain(&error), "no bundle: cannot write: disk full");
    }
}
