//! Inputs that fuzzers found: the repository keeps a few of them, those that reach most of the code together. One file per target, with a
//! line of hexadecimal digits per input.

use blindroute_fuzzing::ALL;
use std::io;
use std::path::{Path, PathBuf};

/// What a target's file holds at most, in bytes of inputs. The smallest ones are kept.
const BYTES: usize = 24 << 10;

fn file(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/kept").join(format!("{target}.hex"))
}

/// All inputs that are kept, by the name of the function that reads them.
///
/// # Errors
/// If a file cannot be read, or is not one of hexadecimal digits.
pub fn kept() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut all = Vec::new();
    for (target, _) in ALL {
        let written =
            std::fs::read_to_string(file(target)).map_err(|error| io::Error::other(format!("{target}: {error}")))?;
        for (number, line) in written.lines().enumerate() {
            let bytes = from_hex(line);
            let bytes = bytes.ok_or_else(|| io::Error::other(format!("{target}, line {}: no bytes", number + 1)))?;
            all.push((target, bytes));
        }
    }
    Ok(all)
}

/// Keeps the smallest of these inputs for a target, in the place of those that were kept. Says how many.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(target: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<usize> {
    inputs.sort_unstable_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    let mut sum = 0;
    let fits = |input: &Vec<u8>| {
        sum += input.len();
        sum <= BYTES
    };
    // Fuzzers write what they see compared into inputs, such as where this machine has its temporary files.
    let temporary = std::env::temp_dir().into_os_string().into_encoded_bytes();
    let of_this_machine = |input: &Vec<u8>| input.windows(temporary.len()).any(|part| part == temporary);
    let smallest = inputs.into_iter().filter(|input| !input.is_empty() && !of_this_machine(input)).take_while(fits);
    let lines: Vec<String> = smallest.map(|input| base16ct::lower::encode_string(&input) + "\n").collect();
    std::fs::write(file(target), lines.concat())?;
    Ok(lines.len())
}

fn from_hex(line: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(line).ok().filter(|bytes| !bytes.is_empty())
}
