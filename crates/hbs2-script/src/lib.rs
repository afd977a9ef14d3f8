//! The S-expression language of HBS2: read, print.
