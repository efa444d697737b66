//! Shares of two splits never meet, whichever file is replaced and whoever is restarted; and what a folder holds is not
//! replaced unasked.

use crate::harness::{self, Fleet, Ran, command, run, small_bundle};
use blindroute_protocol::Party;
use blindroute_routing::bundle::container::{self, Section};
use blindroute_routing::bundle::{Bundle, Matrix, PublicPart, ShareFile};
use blindroute_runtime::Role;
use std::ffi::OsStr;
use std::path::Path;

const PROMPT: &str = "What is the capital of France?";
const PARTIES: [(Party, Role, Role); 2] =
    [(Party::Zero, Role::Server0, Role::Server1), (Party::One, Role::Server1, Role::Server0)];

fn split(bundle: &Path, out: &Path, more: &[&str]) -> Ran {
    let mut arguments: Vec<&OsStr> =
        vec!["bundle".as_ref(), "split".as_ref(), "--bundle".as_ref(), bundle.as_ref(), "--out".as_ref(), out.as_ref()];
    arguments.extend(more.iter().map(AsRef::<OsStr>::as_ref));
    run(&arguments)
}

/// This share with a header of that one: as if the public digest were the same.
fn disguised(share: &[u8], header: &[u8]) -> Vec<u8> {
    let kind = "router-share";
    let (share, header) = (container::read(share, kind).unwrap(), container::read(header, kind).unwrap());
    let sections: Vec<Section<'_>> = share.sections().to_vec();
    container::write(kind, header.header(), &sections).unwrap()
}

#[test]
fn case_43_a_replaced_share_is_refused_at_the_next_set_up_and_named() {
    let mut fleet = Fleet::new(10.0);
    let folder = fleet.home.path().join("bundle");
    let other = fleet.home.path().join("other");
    assert_eq!(split(&fleet.home.path().join("small.blindroute"), &other, &[]).code, Some(0));
    let digest = |folder: &Path| PublicPart::open(&folder.join("public.bin")).unwrap().digest.to_string();
    let digests = [digest(&folder), digest(&other)];
    fleet.start_all();
    assert!(fleet.route(PROMPT).json()["model"].is_string());
    for (party, role, restarted) in PARTIES {
        let name = format!("share{}.bin", party.index());
        let path = folder.join(&name);
        let own = std::fs::read(&path).unwrap();
        let foreign = std::fs::read(other.join(&name)).unwrap();
        let twin = std::fs::read(folder.join(format!("share{}.bin", 1 - party.index()))).unwrap();
        for (bytes, says) in [
            (foreign.clone(), "different splits"),
            (disguised(&foreign, &own), "not the one that the split made"),
            (twin, "give each server its own share file"),
        ] {
            // In place, under the running server. The other one is restarted with its old files, so both set up again
            // under the dealer's living epoch.
            std::fs::write(&path, &bytes).unwrap();
            fleet.kill(restarted);
            fleet.start(restarted);
            let before = fleet.log(role).len();
            for router in ["uniroute", "cscr"] {
                let configuration = fleet.configuration(Role::Client);
                let ran = run(&[
                    "route".as_ref(),
                    PROMPT.as_ref(),
                    "--router".as_ref(),
                    router.as_ref(),
                    "--config".as_ref(),
                    configuration.as_os_str(),
                ]);
                let error = ran.error();
                assert!(error.contains(&format!("{role} gave up")) && error.contains("changed while"), "{error}");
                assert!(!error.contains("lambda"), "λ is not to blame: {error}");
                // A client hears no path of an operator's machine.
                assert!(!error.contains(&*folder.to_string_lossy()), "{error}");
            }
            let log = fleet.log(role).split_off(before);
            assert!(log.contains(says) && log.contains(&*path.to_string_lossy()), "{says}: {log}");
            if says == "different splits" {
                assert!(digests.iter().all(|digest| log.contains(digest)), "{digests:?}: {log}");
            }
        }
        // The right file is back: nobody has to restart.
        std::fs::write(&path, own).unwrap();
        assert!(fleet.route(PROMPT).json()["model"].is_string());
    }
}

