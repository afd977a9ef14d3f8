//! Everything a node decides, without IO.
