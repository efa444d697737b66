//! `init`: an operator's own authority and keys, and its manifest.

use super::folder::{AUTHORITY, AUTHORITY_KEY, LOCAL, Local, MANIFEST, SEALING_KEY};
use super::manifest::{Content, Manifest, check_address};
use super::marks::Marks;
use anyhow::bail;
use blindroute_console::files::print;
use blindroute_runtime::sealing::SealingKey;
use blindroute_runtime::{Authority, Existing, NewFile, Role, write_together};
use clap::Args;
use std::path::PathBuf;

/// Make an operator's own authority, keys, and the manifest for the other operators.
///
/// The folder holds private keys and stays with the operator. The manifest in it goes to the other operators, the provider and, of
/// servers, to clients. Compare the fingerprint with them by another way than the one by which the manifest went.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The role that this operator runs: server0, server1 or dealer
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Where others call it: a name, an IPv4 or an IPv6 address, with the port; several times if there are several
    #[arg(long, value_name = "HOST:PORT", required = true)]
    address: Vec<String>,
    /// Where it listens; all addresses of the machine and the first address's port if it is not given
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The operator's name, for people
    #[arg(long, value_name = "TEXT", default_value = "unnamed")]
    name: String,
    /// The account at a provider of machines, from which a mark is made, so that two roles in one account are noticed
    #[arg(long, value_name = "TEXT")]
    cloud_account: Option<String>,
    /// A copy of the file /etc/machine-id of the machine that will run the role, if it is another than this one
    #[arg(long, value_name = "FILE")]
    machine_id: Option<PathBuf>,
    /// Folder to make
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InitArgs) -> anyhow::Result<()> {
    let role = args.role;
    if role == Role::Client {
        bail!("clients have no authority of their own; make a client's certificate with `client-certificate`");
    }
    let ports = args.address.iter().map(|address| check_address(address)).collect::<anyhow::Result<Vec<u16>>>()?;
    let listen = args.listen.clone().unwrap_or_else(|| format!("0.0.0.0:{}", ports[0]));
    if args.name.contains(char::is_control) {
        bail!("the operator's name holds a control character; give it as plain text");
    }
    let marks = Marks::of(args.machine_id.as_deref(), args.cloud_account.as_deref())?;
    let authority = Authority::generate()?;
    let issued = authority.issue(role, role.certificate_name())?;
    let sealing = role.party().map(|_| SealingKey::generate());
    let mut content = Content::new(role, args.name.clone(), args.address.clone(), marks);
    content.sealing_key = sealing.as_ref().map(|key| key.public().to_string());
    let manifest = content.signed(&[&authority])?;

    let (key, sealing) = (authority.key(), sealing.map(|key| key.text()));
    let local = serde_json::to_string(&Local { listen })?;
    let [role_key, role_certificate] = [format!("{role}.key"), format!("{role}.pem")];
    let mut files = vec![
        NewFile { name: AUTHORITY_KEY, content: key.as_bytes(), private: true },
        NewFile { name: &role_key, content: issued.key.as_bytes(), private: true },
        NewFile { name: AUTHORITY, content: authority.certificate().as_bytes(), private: false },
        NewFile { name: &role_certificate, content: issued.certificate.as_bytes(), private: false },
        NewFile { name: LOCAL, content: local.as_bytes(), private: false },
    ];
    files.extend(sealing.iter().map(|text| NewFile { name: SEALING_KEY, content: text.as_bytes(), private: true }));
    // Last: without it the folder is of no use.
    files.push(NewFile { name: MANIFEST, content: manifest.as_bytes(), private: false });
    write_together(&args.out, &files, Existing::Refuse)?;

    let path = args.out.join(MANIFEST);
    let fingerprints = Manifest::open(&path)?.fingerprints();
    eprintln!(
        "Give {} to the other operators and the provider, and read the fingerprint out to them. Keep everything else. {} makes \
         certificates: move it to a place off this machine, and bring it back to renew.",
        path.display(),
        args.out.join(AUTHORITY_KEY).display()
    );
    if args.json {
        return print(
            &serde_json::json!({"role": role.name(), "manifest": path, "fingerprints": fingerprints}).to_string(),
        );
    }
    print(&format!("{}\n{}", path.display(), fingerprints.join("\n")))
}
