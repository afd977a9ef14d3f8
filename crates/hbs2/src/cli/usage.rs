//! What `hbs2-cli -h` says.

/// The text.
pub const TEXT: &str = "\
Run scripts: everything HBS2 can do, as words of one small language

Usage: hbs2-cli [OPTIONS] FORM… [and FORM…]…
       hbs2-cli [OPTIONS] file FILE [ARGUMENTS]
       hbs2-cli [OPTIONS] stdin

Without a form, a person at a terminal gets a prompt; otherwise the program is read from stdin.
The value of the last form is displayed.

Options, before the form:
  -c, --config DIR      directory of the peer's config [default: ~/.config/hbs2-peer]
  -r, --socket PATH     socket of the running peer [default: as its config says]
      --timeout SECONDS longest wait for an answer of the peer [default: 30]
  -q, --quiet           say errors only
      --verbose         say more on stderr

Help:
  hbs2-cli --help               the names of all words, one a line
  hbs2-cli --help hbs2:tree     those that begin so
  hbs2-cli --help hbs2:hash     the page of one word
  hbs2-cli help                 all words and what they do

Examples:
  hbs2-cli [hbs2:keyman:keys:add [hbs2:keyring:new 1]]
  hbs2-cli [hbs2:groupkey:store [hbs2:groupkey:create KEY1 KEY2]]
  hbs2-cli hbs2:lwwref:get KEY
  hbs2-cli print 1 and newline and print 2

A program file may begin with the line
  #!/usr/bin/env -S hbs2-cli file
and finds its own name and its arguments as $1, $2 and so on, all of them as *args.

'and' and 'then' begin another line of the program. A word of the shell with blanks, such as a
file name, stays one string; a word with brackets or quotes is read as it is written.

Files:
  ~/.local/share/hbs2-cli/history  what was typed at the prompt

Environment:
  HBS2_RPC_SOCKET                  socket of the peer

Exit status: 0 done; 1 failed or wrongly used; a script may end with another one: (quit N).
";
