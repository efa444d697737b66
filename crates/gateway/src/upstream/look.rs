//! Asking a provider something that costs nothing, for people who look for what is broken.

use super::call::{Manner, Mode, Terms};
use super::{UpstreamError, headers};
use crate::config;
use axum::http::{HeaderMap, header};
use reqwest::Client;
use reqwest::redirect::Policy;
use std::error::Error;
use std::time::{Duration, SystemTime};

/// The most that an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a provider answered to `GET /models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The status.
    pub status: u16,
    /// What its clock says.
    pub date: Option<SystemTime>,
    /// Its certificate in DER, if it has one.
    pub certificate: Option<Vec<u8>>,
}

/// Why a provider did not answer. Holds neither the key nor the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// No calls can be made at all.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The connection is not private, or its certificate is not good.
    #[error("{0}")]
    Tls(String),
    /// There was no answer.
    #[error("{0}")]
    Silent(String),
}

/// Asks for the models, with the key.
///
/// # Errors
/// If there is no answer.
pub async fn look(provider: &config::Provider, manner: &Manner) -> Result<Look, LookError> {
    let client = Client::builder()
        .redirect(Policy::none())
        .connect_timeout(manner.timeouts.connect)
        .timeout(PATIENCE)
        .tls_info(true)
        .user_agent(concat!("blindroute/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(UpstreamError::from)?;
    let none = HeaderMap::new();
    let Some(to) = provider.dialects.first().copied() else {
        return Err(LookError::Silent("the provider speaks no dialect".to_owned()));
    };
    let terms = Terms { dialect: to, headers: &none, provider, manner, wants_usage: false };
    let asked = client.get(format!("{}/models", provider.base_url)).headers(headers::outgoing(&terms, to, Mode::Whole));
    let response = asked.send().await.map_err(|error| failed(error.without_url()))?;
    let certificate = response.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| info.peer_certificate());
    let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    Ok(Look {
        status: response.status().as_u16(),
        date: date.and_then(|date| httpdate::parse_http_date(date).ok()),
        certificate: certificate.map(<[u8]>::to_vec),
    })
}

fn failed(error: reqwest::Error) -> LookError {
    let mut text = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        text.push(error.to_string());
        cause = error.source();
    }
    // The library of TLS is not ours to name types of, so its words have to do.
    let of_tls =
        |text: &String| ["certificate", "tls", "handshake"].iter().any(|word| text.to_lowercase().contains(word));
    let last = text.last().cloned().unwrap_or_default();
    if error.is_connect() && text.iter().any(of_tls) { LookError::Tls(last) } else { LookError::Silent(last) }
}
