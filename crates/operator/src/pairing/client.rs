//! `client-config` and `client-certificate`: what a client needs.

use super::folder::Folder;
use super::manifest::Manifest;
use super::pair::OthersArgs;
use super::{configuration, pins, together};
use anyhow::bail;
use blindroute_console::files::print;
use blindroute_runtime::{Existing, NewFile, Role, write_together};
use clap::Args;
use std::path::PathBuf;

/// Write the configuration of a client from the manifests of both servers.
///
/// The client's certificate and key, client.pem and client.key, come from the operator of either server
/// (`client-certificate`), and public.bin from the provider; put them into the same folder.
#[derive(Debug, Args)]
pub struct ClientConfigArgs {
    #[command(flatten)]
    others: OthersArgs,
    /// Accept servers that share what they must not share, to try it out
    #[arg(long)]
    development: bool,
    /// Folder for client.toml and the servers' authorities
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Make a client's certificate and key under a server operator's authority.
#[derive(Debug, Args)]
pub struct ClientCertificateArgs {
    /// The folder of the operator of a server
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The client's name, which is the certificate's common name
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Folder for client.pem and client.key
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The authority's key, if it is kept elsewhere
    #[arg(long, value_name = "FILE")]
    authority_key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn configure(args: &ClientConfigArgs) -> anyhow::Result<()> {
    let mut manifests = args.others.open()?;
    manifests.sort_by_key(Manifest::role);
    let servers: Vec<&Manifest> = manifests.iter().collect();
    together::check_roles(&servers, &[Role::Server0, Role::Server1])?;
    pins::check(&args.out, &servers, &args.others.fingerprint)?;
    together::check_apart(&servers, args.development)?;
    let text = configuration::of_client(&servers);
    let pinned: Vec<(String, String)> = servers.iter().map(|server| (pins::name(server), server.pem())).collect();
    let mut files: Vec<NewFile<'_>> =
        pinned.iter().map(|(name, pem)| NewFile { name, content: pem.as_bytes(), private: false }).collect();
    files.push(NewFile { name: "client.toml", content: text.as_bytes(), private: false });
    write_together(&args.out, &files, Existing::Replace)?;
    let path = args.out.join("client.toml");
    if args.json {
        return print(&serde_json::json!({"configuration": path}).to_string());
    }
    print(&path.display().to_string())
}

pub(super) fn certify(args: &ClientCertificateArgs) -> anyhow::Result<()> {
    let folder = Folder::open(&args.dir)?;
    if folder.manifest.role.party().is_none() {
        bail!("clients call the servers, not the dealer: their certificates are of the operator of a server");
    }
    if !(1..=64).contains(&args.name.len()) || args.name.contains(char::is_control) {
        bail!("the client's name has to have 1 to 64 bytes and no control character");
    }
    let issued = folder.newest(args.authority_key.as_deref())?.issue(Role::Client, &args.name)?;
    let files = [
        NewFile { name: "client.key", content: issued.key.as_bytes(), private: true },
        NewFile { name: "client.pem", content: issued.certificate.as_bytes(), private: false },
    ];
    write_together(&args.out, &files, Existing::Refuse)?;
    eprintln!("Give both files to {} alone.", args.name);
    if args.json {
        return print(&serde_json::json!({"name": args.name, "folder": args.out}).to_string());
    }
    print(&args.out.display().to_string())
}
