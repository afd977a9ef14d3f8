//! What `hbs2-sync --help` says.

/// The text.
pub const TEXT: &str = "\
Keep folders equal among the readers of a refchan, sealed for them

Usage: hbs2-sync [OPTIONS] COMMAND [ARGUMENTS] [and COMMAND [ARGUMENTS]]…
       hbs2-sync [OPTIONS]                run the forms of ~/.config/hbs2-sync/config
       hbs2-sync [OPTIONS] --watch [DIR]  keep a folder equal from now on

Options, before the first command:
  -c, --config DIR        directory of the peer's config [default: ~/.config/hbs2-peer]
  -r, --socket PATH       socket of the running peer [default: as its config says]
      --timeout SECONDS   longest wait without news of what is awaited [default: 60]
  -q, --quiet             say errors only
      --verbose           say more on stderr

Commands:
  init                    make a channel, keys and a config for the folder we are in
  init AUTHOR READER      the same with keys that you have
  init --refchan CHAN     the config only, for a channel that there is
  sync [DIR]              make the folder equal to the channel, once
  watch [DIR]             and keep it equal from now on
  dir DIR                 choose the folder for the commands that follow
  run                     synchronise the chosen folder
  run-config              run the forms of ~/.config/hbs2-sync/config
  ls                      list the files and directories that are kept equal
  history                 list all entries of the channel
  deleted                 list the paths that were deleted
  revert HASH             post an old version again
  cat CHAN PATH           print what a channel has at a path
  tomb PATH               delete a file everywhere
  prune                   remove empty directories
  dir:config:show         print the config in force
  dir:state:local:show    print what is in the folder; dir:state:remote:show, in the channel
  dir:state:merged:show   print what 'sync' would do
  timestamp [FILE]        print a time in seconds
  help [NAME]             explain a command

Examples:
  hbs2-sync init
  hbs2-sync sync
  hbs2-sync --watch ~/notes
  hbs2-sync dir ~/notes and history

Files:
  DIR/.hbs2-sync/config   what the folder is: refchan, sign, include, exclude, backup-mode
  DIR/.hbs2-sync/state    what it remembers; without it a deletion goes unnoticed
  ~/.config/hbs2-sync/config  forms for 'hbs2-sync' without words, such as: sync \"/home/me/notes\"

Environment:
  HBS2_RPC_SOCKET         socket of the peer

Exit status: 0 done; 1 failed or wrongly used.

'hbs2-sync --help COMMAND' tells more about a command.
";
