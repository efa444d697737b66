//! What the roles of one deployment must not share.

use super::manifest::Manifest;
use anyhow::bail;
use blindroute_runtime::Role;

/// Checks that these are the manifests of these roles, each once.
pub(super) fn check_roles(manifests: &[&Manifest], expected: &[Role]) -> anyhow::Result<()> {
    let found: Vec<&str> = manifests.iter().map(|manifest| manifest.role.name()).collect();
    let whole = expected.iter().all(|role| found.iter().filter(|name| **name == role.name()).count() == 1);
    if !whole || found.len() != expected.len() {
        let expected: Vec<&str> = expected.iter().map(|role| role.name()).collect();
        bail!("these are the manifests of {}; expected {}, each once", found.join(", "), expected.join(", "));
    }
    Ok(())
}

/// Refuses roles that share what they must not share, unless it is for development, which is warned of.
pub(super) fn check_apart(manifests: &[&Manifest], development: bool) -> anyhow::Result<()> {
    let shared = shared(manifests);
    if shared.is_empty() {
        return Ok(());
    }
    if !development {
        bail!(
            "{}. Whoever runs both reads every prompt, so each role needs an operator, a machine and keys of its own; to try it \
             out with no protection at all, add --development",
            shared.join("; ")
        );
    }
    eprintln!("WARNING: {}.\nWARNING: This deployment PROTECTS NO PROMPT. Every client is told so.", shared.join("; "));
    Ok(())
}

fn shared(manifests: &[&Manifest]) -> Vec<String> {
    let mut all = Vec::new();
    for (place, one) in manifests.iter().enumerate() {
        for two in &manifests[place + 1..] {
            let mut what = one.content.marks.shared(&two.content.marks);
            if one.authorities.iter().any(|mine| two.authorities.iter().any(|theirs| mine.has_key_of(theirs))) {
                what.push("an authority");
            }
            if one.content.sealing_key.is_some() && one.content.sealing_key == two.content.sealing_key {
                what.push("a key");
            }
            if one.content.addresses.iter().any(|address| two.content.addresses.contains(address)) {
                what.push("an address");
            }
            if !what.is_empty() {
                all.push(format!("{} and {} share {}", one.titled(), two.titled(), what.join(", ")));
            }
        }
    }
    all
}
