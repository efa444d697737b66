//! A provider's events on their way to the caller, as they are or translated.

use blindroute_dialects::Dialect;
use blindroute_dialects::errors::ApiError;
use blindroute_dialects::sse::Event;
use blindroute_dialects::stream::{Progress, Verdict, Watch};
use blindroute_dialects::translate::{StreamTranslation, Translation};
use blindroute_dialects::usage::Usage;

pub(super) enum Passage {
    /// The caller and the provider speak the same dialect.
    Same(Box<Watch>),
    /// They do not.
    Other(Box<StreamTranslation>),
}

impl Passage {
    /// `wants_usage` says whether a caller of Chat asked for the usage. `now` are the seconds since 1970.
    pub(super) fn new(dialect: Dialect, wants_usage: bool, translation: Option<&Translation>, now: u64) -> Self {
        match translation {
            Some(translation) => Self::Other(Box::new(translation.stream(now))),
            None => Self::Same(Box::new(Watch::new(dialect, !wants_usage))),
        }
    }

    /// What the caller gets for an event, which can be nothing.
    pub(super) fn event(&mut self, event: Event) -> Vec<u8> {
        match self {
            Self::Same(watch) => match watch.look(&event) {
                Verdict::Pass => event.raw,
                Verdict::Drop => Vec::new(),
                Verdict::Replace(text) => text.into_bytes(),
            },
            Self::Other(translation) => translation.event(&event).into_bytes(),
        }
    }

    /// What the caller gets at the end of the provider's stream.
    pub(super) fn end(&mut self) -> Vec<u8> {
        match self {
            Self::Same(watch) => watch.end().unwrap_or_default().into_bytes(),
            Self::Other(translation) => translation.end().into_bytes(),
        }
    }

    /// What the caller gets if nothing more comes.
    pub(super) fn break_off(&mut self, error: ApiError) -> Vec<u8> {
        match self {
            Self::Same(watch) => watch.break_off(error).into_bytes(),
            Self::Other(translation) => translation.break_off(error).into_bytes(),
        }
    }

    pub(super) fn progress(&self) -> Progress {
        match self {
            Self::Same(watch) => watch.progress(),
            Self::Other(translation) => translation.progress(),
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Same(watch) => watch.usage(),
            Self::Other(translation) => translation.usage(),
        }
    }

    pub(super) fn failure(&self) -> Option<&ApiError> {
        match self {
            Self::Same(watch) => watch.failure(),
            Self::Other(translation) => translation.failure(),
        }
    }
}
