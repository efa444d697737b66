use std::fs;
use std::time::{Duration, SystemTime};

use super::*;

#[test]
fn every_role_of_a_fresh_deployment_loads() {
    let home = tempfile::tempdir().unwrap();
    let deployment = CertificateFolder::generate(home.path()).unwrap();
    for role in Role::ALL {
        assert_eq!(Endpoint::load(role, &deployment.identity(role)).unwrap().role(), role);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(deployment.identity(role).key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
    // The authority's key is not written, and a second deployment does not replace the first.
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 9);
    let key = fs::read(deployment.identity(Role::Dealer).key).unwrap();
    let error = CertificateFolder::generate(home.path()).unwrap_err();
    assert!(matches!(error, IdentityError::Exists { .. }), "{error}");
    let says = error.to_string();
    assert!(
        says.contains("already holds keys") && says.contains("server0.key") && !says.contains("may write"),
        "{says}"
    );
    assert_eq!(fs::read(deployment.identity(Role::Dealer).key).unwrap(), key);
    // One existing file is enough to refuse.
    fs::remove_file(deployment.authority()).unwrap();
    assert!(matches!(CertificateFolder::generate(home.path()), Err(IdentityError::Exists { .. })));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 8);
}

#[test]
fn mistakes_are_named_at_load() {
    let home = tempfile::tempdir().unwrap();
    let deployment = CertificateFolder::generate(home.path()).unwrap();
    let other = CertificateFolder::generate(&home.path().join("other")).unwrap();
    let good = deployment.identity(Role::Server0);

    let missing = IdentityFiles { certificate: home.path().join("nowhere.pem"), ..good.clone() };
    let error = Endpoint::load(Role::Server0, &missing).unwrap_err();
    assert!(matches!(error, IdentityError::Read { .. }), "{error}");
    assert!(error.to_string().contains("nowhere.pem") && error.to_string().contains("check the path"));

    let error = Endpoint::load(Role::Server1, &good).unwrap_err();
    assert!(matches!(error, IdentityError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("server1"), "{error}");

    let foreign = IdentityFiles { authority: other.authority(), ..good.clone() };
    assert!(matches!(Endpoint::load(Role::Server0, &foreign), Err(IdentityError::Rejected { .. })));

    let swapped = IdentityFiles { key: deployment.identity(Role::Dealer).key, ..good.clone() };
    assert!(matches!(Endpoint::load(Role::Server0, &swapped), Err(IdentityError::Key { .. })));

    let garbage = home.path().join("garbage.pem");
    fs::write(&garbage, "-----BEGIN PRIVATE KEY-----\nhush-hush\n").unwrap();
    let error = Endpoint::load(Role::Server0, &IdentityFiles { key: garbage, ..good }).unwrap_err();
    assert!(matches!(error, IdentityError::NotPem { .. }));
    assert!(!format!("{error} {error:?}").contains("hush"), "a key file's content leaked");
}

#[test]
fn an_expired_certificate_says_so() {
    let home = tempfile::tempdir().unwrap();
    let past = SystemTime::now() - Duration::from_secs(10 * 24 * 3600);
    let deployment = CertificateFolder::generate_for(home.path(), past, Duration::from_secs(24 * 3600)).unwrap();
    let error = Endpoint::load(Role::Client, &deployment.identity(Role::Client)).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("expired"), "{error}");
}
