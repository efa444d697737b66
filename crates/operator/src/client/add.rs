//! `client add`.

use super::register;
use anyhow::{Context, bail};
use blindroute_runtime::clients::{ClientSecret, Credential, Register, Registration};
use blindroute_runtime::file_set::{self, Existing, NewFile, write_together};
use blindroute_runtime::identity::key_digest_of_pem;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Register a client at this server.
///
/// The first operator names it, and gets a folder with the client's secret, which goes to the client alone, and its registration,
/// which goes to the operator of the other server, who adds it with --registration. With --certificate the client has no secret: it is
/// known by the public key in its certificate.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The client's name, in logs and lists
    #[arg(required_unless_present = "registration", conflicts_with = "registration")]
    name: Option<String>,
    /// Configuration of the server (TOML), which names its register of clients
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How many routes it may ask for in a day (UTC); each text of a batch is one
    #[arg(long, value_name = "N", required_unless_present = "registration", conflicts_with = "registration")]
    routes_per_day: Option<u64>,
    /// How many routes it may ask for in a minute
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "registration")]
    routes_per_minute: u64,
    /// After how many routes in all a warning is logged
    #[arg(long, value_name = "N", default_value_t = 100_000, conflicts_with = "registration")]
    alarm_at: u64,
    /// The client's certificate (PEM), if it is to be known by it
    #[arg(long, value_name = "FILE", conflicts_with = "registration")]
    certificate: Option<PathBuf>,
    /// What the operator of the other server wrote
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    /// Folder for the client's secret and its registration
    #[arg(long, value_name = "DIR", required_unless_present = "registration", conflicts_with = "registration")]
    out: Option<PathBuf>,
}

const SECRET: &str = "client.secret";
const REGISTRATION: &str = "registration.toml";

/// Adds a client to the register, and prints the folder of its files if there are any.
///
/// # Errors
/// The client is there already, or a file cannot be read or written.
pub fn add(args: &AddArgs) -> anyhow::Result<()> {
    let (config, register) = register(&args.config)?;
    if let Some(path) = &args.registration {
        let registration = Registration::load(path)?;
        Register::add(&register, registration.entry(config.role()))?;
        eprintln!("{} may ask this server for {} routes a day.", registration.name, registration.routes_per_day);
        return Ok(());
    }
    let (Some(name), Some(day), Some(out)) = (&args.name, args.routes_per_day, &args.out) else {
        bail!("name the client, its --routes-per-day and a folder with --out, or give a --registration");
    };
    let taken = file_set::taken(out, [SECRET, REGISTRATION]);
    if !taken.is_empty() {
        bail!("{} already holds {}; name another folder with --out", out.display(), taken.join(", "));
    }
    let limits = (day, args.routes_per_minute, args.alarm_at);
    let (registration, secret) = match &args.certificate {
        Some(path) => (of_certificate(name, path, limits)?, None),
        None => {
            let secret = ClientSecret::generate()?;
            (Registration::of_secret(name, &secret, limits), Some(secret.to_line()))
        }
    };
    Register::check_new(&register, &registration.entry(config.role()))?;
    write(out, &registration, secret)?;
    // Last: a client that is registered has its files.
    Register::add(&register, registration.entry(config.role()))?;
    if args.certificate.is_none() {
        eprintln!("{SECRET} goes to the client alone, who names it in its configuration: secret = \"{SECRET}\".");
    }
    eprintln!("{REGISTRATION} goes to the operator of the other server: client add --registration {REGISTRATION}.");
    Ok(writeln!(std::io::stdout(), "{}", out.display())?)
}

fn of_certificate(name: &str, path: &Path, (day, minute, alarm_at): (u64, u64, u64)) -> anyhow::Result<Registration> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let key = key_digest_of_pem(&pem)
        .with_context(|| format!("{} holds no certificate: expected PEM, as in client.pem", path.display()))?;
    let known = Credential::Certificate(key);
    let (name, routes_per_day, routes_per_minute) = (name.to_owned(), day, minute);
    Ok(Registration { name, server0: known, server1: known, routes_per_day, routes_per_minute, alarm_at })
}

fn write(out: &Path, registration: &Registration, secret: Option<Zeroizing<String>>) -> anyhow::Result<()> {
    let text = toml::to_string(registration).context("the registration has no form in TOML; please report this")?;
    let secret = secret.as_ref().map(|secret| NewFile { name: SECRET, content: secret.as_bytes(), private: true });
    let registration = NewFile { name: REGISTRATION, content: text.as_bytes(), private: false };
    let files: Vec<NewFile<'_>> = secret.into_iter().chain([registration]).collect();
    Ok(write_together(out, &files, Existing::Refuse)?)
}
