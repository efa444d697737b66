//! Which model each conversation is with. Kept in memory only, by keyed hashes: nothing here outlives the process, or says what a
//! conversation is about.

use crate::money::Tokens;
use crate::money::savings::Conversation;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most conversations that are remembered; of more, those that were not used for the longest are forgotten.
const MOST: usize = 10_000;

/// How long a conversation is remembered after its last use.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long a provider keeps a prompt's cache, as [savings](crate::money::savings) count it.
const CACHE_LIFE: Duration = Duration::from_millis(crate::money::savings::CACHE_LIFE_MILLIS as u64);

/// What a conversation is known as: a hash under a key of this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// How a caller names a conversation.
pub(crate) enum Name<'a> {
    /// By a header.
    Session(&'a [u8]),
    /// By its first messages, of which this is a hash.
    Beginning(&'a [u8; 32]),
}

impl Name<'_> {
    /// Its kind and its bytes. The kind has a fixed length, so that no two names are equal.
    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Name::Session(session) => (0, session),
            Name::Beginning(hash) => (1, hash.as_slice()),
        }
    }
}

/// What is remembered of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The name of the model that answered last.
    pub(crate) model: String,
    /// The tokens of its last input that its provider should have in its cache now.
    pub(crate) cached: u64,
    /// The tokens of its last answer.
    pub(crate) output: u64,
}

struct Remembered {
    model: String,
    tokens: Tokens,
    compared: Conversation,
    used: Instant,
}

/// All conversations of this process.
pub(crate) struct Conversations {
    key: [u8; 32],
    known: Mutex<HashMap<Key, Remembered>>,
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} conversations", self.lock().len())
    }
}

impl Conversations {
    /// None, under a fresh key.
    ///
    /// # Errors
    /// If the system gives no random bytes.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Self { key, known: Mutex::default() })
    }

    /// The key of a conversation.
    pub(crate) fn key(&self, name: &Name<'_>) -> Key {
        let (kind, bytes) = name.parts();
        // Both parts before the name have a fixed length; the hash is only ever compared here.
        Key(Sha256::new().chain_update(self.key).chain_update([kind]).chain_update(bytes).finalize().into())
    }

    /// The name of a conversation for the record, which holds it under a key of its own. A name that comes from texts is under this
    /// process's key before: whoever has the record and its key could test guesses of the texts otherwise.
    pub(crate) fn for_record(&self, name: &Name<'_>) -> String {
        let hash: [u8; 32] = match name {
            Name::Session(session) => Sha256::digest(session).into(),
            Name::Beginning(_) => self.key(name).0,
        };
        base16ct::lower::encode_string(&hash)
    }

    /// What is remembered.
    pub(crate) fn standing(&self, key: Key) -> Option<Standing> {
        let known = self.lock();
        let found = known.get(&key).filter(|found| found.used.elapsed() < LIFE)?;
        let warm = found.used.elapsed() <= CACHE_LIFE;
        let cached = if warm { found.tokens.input.saturating_add(found.tokens.output) } else { 0 };
        Some(Standing { model: found.model.clone(), cached, output: found.tokens.output })
    }

    /// Remembers which model answers. Called before the answer, so that a tool loop that begins with it stays.
    pub(crate) fn answers(&self, key: Key, model: &str) {
        let mut known = self.lock();
        make_room(&mut known);
        let now = Instant::now();
        let new = || Remembered {
            model: model.to_owned(),
            tokens: Tokens::default(),
            compared: Conversation::default(),
            used: now,
        };
        let found = known.entry(key).or_insert_with(new);
        if found.model != model {
            // The new model's provider has cached nothing of it.
            found.tokens = Tokens::default();
            model.clone_into(&mut found.model);
        }
        found.used = now;
    }

    /// Remembers what an answer used, and compares it with the reference in the order of the turns.
    pub(crate) fn used<T>(&self, key: Key, tokens: Tokens, compare: impl FnOnce(&mut Conversation) -> T) -> Option<T> {
        let mut known = self.lock();
        let found = known.get_mut(&key)?;
        found.tokens = tokens;
        found.used = Instant::now();
        Some(compare(&mut found.compared))
    }

    /// Forgets all of them.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the half that was not used for the longest, if there is no room for one more.
fn make_room(known: &mut HashMap<Key, Remembered>) {
    if known.len() < MOST {
        return;
    }
    let mut uses: Vec<Instant> = known.values().map(|remembered| remembered.used).collect();
    let (_, middle, _) = uses.select_nth_unstable(MOST / 2);
    let middle = *middle;
    known.retain(|_, remembered| remembered.used > middle);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tokens(input: u64, output: u64) -> Tokens {
        Tokens { input, output, ..Tokens::default() }
    }

    #[test]
    fn a_conversation_is_with_the_model_that_answered_last_and_its_cache() {
        let conversations = Conversations::new().unwrap();
        let [one, other] = [&b"a"[..], b"b"].map(|name| conversations.key(&Name::Session(name)));
        assert!(conversations.standing(one).is_none());
        conversations.answers(one, "small");
        assert_eq!(conversations.used(one, tokens(100, 7), |_| ()), Some(()));
        let standing = |cached, model: &str, output| Some(Standing { model: model.into(), cached, output });
        assert_eq!(conversations.standing(one), standing(107, "small", 7));
        conversations.answers(one, "small");
        assert_eq!(conversations.standing(one), standing(107, "small", 7));
        conversations.answers(one, "large");
        assert_eq!(conversations.standing(one), standing(0, "large", 0));
        assert!(conversations.standing(other).is_none());
        assert_eq!(conversations.used(other, tokens(1, 1), |_| ()), None);
        conversations.forget();
        assert!(conversations.standing(one).is_none());
    }

    #[test]
    fn case_37_names_of_different_kinds_and_processes_are_different() {
        let conversations = Conversations::new().unwrap();
        let hash = [7; 32];
        let by_header = conversations.key(&Name::Session(&hash));
        assert!(by_header != conversations.key(&Name::Beginning(&hash)));
        assert!(by_header == conversations.key(&Name::Session(&hash)));
        assert!(by_header != Conversations::new().unwrap().key(&Name::Session(&hash)));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stay() {
        let conversations = Conversations::new().unwrap();
        let key = |number: usize| conversations.key(&Name::Session(&number.to_le_bytes()));
        for number in 0..MOST + 10 {
            conversations.answers(key(number), "m");
        }
        assert!(conversations.lock().len() <= MOST);
        assert!(conversations.standing(key(0)).is_none() && conversations.standing(key(MOST + 9)).is_some());
    }
}
