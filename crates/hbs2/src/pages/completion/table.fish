# What an option takes, one letter a value: f a file, d a directory, c a command, - something else.
function _@FUNCTION@_value
    switch "$argv[1]"
@VALUES@
        case '*'
            return 1
    end
end
function _@FUNCTION@
    set -l before (commandline -opc)
    set -e before[1]
    set -l cur (commandline -ct)
    set -l kind
    set -l head ''
    set -l want
    set -l command
    set -l place 0
    set -l mode start
    set -l list
    for word in $before
        if test -n "$want"
            set want (string sub -s 2 -- "$want")
        else if contains -- $word @AND@ @THEN@
            set mode joined
            set command +
            set place 0
        else if string match -q -- '-*' $word; and set -l taken (_@FUNCTION@_value "$command "(string replace -r '=.*' '' -- $word))
            string match -q -- '*=*' $word; or set want $taken
        else if test @LANGUAGE@ = yes; and string match -q -- '[*' $word
            set mode args
            set command (string replace -r '.*\[' '' -- $word)
            set place 0
        else if test $mode = args
            string match -q -- '-*' $word; or set place (math $place + 1)
        else
            set mode args
            set command $word
        end
        # A form in brackets ends: what follows belongs to one that we do not know any more.
        if test @LANGUAGE@ = yes; and string match -q -- '*]' $word
            set command +
        end
    end
    if test -z "$want"; and string match -q -- '-*=*' $cur; and set want (_@FUNCTION@_value "$command "(string replace -r '=.*' '' -- $cur))
        set head (string replace -r '=.*' '=' -- $cur)
        set cur (string replace -r '^[^=]*=' '' -- $cur)
    end
    if test -n "$want"
        set kind (string sub -l 1 -- "$want")
    else if test @LANGUAGE@ = yes; and string match -q -- '[*' $cur
        set kind c
        set head (string replace -r '[^\[]*$' '' -- $cur)
    else if test $mode = args; and string match -q -- '-*' $cur
        switch "$command"
@OPTIONS@
        end
    else if test $mode = args
        switch "$command $place"
@PLACES@
            case '+ *'
            case '*'
                set list @AND_ITEM@
        end
    else if test $mode = start; and string match -q -- '-*' $cur
        set list @DASHED_FIRST@ @DASHED@
    else if string match -q -- '-*' $cur
        set list @DASHED@
    else if test $mode = start
        set kind c
        set list @FIRST@
    else
        set kind c
    end
    if test "$kind" = c
        set -a list \
@COMMANDS@
    end
    switch "$kind"
        case f
            set -a list (__fish_complete_path $cur)
        case d
            set -a list (__fish_complete_directories $cur)
    end
    for word in $list
        printf '%s\n' $head$word
    end
end
complete -c @PROGRAM@ -f -a '(_@FUNCTION@)'
