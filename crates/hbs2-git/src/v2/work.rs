//! What version 2 asks of the `git` program: lists of objects, packs, references.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use super::container::ContainerError;
use crate::error::{Error, Result};
use crate::gitdir::{GitDir, Revision, command_text, run};
use crate::object::{ObjectId, ObjectKind, RefName};

/// Packs of fewer objects become loose ones, as git's own `fetch.unpackLimit` has it: small packs slow git down.
const UNPACK_OBJECTS_MAX: usize = 100;

/// Bytes that are handed to git at once.
const COPY_BYTES: usize = 256 * 1024;

/// Longest end of git's stderr that is shown, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 64 * 1024;

/// The branches and tags of the local repository.
pub(crate) fn local_refs(git: &GitDir) -> Result<BTreeMap<RefName, Revision>> {
    let format = "--format=%(objectname) %(objecttype) %(refname)";
    let output = run(git.git().args(["for-each-ref", format, "refs/heads", "refs/tags"]), None)?;
    let read = |line: &[u8]| {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (id, kind) = (text()?.parse().ok()?, text()?);
        let kinds = [ObjectKind::Commit, ObjectKind::Tree, ObjectKind::Blob, ObjectKind::Tag];
        let kind = kinds.into_iter().find(|known| known.name() == kind)?;
        Some((RefName::new(parts.next()?).ok()?, Revision { id, kind }))
    };
    Ok(output.split(|byte| *byte == b'\n').filter_map(read).collect())
}

/// The branch that `HEAD` names, born or not; none when it is detached.
pub(crate) fn current_branch(git: &GitDir) -> Option<RefName> {
    let output = run(git.git().args(["symbolic-ref", "--quiet", "HEAD"]), None).ok()?;
    RefName::new(output.trim_ascii_end()).ok()
}

/// Whether the repository has no working directory.
pub(crate) fn is_bare(git: &GitDir) -> Result<bool> {
    Ok(run(git.git().args(["rev-parse", "--is-bare-repository"]), None)?.trim_ascii_end() == b"true")
}

/// The objects that can be reached from `wanted` and not from `known`.
pub(crate) fn reachable(git: &GitDir, wanted: &[ObjectId], known: &[ObjectId]) -> Result<Vec<ObjectId>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let lines = wanted.iter().map(|id| format!("{id}\n")).chain(known.iter().map(|id| format!("^{id}\n")));
    let input: String = lines.collect();
    let mut git = git.git();
    git.args(["rev-list", "--objects", "--no-object-names", "--stdin"]);
    let output = run(&mut git, Some(input.as_bytes()))?;
    let text = String::from_utf8_lossy(&output);
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Moves references, without a look at where they were.
pub(crate) fn set_refs(git: &GitDir, refs: &[(RefName, ObjectId)]) -> Result<()> {
    if refs.is_empty() {
        return Ok(());
    }
    let mut input = Vec::new();
    for (name, id) in refs {
        input.extend_from_slice(b"update ");
        input.extend_from_slice(name.as_bytes());
        input.extend_from_slice(format!(" {id}\n").as_bytes());
    }
    run(git.git().args(["update-ref", "--stdin"]), Some(&input)).map(drop)
}

/// Points `HEAD` at a branch.
pub(crate) fn set_head(git: &GitDir, branch: &RefName) -> Result<()> {
    run(git.git().args(["symbolic-ref", "HEAD"]).arg(branch.to_string()), None).map(drop)
}

/// A child process whose stderr is collected while others of its pipes are used.
struct Worker {
    child: Child,
    complaint: Option<JoinHandle<String>>,
    command: String,
}

impl Worker {
    fn start(command: &mut Command, stdout: Stdio) -> Result<Self> {
        let text = command_text(command);
        let spawned = command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped()).spawn();
        let mut child =
            spawned.map_err(|error| Error::Git { command: text.clone(), message: error.to_string() })?;
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let complaint = std::thread::spawn(move || {
            let mut said = Vec::new();
            let mut limited = stderr.take(COMPLAINT_BYTES_MAX);
            // What cannot be read cannot be shown; the exit code tells that something went wrong.
            let _ = limited.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Ok(Self { child, complaint: Some(complaint), command: text })
    }

    fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let command = self.command.clone();
        let status = self.child.wait();
        let said = self.complaint.take().and_then(|complaint| complaint.join().ok()).unwrap_or_default();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let message = said.trim().lines().last().map_or_else(|| status.to_string(), str::to_owned);
                Err(Error::Git { command, message })
            }
            Err(error) => Err(Error::Git { command, message: error.to_string() }),
        }
    }

    /// Ends a child that is not needed any more.
    fn abandon(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the git pack that `content` gives into the repository.
pub(crate) fn take_pack(
    git: &GitDir,
    objects: usize,
    content: &mut impl Read,
    broken: impl Fn(ContainerError) -> Error,
) -> Result<()> {
    let mut command = git.git();
    match objects < UNPACK_OBJECTS_MAX {
        true => command.args(["unpack-objects", "-q"]),
        false => command.args(["index-pack", "--stdin"]),
    };
    let mut worker = Worker::start(&mut command, Stdio::null())?;
    let mut pipe = worker.child.stdin.take().expect("stdin is a pipe");
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => {
                drop(pipe);
                worker.abandon();
                return Err(broken(ContainerError::Content { source }));
            }
            // A closed pipe shows as a failed command below.
            Ok(got) => {
                if pipe.write_all(&buffer[..got]).is_err() {
                    break;
                }
            }
        }
    }
    drop(pipe);
    worker.finish()
}

/// A git pack that is being made.
pub(crate) struct PackMaker {
    worker: Worker,
    feeder: JoinHandle<()>,
    /// Where it comes out.
    pub(crate) output: ChildStdout,
}

impl PackMaker {
    /// Begins to pack these objects.
    pub(crate) fn start(git: &GitDir, ids: &[ObjectId]) -> Result<Self> {
        let mut worker = Worker::start(git.git().args(["pack-objects", "--stdout", "-q"]), Stdio::piped())?;
        let mut pipe = worker.child.stdin.take().expect("stdin is a pipe");
        let input: String = ids.iter().map(|id| format!("{id}\n")).collect();
        // A closed pipe shows as a failed command.
        let feeder = std::thread::spawn(move || drop(pipe.write_all(input.as_bytes())));
        let output = worker.child.stdout.take().expect("stdout is a pipe");
        Ok(Self { worker, feeder, output })
    }

    /// Ends it, when everything has come out.
    pub(crate) fn finish(self) -> Result<()> {
        drop(self.output);
        let finished = self.worker.finish();
        // The feeder cannot block any more: its pipe has no reader.
        let _ = self.feeder.join();
        finished
    }
}
