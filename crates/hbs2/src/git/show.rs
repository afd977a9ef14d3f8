//! Commands that print what a repository is: `repo:manifest`, `repo:head`, `repo:refs` and their kind.

use hbs2_git::refs::PlacedLine;
use hbs2_git::remotes;
use hbs2_git::transaction::{Payload, Transaction};
use hbs2_script::print::print;
use hbs2_script::syntax::Form;

use super::session::Session;
use super::words::Args;
use crate::error::Failure;
use crate::peer::lwwref::shape;

/// Takes the only argument, REPO.
fn repo<'a>(command: &'static str, args: &'a [String]) -> Result<&'a str, Failure> {
    let mut args = Args::new(command, args);
    let repo = args.word("REPO")?;
    args.end()?;
    Ok(repo)
}

/// `repo:manifest REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn manifest(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let manifest = session.with(repo("repo:manifest", args)?, |repository| repository.manifest())?;
    Ok(session.voice.line(manifest.pretty())?)
}

/// `repo:head REPO`
///
/// # Errors
/// No peer answers.
pub fn head(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let head = session.with(repo("repo:head", args)?, |repository| repository.head())?;
    Ok(session.voice.line(head.as_ref().map(shape).unwrap_or_default())?)
}

/// `repo:reflog REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn reflog(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let key = session.with(repo("repo:reflog", args)?, |repository| repository.reflog())?;
    Ok(session.voice.line(key)?)
}

/// `repo:refs REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn refs(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let table = session.with(repo("repo:refs", args)?, |repository| repository.refs())?;
    for (name, id) in table.existing() {
        session.voice.line(format_args!("{id} {name}"))?;
    }
    Ok(())
}

/// `repo:refs:raw REPO`
///
/// # Errors
/// The repository does not arrive.
pub fn refs_raw(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let lines = session.with(repo("repo:refs:raw", args)?, |repository| repository.refs_raw())?;
    for line in &lines {
        session.voice.line(raw_line(line))?;
    }
    Ok(())
}

fn raw_line(PlacedLine { transaction, line }: &PlacedLine) -> String {
    let words = [transaction.to_string(), line.time.to_string(), line.id.to_string(), line.name.to_string()];
    let words = std::iter::once("R".to_owned()).chain(words).map(|word| Form::symbol(&word));
    print(&Form::list(words.collect()))
}

/// `repo:tx:list REPO [--checkpoints] [--segments]`; with neither or both switches, all transactions.
///
/// # Errors
/// The repository does not arrive.
pub fn tx_list(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let mut args = Args::new("repo:tx:list", args);
    let (checkpoints, segments) = (args.switch("--checkpoints"), args.switch("--segments"));
    let repo = args.word("REPO")?;
    args.end()?;
    for transaction in session.with(repo, |repository| repository.transactions())? {
        let wanted = match transaction.payload {
            Payload::Checkpoint { .. } => checkpoints || !segments,
            Payload::Segment { .. } => segments || !checkpoints,
        };
        if wanted {
            session.voice.line(tx_line(&transaction))?;
        }
    }
    Ok(())
}

/// Columns of the list: a hash takes 43 or 44 (spec: git3 11.2).
fn tx_line(transaction: &Transaction) -> String {
    let id = transaction.id;
    match transaction.payload {
        Payload::Segment { tree } => format!("S {id:<44} {tree:<44}"),
        Payload::Checkpoint { tree, rank } => format!("C {id:<44} {tree:<44} {rank:<8}"),
    }
}

/// `repo:imported REPO`
///
/// # Errors
/// The repository does not arrive; the local state cannot be read.
pub fn imported(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let checkpoint = session.with(repo("repo:imported", args)?, |repository| repository.imported())?;
    let tree = checkpoint.map(|checkpoint| match checkpoint.payload {
        Payload::Checkpoint { tree, .. } | Payload::Segment { tree } => tree.to_string(),
    });
    Ok(session.voice.line(tree.unwrap_or_default())?)
}

/// `repo:remotes`
///
/// # Errors
/// git cannot tell its configuration.
pub fn remotes(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    Args::new("repo:remotes", args).end()?;
    for remote in remotes::list(session.config()?) {
        session.voice.line(format_args!("{:<44} {}", remote.key, remote.name))?;
    }
    Ok(())
}

/// `repo:credentials REPO`
///
/// # Errors
/// We cannot write to the repository.
pub fn credentials(session: &mut Session<'_>, args: &[String]) -> Result<(), Failure> {
    let key = session.with(repo("repo:credentials", args)?, |repository| repository.credentials())?;
    Ok(session.voice.line(format_args!("(matched {key})"))?)
}

#[cfg(test)]
mod tests {
    use hbs2_core::Hash;
    use hbs2_git::refs::RefLine;

    use super::*;

    #[test]
    fn transactions_are_listed_in_columns() {
        let id = "CCRv83GNUsn69Bs6AMSaxiS7EXkyoPduwyw5R3PLzP6b".parse().unwrap();
        let tree: Hash = "uJxgtzWMygz5zaAEpxoLSfJEqadqS8koFKpiJ2yjNLm".parse().unwrap();
        let list = |payload| tx_line(&Transaction { id, payload });
        assert_eq!(list(Payload::Segment { tree }), format!("S {id} {tree} "));
        let checkpoint = Payload::Checkpoint { tree, rank: 1_795_314_855 };
        assert_eq!(list(checkpoint), format!("C {id} {tree}  1795314855"));
    }

    #[test]
    fn raw_lines_are_printed_as_the_original_prints_them() {
        let line = PlacedLine {
            transaction: "8fpQegD3UxMxBDE4SKAQamTMMyMd1CDZW29sUAKJghqr".parse().unwrap(),
            line: RefLine {
                time: 1_795_314_854,
                id: "5c31f1754a8fa90955e8892d6f4b7a7e476e705d".parse().unwrap(),
                name: "refs/heads/master".parse().unwrap(),
            },
        };
        let expected = "(R\n 8fpQegD3UxMxBDE4SKAQamTMMyMd1CDZW29sUAKJghqr\n 1795314854\n \
                        5c31f1754a8fa90955e8892d6f4b7a7e476e705d\n refs/heads/master)";
        assert_eq!(raw_line(&line), expected);
    }
}
