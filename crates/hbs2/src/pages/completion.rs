//! `hbs2 completion SHELL [PROGRAM]`: what a shell completes.

use std::fmt::Write;

use clap_complete::Shell;

use super::{Entry, Explained, explained, names};
use crate::error::Failure;
use crate::voice::Voice;

/// Print what a shell needs to complete commands
///
/// Put the output where the shell looks, one file a program, or read all of it when the shell starts.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  eval \"$(hbs2 completion bash)\"            in ~/.bashrc
  eval \"$(hbs2 completion zsh)\"             in ~/.zshrc, after compinit
  hbs2 completion fish | source             in ~/.config/fish/config.fish")]
pub struct Words {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
    /// One program only
    #[arg(value_name = "PROGRAM", value_parser = clap::builder::PossibleValuesParser::new(names()))]
    program: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Stdout cannot be written.
pub fn run(words: &Words, voice: &mut Voice) -> Result<(), Failure> {
    let shell = match &*words.shell {
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => Shell::Bash,
    };
    for name in names().filter(|name| words.program.as_ref().is_none_or(|wanted| wanted == name)) {
        voice.out().write_all(script(shell, name).as_bytes())?;
    }
    Ok(())
}

/// The script for one program.
fn script(shell: Shell, name: &'static str) -> String {
    match explained(name) {
        Some(Explained::Clap(mut command)) => {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut command, name, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Some(Explained::Table(table)) => match shell {
            Shell::Zsh => zsh(name, &table.entries),
            Shell::Fish => fish(name, &table.entries),
            _ => bash(name, &table.entries),
        },
        None => String::new(),
    }
}

fn bash(name: &str, entries: &[Entry]) -> String {
    let function = name.replace('-', "_");
    let list: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
    let list = quoted(&list.join(" "));
    let mut text = format!(
        "_{function}() {{
    local line=\"${{COMP_LINE:0:$COMP_POINT}}\" word head
    word=\"${{line##*[[:space:]]}}\"
    COMPREPLY=($(compgen -W {list} -- \"$word\"))
    # Bash breaks words at colons: what stands before the last one is there already.
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        head=\"${{word%\"${{word##*:}}\"}}\"
        COMPREPLY=(\"${{COMPREPLY[@]#\"$head\"}}\")
    fi
}}
complete -o default -F _{function} {name}
"
    );
    if name == "git-hbs2" {
        // The name by which the completion of git asks.
        text.push_str("_git_hbs2() { _git_hbs2_words; }\n");
        text = text.replacen("_git_hbs2() {\n", "_git_hbs2_words() {\n", 1);
        text = text.replace("-F _git_hbs2 git-hbs2", "-F _git_hbs2_words git-hbs2");
    }
    text
}

fn zsh(name: &str, entries: &[Entry]) -> String {
    let function = name.replace('-', "_");
    let mut text = format!("#compdef {name}\n_{function}() {{\n    local -a names\n    names=(\n");
    for entry in entries {
        let line = format!("{}:{}", entry.name.replace(':', "\\:"), entry.brief);
        writeln!(text, "        {}", quoted(&line)).expect("a string takes all");
    }
    write!(
        text,
        "    )\n    _describe name names || _files\n}}\n\
         if [ \"$funcstack[1]\" = \"_{name}\" ]; then\n    _{function} \"$@\"\nelse\n    compdef _{function} {name}\nfi\n"
    )
    .expect("a string takes all");
    text
}

fn fish(name: &str, entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        // In the quotes of fish a backslash and a quote are written with a backslash.
        let quoted = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        writeln!(text, "complete -c {name} -a {} -d {}", quoted(entry.name), quoted(entry.brief))
            .expect("a string takes all");
    }
    text
}

/// In the single quotes of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
