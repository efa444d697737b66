//! Saying once, and always, what a call used.

use blindroute_dialects::usage::Usage;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The answer is complete.
    Proper,
    /// The provider refused the call or was not reached: it has nothing to bill.
    Refused,
    /// The call or its answer failed on the way: what it used may be unknown.
    Failed,
    /// The caller went away or did not read on, so the call was broken off.
    ClientLeft,
}

/// What is called once at the end of a call. The usage is what the provider reported so far: nothing if it reported nothing, and
/// nothing if the caller went away before the answer began.
pub type Settle = Box<dyn FnOnce(Option<Usage>, End) + Send>;

/// Calls a [`Settle`] once, when it is dropped at the latest.
pub(super) struct Settlement {
    settle: Option<Settle>,
    usage: Option<Usage>,
}

impl Settlement {
    pub(super) fn new(settle: Settle) -> Self {
        Self { settle: Some(settle), usage: None }
    }

    /// What is known so far of an answer that has begun.
    pub(super) fn note(&mut self, usage: Option<Usage>) {
        self.usage = usage.or(self.usage);
    }

    /// The call is over.
    pub(super) fn end(&mut self, end: End) {
        if let Some(settle) = self.settle.take() {
            settle(self.usage, end);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.end(End::ClientLeft);
    }
}
