#compdef @PROGRAM@
# What an option takes, one letter a value: f a file, d a directory, c a command, - something else.
_@FUNCTION@_value() {
    case "$1" in
@VALUES@
    (*) return 1 ;;
    esac
}
_@FUNCTION@() {
    local word cur=${${(Q)words[CURRENT]}#[\'\"]} kind= want= command= place=0 mode=start i
    local -a list
    for ((i = 2; i < CURRENT; i++)); do
        word=${(Q)words[i]}
        if [[ -n $want ]]; then
            want=${want[2,-1]}
        elif [[ $word == @AND@ || $word == @THEN@ ]]; then
            mode=joined command=+ place=0
        elif [[ $word == -* ]] && _@FUNCTION@_value "$command ${word%%=*}"; then
            [[ $word != *=* ]] || want=
        elif [[ $word == '['* && @LANGUAGE@ == yes ]]; then
            mode=args command=${word##*\[} place=0
        elif [[ $mode == args ]]; then
            [[ $word == -* ]] || ((place += 1))
        else
            mode=args command=$word
        fi
        # A form in brackets ends: what follows belongs to one that we do not know any more.
        [[ $word == *']' && @LANGUAGE@ == yes ]] && command=+
    done
    if [[ -z $want && $cur == -*=* ]] && _@FUNCTION@_value "$command ${cur%%=*}"; then
        compset -P '*='
    fi
    if [[ -n $want ]]; then
        kind=$want[1]
    elif [[ $cur == '['* && @LANGUAGE@ == yes ]]; then
        compset -P '*\['
        kind=c
    elif [[ $mode$cur == args-* ]]; then
        case "$command" in
@OPTIONS@
        esac
    elif [[ $mode == args ]]; then
        case "$command $place" in
@PLACES@
        ('+ '*) ;;
        (*) list=(@AND_ITEM@) ;;
        esac
    elif [[ $mode$cur == start-* ]]; then
        list=(@DASHED_FIRST@ @DASHED@)
    elif [[ $cur == -* ]]; then
        list=(@DASHED@)
    elif [[ $mode == start ]]; then
        kind=c list=(@FIRST@)
    else
        kind=c
    fi
    if [[ $kind == c ]]; then
        list+=(
@COMMANDS@
        )
    fi
    (( $#list )) && _describe word list
    case $kind in
    (f) _files ;;
    (d) _files -/ ;;
    esac
}
if [ "$funcstack[1]" = "_@PROGRAM@" ]; then
    _@FUNCTION@ "$@"
else
    compdef _@FUNCTION@ @PROGRAM@
fi
