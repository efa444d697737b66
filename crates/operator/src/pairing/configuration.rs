//! The configurations that pairing writes.

use super::folder::{AUTHORITY, Local, SEALING_KEY};
use super::manifest::Manifest;
use super::pins;
use blindroute_runtime::Role;

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What a manifest says of a role that is called.
fn address(field: &str, manifest: &Manifest) -> String {
    format!("{field} = {}\n", quoted(&manifest.address()))
}

/// The configuration of the role of `own`, which trusts the peers' authorities for their roles alone.
pub(super) fn of_role(own: &Manifest, local: &Local, peers: &[&Manifest], development: bool) -> String {
    let role = own.role;
    let mut text = format!("# {role} of {}, written by `pair`.\n", own.content.name.replace('\n', " "));
    if let Some(party) = role.party() {
        text += &format!("party = {party}\nshare = \"share{party}.sealed\"\nsealing_key = {}\n", quoted(SEALING_KEY));
    }
    text += &format!("listen = {}\nbundle = \"public.bin\"\nstate = \"state\"\n", quoted(&local.listen));
    for peer in peers {
        match (role, peer.role) {
            (Role::Server0 | Role::Server1, Role::Dealer) => text += &address("dealer", peer),
            (Role::Server1, Role::Server0) => text += &address("peer", peer),
            _ => {}
        }
    }
    if development {
        text += "# Roles share what they must not share: this deployment protects no prompt.\ndevelopment = true\n";
    }
    text += &identity(AUTHORITY, role);
    for peer in peers {
        text += &format!("{} = {}\n", peer.role, quoted(&pins::name(peer)));
    }
    if role.party().is_some() {
        let others = peers.iter().filter(|peer| peer.role.party().is_some()).map(|peer| pins::name(peer));
        text += &clients(std::iter::once(AUTHORITY.to_owned()).chain(others));
    }
    text
}

/// The configuration of a client of these two servers.
pub(super) fn of_client(servers: &[&Manifest]) -> String {
    let mut text = "# A client, written by `client-config`.\nbundle = \"public.bin\"\n".to_owned();
    for server in servers {
        text += &address(server.role.name(), server);
    }
    let names: Vec<String> = servers.iter().map(|server| pins::name(server)).collect();
    text += &identity(&names[0], Role::Client);
    for server in servers {
        text += &format!("{} = {}\n", server.role, quoted(&pins::name(server)));
    }
    text += &clients(names.into_iter());
    // Dealing for 256 tokens over a slow link takes a while.
    text + "\n[timeouts]\nstall_seconds = 60.0\n"
}

fn identity(authority: &str, role: Role) -> String {
    format!(
        "\n[identity]\nauthority = {}\ncertificate = \"{role}.pem\"\nkey = \"{role}.key\"\n\n[identity.authorities]\n",
        quoted(authority)
    )
}

/// Clients' certificates may be of either server's operator.
fn clients(files: impl Iterator<Item = String>) -> String {
    format!("client = [{}]\n", files.map(|file| quoted(&file)).collect::<Vec<_>>().join(", "))
}
