//! Results: on stdout, and in files that are whole or not there.

use crate::terminal::plain;
use anyhow::Context;
use blindroute_routing::bundle::Bundle;
use std::io::Write;
use std::path::Path;

/// One answer on stdout.
pub fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{}", plain(text)).context("could not write to stdout")
}

/// An error if this file surely cannot be written, before the work begins.
pub fn check_out(path: &Path) -> anyhow::Result<()> {
    if !folder_of(path).is_dir() || path.is_dir() {
        anyhow::bail!("could not write {}; name a file in a folder that can be written", path.display());
    }
    Ok(())
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a bundle, see [`write_file`].
pub fn write_bundle(bundle: &Bundle, path: &Path) -> anyhow::Result<usize> {
    let bytes = bundle.write()?;
    write_file(&bytes, path)?;
    Ok(bytes.len())
}

/// Writes a file through a temporary one beside it, so that a half-written file never has its name. An existing file is
/// replaced, and its permissions are kept.
pub fn write_file(bytes: &[u8], path: &Path) -> anyhow::Result<()> {
    let context = || format!("could not write {}; name a file in a folder that can be written", path.display());
    // Through a link, the file behind it is the one to replace.
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut builder = tempfile::Builder::new();
    // Like any other output: the user's umask decides who reads it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder_of(&target)).with_context(context)?;
    if let Ok(old) = std::fs::metadata(&target) {
        file.as_file().set_permissions(old.permissions()).with_context(context)?;
    }
    file.write_all(bytes).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(&target).with_context(context)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_and_stays_as_private_as_it_was() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
        let home = tempfile::tempdir().unwrap();
        let (path, link) = (home.path().join("out"), home.path().join("link"));
        write_file(b"old", &path).unwrap();
        let reader = std::fs::File::open(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_file(b"newer", &link).unwrap();
        assert!(link.is_symlink() && std::fs::read(&path).unwrap() == b"newer");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        // Whoever has the old file open still reads all of it.
        assert_eq!(std::io::read_to_string(reader).unwrap(), "old");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2, "no temporary file stays");
    }
}
