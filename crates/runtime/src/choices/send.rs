//! The client: one report to both servers.

use super::ChoicesError;
use crate::identity::Endpoint;
use crate::link::{Link, Timeouts};
use crate::messages::{ChoiceReport, ChoiceReportTaken, Digest, ReportId};
use crate::role::Role;
use blindroute_reports::{Histogram, Report};

/// What is reported: the place of a model among those of a deployment.
#[derive(Clone, Copy)]
pub struct Chosen {
    /// The digest of the deployment.
    pub deployment: Digest,
    /// How many models it has.
    pub models: usize,
    /// The place of the one that was chosen.
    pub place: usize,
}

impl std::fmt::Debug for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Chosen(..)")
    }
}

/// Sends a fresh report to the servers at these addresses, over links of its own. Server 0 gets its share first, since server 1 calls it
/// as soon as it has the other one. When it returns, both have taken their shares. Whether the report is counted, nobody is told.
///
/// # Errors
/// If a server cannot be reached, or takes no report.
pub fn send(
    chosen: &Chosen,
    addresses: &[String; 2],
    endpoint: &Endpoint,
    timeouts: &Timeouts,
) -> Result<(), ChoicesError> {
    let (report, deployment) = (ReportId::generate()?, chosen.deployment);
    let histogram = Histogram::new(chosen.models)?;
    let Report { public, shares } = histogram.report(&deployment.0, &report.0, chosen.place)?;
    for ((role, address), share) in [Role::Server0, Role::Server1].into_iter().zip(addresses).zip(shares) {
        let mut link = Link::connect(address, endpoint, role, timeouts)?;
        let (version, token) = (link.version(), endpoint.token(role));
        link.send_message(&ChoiceReport { version, report, deployment, public: public.clone(), share, token })?;
        let taken: ChoiceReportTaken = link.receive_message()?;
        if taken.report != report {
            let found = "that it took another report".to_owned();
            return Err(ChoicesError::Order { found, expected: "that it took this one" });
        }
        link.close();
    }
    Ok(())
}
