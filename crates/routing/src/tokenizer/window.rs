//! Which tokens of a long prompt are kept.

use serde::{Deserialize, Serialize};

use super::MAX_TOKENS;

/// Which tokens are kept of a prompt with more than [`MAX_TOKENS`]. `[CLS]` and `[SEP]` are always kept, so 254 others
/// are. The names are those of files and options.
///
/// ```
/// use blindroute_routing::tokenizer::Window;
///
/// assert_eq!(Window::Both.kept(), "first 128 and the last 128");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The first 254.
    #[default]
    Head,
    /// The last 254.
    Tail,
    /// The first 127 and the last 127.
    Both,
}

impl Window {
    /// All windows.
    pub const ALL: [Self; 3] = [Self::Head, Self::Tail, Self::Both];

    /// Which tokens of a truncated prompt are kept, in words; `[CLS]` and `[SEP]` are counted.
    pub fn kept(self) -> String {
        let half = MAX_TOKENS / 2;
        match self {
            Self::Head => format!("first {MAX_TOKENS}"),
            Self::Tail => format!("last {MAX_TOKENS}"),
            Self::Both => format!("first {half} and the last {half}"),
        }
    }

    /// Shortens the tokens of a prompt, with `[CLS]` and `[SEP]`, to at most `most` (at least 2) in the same way.
    pub fn shorten(self, ids: &mut Vec<u32>, most: usize) {
        let most = most.max(2);
        if ids.len() > most {
            let (first, last) = self.split(most - 2);
            ids.drain(1 + first..ids.len() - 1 - last);
        }
    }

    /// How many of `room` tokens are taken from the beginning, and how many from the end.
    pub(super) fn split(self, room: usize) -> (usize, usize) {
        match self {
            Self::Head => (room, 0),
            Self::Tail => (0, room),
            Self::Both => (room - room / 2, room / 2),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
