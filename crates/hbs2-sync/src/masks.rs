//! Which paths of a folder are kept equal (spec: cli 8.1).

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::path::RelPath;

/// Masks that take paths in and out. A path is covered when a mask takes it in, and none takes it or a directory above
/// it out. `*` and `?` match within a name, `**` across directories.
#[derive(Debug, Clone)]
pub struct Masks {
    include: GlobSet,
    exclude: GlobSet,
}

impl Masks {
    /// From the texts of the config. Without a mask that takes in, everything is in.
    ///
    /// # Errors
    /// A text is no mask.
    pub fn new<'t>(
        include: impl IntoIterator<Item = &'t str>,
        exclude: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, globset::Error> {
        let mut include: Vec<Glob> = include.into_iter().map(mask).collect::<Result<_, _>>()?;
        if include.is_empty() {
            include.push(mask("**")?);
        }
        let exclude: Vec<Glob> = exclude.into_iter().map(mask).collect::<Result<_, _>>()?;
        Ok(Self { include: set(include)?, exclude: set(exclude)? })
    }

    /// Whether a file at this path is kept equal.
    #[must_use]
    pub fn covers(&self, path: &RelPath) -> bool {
        self.takes(path) && path.ancestors().all(|dir| self.enters(&dir))
    }

    /// Whether a file is kept equal, given that its directory is looked into.
    #[must_use]
    pub fn takes(&self, path: &RelPath) -> bool {
        self.include.is_match(path.as_str()) && self.enters(path)
    }

    /// Whether a directory is looked into, given that the one above it is.
    #[must_use]
    pub fn enters(&self, dir: &RelPath) -> bool {
        !self.exclude.is_match(dir.as_str())
    }
}

/// Checks one mask.
///
/// # Errors
/// The text is none.
pub fn mask(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

fn set(masks: Vec<Glob>) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for mask in masks {
        set.add(mask);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(masks: &Masks, path: &str) -> bool {
        masks.covers(&RelPath::parse(path).unwrap())
    }

    #[test]
    fn hidden_files_and_what_is_in_hidden_directories_stay_out_by_the_usual_masks() {
        let masks = Masks::new(["**"], ["**/.*"]).unwrap();
        assert!(covered(&masks, "a") && covered(&masks, "a/b.txt"));
        for path in [".a", "a/.b", ".git/config", "a/.b/c/d"] {
            assert!(!covered(&masks, path), "{path}");
        }
    }

    #[test]
    fn a_star_stays_within_a_name() {
        let masks = Masks::new(["*.txt", "doc/**"], ["doc/old"]).unwrap();
        assert!(covered(&masks, "a.txt") && covered(&masks, "doc/a/b"));
        assert!(!covered(&masks, "d/a.txt") && !covered(&masks, "doc/old/a") && !covered(&masks, "b"));
        assert!(covered(&Masks::new([], []).unwrap(), "any/.thing"));
        assert!(Masks::new(["a[", "b"], []).is_err());
    }
}
