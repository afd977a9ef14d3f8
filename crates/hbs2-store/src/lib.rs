//! Blocks and references: on disk and in memory.
