//! The golden vectors in `vectors/`: one folder a noun, data only.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::KitError;

/// The path of a vector file or folder, given below `vectors/`.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors")).join(name)
}

/// The bytes of a vector file.
///
/// # Errors
/// It cannot be read.
pub fn bytes(name: &str) -> Result<Vec<u8>, KitError> {
    let path = path(name);
    fs::read(&path).map_err(KitError::io("cannot read", path))
}

/// A vector file as JSON.
///
/// # Errors
/// It cannot be read or is no JSON.
pub fn json(name: &str) -> Result<Value, KitError> {
    serde_json::from_slice(&bytes(name)?)
        .map_err(|e| KitError::Unexpected { what: format!("no JSON ({e})"), place: name.to_owned() })
}

/// What the file `manifest.json` of a folder of vectors tells.
///
/// # Errors
/// It cannot be read or is no JSON.
pub fn manifest(folder: &str) -> Result<Value, KitError> {
    json(&format!("{folder}/manifest.json"))
}

/// Copies a folder of vectors, given below `vectors/`, with all that is in it; `to` need not exist.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy(folder: &str, to: &Path) -> Result<(), KitError> {
    copy_dir(&path(folder), to)
}

fn copy_dir(from: &Path, to: &Path) -> Result<(), KitError> {
    fs::create_dir_all(to).map_err(KitError::io("cannot make", to))?;
    for entry in fs::read_dir(from).map_err(KitError::io("cannot list", from))? {
        let path = entry.map_err(KitError::io("cannot list", from))?.path();
        let target = to.join(path.file_name().expect("what a directory lists has a name"));
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else {
            // Not with its mode: vectors may be read-only, and a test changes its copy.
            let bytes = fs::read(&path).map_err(KitError::io("cannot read", path.as_path()))?;
            fs::write(&target, bytes).map_err(KitError::io("cannot write", target.as_path()))?;
        }
    }
    Ok(())
}

/// The bytes that a JSON string writes in hexadecimal digits.
///
/// # Errors
/// The value is no such string.
pub fn hex(value: &Value) -> Result<Vec<u8>, KitError> {
    let bad = || KitError::Unexpected { what: "no hexadecimal text".to_owned(), place: value.to_string() };
    hex::decode(value.as_str().ok_or_else(bad)?).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_text_is_read_and_anything_else_is_named() {
        assert_eq!(hex(&Value::from("00ff")).unwrap(), [0, 255]);
        assert!(hex(&Value::from("zz")).unwrap_err().to_string().contains("zz"));
        assert!(hex(&Value::from(7)).is_err());
    }
}
