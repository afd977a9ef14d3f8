//! The config of a folder, `.hbs2-sync/config` (spec: cli 8.1).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hbs2_core::SignPublicKey;
use hbs2_script::config::CONFIG_BYTES_MAX;
use hbs2_script::{Config, Entry};

use crate::error::{Result, SyncError};
use crate::masks::{self, Masks};
use crate::path::OWN;

/// Name of the config within the directory of ours.
const FILE: &str = "config";

/// Words of the config that a user may write.
const EXCLUDE_HIDDEN: &str = "**/.*";
const INCLUDE_ALL: &str = "**";

/// What the config of a folder says.
#[derive(Debug, Clone)]
pub struct FolderConfig {
    /// The channel.
    pub refchan: Option<SignPublicKey>,
    /// The author as whom this folder writes.
    pub sign: Option<SignPublicKey>,
    /// Masks of what is kept equal.
    pub include: Vec<String>,
    /// Masks of what is not.
    pub exclude: Vec<String>,
    /// Nothing is written or deleted here.
    pub backup_mode: bool,
    /// A symbolic link to a file counts as the file.
    pub follow_links: bool,
    /// The masks, ready for use.
    pub masks: Masks,
}

/// The place of the config of a folder.
#[must_use]
pub fn place(dir: &Path) -> PathBuf {
    dir.join(OWN).join(FILE)
}

/// The config of the nearest folder at or above `dir`, if there is one.
#[must_use]
pub fn find_above(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().map(place).find(|config| config.is_file())
}

impl FolderConfig {
    /// Reads the config of a folder.
    ///
    /// # Errors
    /// There is none; it cannot be read, or something in it is wrong.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = place(dir);
        let failed = |source| SyncError::File { doing: "read", path: path.clone(), source };
        let text = match read_text(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SyncError::NoChannel { dir: dir.to_owned() });
            }
            other => other.map_err(failed)?,
        };
        Self::parse(&path.display().to_string(), text)
    }

    fn parse(name: &str, text: String) -> Result<Self> {
        let config = Config::parse(name, text)?;
        let key = |word: &str| -> Result<Option<SignPublicKey>> {
            let Some(entry) = config.last(word) else { return Ok(None) };
            let key = entry.text()?.parse();
            Ok(Some(key.map_err(|_| entry.error("this is no public signing key"))?))
        };
        let texts = |word: &str| -> Result<Vec<String>> {
            let mut texts = Vec::new();
            for entry in config.all(word) {
                let text = entry.text()?;
                masks::mask(&text).map_err(|error| entry.error(error.to_string()))?;
                texts.push(text.into_owned());
            }
            Ok(texts)
        };
        let (include, exclude) = (texts("include")?, texts("exclude")?);
        let masks = Masks::new(include.iter().map(String::as_str), exclude.iter().map(String::as_str));
        // Each mask has been read by itself.
        let masks = masks.map_err(|error| whole(&config, &error))?;
        Ok(Self {
            refchan: key("refchan")?,
            sign: key("sign")?,
            include,
            exclude,
            backup_mode: config.last("backup-mode").is_some_and(|entry| is_on(&entry)),
            follow_links: config.last("follow-symlinks").is_some_and(|entry| is_on(&entry)),
            masks,
        })
    }

    /// The config as forms, one a line.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = hbs2_script::print::quoted;
        let mut text = String::new();
        let masks = self.exclude.iter().map(|mask| ("exclude", quoted(mask)));
        let masks = masks.chain(self.include.iter().map(|mask| ("include", quoted(mask))));
        let keys = [("sign", self.sign), ("refchan", self.refchan)];
        let keys = keys.into_iter().filter_map(|(word, key)| Some((word, quoted(&key?.to_string()))));
        for (word, value) in masks.chain(keys) {
            text.push_str(&format!("{word} {value}\n"));
        }
        for (word, on) in [("backup-mode", self.backup_mode), ("follow-symlinks", self.follow_links)] {
            if on {
                text.push_str(&format!("{word}\n"));
            }
        }
        text
    }
}

/// The text of a new config.
pub(crate) fn first_text(refchan: &SignPublicKey, sign: Option<&SignPublicKey>) -> String {
    let sign = sign.map(|key| format!("sign \"{key}\"\n")).unwrap_or_default();
    format!("exclude \"{EXCLUDE_HIDDEN}\"\ninclude \"{INCLUDE_ALL}\"\n{sign}refchan \"{refchan}\"\n")
}

/// A switch is on when it stands there, unless a word beside it says something else than `on`.
fn is_on(entry: &Entry<'_>) -> bool {
    entry.values().first().is_none_or(|value| value.as_word() == Some("on"))
}

fn whole(config: &Config, error: &globset::Error) -> hbs2_script::ConfigError {
    let at = config.last("include").or_else(|| config.last("exclude"));
    at.map_or_else(
        || hbs2_script::ConfigError {
            file: config.file().to_owned(),
            place: hbs2_script::Place { line: 1, column: 1 },
            line: String::new(),
            message: error.to_string(),
        },
        |entry| entry.error(error.to_string()),
    )
}

fn read_text(path: &Path) -> io::Result<String> {
    let file = fs::File::open(path)?;
    // One byte more than a config may have, so that its reader says so.
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(file, CONFIG_BYTES_MAX as u64 + 1), &mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP";

    #[test]
    fn what_init_writes_is_read_and_shown() {
        let key: SignPublicKey = KEY.parse().unwrap();
        let config = FolderConfig::parse("config", first_text(&key, Some(&key))).unwrap();
        assert_eq!((config.refchan, config.sign), (Some(key), Some(key)));
        assert!(!config.backup_mode && !config.follow_links);
        assert_eq!(config.text(), first_text(&key, Some(&key)));
    }

    #[test]
    fn keys_and_masks_may_stand_without_quotes_and_switches_without_a_word() {
        let text = format!("refchan {KEY}\nbackup-mode\nfollow-symlinks off\nexclude *.tmp\n");
        let config = FolderConfig::parse("config", text).unwrap();
        assert_eq!(config.refchan, Some(KEY.parse().unwrap()));
        assert!(config.backup_mode && !config.follow_links);
        assert_eq!(config.exclude, ["*.tmp"]);
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        for (text, says) in
            [("\nrefchan abc", "line 2,"), ("include \"a[\"", "line 1,"), ("sign a b", "line 1,")]
        {
            let error = FolderConfig::parse("config", text.to_owned()).unwrap_err();
            let SyncError::Config { source } = error else { panic!("{error}") };
            assert!(source.to_string().contains(says), "{source}");
        }
    }
}
