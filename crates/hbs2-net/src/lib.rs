//! Frames to and from addresses.
