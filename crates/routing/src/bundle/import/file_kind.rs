//! Recognising files that people give by mistake in place of the published ones.

use super::error::ImportError;

/// An error if these bytes are clearly not the named file.
pub(super) fn check(file: &'static str, bytes: &[u8]) -> Result<(), ImportError> {
    match other(bytes) {
        Some((found, hint)) => Err(ImportError::OtherFile { file, found, hint }),
        None => Ok(()),
    }
}

/// The kind of file that the first bytes show, and what to do about it.
fn other(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const SAFETENSORS: &str =
        "give the model.safetensors that was published beside it, or save the model as safetensors first";
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let tag = |name: &[u8]| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if bytes.is_empty() {
        return Some(("an empty file", "download it again"));
    }
    if text.starts_with(b"version https://git-lfs.github.com/spec") {
        return Some(("a Git LFS pointer, not the file itself", "run `git lfs pull` where it was cloned"));
    }
    if tag(b"<!doctype") || tag(b"<html") || tag(b"<head") || tag(b"<?xml") {
        return Some(("a web page", "download the file itself: on a model hub, its \"resolve\" or \"download\" link"));
    }
    if bytes.starts_with(b"GGUF") {
        return Some(("a GGUF file", SAFETENSORS));
    }
    // torch.save writes a zip archive; before version 1.6 it wrote a bare pickle.
    if bytes.starts_with(b"PK\x03\x04") || (bytes.first() == Some(&0x80) && matches!(bytes.get(1), Some(2..=5))) {
        return Some(("a PyTorch pickle (pytorch_model.bin), or another archive", SAFETENSORS));
    }
    if bytes.starts_with(b"\x89HDF") {
        return Some(("an HDF5 file (tf_model.h5)", SAFETENSORS));
    }
    let start = &bytes[..bytes.len().min(64)];
    if bytes.first() == Some(&0x08) && (start.windows(7).any(|name| name == b"pytorch" || name == b"onnx.qu")) {
        return Some(("an ONNX file", SAFETENSORS));
    }
    None
}

/// The same check for weights, which must not be a text file either.
pub(super) fn check_weights(bytes: &[u8]) -> Result<(), ImportError> {
    check("weights file", bytes)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if text.starts_with(b"{") && bytes.get(8) != Some(&b'{') {
        let hint = "give the model.safetensors itself; if the weights are in several files (an index), merge them into one first";
        return Err(ImportError::OtherFile { file: "weights file", found: "a JSON file", hint });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_given_by_mistake_are_named() {
        let cases: [(&[u8], &str, &str); 9] = [
            (b"", "an empty file", "download it again"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 90868376\n",
                "a Git LFS pointer",
                "git lfs pull",
            ),
            (b"\n <!DOCTYPE html><html>", "a web page", "resolve"),
            (b"\xef\xbb\xbf<html lang=en>", "a web page", "resolve"),
            (b"PK\x03\x04archive/data.pkl", "a PyTorch pickle (pytorch_model.bin)", "model.safetensors"),
            (b"\x80\x02\x8a\nl\xfc\x9cF", "a PyTorch pickle (pytorch_model.bin)", "model.safetensors"),
            (b"GGUF\x03\0\0\0", "a GGUF file", "model.safetensors"),
            (b"\x89HDF\r\n", "an HDF5 file", "model.safetensors"),
            (b"\x08\x07\x12\x07pytorch\x1a\x052.1", "an ONNX file", "model.safetensors"),
        ];
        for (bytes, found, hint) in cases {
            let error = check_weights(bytes).unwrap_err().to_string();
            assert!(error.contains(found) && error.contains(hint), "{error}");
        }
        let index = check_weights(b"{\"metadata\": {}, \"weight_map\": {}}").unwrap_err().to_string();
        assert!(index.contains("a JSON file") && index.contains("index"), "{index}");
        // A header of 123 bytes, whose length byte is a brace.
        check_weights(b"{\0\0\0\0\0\0\0{\"a\"").unwrap();
        check("config.json", b"{}").unwrap();
    }
}
