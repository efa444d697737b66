//! What server 1 has both servers store, as its configuration says.

use super::HostError;
use crate::catalogue::BundleCatalogue;
use blindroute_routing::program::{SessionRequest, Task};
use blindroute_runtime::Catalogue as _;
use blindroute_runtime::config::{KeepConfig, StoreConfig};
use blindroute_runtime::session::{FillPlan, Wanted};

/// What is stored of each version of the bundle, and when.
///
/// # Errors
/// If the version of this catalogue has no such request.
pub(super) fn plan(store: StoreConfig, catalogue: &BundleCatalogue) -> Result<FillPlan<BundleCatalogue>, HostError> {
    for (place, keep) in store.keep.iter().enumerate() {
        let found = wanted(keep, catalogue);
        found.map_err(|problem| HostError::Keep { number: place + 1, problem })?;
    }
    let (hours, keep) = (store.hours, store.keep);
    // Another version may have other routers; what it has not is left out.
    let wanted =
        move |catalogue: &BundleCatalogue| keep.iter().filter_map(|keep| wanted(keep, catalogue).ok()).collect();
    Ok(FillPlan { wanted: Box::new(wanted), hours })
}

/// The sessions of a table.
fn wanted(keep: &KeepConfig, catalogue: &BundleCatalogue) -> Result<Wanted, String> {
    let request = match &keep.request {
        Some(request) => request.clone().into_bytes(),
        None => BundleCatalogue::encode(route(keep, catalogue)?),
    };
    catalogue.resolve(&request).and_then(|resolved| catalogue.program(&resolved))?;
    Ok(Wanted { request, count: keep.count })
}

fn route(keep: &KeepConfig, catalogue: &BundleCatalogue) -> Result<SessionRequest, String> {
    let KeepConfig { router, bucket, ranked, prompts, .. } = keep;
    let router = catalogue.router(router.as_deref())?;
    let task = bucket.map_or(Task::head(router), |bucket| Task::route(router, bucket));
    Ok(SessionRequest::new(task.with_ranked(ranked.unwrap_or(1))).with_batch(prompts.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::default_bundle;
    use blindroute_routing::bundle::PublicPart;

    fn keep(count: usize) -> KeepConfig {
        KeepConfig { count, router: None, bucket: None, ranked: None, prompts: None, request: None }
    }

    fn store(keep: Vec<KeepConfig>) -> StoreConfig {
        StoreConfig { folder: "store".into(), key: "store.key".into(), bytes: 1 << 30, hours: None, keep }
    }

    #[test]
    fn a_table_names_a_request_as_clients_send_it() {
        let bundle = default_bundle().unwrap();
        let catalogue = BundleCatalogue::of(&PublicPart::unsplit(&bundle));
        let name = bundle.parts().routers[1].name.clone();
        let tables = vec![
            KeepConfig { bucket: Some(64), ..keep(3) },
            keep(4),
            KeepConfig { router: Some(name), bucket: Some(32), ranked: Some(2), prompts: Some(8), ..keep(5) },
            KeepConfig { request: Some(r#"{"task":"route","router":0,"bucket":128}"#.to_owned()), ..keep(6) },
        ];
        let found = (plan(store(tables), &catalogue).unwrap().wanted)(&catalogue);
        let said: Vec<_> =
            found.iter().map(|wanted| (String::from_utf8_lossy(&wanted.request), wanted.count)).collect();
        assert_eq!(
            said.iter().map(|(request, count)| (request.as_ref(), *count)).collect::<Vec<_>>(),
            [
                (r#"{"task":"route","router":0,"bucket":64}"#, 3),
                (r#"{"task":"head","router":0}"#, 4),
                (r#"{"task":"route","router":1,"bucket":32,"ranked":2,"batch":8}"#, 5),
                (r#"{"task":"route","router":0,"bucket":128}"#, 6),
            ]
        );
    }

    /// The request that docs/OPERATOR.md shows.
    fn documented() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/OPERATOR.md");
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("request = '")).unwrap();
        line.strip_suffix('\'').unwrap().to_owned()
    }

    #[test]
    fn a_table_that_names_what_is_not_there_is_refused_by_its_number() {
        let catalogue = BundleCatalogue::of(&PublicPart::unsplit(&default_bundle().unwrap()));
        for (wrong, said) in [
            (KeepConfig { router: Some("magic".to_owned()), ..keep(1) }, "no router `magic`"),
            (KeepConfig { bucket: Some(33), ..keep(1) }, "33"),
            (KeepConfig { request: Some("{}".to_owned()), ..keep(1) }, "not a task"),
            // The one of docs/OPERATOR.md, for a bundle with classifiers.
            (KeepConfig { request: Some(documented()), ..keep(1) }, "no pool"),
            (KeepConfig { request: Some(r#"{"task":"embed","bucket":32}"#.to_owned()), ..keep(1) }, "measurements"),
        ] {
            let error = plan(store(vec![keep(1), wrong]), &catalogue).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("[[store.keep]] number 2: ") && error.contains(said), "{error}");
        }
    }
}
