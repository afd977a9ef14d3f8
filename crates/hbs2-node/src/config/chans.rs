//! Settings of refchans: local programs and lists of notices.

use std::collections::BTreeMap;
use std::time::Duration;

use hbs2_core::SignPublicKey;
use hbs2_proto::io::NoticeRule;
use hbs2_script::{Config, ConfigError, Entry, Form};

/// Time after which a notice is in the list when nothing is configured, in seconds. The original's.
const WRITE_SECONDS: u64 = 1;

/// Longest such time, in seconds: an hour.
const WRITE_SECONDS_MAX: u64 = 60 * 60;

/// Notices in the list when nothing is configured. The original's.
const KEEP_NOTICES: usize = 10_000;

/// Most notices that can be configured.
const KEEP_NOTICES_MAX: usize = 100_000;

/// `NAME refchan "KEY" (socket unix "PATH")`: the sockets of local programs by channel.
pub(super) fn companions(
    config: &Config,
    name: &str,
) -> Result<BTreeMap<SignPublicKey, String>, ConfigError> {
    let helper = |entry: &Entry<'_>| {
        let form = || entry.error(format!(r#"{name} refchan "KEY" (socket unix "PATH") is expected"#));
        let [kind, key, socket] = entry.values() else { return Err(form()) };
        let words: Option<Vec<&str>> =
            socket.as_list().map(|words| words.iter().filter_map(Form::as_word).collect());
        match (kind.as_word(), words.as_deref()) {
            (Some("refchan"), Some(["socket", "unix", path])) if !path.is_empty() => {
                Ok((chan(entry, key)?, (*path).to_owned()))
            }
            _ => Err(form()),
        }
    };
    config.all(name).iter().map(helper).collect()
}

/// `refchan-notify-log "KEY" (write-time SECONDS) (trim COUNT)`.
pub(super) fn notice_logs(config: &Config) -> Result<BTreeMap<SignPublicKey, NoticeRule>, ConfigError> {
    config.all("refchan-notify-log").iter().map(notice_log).collect()
}

fn notice_log(entry: &Entry<'_>) -> Result<(SignPublicKey, NoticeRule), ConfigError> {
    let form = r#"refchan-notify-log "KEY" (write-time SECONDS) (trim COUNT) is expected"#;
    let Some((key, options)) = entry.values().split_first() else { return Err(entry.error(form)) };
    let mut rule = NoticeRule { write: Duration::from_secs(WRITE_SECONDS), keep: KEEP_NOTICES };
    for option in options {
        let number = |value: &Form, max: u64| {
            let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
            number
                .filter(|number| (1..=max).contains(number))
                .ok_or_else(|| entry.error_at(value, format!("a number from 1 to {max} is expected")))
        };
        match option.as_call() {
            Some(("write-time", [value])) => {
                rule.write = Duration::from_secs(number(value, WRITE_SECONDS_MAX)?);
            }
            Some(("trim", [value])) => {
                let count = number(value, KEEP_NOTICES_MAX as u64)?;
                rule.keep = usize::try_from(count).unwrap_or(KEEP_NOTICES_MAX);
            }
            _ => return Err(entry.error_at(option, form)),
        }
    }
    Ok((chan(entry, key)?, rule))
}

fn chan(entry: &Entry<'_>, key: &Form) -> Result<SignPublicKey, ConfigError> {
    let word = key.as_word().and_then(|word| word.parse().ok());
    word.ok_or_else(|| entry.error_at(key, "the public key of a refchan is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";

    fn read(text: &str) -> Config {
        Config::parse("config", text).unwrap()
    }

    #[test]
    fn companions_have_a_channel_and_a_socket() {
        let config = read(&format!("validate refchan \"{KEY}\" (socket unix \"/run/v\")"));
        let found = companions(&config, "validate").unwrap();
        assert_eq!(found, BTreeMap::from([(KEY.parse().unwrap(), "/run/v".to_owned())]));
        for wrong in ["validate refchan", "validate refchan x (socket unix \"p\")", "validate reflog x y"] {
            assert!(companions(&read(wrong), "validate").is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_of_notices_have_the_numbers_of_the_original() {
        let config = read(&format!("refchan-notify-log \"{KEY}\"\n"));
        let rule = notice_logs(&config).unwrap()[&KEY.parse().unwrap()];
        assert_eq!(rule, NoticeRule { write: Duration::from_secs(1), keep: 10_000 });
        let config = read(&format!("refchan-notify-log {KEY} (write-time 5) (trim 3)"));
        let rule = notice_logs(&config).unwrap()[&KEY.parse().unwrap()];
        assert_eq!(rule, NoticeRule { write: Duration::from_secs(5), keep: 3 });
        for wrong in ["(trim 0)", "(trim x)", "(keep 3)"] {
            assert!(notice_logs(&read(&format!("refchan-notify-log {KEY} {wrong}"))).is_err(), "{wrong}");
        }
    }
}
