# Sourced by the random walks: steps drawn from a seed, on a Dovecot of their own behind a proxy that can cut.
# A walk names $names, its folders, and `done_so_far`: is everything done and told that can be? `what_is_missing` else.
# STEPS=n is its length; SEED=n (default 1) is another walk: its steps are always the same, when they fall is not.
. "$(dirname "$0")/_lib.sh"
deliver_into_folders
start_server 8
: "${STEPS:=60}" "${SEED:=1}"

pick() { # N: sets $n to 0..N-1
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    n=$((seed / 65536 % $1))
}
pick_word() { # WORD...: sets $word
    pick $#
    shift "$n"
    word=$1
}
any_folder() {
    # shellcheck disable=SC2086
    pick_word $names
    folder=$word
}

append_to() { # FOLDER NAME: by another client; prints the server's answer
    message "$2" >"$box/append.eml"
    imap "APPEND $1 @$box/append.eml"
}

# Connections on which that comes are cut, before it (C, S) or behind it (c, s), until everything is to be settled.
cuts='C:MOVE c:MOVE C:FETCH S:EXISTS C:DONE S:COPYUID C:NOTIFY c:SELECT S:LIST S:VANISHED S:EXPUNGE S:FLAGS'
cut_options() {
    for rule in $cuts; do echo "-c $rule:$box/cut-${rule%:*}${rule#*:}"; done
}
arm_cut() {
    # shellcheck disable=SC2086
    pick_word $cuts
    touch "$box/cut-${word%:*}${word#*:}.arm"
}

pause() {
    pick 15
    sleep "$((n / 10)).$((n % 10))"
}
restart_by() { # SIGNAL
    kill "-$1" "$daemon"
    wait "$daemon" 2>/dev/null
    daemon
}
reload() { "$MAILRULED" reload; }
disturb() { # OF: sets $n to 0..OF-1, and does something to the daemon where that is below 20
    pick "$1"
    if [ "$n" -lt 6 ]; then new_rules && wait_for 10 reload
    elif [ "$n" -lt 9 ]; then restart_by KILL
    elif [ "$n" -lt 11 ]; then restart_by TERM
    elif [ "$n" -lt 16 ]; then arm_cut
    elif [ "$n" -lt 18 ]; then kill -STOP "$daemon" && pause && kill -CONT "$daemon"
    elif [ "$n" -lt 20 ]; then pause
    fi
}

settle() { # after cuts it may wait for its next try to connect
    within=$patience
    ! rm "$box"/*.arm 2>/dev/null || within=60
    wait_for "$within" done_so_far && return 0
    echo "  seed $SEED, step $step:"
    what_is_missing
    "$MAILRULED" status
    "$MAILRULED" queue
    return 1
}

start_walk() { # SECONDS in which everything is done, where nothing was cut
    patience=$1 seed=$SEED step=0
    # shellcheck disable=SC2046
    start_sink && start_proxy $(cut_options)
}
walk() { # EVERY so many steps everything is to be settled
    while [ "$step" -lt "$STEPS" ]; do
        step=$((step + 1))
        one_step || { echo "  seed $SEED, step $step"; return 1; }
        [ $((step % $1)) -ne 0 ] || settle || return 1
    done
    settle && wait_for 30 queue_is_empty && stop_daemon
}
