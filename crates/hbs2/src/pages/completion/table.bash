# What an option takes, one letter a value: f a file, d a directory, c a command, - something else.
_@FUNCTION@_value() {
    case "$1" in
@VALUES@
    *) return 1 ;;
    esac
}
_@FUNCTION@_words() {
    local words=() n=0 at=0 i first=1 piece glued word cur head= kind= want= command= place=0 mode=start list=()
    # Bash breaks words at colons and equal signs: what stands together is one word.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]} glued=$((i > 0))
        while ((at < COMP_POINT)) && [[ ${COMP_LINE:at:1} == [[:space:]] ]]; do
            ((at += 1))
            glued=0
        done
        ((i < COMP_CWORD)) || piece=${COMP_LINE:at:COMP_POINT-at}
        if ((glued)); then words[n-1]+=$piece; else words[n++]=$piece; fi
        ((at += ${#piece}))
    done
    cur=${words[n-1]}
    # The completion of git asks with its own name before ours.
    while [[ ${words[0]##*/} == git && $first -lt $n && ${words[first-1]} != hbs2 ]]; do ((first += 1)); done
    for ((i = first; i < n - 1; i++)); do
        word=${words[i]}
        if [[ -n $want ]]; then
            want=${want:1}
        elif [[ $word == @AND@ || $word == @THEN@ ]]; then
            mode=joined command=+ place=0
        elif [[ $word == -* ]] && _@FUNCTION@_value "$command ${word%%=*}"; then
            [[ $word != *=* ]] || want=
        elif [[ $word == '['* && @LANGUAGE@ == yes ]]; then
            mode=args command=${word##*'['} place=0
        elif [[ $mode == args ]]; then
            [[ $word == -* ]] || ((place += 1))
        else
            mode=args command=$word
        fi
        # A form in brackets ends: what follows belongs to one that we do not know any more.
        [[ $word == *']' && @LANGUAGE@ == yes ]] && command=+
    done
    if [[ -z $want && $cur == -*=* ]] && _@FUNCTION@_value "$command ${cur%%=*}"; then
        cur=${cur#*=}
    fi
    if [[ -n $want ]]; then
        kind=${want:0:1}
    elif [[ $cur == '['* && @LANGUAGE@ == yes ]]; then
        kind=c head=${cur%"${cur##*'['}"} cur=${cur##*'['}
    elif [[ $mode$cur == args-* ]]; then
        case "$command" in
@OPTIONS@
        esac
    elif [[ $mode == args ]]; then
        case "$command $place" in
@PLACES@
        '+ '*) ;;
        *) list=(@AND_ITEM@) ;;
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
    [[ $kind == c ]] && list+=(@COMMANDS@)
    COMPREPLY=()
    for word in "${list[@]}"; do
        [[ $word == "$cur"* ]] && COMPREPLY+=("$head$word")
    done
    # What stands before the last colon is there already.
    if [[ $head$cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
        head=$head${cur%"${cur##*:}"}
        COMPREPLY=("${COMPREPLY[@]#"$head"}")
    fi
    # Files are completed by bash itself, where they are expected.
    case $kind in
    f) compopt -o default ;;
    d) compopt +o default -o dirnames ;;
    *) compopt +o default ;;
    esac 2>/dev/null
}
complete -o default -F _@FUNCTION@_words @PROGRAM@
# The name by which the completion of git asks.
_@FUNCTION@() { _@FUNCTION@_words; }
