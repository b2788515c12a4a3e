#!/bin/sh
# A person, a server and the daemon at once: whatever happens to an account's folders in whatever order, each message that comes
# to a watched folder is handled once, and soon: told by a push or the STATUS after it, not by the next reconcile.
# STEPS=n (default 60) steps for each way of watching; SEED=n (default 1) is another walk: the steps of a walk are always the
# same, when they fall is not.
. "$(dirname "$0")/_lib.sh"
EXTRA="${EXTRA:-}
protocol lmtp {
  lmtp_save_to_detail_mailbox = yes
}"
export EXTRA
start_server 4
: "${STEPS:=60}" "${SEED:=1}"

seed=$SEED
pick() { # N: sets $n to 0..N-1
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    n=$((seed / 65536 % $1))
}

watch_all() { # MORE; the rules ask for another header field each time
    tag=$((${tag:-0} + 1))
    config "watch = { \"INBOX\", \"W*\" }, $1" <<CONFIG
rule "all" { when = any { from:contains "@", header "X-Tag-$tag":is "yes" }, actions = { post "hook", move "Target" } }
CONFIG
}

any_folder() { # sets $folder
    pick "$(echo "$names" | wc -w)"
    folder=$(echo "$names" | cut -d' ' -f$((n + 1)))
}

next_name() { total=$((total + 1)); name="m$total"; }

deliver_to() { # FOLDER
    next_name
    case "$1" in INBOX) to=$user ;; *) to="$user+$1" ;; esac
    message "$name" | "$TOOLS/lmtp" "$LMTP_PORT" "$to" -
}

append_to() { # FOLDER
    next_name
    message "$name" >"$box/append.eml"
    imap "APPEND $1 @$box/append.eml" >/dev/null
}

# A person drags a message that was filed elsewhere.
drag_to() { # FOLDER
    next_name
    message "$name" >"$box/append.eml"
    imap 'SELECT Other' "APPEND Other @$box/append.eml" NOOP "MOVE 1:* $1" >/dev/null
}

settled() { has_count Target "$total"; }
settle() { # after cuts it may wait for its next try to connect
    within=$patience
    ! rm "$box"/*.arm 2>/dev/null || within=60
    wait_for "$within" settled || { echo "  seed $SEED, step $step: $(count Target) of $total; waiting: $(waiting)"; return 1; }
}
waiting() {
    for folder in $names; do contents "$folder" | sed "s|^|$folder/|"; done | tr '\n' ' '
}

made=0
add_folder() {
    made=$((made + 1))
    names="$names Wnew$made"
    imap "CREATE Wnew$made" >/dev/null && deliver_to "Wnew$made"
}

# Its mail would go with it: what is in it is handled first.
change_folder() { # DELETE or RENAME
    any_folder
    [ "$folder" != INBOX ] || return 0
    settle || return 1
    others=$(echo "$names" | tr ' ' '\n' | grep -vx "$folder" | tr '\n' ' ' | sed 's/ $//')
    if [ "$1" = DELETE ]; then
        [ "$(echo "$others" | wc -w)" -gt 3 ] || return 0
        names=$others
        imap "DELETE $folder" >/dev/null
    else
        made=$((made + 1))
        names="$others Wnew$made"
        imap "RENAME $folder Wnew$made" >/dev/null && deliver_to "Wnew$made"
    fi
}

pause() {
    pick 15
    sleep "$((n / 10)).$((n % 10))"
}

# Connections on which that comes are cut, before it (C, S) or behind it (c, s), until everything is to be settled.
cuts='C:MOVE c:MOVE C:FETCH S:EXISTS C:DONE S:COPYUID C:NOTIFY c:SELECT S:LIST'
cut_options() {
    for rule in $cuts; do echo "-c $rule:$box/cut-${rule%:*}${rule#*:}"; done
}
arm_cut() {
    pick "$(echo "$cuts" | wc -w)"
    rule=$(echo "$cuts" | cut -d' ' -f$((n + 1)))
    touch "$box/cut-${rule%:*}${rule#*:}.arm"
}

restart_by() { # SIGNAL
    kill "-$1" "$daemon"
    wait "$daemon" 2>/dev/null
    daemon
}

one_step() {
    any_folder
    pick 100
    if [ "$n" -lt 45 ]; then deliver_to "$folder"
    elif [ "$n" -lt 55 ]; then append_to "$folder"
    elif [ "$n" -lt 62 ]; then drag_to "$folder"
    elif [ "$n" -lt 67 ]; then add_folder
    elif [ "$n" -lt 70 ]; then change_folder DELETE
    elif [ "$n" -lt 74 ]; then change_folder RENAME
    elif [ "$n" -lt 80 ]; then watch_all "$more" && wait_for 10 "$MAILRULED" reload
    elif [ "$n" -lt 83 ]; then restart_by KILL
    elif [ "$n" -lt 85 ]; then restart_by TERM
    elif [ "$n" -lt 90 ]; then arm_cut
    elif [ "$n" -lt 92 ]; then kill -STOP "$daemon" && pause && kill -CONT "$daemon"
    else pause
    fi
}

walk() { # MORE of the account; SECONDS in which everything is done
    more=$1 patience=$2 total=0 step=0 names='INBOX W1 W2 W3 W4'
    # shellcheck disable=SC2046
    start_sink && start_proxy $(cut_options) || return 1
    imap 'CREATE Target' 'CREATE Other' 'CREATE W1' 'CREATE W2' 'CREATE W3' 'CREATE W4' >/dev/null && watch_all "$more" || return 1
    daemon && wait_for 30 watching_more_than 4 || return 1
    while [ "$step" -lt "$STEPS" ]; do
        step=$((step + 1))
        one_step || { echo "  seed $SEED, step $step"; return 1; }
        [ $((step % 15)) -ne 0 ] || settle || return 1
    done
    settle && wait_for 10 queue_is_empty && stop_daemon || return 1
    expect "each of them different" test "$(contents Target | sort -u | wc -l)" -eq "$total" || return 1
    expect "each posted" test "$(posted | cut -d' ' -f2- | sort -u | wc -l)" -eq "$total" || return 1
    expect "repeated, after a kill, under its id only" test "$(posted | sort -u | wc -l)" -eq "$total"
}

pushed() { walk '' 10; }
# Folders that come are found at the next reconcile only.
in_rounds() { walk 'disable_extensions = { "NOTIFY" }, connections = 2, poll = "1s", reconcile = "4s",' 15; }

test_case a_walk_with_notify pushed
test_case a_walk_with_idle_and_rounds in_rounds
finish
