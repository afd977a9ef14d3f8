//! Failures made of the errors of libraries.

use std::io;

use hbs2_core::groupkey::LoadError;
use hbs2_core::tree::walk::WalkError;
use hbs2_keyman::GroupSecretError;
use hbs2_script::ScriptError;

use super::Failure;

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        Self::Script(error)
    }
}

impl From<hbs2_git::Error> for Failure {
    fn from(error: hbs2_git::Error) -> Self {
        Self::Git(Box::new(error))
    }
}

impl From<hbs2_sync::SyncError> for Failure {
    fn from(error: hbs2_sync::SyncError) -> Self {
        match error {
            hbs2_sync::SyncError::Output(error) => Self::Output(error),
            error => Self::Sync(Box::new(error)),
        }
    }
}

impl From<GroupSecretError<Failure>> for Failure {
    fn from(error: GroupSecretError<Failure>) -> Self {
        match error {
            GroupSecretError::Keyman(error) => Self::Keyman(error),
            GroupSecretError::Load(LoadError::Tree {
                source: source @ (WalkError::Missing { .. } | WalkError::Source(_)),
                ..
            }) => source.into(),
            other => Self::GroupSecret(Box::new(other)),
        }
    }
}

impl From<WalkError<Failure>> for Failure {
    fn from(error: WalkError<Failure>) -> Self {
        match error {
            WalkError::Missing { hash } => Self::MissedBlock { hash },
            WalkError::Source(failure) => failure,
            other => Self::Tree(Box::new(other)),
        }
    }
}

impl From<io::Error> for Failure {
    /// The only bare I/O of a command is writing its data.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
