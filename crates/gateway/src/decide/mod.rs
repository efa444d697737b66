//! Which models a request goes to: the one that it names, the one that its conversation is with, or the private router's choice.

mod catalogue;
mod chooser;
mod conversations;
mod fitting;
#[cfg(test)]
mod tests;

pub(crate) use catalogue::{Callable, Catalogue};
pub(crate) use chooser::{ChooseError, Chooser};
pub(crate) use conversations::{Conversations, Key, Name, Standing};
pub(crate) use fitting::{Unfit, Wanted};

use crate::config::{Config, OnFailure};
use crate::money::switching::Switch;
use crate::store::Why;
use blindroute_dialects::errors::{ApiError, ErrorKind};
use blindroute_dialects::reading::{Reading, Turn};
use blindroute_placement::RouteReport;
use zeroize::Zeroizing;

/// The models to ask, in their order, and why.
#[derive(Debug)]
pub(crate) struct Decision<'c> {
    /// At least one.
    pub(crate) callables: Vec<&'c Callable>,
    pub(crate) why: Why,
    /// The model that the conversation was with before.
    pub(crate) previous: Option<String>,
    /// The route, if there was one.
    pub(crate) route: Option<RouteReport>,
    /// Why the default model answers, if it does.
    pub(crate) note: Option<ApiError>,
}

/// What a decision depends on.
pub(crate) struct Deciding<'c> {
    pub(crate) config: &'c Config,
    pub(crate) catalogue: &'c Catalogue,
    pub(crate) wanted: Wanted<'c>,
    /// Whether a budget is set, so that prices have to be known.
    pub(crate) budgets: bool,
    pub(crate) standing: Option<Standing>,
}

/// What a request asks for by the model that it names.
enum Asked<'c> {
    /// This model.
    Named(&'c Callable),
    /// A choice.
    Route,
}

impl<'c> Deciding<'c> {
    /// Decides; asks the router with `rank` only if there is something to choose.
    ///
    /// # Errors
    /// What to answer instead.
    pub(crate) async fn decide<F>(&self, rank: impl FnOnce(Zeroizing<String>) -> F) -> Result<Decision<'c>, ApiError>
    where
        F: Future<Output = Result<RouteReport, ChooseError>>,
    {
        if let Asked::Named(callable) = self.asked()? {
            self.fits(callable)?;
            return Ok(self.decision(vec![callable], Why::Named));
        }
        if let Some(pinned) = self.pinned()? {
            return Ok(self.decision(pinned, Why::Pinned));
        }
        let Some(prompt) = self.prompt() else {
            let because = "the last user message has no text, so there is nothing to route by; name a model";
            return self.default(&ApiError::new(ErrorKind::InvalidRequest, because).with_code("nothing_to_route_by"));
        };
        match rank(prompt).await {
            Ok(route) => self.ranked(route),
            Err(error) => {
                let because = format!("no model was chosen: {error}");
                self.default(&ApiError::new(ErrorKind::Overloaded, because).with_code("no_route"))
            }
        }
    }

