//! `certificates`: an authority, and one certificate per role.

use blindroute_runtime::CertificateFolder;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Make certificates for a deployment.
#[derive(Debug, Args)]
pub struct CertificatesArgs {
    /// Folder for the authority's certificate, and the certificate and key per role
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the certificates and prints the folder.
pub fn run(args: &CertificatesArgs) -> anyhow::Result<()> {
    CertificateFolder::generate(&args.out)?;
    eprintln!("Give each party the authority's certificate, its own certificate and its own key, and no other file.");
    Ok(writeln!(std::io::stdout(), "{}", args.out.display())?)
}
