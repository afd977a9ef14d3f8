//! Paths as texts. Nothing here looks at a file.

use crate::error::Raised;
use crate::machine::Machine;
use crate::word::{Args, Outcome, Word};

pub(super) fn words<W>() -> Vec<Word<W>> {
    vec![
        Word::call("path:ext", "P", |m, a| m.text(extension(file_name(a.word_at(0)?))))
            .brief("the ending of a file name, with its dot")
            .returns("a string")
            .example("(path:ext \"a/b.tar.gz\")", ".gz"),
        Word::call("path:base", "P", |m, a| {
            let name = file_name(a.word_at(0)?);
            m.text(&name[..name.len() - extension(name).len()])
        })
        .brief("a file name without its directories and its ending")
        .returns("a string")
        .example("(path:base \"a/b.txt\")", "b"),
        Word::call("path:filename", "P", |m, a| m.text(file_name(a.word_at(0)?)))
            .brief("a file name without its directories")
            .returns("a string")
            .example("(path:filename \"a/b.txt\")", "b.txt"),
        Word::call("path:dirname", "P", |m, a| {
            let path = a.word_at(0)?;
            let dir = &path[..path.len() - file_name(path).len()];
            let trimmed = dir.trim_end_matches('/');
            m.text(match (trimmed.is_empty(), dir.is_empty()) {
                (false, _) => trimmed,
                (true, false) => "/",
                (true, true) => ".",
            })
        })
        .brief("the directory of a path")
        .returns("a string")
        .example("(map path:dirname '(a/b/c /a c))", "(\"a/b\" \"/\" \".\")"),
        Word::call("path:join", "P…", join)
            .brief("paths joined to one")
            .text("A path that starts at the root replaces those before it.")
            .returns("a string")
            .example("(path:join a/b c)", "a/b/c"),
        Word::call("path:split", "P", |m, a| {
            let path = a.word_at(0)?;
            let root = path.starts_with('/').then_some("/");
            m.texts(root.into_iter().chain(path.split('/').filter(|part| !part.is_empty())))
        })
        .brief("the parts of a path")
        .returns("a list of strings")
        .example("(path:split /a/b.txt)", "(\"/\" \"a\" \"b.txt\")"),
    ]
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn extension(name: &str) -> &str {
    match name.rfind('.') {
        None | Some(0) => "",
        Some(dot) => &name[dot..],
    }
}

fn join<W>(m: &mut Machine<W>, a: Args<'_>) -> Outcome {
    let parts: Vec<&str> = (0..a.count()).map(|index| a.word_at(index)).collect::<Result<_, Raised>>()?;
    let mut path = String::new();
    for part in parts {
        if part.starts_with('/') {
            path.clear();
        } else if !path.is_empty() && !path.ends_with('/') {
            path.push('/');
        }
        m.room(path.len())?;
        path.push_str(part);
    }
    m.text(path)
}
