//! The manifest of a role: what the other operators have to know, signed by the operator's authority.

use super::marks::Marks;
use anyhow::{Context, bail};
use blindroute_runtime::messages::{OLDEST_VERSION, Spoken, VERSION};
use blindroute_runtime::sealing::SealingPublicKey;
use blindroute_runtime::{Authority, AuthorityCertificate, Role};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FORMAT: u32 = 1;
/// A manifest has two certificates at most and a few addresses.
const LIMIT: u64 = 1 << 20;

/// What is signed: these bytes, exactly as they stand in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    format: u32,
    pub(super) role: String,
    /// The operator's name, for people.
    pub(super) name: String,
    /// Where others call the role, each "host:port".
    pub(super) addresses: Vec<String>,
    /// The certificates of its authority, the newest first, in PEM form.
    pub(super) authorities: Vec<String>,
    /// The key to which the provider seals a server's share.
    pub(super) sealing_key: Option<String>,
    program: String,
    protocol: u16,
    pub(super) marks: Marks,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    content: String,
    /// By each of the authorities, in their order, in hexadecimal digits.
    signatures: Vec<String>,
}

/// A manifest whose signatures were verified.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub(super) role: Role,
    pub(super) content: Content,
    pub(super) authorities: Vec<AuthorityCertificate>,
}

impl Content {
    pub(super) fn new(role: Role, name: String, addresses: Vec<String>, marks: Marks) -> Self {
        Self {
            format: FORMAT,
            role: role.name().to_owned(),
            name,
            addresses,
            authorities: Vec::new(),
            sealing_key: None,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: VERSION,
            marks,
        }
    }

    /// The text of the file, signed by all of these authorities, the newest first.
    pub(super) fn signed(mut self, authorities: &[&Authority]) -> anyhow::Result<String> {
        self.authorities = authorities.iter().map(|authority| authority.certificate().to_owned()).collect();
        (self.program, self.protocol) = (env!("CARGO_PKG_VERSION").to_owned(), VERSION);
        let content = serde_json::to_string(&self)?;
        let sign =
            |authority: &&Authority| anyhow::Ok(base16ct::lower::encode_string(&authority.sign(content.as_bytes())?));
        let signatures = authorities.iter().map(sign).collect::<anyhow::Result<_>>()?;
        Ok(serde_json::to_string_pretty(&Signed { content, signatures })? + "\n")
    }
}

