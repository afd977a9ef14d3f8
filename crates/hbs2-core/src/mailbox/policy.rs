//! Who may bring and send to a mailbox.
//!
//! The text is read out of lines by the script language; here a line is its words.

use std::collections::BTreeMap;
use std::fmt;

use crate::SignPublicKey;
use crate::limits::POLICY_RULES_MAX;

/// Rules for peers that bring messages and for senders that wrote them. Whom no rule names is denied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    peers: Rules,
    senders: Rules,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rules {
    all: bool,
    keys: BTreeMap<SignPublicKey, bool>,
}

impl Rules {
    fn allow(&self, key: &SignPublicKey) -> bool {
        self.keys.get(key).copied().unwrap_or(self.all)
    }
}

/// Why lines make no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyTextError {
    /// A line has other words.
    #[error("the policy has a line ({line}), expected (peer|sender allow|deny all|KEY)")]
    Line {
        /// Its words.
        line: String,
    },
    /// There are too many lines.
    #[error("the policy has more than {POLICY_RULES_MAX} rules")]
    TooLong,
}

impl Policy {
    /// Reads a policy from its lines, `peer|sender allow|deny all|KEY`. A rule for a key goes before one for all; of
    /// two rules for the same the last counts.
    ///
    /// # Errors
    /// A line is wrong, or there are too many.
    pub fn from_lines<W: AsRef<str>>(lines: &[Vec<W>]) -> Result<Self, PolicyTextError> {
        if lines.len() > POLICY_RULES_MAX {
            return Err(PolicyTextError::TooLong);
        }
        let mut policy = Self::default();
        for line in lines {
            let words: Vec<&str> = line.iter().map(AsRef::as_ref).collect();
            let wrong = || PolicyTextError::Line { line: words.join(" ") };
            let (who, may, whom) = match words.as_slice() {
                [] => continue,
                [who, may, whom] => (*who, *may, *whom),
                _ => return Err(wrong()),
            };
            let rules = match who {
                "peer" => &mut policy.peers,
                "sender" => &mut policy.senders,
                _ => return Err(wrong()),
            };
            let may = match may {
                "allow" => true,
                "deny" => false,
                _ => return Err(wrong()),
            };
            if whom == "all" {
                rules.all = may;
            } else {
                rules.keys.insert(whom.parse().map_err(|_| wrong())?, may);
            }
        }
        Ok(policy)
    }

    /// Whether messages that this peer brings are taken.
    #[must_use]
    pub fn allows_peer(&self, key: &SignPublicKey) -> bool {
        self.peers.allow(key)
    }

    /// Whether messages of this sender are taken.
    #[must_use]
    pub fn allows_sender(&self, key: &SignPublicKey) -> bool {
        self.senders.allow(key)
    }
}

/// One rule a line, the rules for all first.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |may: bool| if may { "allow" } else { "deny" };
        for (who, rules) in [("peer", &self.peers), ("sender", &self.senders)] {
            writeln!(f, "({who} {} all)", word(rules.all))?;
            for (key, may) in &rules.keys {
                writeln!(f, "({who} {} \"{key}\")", word(*may))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SignPublicKey {
        SignPublicKey::from_bytes([byte; 32])
    }

    fn read(text: &str) -> Result<Policy, PolicyTextError> {
        let line = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        Policy::from_lines(&text.lines().map(line).collect::<Vec<Vec<String>>>())
    }

    #[test]
    fn nobody_may_unless_a_rule_says_so() {
        let policy = read("").unwrap();
        assert!(!policy.allows_peer(&key(1)) && !policy.allows_sender(&key(1)));
        let text = format!("sender deny {}\npeer allow all\nsender allow all", key(1));
        let policy = read(&text).unwrap();
        assert!(
            policy.allows_peer(&key(1)) && !policy.allows_sender(&key(1)) && policy.allows_sender(&key(2))
        );
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let policy = read(&format!("peer deny all\nsender allow all\nsender deny {}", key(2))).unwrap();
        let printed = policy.to_string().replace(['(', ')', '"'], "");
        assert_eq!(read(&printed), Ok(policy));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["peer allow", "peer maybe all", "guest allow all", "sender allow me"] {
            assert_eq!(read(wrong), Err(PolicyTextError::Line { line: wrong.to_owned() }));
        }
    }
}