    fn reading(&self) -> &'c Reading {
        self.wanted.reading
    }

    fn asked(&self) -> Result<Asked<'c>, ApiError> {
        let name = &self.reading().model;
        if self.config.route.aliases.iter().any(|alias| alias == name) {
            return Ok(Asked::Route);
        }
        self.catalogue.named(name).map(Asked::Named).ok_or_else(|| {
            let aliases = self.config.route.aliases.join(", ");
            let message = format!("there is no such model: ask for {aliases}, or for one that GET /v1/models lists");
            ApiError::new(ErrorKind::NotFound, message).with_parameter("model").with_code("model_not_found")
        })
    }

    /// The models of a conversation that may not change its model now; none if it may.
    fn pinned(&self) -> Result<Option<Vec<&'c Callable>>, ApiError> {
        let (turn, pins) = (self.reading().turn, self.reading().pins);
        if turn == Turn::NewUser && !pins.any() {
            return Ok(None);
        }
        let known = self.standing.as_ref().and_then(|standing| self.catalogue.named(&standing.model));
        if let Some(callable) = known {
            self.fits(callable)?;
            return Ok(Some(vec![callable]));
        }
        if !pins.any() {
            // A tool loop that began elsewhere, or before a restart: any model can go on with it.
            return Ok(None);
        }
        // Seals and what a provider stores are worth nothing elsewhere. Without memory of who made them, only a single provider of
        // this dialect can be it.
        let mut of_dialect = self.catalogue.all().iter().filter(|callable| callable.speaks(self.wanted.dialect));
        let provider = of_dialect.clone().next().map(|callable| &callable.model.provider);
        if provider.is_none() || of_dialect.any(|callable| Some(&callable.model.provider) != provider) {
            let message = "the conversation holds encrypted reasoning, signatures or a stored response, and this gateway does not know \
                           which model made them: name that model in place of an alias, or begin a new conversation";
            return Err(ApiError::new(ErrorKind::InvalidRequest, message).with_code("unknown_conversation"));
        }
        let of_provider = |callable: &&Callable| Some(&callable.model.provider) == provider;
        let fitting: Vec<_> = self
            .fitting()
            .into_iter()
            .filter(of_provider)
            .filter(|callable| callable.speaks(self.wanted.dialect))
            .collect();
        let default = self.config.route.default_model.as_deref();
        let best = fitting.iter().find(|callable| Some(callable.model.name.as_str()) == default).or(fitting.first());
        best.map(|callable| Some(vec![*callable])).ok_or_else(|| self.nothing_fits())
    }

    /// The text that is routed by.
    fn prompt(&self) -> Option<Zeroizing<String>> {
        let reading = self.reading();
        let user = reading.last_user.as_ref().map(|text| text.as_str()).filter(|text| !text.trim().is_empty())?;
        let head = reading.system_head.as_ref().map(|text| text.as_str()).unwrap_or_default();
        let chars = self.config.route.system_prompt_chars;
        let end = head.char_indices().nth(chars).map_or(head.len(), |(end, _)| end);
        let head = &head[..end];
        let mut prompt = Zeroizing::new(String::with_capacity(head.len() + 1 + user.len()));
        if !head.is_empty() {
            prompt.push_str(head);
            prompt.push('\n');
        }
        prompt.push_str(user);
        Some(prompt)
    }

    /// The fitting models of a ranking, with the conversation's own in front if a switch does not pay.
    fn ranked(&self, route: RouteReport) -> Result<Decision<'c>, ApiError> {
        let mut callables: Vec<&'c Callable> = Vec::new();
        for ranked in &route.ranking {
            if let Some(callable) = self.catalogue.of_pool(&ranked.model)
                && self.wanted.unfit(callable, self.budgets).is_none()
                && !callables.iter().any(|known| known.model.name == callable.model.name)
            {
                callables.push(callable);
            }
        }
        let Some(&best) = callables.first() else {
            let because =
                "none of the models that the router named can answer this request; shorten it, or name a model";
            let error = ApiError::new(ErrorKind::InvalidRequest, because).with_code("no_fitting_model");
            let decision = self.default(&error)?;
            return Ok(Decision { route: Some(route), ..decision });
        };
        let current = self.standing.as_ref().and_then(|standing| {
            let callable = self.catalogue.named(&standing.model)?;
            self.wanted.unfit(callable, self.budgets).is_none().then_some((callable, standing))
        });
        let why = match current {
            Some((current, standing)) if current.model.name != best.model.name => {
                if self.switch(current, best, standing).pays() {
                    Why::Switched
                } else {
                    callables.retain(|callable| callable.model.name != current.model.name);
                    callables.insert(0, current);
                    Why::Kept
                }
            }
            _ => Why::Routed,
        };
        Ok(Decision { route: Some(route), ..self.decision(callables, why) })
    }

    fn switch(&self, current: &Callable, new: &Callable, standing: &Standing) -> Switch {
        let reading = self.reading();
        Switch {
            current: current.prices,
            new: new.prices,
            input: reading.input_tokens,
            cached: standing.cached,
            output: standing.output,
            turns_to_come: self.config.route.switch_turns,
        }
    }

    /// The default model, because of this error, or the error itself if no model answers in place of a choice.
    fn default(&self, because: &ApiError) -> Result<Decision<'c>, ApiError> {
        let route = &self.config.route;
        let named = route.default_model.as_deref();
        // Without providers no model is named, and the built-in one answers for any.
        let callable = match named {
            Some(name) => self.catalogue.named(name),
            None => self.catalogue.all().first().filter(|callable| callable.is_built_in()),
        };
        match callable.filter(|_| route.on_failure == OnFailure::Default) {
            Some(callable) => {
                self.fits(callable)?;
                Ok(Decision { note: Some(because.clone()), ..self.decision(vec![callable], Why::Default) })
            }
            None => Err(because.clone()),
        }
    }

    /// # Errors
    /// Why the model cannot answer.
    fn fits(&self, callable: &Callable) -> Result<(), ApiError> {
        let Some(unfit) = self.wanted.unfit(callable, self.budgets) else { return Ok(()) };
        let message = format!("model {} cannot answer this request: {unfit}", callable.model.name);
        Err(ApiError::new(ErrorKind::InvalidRequest, message).with_parameter("model").with_code(code(unfit)))
    }

    fn fitting(&self) -> Vec<&'c Callable> {
        let fits = |callable: &&Callable| self.wanted.unfit(callable, self.budgets).is_none();
        self.catalogue.all().iter().filter(fits).collect()
    }

    fn nothing_fits(&self) -> ApiError {
        let message =
            "no model of this conversation's provider can answer the request: shorten it, or allow another model";
        ApiError::new(ErrorKind::InvalidRequest, message).with_code("no_fitting_model")
    }

    fn decision(&self, callables: Vec<&'c Callable>, why: Why) -> Decision<'c> {
        let previous = self.standing.as_ref().map(|standing| standing.model.clone());
        Decision { callables, why, previous, route: None, note: None }
    }
}

/// The error's name for programs.
fn code(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Context { .. } | Unfit::Output { .. } => "context_length_exceeded",
        Unfit::Price | Unfit::UnknownPrice => "price_ceiling",
        _ => "model_not_able",
    }
}
