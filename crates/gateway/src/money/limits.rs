//! Limits of spending for days and months.

use crate::clock::Moment;
use crate::money::Amount;
use std::fmt;

/// How long a limit holds: from one border to the next, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// From midnight to midnight.
    Day,
    /// From the first of a month to the first of the next.
    Month,
}

impl Span {
    /// When the span that a moment is in began.
    #[must_use]
    pub fn begins(self, moment: Moment) -> Moment {
        match self {
            Self::Day => moment.day(),
            Self::Month => moment.month(),
        }
    }

    /// When the span that a moment is in ends.
    #[must_use]
    pub fn ends(self, moment: Moment) -> Moment {
        match self {
            Self::Day => moment.next_day(),
            Self::Month => moment.next_month(),
        }
    }
}

/// Whose spending a limit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of all calls.
    All,
    /// Of the calls of one session, each session by itself.
    Session,
}

/// The limits of one scope. Where there is none, nothing is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanLimits {
    /// The most that may be spent in a day.
    pub day: Option<Amount>,
    /// The most that may be spent in a month.
    pub month: Option<Amount>,
}

/// All limits. Calls without a session count for `all` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of all calls together.
    pub all: SpanLimits,
    /// Of each session.
    pub session: SpanLimits,
}

impl Limits {
    /// The limits that are set.
    pub fn set(&self) -> impl Iterator<Item = (Scope, Span, Amount)> + use<> {
        let each = [
            (Scope::All, Span::Day, self.all.day),
            (Scope::All, Span::Month, self.all.month),
            (Scope::Session, Span::Day, self.session.day),
            (Scope::Session, Span::Month, self.session.month),
        ];
        each.into_iter().filter_map(|(scope, span, limit)| limit.map(|limit| (scope, span, limit)))
    }
}

/// A budget that a call could exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose budget.
    pub scope: Scope,
    /// Of a day or of a month.
    pub span: Span,
    /// What is spent or reserved.
    pub spent: Amount,
    /// The budget.
    pub limit: Amount,
    /// The most that the call could cost.
    pub asked: Amount,
    /// When the budget begins anew.
    pub resets: Moment,
}

impl Exceeded {
    /// The field of the configuration that sets the budget.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match (self.scope, self.span) {
            (Scope::All, Span::Day) => "budget.daily",
            (Scope::All, Span::Month) => "budget.monthly",
            (Scope::Session, _) => "budget.session",
        }
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = match self.span {
            Span::Day => "daily",
            Span::Month => "monthly",
        };
        let scope = match self.scope {
            Scope::All => "of all calls",
            Scope::Session => "of this session",
        };
        let field = self.field();
        let Self { spent, limit, asked, resets, .. } = self;
        write!(
            f,
            "the {span} budget {scope} is {limit}, of which {spent} are spent or reserved, and this call may cost up to {asked}; \
             it resets at {resets}; raise {field} in the configuration, or ask for fewer output tokens"
        )
    }
}
