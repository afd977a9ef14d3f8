//! How this crate speaks to the user: lines that stay and a status that is rewritten. It never writes to the
//! terminal itself.

/// Listens to what the work has to say.
pub trait Voice: Send + Sync {
    /// A message that stays, without the end of line.
    fn say(&self, line: &str);

    /// The present state of a long step, such as `importing: 1200 objects`; replaces the one before. An empty
    /// text clears it. Called often: drop what is too much.
    fn status(&self, text: &str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Voice for Silent {
    fn say(&self, _line: &str) {}

    fn status(&self, _text: &str) {}
}
