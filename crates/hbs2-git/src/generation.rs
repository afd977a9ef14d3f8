//! A repository of either generation, told apart by the value of its lwwref: the URL says nothing about it.

use hbs2_core::cbor::Decode;
use hbs2_core::{Hash, RefKind, SignPublicKey};

use crate::announcement::Announcement;
use crate::context::Context;
use crate::error::Result;
use crate::export::{ExportRequest, Exported};
use crate::gitdir::GitDir;
use crate::ledger::View;
use crate::refs::RefTable;
use crate::repo::{Fallback, Repository};
use crate::v2::{self, LwwBlock};
use crate::wait;

/// A repository, seen from one place.
pub enum Generation<'a> {
    /// Of version 2.
    Second(v2::Repository<'a>),
    /// Of version 3, or nothing that we know.
    Third(Repository<'a>),
}

impl<'a> Generation<'a> {
    /// Finds out what the repository with this key is; waits for its value.
    ///
    /// # Errors
    /// The value does not arrive in time.
    pub fn open(ctx: &'a Context<'a>, key: SignPublicKey, git: Option<GitDir>) -> Result<Self> {
        let (_, block) = v2::find_value(ctx, &key, ctx.settings.timeout)?;
        Ok(match LwwBlock::from_bytes(&block) {
            Ok(_) => Self::Second(v2::Repository::open(ctx, key, git)),
            Err(_) => Self::Third(Repository::open(ctx, key, git)),
        })
    }

    /// The key of the reflog.
    ///
    /// # Errors
    /// The repository does not arrive in time.
    pub fn reflog(&self) -> Result<SignPublicKey> {
        match self {
            Self::Second(repo) => Ok(repo.locate()?.value.reflog),
            Self::Third(repo) => repo.reflog(),
        }
    }

    /// What can be said of it to people who look for repositories.
    ///
    /// # Errors
    /// The repository does not arrive in time.
    pub fn announcement(&self) -> Result<Announcement> {
        match self {
            Self::Second(repo) => {
                let (repository, reflog) = (repo.key, repo.locate()?.value.reflog);
                let head = repo.newest_head()?;
                let (time, group) = head.as_ref().map_or((0, None), |head| (head.time, head.group));
                let (name, brief) = head.map(|head| (head.name, head.brief)).unzip();
                Ok(Announcement { repository, reflog, time, group, name, brief })
            }
            Self::Third(repo) => {
                let (reflog, group) = (repo.reflog()?, repo.group()?);
                // In version 3 the sequence number is the time.
                let time = repo.head()?.map_or(0, |head| head.seq);
                Ok(Announcement { repository: repo.key, reflog, time, group, name: None, brief: None })
            }
        }
    }

    /// The present references. With a git directory the objects are imported as well.
    ///
    /// # Errors
    /// Something does not arrive in time, is malformed, or is sealed for others.
    pub fn refs(&self) -> Result<RefTable> {
        match self {
            Self::Second(repo) => repo.refs(),
            Self::Third(repo) => repo.refs(),
        }
    }

    /// Makes the daemon keep and pass on the repository, without any git data. Gives the value of the reflog.
    ///
    /// # Errors
    /// The daemon refuses, or the reflog does not arrive in time; the subscription stays.
    pub fn subscribe(&self, ctx: &Context<'_>) -> Result<Option<Hash>> {
        let reflog = match self {
            Self::Second(repo) => {
                let located = repo.locate()?;
                repo.subscribe(&located)?;
                located.value.reflog
            }
            Self::Third(repo) => {
                repo.relay_only()?;
                repo.reflog()?
            }
        };
        wait::for_reference(ctx, RefKind::Reflog, &reflog, ctx.settings.timeout)
    }

    pub(crate) fn refresh(&self) -> Result<View> {
        match self {
            Self::Second(repo) => {
                let refs = repo.refs()?;
                Ok(View { refs, ..View::default() })
            }
            Self::Third(repo) => repo.refresh(Fallback::Older),
        }
    }

    pub(crate) fn forget(&self) -> Result<()> {
        match self {
            Self::Second(repo) => repo.forget(),
            Self::Third(repo) => repo.forget(),
        }
    }

    pub(crate) fn credentials(&self) -> Result<SignPublicKey> {
        match self {
            Self::Second(repo) => repo.credentials(),
            Self::Third(repo) => repo.credentials(),
        }
    }

    pub(crate) fn export(&self, request: &ExportRequest) -> Result<Exported> {
        match self {
            Self::Second(repo) => repo.export(&v2::Wish { request: request.clone(), ..v2::Wish::default() }),
            Self::Third(repo) => repo.export(request),
        }
    }
}
