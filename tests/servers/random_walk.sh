#!/bin/sh
# A person, a server and the daemon at once: whatever happens to an account's folders in whatever order, each message that comes
# to a watched folder is handled once, and soon: told by a push or the STATUS after it, not by the next reconcile.
. "$(dirname "$0")/_walk.sh"

new_rules() { # they ask for another header field each time
    tag=$((${tag:-0} + 1))
    config "watch = { \"INBOX\", \"W*\" }, $more" <<CONFIG
rule "all" { when = any { from:contains "@", header "X-Tag-$tag":is "yes" }, actions = { post "hook", move "Target" } }
CONFIG
}

next_name() { total=$((total + 1)); name="m$total"; }
deliver_one() { # FOLDER
    next_name
    deliver_to "$1" "$name"
}
append_one() { # FOLDER
    next_name
    append_to "$1" "$name" >/dev/null
}
drag_to() { # FOLDER: what was filed elsewhere
    next_name
    append_to Other "$name" >/dev/null && imap 'SELECT Other' "MOVE 1:* $1" >/dev/null
}

done_so_far() { has_count Target "$total"; }
what_is_missing() {
    for folder in $names; do contents "$folder" | sed "s|^|    $folder/|"; done
}

made=0
add_folder() {
    made=$((made + 1))
    names="$names Wnew$made"
    imap "CREATE Wnew$made" >/dev/null && deliver_one "Wnew$made"
}
# Its mail would go with it: what is in it is handled first.
change_folder() { # DELETE or RENAME
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
        imap "RENAME $folder Wnew$made" >/dev/null && deliver_one "Wnew$made"
    fi
}

one_step() {
    any_folder
    disturb 100 || return 1
    if [ "$n" -lt 20 ]; then :
    elif [ "$n" -lt 65 ]; then deliver_one "$folder"
    elif [ "$n" -lt 75 ]; then append_one "$folder"
    elif [ "$n" -lt 82 ]; then drag_to "$folder"
    elif [ "$n" -lt 87 ]; then add_folder
    elif [ "$n" -lt 90 ]; then change_folder DELETE
    elif [ "$n" -lt 94 ]; then change_folder RENAME
    else pause
    fi
}

messages() { # MORE of the account, SECONDS as for start_walk
    more=$1 total=0 names='INBOX W1 W2 W3 W4'
    start_walk "$2" || return 1
    imap 'CREATE Target' 'CREATE Other' 'CREATE W1' 'CREATE W2' 'CREATE W3' 'CREATE W4' >/dev/null && new_rules || return 1
    daemon && wait_for 30 watching_more_than 4 && walk 15 || return 1
    expect "each of them different" test "$(contents Target | sort -u | wc -l)" -eq "$total" || return 1
    expect "each posted" test "$(posted | cut -d' ' -f2- | sort -u | wc -l)" -eq "$total" || return 1
    expect "repeated, after a kill, under its id only" test "$(posted | sort -u | wc -l)" -eq "$total"
}

pushed() { messages '' 20; }
# Folders that come are found at the next reconcile only.
in_rounds() { messages 'disable_extensions = { "NOTIFY" }, connections = 2, poll = "1s", reconcile = "4s",' 30; }

test_case a_walk_with_notify pushed
test_case a_walk_with_idle_and_rounds in_rounds
finish