#[test]
fn case_43_servers_that_are_restarted_with_another_split_do_not_get_the_dealers_mask() {
    let mut fleet = Fleet::new(10.0);
    let other = fleet.home.path().join("other");
    assert_eq!(split(&fleet.home.path().join("small.blindroute"), &other, &[]).code, Some(0));
    fleet.start_all();
    assert!(fleet.route(PROMPT).json()["model"].is_string());
    for role in [Role::Server0, Role::Server1, Role::Client] {
        fleet.reconfigure(role, "\"bundle/", "\"other/");
    }
    for role in [Role::Server0, Role::Server1] {
        fleet.kill(role);
        fleet.start(role);
    }
    // All agree but the dealer, whose epoch lives.
    let ran = fleet.route(PROMPT);
    assert!(ran.error().contains("does not hold this version"), "{}", ran.stderr);
    assert!(fleet.log(Role::Dealer).contains("asked for version"), "{}", fleet.log(Role::Dealer));
    // With the dealer's new life comes a new epoch.
    fleet.reconfigure(Role::Dealer, "\"bundle/", "\"other/");
    fleet.kill(Role::Dealer);
    fleet.start(Role::Dealer);
    assert!(fleet.route(PROMPT).json()["model"].is_string());
}

#[test]
fn an_encoder_of_the_same_shape_with_other_tables_is_not_the_servers() {
    let fleet = Fleet::new(3.0);
    let own = fleet.home.path().join("small.blindroute");
    let other = fleet.home.path().join("other.blindroute");
    let mut parts = Bundle::open(&own).unwrap().bundle.into_parts();
    let words = parts.embedding.token.clone();
    parts.embedding.token = Matrix::from_fn(words.rows(), words.columns(), |row, column| -words.row(row)[column]);
    std::fs::write(&other, Bundle::new(parts).unwrap().write().unwrap()).unwrap();
    let configuration = fleet.configuration(Role::Client);
    for (bundle, says) in [(own, "cannot reach server0"), (other, "not the one that the servers' public part")] {
        let mut arguments: Vec<&OsStr> =
            ["route", PROMPT, "--retry", "0", "--placement", "head", "--bundle"].map(AsRef::as_ref).to_vec();
        arguments.extend([bundle.as_os_str(), "--config".as_ref(), configuration.as_os_str()]);
        let ran = run(&arguments);
        assert!(ran.error().contains(says), "{}", ran.stderr);
    }
}

/// What a folder's files hold, by name.
fn held(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = harness::entries(folder);
    names.sort();
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn a_split_replaces_another_only_when_told_to_and_keeps_shares_to_their_owner() {
    let home = tempfile::tempdir().unwrap();
    let bundle = small_bundle(home.path());
    // A folder that is there already, with something else in it.
    let out = home.path().join("deployment");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("server0.toml"), b"mine").unwrap();
    assert_eq!(split(&bundle, &out, &[]).code, Some(0));
    let first = held(&out);
    assert_eq!(first.len(), 4);
    let again = split(&bundle, &out, &[]);
    for part in ["already holds a split", "share0.bin, share1.bin, public.bin", "--out", "--force"] {
        assert!(again.error().contains(part), "{part}: {}", again.stderr);
    }
    assert!(held(&out) == first, "a refusal changes nothing");
    // A share alone is reason enough, and so is one that others may read.
    std::fs::remove_file(out.join("public.bin")).unwrap();
    std::fs::remove_file(out.join("share1.bin")).unwrap();
    assert!(split(&bundle, &out, &[]).error().contains("(share0.bin)"));
    #[cfg(unix)]
    std::fs::set_permissions(out.join("share0.bin"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(split(&bundle, &out, &["--force"]).code, Some(0));
    let second = held(&out);
    let names: Vec<&str> = second.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["public.bin", "server0.toml", "share0.bin", "share1.bin"]);
    for (old, new) in first.iter().zip(&second) {
        assert_eq!(old == new, new.0 == "server0.toml", "{}", new.0);
    }
    let public = PublicPart::open(&out.join("public.bin")).unwrap();
    for party in [Party::Zero, Party::One] {
        let path = out.join(format!("share{}.bin", party.index()));
        ShareFile::open(&path, &public.expected_share(party)).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn certificates_that_exist_are_kept_and_named() {
    let home = tempfile::tempdir().unwrap();
    let make = || {
        let mut command = command(&["certificates", "--out", "keys"]);
        command.current_dir(home.path());
        harness::run_within(std::time::Duration::from_secs(60), command, b"")
    };
    assert_eq!(make().code, Some(0));
    let before = held(&home.path().join("keys"));
    let again = make();
    for part in ["already holds keys and certificates", "server0.key", "authority.pem", "another folder"] {
        assert!(again.error().contains(part), "{part}: {}", again.stderr);
    }
    assert!(!again.stderr.contains("may write"), "{}", again.stderr);
    assert!(held(&home.path().join("keys")) == before);
}
