//! Whether bundles and a data set belong together, which is checked before minutes are spent on embeddings.

use super::ComparisonError;
use blindroute_routing::bundle::{Bundle, Model};

/// Checks that a bundle, which errors call by this name, has routers for these models.
///
/// # Errors
/// If it has no router, or its routers are for other models.
pub fn check_pool(bundle: &Bundle, models: &[Model], name: &str) -> Result<(), ComparisonError> {
    let parts = bundle.parts();
    if parts.routers.is_empty() {
        return Err(ComparisonError::NoRouter { bundle: name.to_owned() });
    }
    if parts.models == models {
        return Ok(());
    }
    let names = |models: &[Model]| {
        let first: Vec<&str> = models.iter().take(3).map(|model| model.name.as_str()).collect();
        format!("{} models ({}, …)", models.len(), first.join(", "))
    };
    Err(ComparisonError::OtherModels { bundle: name.to_owned(), found: names(&parts.models), expected: names(models) })
}

/// Checks that for each name some bundle has a router.
///
/// # Errors
/// If no bundle has a router of one of the names.
pub fn check_names<'a>(named: &[String], bundles: impl Iterator<Item = &'a Bundle>) -> Result<(), ComparisonError> {
    let mut known: Vec<&str> = Vec::new();
    for router in bundles.flat_map(|bundle| &bundle.parts().routers) {
        if !known.contains(&router.name.as_str()) {
            known.push(&router.name);
        }
    }
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(ComparisonError::UnknownRouter { name: name.clone(), known: known.join(", ") }),
        None => Ok(()),
    }
}
