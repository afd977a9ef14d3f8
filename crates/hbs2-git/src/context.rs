//! What every operation needs: the daemon, the keys, a voice, settings and the clock.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::gitdir::GitConfig;
use crate::keys::Keys;
use crate::link::{Link, LinkError};
use crate::voice::Voice;

/// Compressed bytes after which a segment is closed (spec: git3 6.3).
pub const SEGMENT_BYTES: u64 = 50 * 1024 * 1024;

/// Default zstd level. With a long window over ordered objects the size hardly depends on the level, the time
/// does; the figures are in `docs/decisions/021-git-segments.md`.
pub const COMPRESSION_LEVEL: i32 = 3;

/// The best zstd level, `compression best`.
pub const COMPRESSION_LEVEL_BEST: i32 = 22;

/// How long a wait goes on without any progress. A peer across the world answers within seconds; a minute
/// leaves time for the daemon to dial again.
pub const WAIT_SECONDS: u64 = 60;

/// Everything an operation needs from outside.
pub struct Context<'a> {
    /// The daemon.
    pub link: &'a dyn Link,
    /// Secret keys.
    pub keys: &'a dyn Keys,
    /// Where messages go.
    pub voice: &'a dyn Voice,
    /// Settings.
    pub settings: Settings,
    /// The clock: seconds since 1970.
    pub now: fn() -> u64,
}

/// What the user can set (spec: git3 11.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// zstd level of new segments, 1 to 22.
    pub compression: i32,
    /// Compressed bytes after which a segment is closed.
    pub segment_bytes: u64,
    /// How long a wait goes on without progress.
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            compression: COMPRESSION_LEVEL,
            segment_bytes: SEGMENT_BYTES,
            timeout: Duration::from_secs(WAIT_SECONDS),
        }
    }
}

impl Settings {
    /// Takes over `hbs2.compression`, `hbs2.segment` and `hbs2.timeout` of the git configuration; values that
    /// are no numbers are left out.
    #[must_use]
    pub fn with_git_config(mut self, config: &GitConfig) -> Self {
        if let Some(level) = config.last("hbs2.compression") {
            self.set_compression(level);
        }
        if let Some(bytes) = config.last("hbs2.segment").and_then(|bytes| bytes.parse().ok()) {
            self.set_segment_bytes(bytes);
        }
        if let Some(seconds) = config.last("hbs2.timeout").and_then(|seconds| seconds.parse().ok()) {
            self.timeout = Duration::from_secs(seconds);
        }
        self
    }

    /// Sets the level from a number or `best`; false when it is neither.
    pub fn set_compression(&mut self, level: &str) -> bool {
        let level = if level == "best" { Some(COMPRESSION_LEVEL_BEST) } else { level.parse().ok() };
        if let Some(level) = level {
            self.compression = i32::clamp(level, 1, COMPRESSION_LEVEL_BEST);
        }
        level.is_some()
    }

    /// Sets the segment size, at least one byte.
    pub fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes.max(1);
    }
}

impl Context<'_> {
    /// Says what we were doing when the daemon failed.
    pub(crate) fn link<T>(&self, doing: &str, result: Result<T, LinkError>) -> Result<T> {
        result.map_err(|source| Error::Link { doing: doing.to_owned(), source })
    }
}

/// The system clock, for [`Context::now`].
#[must_use]
pub fn system_now() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
