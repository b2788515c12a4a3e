# bash completion for mailruled(1)

_mailruled_options() { # COMMAND
    case $1 in
        run) echo "--config --once --dry-run --log-format --log-level" ;;
        check) echo "--config --offline" ;;
        explain) echo "--config --json --account --folder --flags --event --added --removed" ;;
        folders) echo "--config" ;;
        status) echo "--config --json" ;;
        queue) echo "--config --json" ;;
        retry) echo "--config --all" ;;
        drop) echo "--config" ;;
        pause) echo "--config" ;;
        resume) echo "--config" ;;
        reload) echo "--config" ;;
    esac
}

_mailruled() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "run check explain folders status queue retry drop pause resume reload --help --version" -- "$cur")
        return
    fi
    case $prev in
        -c | --config) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        --log-format) mapfile -t COMPREPLY < <(compgen -W "logfmt json journal" -- "$cur") ;;
        --log-level) mapfile -t COMPREPLY < <(compgen -W "error warn notice info debug" -- "$cur") ;;
        --account | --folder | --flags | --added | --removed) ;;
        *)
            case $cur in
                -*) mapfile -t COMPREPLY < <(compgen -W "$(_mailruled_options "$command") --help" -- "$cur") ;;
                *) [ "$command" != explain ] || mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
            esac
            ;;
    esac
}

complete -o filenames -F _mailruled mailruled
