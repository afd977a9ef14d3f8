//! `hbs2-keyman list`: which key is where.

use hbs2_keyman::Listed;

use crate::error::Failure;
use crate::voice::Voice;

/// List keys: public key, type, file, and weight if one was set
///
/// Lightest first, then by file. Shows public keys only.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Example:
  $ hbs2-keyman list
  HfLafVAmqaZkYFQVtbhRwDEyJtpQduEd1cjDK4bq6N4T sign       /home/hbs2/mykeys.key
  BEoa1tY5tFYYbCtNVhSebz6fZQMSbuSADgkFDHP52wCm encrypt    /home/hbs2/mykeys.key 7")]
pub struct Words {}

/// Runs the command.
///
/// # Errors
/// The config is wrong, or the index cannot be read.
pub fn run(_: &Words, voice: &mut Voice) -> Result<(), Failure> {
    for listed in super::index_with(voice.talk())?.list()? {
        voice.line(line(&listed))?;
    }
    Ok(())
}

/// Key, type, file as the manual shows them; the weight last, so that a script that splits at blanks and knows
/// nothing of weights reads the first three words right.
pub(crate) fn line(listed: &Listed) -> String {
    let weight = listed.weight.map(|weight| format!(" {weight}")).unwrap_or_default();
    format!("{:<44} {:<10} {}{weight}", listed.key, listed.kind, listed.file.display())
}

#[cfg(test)]
mod tests {
    use hbs2_keyman::KeyKind;

    use super::*;

    #[test]
    fn a_line_is_key_type_file_and_weight_last() {
        let mut listed = Listed {
            key: "DEe6cnaKCJPj7AxnyWubukDxB72MECh8LX4N1E7n3mk".to_owned(),
            kind: KeyKind::Sign,
            file: "/k/a.key".into(),
            weight: None,
        };
        assert_eq!(line(&listed), "DEe6cnaKCJPj7AxnyWubukDxB72MECh8LX4N1E7n3mk  sign       /k/a.key");
        listed.weight = Some(7);
        assert!(line(&listed).ends_with("/k/a.key 7"));
    }
}
