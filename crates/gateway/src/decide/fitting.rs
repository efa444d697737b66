//! Which models can answer a request: the allowed ones that are able to, and cost no more than allowed.

use super::catalogue::Callable;
use crate::money::Amount;
use blindroute_dialects::Dialect;
use blindroute_dialects::reading::Reading;
use std::fmt;

/// What of a request matters for the choice of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) reading: &'a Reading,
    pub(crate) dialect: Dialect,
    /// The most that a token of the output may cost.
    pub(crate) ceiling: Option<Amount>,
}

/// Why a model cannot answer a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    NotAllowed,
    Context { tokens: u64, most: u64 },
    Output { tokens: u64, most: u64 },
    Tools,
    Images,
    Files,
    Json,
    Price,
    UnknownPrice,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("it is not allowed in the configuration (allowed = false)"),
            Self::Context { tokens, most } => {
                write!(f, "the request has about {tokens} tokens with its answer, and the model takes {most}")
            }
            Self::Output { tokens, most } => {
                write!(f, "the request asks for up to {tokens} tokens of answer, and the model gives {most}")
            }
            Self::Tools => f.write_str("the request has tools, and the model takes none (tools = false)"),
            Self::Images => f.write_str("the request has images, and the model reads none (images = false)"),
            Self::Files => f.write_str("the request has files, and the model's provider speaks another dialect"),
            Self::Json => {
                f.write_str("the request asks for JSON, and the model keeps to no schema (json_schema = false)")
            }
            Self::Price => f.write_str("its output costs more than the ceiling of the budget"),
            Self::UnknownPrice => f.write_str("its prices are not known, and a budget or a ceiling is set"),
        }
    }
}

impl Wanted<'_> {
    /// Why this model cannot answer; nothing if it can.
    pub(crate) fn unfit(&self, callable: &Callable, budgets: bool) -> Option<Unfit> {
        let (needs, model) = (self.reading.needs, &callable.model);
        let output = self.reading.max_output_tokens;
        let tokens = self.reading.input_tokens.saturating_add(output.unwrap_or(0));
        if !model.allowed {
            return Some(Unfit::NotAllowed);
        }
        if let Some(most) = model.context.filter(|most| tokens > *most) {
            return Some(Unfit::Context { tokens, most });
        }
        if let (Some(tokens), Some(most)) = (output, model.max_output)
            && tokens > most
        {
            return Some(Unfit::Output { tokens, most });
        }
        if needs.tools && !model.tools {
            return Some(Unfit::Tools);
        }
        if needs.images && !model.images {
            return Some(Unfit::Images);
        }
        if needs.files && !callable.speaks(self.dialect) {
            return Some(Unfit::Files);
        }
        if needs.json && !model.json_schema {
            return Some(Unfit::Json);
        }
        match (callable.prices, self.ceiling) {
            (None, ceiling) if budgets || ceiling.is_some() => Some(Unfit::UnknownPrice),
            (Some(prices), Some(ceiling)) if prices.output > ceiling => Some(Unfit::Price),
            _ => None,
        }
    }
}
