//! Tests only: vectors, simulator, hermetic homes, several peers in one test.