impl Manifest {
    /// Reads a manifest and verifies its signatures. Whether its authority is the right one is for people to compare.
    ///
    /// # Errors
    /// If it is no manifest, of another version, or altered.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("cannot read the manifest {}; check the path", path.display());
        let length = std::fs::metadata(path).with_context(reading)?.len();
        if length > LIMIT {
            bail!("{} has {length} bytes, and a manifest at most {LIMIT}; it is another file", path.display());
        }
        let text = std::fs::read_to_string(path).with_context(reading)?;
        Self::read(&text).with_context(|| format!("the manifest {}", path.display()))
    }

    fn read(text: &str) -> anyhow::Result<Self> {
        let Ok(Signed { content, signatures }) = serde_json::from_str(text) else {
            bail!("it is not a manifest; expected the file manifest.json that `init` made");
        };
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let format = serde_json::from_str::<Format>(&content).map_or(0, |stated| stated.format);
        if format != FORMAT {
            bail!("its format is {format}, expected {FORMAT}; both operators have to run the same version");
        }
        let parsed: Content =
            serde_json::from_str(&content).map_err(|error| anyhow::anyhow!("its content has another form: {error}"))?;
        let authorities = AuthorityCertificate::read(&parsed.authorities.concat())?;
        let signed = authorities.len() == signatures.len()
            && authorities.len() == parsed.authorities.len()
            && authorities.iter().zip(&signatures).all(|(authority, signature)| {
                base16ct::mixed::decode_vec(signature)
                    .is_ok_and(|signature| authority.signed(content.as_bytes(), &signature))
            });
        if !signed {
            bail!("its signature is wrong: it was altered after it was signed; get it from its operator again");
        }
        // That of an operator who has not upgraded yet will do.
        if !(OLDEST_VERSION..=VERSION).contains(&parsed.protocol) {
            bail!(
                "{} has version {} of the messages (program {}), and this program speaks {}; update the older program",
                parsed.role,
                parsed.protocol,
                parsed.program,
                Spoken::OURS
            );
        }
        let role: Role = parsed.role.parse()?;
        let printable = parsed.addresses.iter().chain([&parsed.name]).all(|text| !text.contains(char::is_control));
        if role == Role::Client || parsed.addresses.is_empty() || !printable {
            bail!("it is for no role with an address; expected server0, server1 or dealer");
        }
        parsed.addresses.iter().try_for_each(|address| check_address(address).map(|_| ()))?;
        if let Some(key) = &parsed.sealing_key {
            SealingPublicKey::parse(key)?;
        } else if role.party().is_some() {
            bail!("it is for {role} and holds no key for its share; make it again with `init`");
        }
        Ok(Self { role, content: parsed, authorities })
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The key to which the provider seals the role's share.
    ///
    /// # Errors
    /// If the role has no share.
    pub fn sealing_key(&self) -> anyhow::Result<SealingPublicKey> {
        let key = self.content.sealing_key.as_deref().context("the manifest of the dealer, who has no share")?;
        Ok(SealingPublicKey::parse(key)?)
    }

    /// The fingerprints of its authorities, the newest first.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.authorities.iter().map(AuthorityCertificate::fingerprint).collect()
    }

    /// Where it is called, for a configuration.
    pub(super) fn address(&self) -> String {
        self.content.addresses.join(", ")
    }

    /// Its authorities' certificates, as one file.
    pub(super) fn pem(&self) -> String {
        self.authorities.iter().map(AuthorityCertificate::pem).collect()
    }

    /// The role and its operator, for people.
    pub(super) fn titled(&self) -> String {
        format!("{} ({})", self.role, self.content.name)
    }
}

/// The port of an address.
pub(super) fn check_address(address: &str) -> anyhow::Result<u16> {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains([',', ' ', '"']));
    parts.and_then(|(_, port)| port.parse().ok()).filter(|port| *port != 0).with_context(|| {
        format!(
            "{address:?} is not an address; expected HOST:PORT, for instance server0.example:4100 or [2001:db8::1]:4100"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(authority: &Authority) -> String {
        let mut content =
            Content::new(Role::Server0, "one".to_owned(), vec!["a.example:1".to_owned()], Marks::default());
        content.sealing_key = Some(blindroute_runtime::sealing::SealingKey::generate().public().to_string());
        content.signed(&[authority]).unwrap()
    }

    #[test]
    fn a_manifest_that_was_altered_is_refused() {
        let (authority, other) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        let text = content(&authority);
        let read = Manifest::read(&text).unwrap();
        assert_eq!((read.role(), read.address().as_str()), (Role::Server0, "a.example:1"));
        assert_eq!(read.fingerprints()[0].split(' ').count(), 16);
        for (from, to) in [("a.example:1", "b.example:1"), ("server0", "server1"), ("\\\"one\\\"", "\\\"two\\\"")] {
            let error = Manifest::read(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains("altered"), "{from}: {error}");
        }
        // Another authority's certificate in the place of the one that signed.
        let escaped = |authority: &Authority| authority.certificate().replace('\n', "\\\\n");
        let swapped = text.replace(&escaped(&authority), &escaped(&other));
        assert_ne!(swapped, text);
        assert!(Manifest::read(&swapped).unwrap_err().to_string().contains("altered"));
        let unsigned = Manifest::read(&format!("{{\"content\": {:?}, \"signatures\": []}}", "{\"format\":1}"));
        assert!(unsigned.is_err());
        let newer = text.replace("\\\"format\\\":1", "\\\"format\\\":2");
        assert!(Manifest::read(&newer).unwrap_err().to_string().contains("format is 2, expected 1"));
        assert!(Manifest::read("{}").unwrap_err().to_string().contains("not a manifest"));
    }

    #[test]
    fn addresses_are_names_and_both_kinds_of_numbers() {
        for good in ["a.example:1", "10.0.0.1:4100", "[2001:db8::1]:4100"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["", "a", ":1", "a:0", "a:70000", "a b:1", "a,b:1"] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
