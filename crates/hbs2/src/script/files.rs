//! Words that read, write and move files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use hbs2_script::{Args, Datum, Machine, Outcome, Raised, Word, wrap_forms};

use super::around::{path_at, read, text_of};
use super::{World, WorldError};

pub(super) fn words<W: World>() -> Vec<Word<W>> {
    vec![
        Word::call("str:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            let text = text_of(m, Some(&path))?;
            m.text(text)
        })
        .brief("the text of a file")
        .returns("a string"),
        Word::call("str:save", "FILE S", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            save(m, &path, a.at(1))
        })
        .brief("write a text to a file, in place of what was there")
        .returns("nil"),
        Word::call("str:append:file", "FILE X…", append)
            .brief("write values at the end of a file, which is made when it is not there")
            .returns("nil"),
        Word::call("top:stdin", "", |m: &mut Machine<W>, _| {
            let text = text_of(m, None)?;
            let forms = m.read_data("stdin", &text)?;
            m.list(forms)
        })
        .brief("the forms of stdin, which is in this language")
        .returns("a list of forms"),
        Word::call("top:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            let text = text_of(m, Some(&path))?;
            let forms = m.read_data(&path.display().to_string(), &text)?;
            m.list(forms)
        })
        .brief("the forms of a file in this language")
        .returns("a list of forms"),
        Word::call("parse:top:file", "SYM [EACH] FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, a.count() - 1)?;
            let text = text_of(m, Some(&path))?;
            wrap_forms(m, &a, &path.display().to_string(), &text)
        })
        .brief("the forms of a file in this language, as one list that begins with a symbol")
        .text("EACH is a symbol that is set before each form.")
        .returns("a list"),
        Word::call("mkdir", "DIR…", |m: &mut Machine<W>, a| {
            each(m, a, "make the directory", |path| fs::create_dir_all(path))
        })
        .brief("make directories, with those above them")
        .returns("nil"),
        Word::call("rm", "PATH…", |m: &mut Machine<W>, a| each(m, a, "remove", remove))
            .brief("remove files and directories with all that is in them")
            .text("What is not there is passed over. The root directory is refused.")
            .returns("nil"),
        Word::call("touch", "FILE…", |m: &mut Machine<W>, a| each(m, a, "touch", touch))
            .brief("make a file, or set its time to now")
            .returns("nil"),
        Word::call("cp", "FROM TO", |m: &mut Machine<W>, a| {
            two(m, a, "copy", |from, to| {
                let to = if to.is_dir() { to.join(name_of(from)?) } else { to.to_owned() };
                fs::copy(from, to).map(drop)
            })
        })
        .brief("copy a file")
        .returns("nil"),
        Word::call("mv", "FROM TO", |m: &mut Machine<W>, a| {
            two(m, a, "move", |from, to| {
                let to = if to.is_dir() { to.join(name_of(from)?) } else { to.to_owned() };
                fs::rename(from, to)
            })
        })
        .brief("move a file or directory, or give it another name")
        .returns("nil"),
        Word::call("file:size", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            let meta = fs::metadata(&path);
            let meta = meta.map_err(|source| WorldError::File { doing: "look at", path, source })?;
            Ok(Datum::Int(i128::from(meta.len())))
        })
        .brief("the length of a file in bytes")
        .returns("a whole number"),
        Word::call("bytes:file", "FILE", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            let bytes = read(m, &path)?;
            m.bytes(bytes)
        })
        .also(&["bytes:strict:file", "blob:read-file"])
        .brief("the bytes of a file")
        .returns("a byte string"),
        Word::call("bytes:write", "FILE B", |m: &mut Machine<W>, a| {
            let path = path_at(m, a, 0)?;
            write(&path, a.bytes_at(1)?)
        })
        .also(&["blob:save"])
        .brief("write bytes to a file, in place of what was there")
        .returns("nil"),
    ]
}

fn name_of(path: &Path) -> io::Result<&std::ffi::OsStr> {
    path.file_name().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn save<W: World>(m: &mut Machine<W>, path: &Path, value: &Datum) -> Outcome {
    m.walk(value)?;
    write(path, value.display().as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Outcome {
    fs::write(path, bytes).map_err(|source| WorldError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    })?;
    Ok(Datum::Nil)
}

fn append<W: World>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let path = path_at(m, a, 0)?;
    let mut text = String::new();
    for value in &a.all()[1..] {
        m.walk(value)?;
        m.room(text.len())?;
        text.push_str(&value.display());
    }
    let mut open = OpenOptions::new();
    let file = open.create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| WorldError::File {
        doing: "write",
        path,
        source,
    })?;
    Ok(Datum::Nil)
}

fn each<W: World>(
    m: &mut Machine<W>,
    a: Args<'_>,
    doing: &'static str,
    work: impl Fn(&Path) -> io::Result<()>,
) -> Outcome {
    for index in 0..a.count() {
        let path = path_at(m, a, index)?;
        work(&path).map_err(|source| WorldError::File { doing, path, source })?;
    }
    Ok(Datum::Nil)
}

fn two<W: World>(
    m: &mut Machine<W>,
    a: Args<'_>,
    doing: &'static str,
    work: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Outcome {
    let (from, to) = (path_at(m, a, 0)?, path_at(m, a, 1)?);
    let done = work(&from, &to).map_err(|source| WorldError::File { doing, path: from, source });
    done.map(|()| Datum::Nil).map_err(Raised::from)
}

fn remove(path: &Path) -> io::Result<()> {
    if super::around::tidy(path).parent().is_none() {
        return Err(io::Error::other("this is the root directory"));
    }
    let removed = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn touch(path: &Path) -> io::Result<()> {
    let file: File = OpenOptions::new().create(true).append(true).open(path)?;
    file.set_modified(std::time::SystemTime::now())
}
