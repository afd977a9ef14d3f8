//! Words that look at paths and list directories.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word};

use super::around::{path_at, tidy};
use super::{World, WorldError};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    let is = |name: &'static str, brief: &'static str, run: hbs2_script::word::Run<W>| {
        Word::call(name, "PATH", run).brief(brief).returns("#t or #f")
    };
    vec![
        Word::call("pwd", "", |m: &mut Machine<W>, _| {
            let here = m.world().around().directory.clone();
            path_text(m, &here)
        })
        .brief("the directory in which the program is")
        .returns("a string"),
        Word::call("cd", "DIR", |m: &mut Machine<W>, a| {
            let path = tidy(&path_at(m, a, 0)?);
            let found = fs::metadata(&path).and_then(|meta| match meta.is_dir() {
                true => Ok(()),
                false => Err(std::io::ErrorKind::NotADirectory.into()),
            });
            found.map_err(|source| WorldError::File { doing: "go to", path: path.clone(), source })?;
            m.world().around().directory = path;
            Ok(Datum::Nil)
        })
        .brief("go to another directory")
        .text("Relative paths of the program, and its processes, begin there.")
        .returns("nil"),
        is("path:exists?", "whether something has this path", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            Ok(Datum::Bool(path.exists()))
        }),
        is("path:dir?", "whether a directory has this path", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            Ok(Datum::Bool(path.is_dir()))
        }),
        is("path:file?", "whether a file has this path", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            Ok(Datum::Bool(path.is_file()))
        }),
        Word::call("path:expand", "PATH", |m: &mut Machine<W>, a| {
            let path = tidy(&path_at(m, a, 0)?);
            path_text(m, &path)
        })
        .brief("a path from the root; a tilde at its start is the home directory")
        .returns("a string"),
        Word::call("dir:list:files", "DIR", |m: &mut Machine<W>, a| {
            let entries = list(m, a)?.into_iter().filter(|(_, kind)| *kind == "file");
            let paths: Vec<_> =
                entries.map(|(path, _)| path_text(m, &path)).collect::<Result<_, Raised>>()?;
            m.list(paths)
        })
        .brief("the files in a directory, by name")
        .returns("a list of paths"),
        Word::call("dir:list:all", "DIR", |m: &mut Machine<W>, a| {
            let mut rows = Vec::new();
            for (path, kind) in list(m, a)? {
                let row = vec![path_text(m, &path)?, m.symbol(kind)?];
                rows.push(m.list(row)?);
            }
            m.list(rows)
        })
        .brief("what is in a directory, by name")
        .returns("a list of (PATH KIND); the kind is file, dir or other"),
        Word::call("glob", "[DIR] [INCLUDE] [EXCLUDE]", glob)
            .brief("the files in a directory and below it")
            .text(
                "INCLUDE and EXCLUDE are masks or lists of masks: * and ? match within a name, ** across directories. \
                 Without them, all files whose path has no name that begins with a dot.",
            )
            .returns("a list of paths, by name"),
        Word::call("sys:temp:dir:get", "", |m: &mut Machine<W>, _| {
            let dir = temporary(m);
            path_text(m, &dir)
        })
        .brief("the directory for temporary files")
        .returns("a string"),
        Word::call("sys:temp:dir", "", |m: &mut Machine<W>, _| {
            let made = tempfile::Builder::new().prefix("hbs2-").tempdir_in(temporary(m));
            let made = made.map_err(|source| temporary_failed(m, source))?;
            path_text(m, &made.keep())
        })
        .brief("a new directory for temporary files; the program removes it")
        .returns("a string"),
        Word::call("sys:temp:file", "", |m: &mut Machine<W>, _| {
            let made = tempfile::Builder::new().prefix("hbs2-").tempfile_in(temporary(m));
            let kept = made.and_then(|file| file.keep().map_err(|error| error.error));
            let (_, path) = kept.map_err(|source| temporary_failed(m, source))?;
            path_text(m, &path)
        })
        .brief("a new temporary file; the program removes it")
        .returns("a string"),
    ]
}

/// A path as a string. Names that are not UTF-8 cannot be named by a program.
fn path_text<W>(m: &mut Machine<W>, path: &Path) -> Outcome {
    match path.to_str() {
        Some(text) => m.text(text),
        None => Err(WorldError::NotText { name: path.display().to_string() }.into()),
    }
}

fn temporary<W: World>(m: &mut Machine<W>) -> PathBuf {
    let named = m.world().around().environment.get(std::ffi::OsStr::new("TMPDIR")).map(PathBuf::from);
    named.unwrap_or_else(|| PathBuf::from("/tmp"))
}

fn temporary_failed<W: World>(m: &mut Machine<W>, source: std::io::Error) -> WorldError {
    WorldError::File { doing: "make a temporary file in", path: temporary(m), source }
}

/// What is in a directory, by name.
fn list<W: World>(m: &mut Machine<W>, a: Args<'_>) -> Result<Vec<(PathBuf, &'static str)>, Raised> {
    let dir = path_at(m, a, 0)?;
    let failed = |source| WorldError::File { doing: "list", path: dir.clone(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(&dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        m.room_for_items(found.len())?;
        let kind = match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => "file",
            Ok(meta) if meta.is_dir() => "dir",
            _ => "other",
        };
        found.push((path, kind));
    }
    found.sort();
    Ok(found)
}

fn glob<W: World>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let dir = match a.get(0) {
        Some(_) => path_at(m, a, 0)?,
        None => m.world().around().directory.clone(),
    };
    let include = masks(a, 1)?;
    let exclude = masks(a, 2)?;
    let hidden = |path: &Path| path.iter().any(|name| name.as_bytes().starts_with(b"."));
    let wanted = |path: &Path| match &include {
        Some(masks) => masks.is_match(path),
        None => !hidden(path),
    };
    let mut found = Vec::new();
    let mut open = vec![dir.clone()];
    while let Some(at) = open.pop() {
        m.pay(1)?;
        let failed = |source| WorldError::File { doing: "list", path: at.clone(), source };
        for entry in fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let below = path.strip_prefix(&dir).unwrap_or(&path);
            if exclude.as_ref().is_some_and(|masks| masks.is_match(below)) {
                continue;
            }
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() && (include.is_some() || !hidden(below)) {
                open.push(path);
            } else if !kind.is_dir() && wanted(below) {
                m.room_for_items(found.len())?;
                found.push(path);
            }
        }
    }
    found.sort();
    let paths: Vec<_> = found.iter().map(|path| path_text(m, path)).collect::<Result<_, Raised>>()?;
    m.list(paths)
}

fn masks(a: Args<'_>, index: usize) -> Result<Option<GlobSet>, Raised> {
    let Some(value) = a.get(index) else { return Ok(None) };
    let one = std::slice::from_ref(value);
    let mut set = GlobSetBuilder::new();
    for mask in value.as_list().unwrap_or(one) {
        let text = mask.as_word().ok_or_else(|| a.wrong(index, "a mask or a list of masks"))?;
        let failed = |source| WorldError::Mask { mask: text.to_owned(), source };
        set.add(GlobBuilder::new(text).literal_separator(true).build().map_err(failed)?);
    }
    Ok(Some(set.build().map_err(|source| WorldError::Mask { mask: value.display(), source })?))
}
