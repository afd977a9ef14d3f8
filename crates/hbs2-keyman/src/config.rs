//! Where keys are looked for, and where new ones go (spec: cli 5.1).

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hbs2_core::SignPublicKey;
use hbs2_script::config::CONFIG_BYTES_MAX;
use hbs2_script::{Config, ConfigError, Entry};

use crate::KeymanError;
use crate::scan::check_mask;

/// Files of the index. Made by [`Paths::from_environment`] in programs and by hand in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The configuration, usually `~/.config/hbs2-keyman/config`. It need not exist.
    pub config: PathBuf,
    /// The database, usually `~/.local/share/hbs2-keyman/state.db`. It need not exist.
    pub state: PathBuf,
    /// What `~` stands for.
    pub home: PathBuf,
}

impl Paths {
    /// The usual places. `variable` is `std::env::var_os` in a program; empty variables count as not set, and
    /// so do relative ones, as the standard of these directories says.
    ///
    /// # Errors
    /// [`KeymanError::NoHome`] when the variables do not say.
    pub fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, KeymanError> {
        let dir = |name| variable(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let home = dir("HOME");
        let under = |name, default: &str| {
            dir(name).or_else(|| home.as_ref().map(|home| home.join(default))).ok_or(KeymanError::NoHome)
        };
        let config = under("XDG_CONFIG_HOME", ".config")?.join("hbs2-keyman").join("config");
        let state = under("XDG_DATA_HOME", ".local/share")?.join("hbs2-keyman").join("state.db");
        let home = home.ok_or(KeymanError::NoHome)?;
        Ok(Self { config, state, home })
    }
}

impl Paths {
    /// The database of what no key file says, `kept.db` beside the index.
    #[must_use]
    pub fn kept(&self) -> PathBuf {
        self.state.with_file_name("kept.db")
    }

    /// The directory that a text of the configuration starts from, and the rest: `~` is the home, what is
    /// relative is relative to the configuration's directory. An absolute rest needs no directory.
    fn resolve<'t>(&self, text: &'t str) -> (&Path, &'t str) {
        match text.strip_prefix('~') {
            Some("") => (&self.home, ""),
            Some(rest) if rest.starts_with('/') => (&self.home, rest.trim_start_matches('/')),
            _ => (self.config.parent().unwrap_or(Path::new("/")), text),
        }
    }
}

/// Where new keys go when the configuration does not say, within the home directory.
const DEFAULT_KEY_DIR: &str = ".hbs2-keyman/keys";

/// Which files of the default directory are looked at when the configuration does not say.
const DEFAULT_KEY_MASK: &str = "**/*.key";

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Masks of files to look at, absolute: those of `key-files` and that of the default directory.
    pub masks: Vec<String>,
    /// Where new keys go.
    pub default_key_path: PathBuf,
    /// Mask of the files in a directory that are looked at when only the directory is named.
    pub default_key_mask: String,
    /// Channels whose updates name group keys.
    pub refchans: Vec<SignPublicKey>,
    /// The configuration itself, for those who show it.
    pub config: Config,
}

impl Settings {
    /// Reads the configuration; a missing file is an empty one.
    ///
    /// # Errors
    /// The file cannot be read or something in it is wrong.
    pub fn read(paths: &Paths) -> Result<Self, KeymanError> {
        let text = read_text(&paths.config)?;
        let config = Config::parse(paths.config.display().to_string(), text)?;
        Ok(Self::of(config, paths)?)
    }

    fn of(config: Config, paths: &Paths) -> Result<Self, ConfigError> {
        let default_key_path = match config.text("default-key-path")? {
            Some(text) => {
                let (dir, rest) = paths.resolve(&text);
                dir.join(rest)
            }
            None => paths.home.join(DEFAULT_KEY_DIR),
        };
        let default_key_mask =
            config.text("default-key-mask")?.map_or(DEFAULT_KEY_MASK.into(), Cow::into_owned);
        let refchans = config.all("refchan").iter().map(channel).collect::<Result<_, _>>()?;
        let mut masks = Vec::new();
        for entry in config.all("key-files") {
            let text = entry.text()?;
            let (dir, rest) = paths.resolve(&text);
            let mask =
                mask_in(dir, rest).ok_or_else(|| entry.error("the path of its directory is not UTF-8"))?;
            check_mask(&mask).map_err(|error| entry.error(error.to_string()))?;
            masks.push(mask);
        }
        if let Err(error) = check_mask(&default_key_mask) {
            let entry = config.last("default-key-mask").expect("our own mask is in order");
            return Err(entry.error(error.to_string()));
        }
        // A home that is not UTF-8 has no mask; its keys are found as long as they are in the index.
        masks.extend(mask_in(&default_key_path, &default_key_mask));
        Ok(Self { masks, default_key_path, default_key_mask, refchans, config })
    }
}

fn channel(entry: &Entry<'_>) -> Result<SignPublicKey, ConfigError> {
    entry.text()?.parse().map_err(|_| entry.error("this is not the public key of a channel"))
}

/// Appends `key-files "MASK"` to the configuration, unless it is there. A relative mask is taken from `base`.
pub(crate) fn add_mask(paths: &Paths, mask: &str, base: &Path) -> Result<(), KeymanError> {
    // What is wrong in the file should not be found out after it has grown.
    let settings = Settings::read(paths)?;
    let mask = match mask.starts_with('~') {
        true => Some(mask.to_owned()),
        false => mask_in(base, mask),
    };
    let not_text = || io::Error::other("the path is not UTF-8");
    let mask = mask.ok_or_else(|| KeymanError::File {
        doing: "add a mask in",
        file: base.to_owned(),
        source: not_text(),
    })?;
    let line = format!("key-files {}\n", hbs2_script::print::quoted(&mask));
    let candidate = Config::parse("the new mask", line.as_str())?;
    let added = Settings::of(candidate, paths)?;
    if settings.masks.contains(&added.masks[0]) {
        return Ok(());
    }
    let text = read_text(&paths.config)?;
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let failed = |source| KeymanError::File { doing: "write", file: paths.config.clone(), source };
    paths.config.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&paths.config).map_err(failed)?;
    io::Write::write_all(&mut file, format!("{separator}{line}").as_bytes()).map_err(failed)
}

fn read_text(file: &Path) -> Result<String, KeymanError> {
    let failed = |source| KeymanError::File { doing: "read", file: file.to_owned(), source };
    let open = match fs::File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        other => other.map_err(failed)?,
    };
    // One byte more than a configuration may have, so that its reader says so.
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(open, CONFIG_BYTES_MAX as u64 + 1), &mut text)
        .map_err(failed)?;
    Ok(text)
}

/// `text` within `dir` as a mask: signs in the name of the directory stand for themselves.
fn mask_in(dir: &Path, text: &str) -> Option<String> {
    if text.starts_with('/') {
        return Some(text.to_owned());
    }
    let dir = globset::escape(dir.to_str()?);
    Some(format!("{}/{text}", dir.trim_end_matches('/')))
}
