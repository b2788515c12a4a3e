#!/bin/sh
# NOTIFY on Dovecot: fifty folders of an account on one connection, and nothing lost.
# FULL=1: a thousand deliveries and a hundred cuts instead of 150 and 15 (about five minutes).
. "$(dirname "$0")/_lib.sh"
deliver_into_folders
start_server 16

folders=49
make_folders() {
    set -- 'CREATE Target'
    i=1
    while [ "$i" -le "$folders" ]; do
        set -- "$@" "CREATE W$i"
        i=$((i + 1))
    done
    imap "$@" >/dev/null
}

config_all() { # MORE
    config "watch = { \"INBOX\", \"W*\" }, $1" <<'EOT'
rule "all" { when = from:contains "@", actions = { move "Target" } }
EOT
}

all_pushed() { [ "$("$MAILRULED" status | grep -c ' notify, complete ')" -eq "$1" ]; }
connections() { awk '$3 == "+"' "$box/wire" | wc -l; }

start_pushed() {
    make_folders && start_proxy "$@" && config_all '' && daemon || return 1
    wait_for 60 all_pushed $((folders + 1)) || { "$MAILRULED" status | grep -v ' notify, complete '; return 1; }
}

fifty_folders() {
    folders=49
    start_pushed || return 1
    deliver_to INBOX first && deliver_to W7 second && deliver_to W49 third || return 1
    wait_for 20 has_count Target 3 && wait_for 20 queue_is_empty || return 1
    expect "one connection" test "$(connections)" -eq 1 || return 1
    expect "the first came with its header fields" test "$(log_count '> [^ ]* UID FETCH')" -eq 2 || return 1
    stop_daemon
}

# A message that comes within the second after SELECT, in which Dovecot's NOTIFY is blind.
lost_wake_up() {
    folders=49
    start_pushed || return 1
    i=0
    while [ "$i" -lt 12 ]; do
        deliver_to W1 "away$i" && wait_for 20 has Target "away$i" || return 1
        sleep "0.$((i * 8 + 1))" # the time after the SELECT that is tried
        deliver_to INBOX "back$i" || return 1
        wait_for 5 has Target "back$i" || return 1
        i=$((i + 1))
    done
    expect "all by the push, none by the reconcile" wait_for 5 queue_is_empty && stop_daemon
}

folders_come_and_go() {
    folders=2
    start_pushed || return 1
    imap 'CREATE W77' >/dev/null && wait_for 20 status_says 'W77 .*notify' || return 1
    deliver_to W77 new && wait_for 20 has Target new || return 1
    imap 'RENAME W77 W78' >/dev/null && wait_for 20 status_says 'W78 .*notify' || return 1
    gone() { ! status_says 'W77'; }
    wait_for 20 gone || return 1
    deliver_to W78 renamed && wait_for 20 has Target renamed || return 1
    imap 'DELETE W78' >/dev/null
    gone() { ! status_says 'W78'; }
    wait_for 20 gone || return 1
    expect "one connection" test "$(connections)" -eq 1 && stop_daemon
}

# "*" begins with INBOX, whatever the alphabet says: its mail comes with its header fields.
any_folder() {
    folders=3
    make_folders && start_proxy && config 'watch = { "*" },' <<'EOT' || return 1
rule "inbox" { folder = "INBOX", when = from:contains "@", actions = { move "Target" } }
EOT
    daemon && wait_for 60 all_pushed 8 && deliver_to INBOX a && wait_for 20 has Target a || return 1
    expect "not asked for" test "$(log_count '> [^ ]* UID FETCH')" -eq 0 && stop_daemon
}

# New rules need other header fields: those come with the next message.
reloaded() {
    folders=1
    make_folders && start_proxy && config_all '' && daemon && wait_for 60 all_pushed 2 || return 1
    config 'watch = { "INBOX", "W*" },' <<'EOT' || return 1
rule "tagged" { when = header "X-Tag":is "yes", actions = { move "Target" } }
EOT
    "$MAILRULED" reload && wait_for 20 logged '> [^ ]* NOTIFY SET .*[Xx]-[Tt]ag' || return 1
    deliver_with tagged 'X-Tag: yes' && wait_for 20 has Target tagged || return 1
    expect "not asked for" test "$(log_count '> [^ ]* UID FETCH .*[Xx]-[Tt]ag')" -le 2 && stop_daemon
}

# NOTIFY is said anew for other rules (and after each visit) while the server still gathers what it is to push: a
# message that came just before is told by neither. Found by a round soon after, not at the next reconcile.
said_anew() {
    folders=2
    start_pushed || return 1
    for after in 0.01 0.1 0.2 0.3; do
        config 'watch = { "INBOX", "W*" },' <<EOT || return 1
rule "all" { when = any { from:contains "@", header "X-$after":is "yes" }, actions = { move "Target" } }
EOT
        deliver_to W1 "a$after" && sleep "$after" && "$MAILRULED" reload || return 1
        wait_for 15 has Target "a$after" || return 1
    done
    expect "each by a round or the push" wait_for 15 queue_is_empty && each_once 4 Target && stop_daemon
}

# What came while nothing was connected is told by the first STATUS.
while_down() {
    folders=5
    start_pushed && stop_daemon || return 1
    deliver_to W2 a && deliver_to W5 b && deliver_to INBOX c || return 1
    daemon && wait_for 30 has_count Target 3 && each_once 3 Target && stop_daemon
}

# A rule that waits for a web service keeps its folder selected.
busy_elsewhere() {
    folders=3
    start_sink -d 9000 && make_folders && start_proxy && config 'watch = { "INBOX", "W*" },' <<EOT || return 1
rule "slow" { folder = "W1", run = function(msg)
    http.get("http://127.0.0.1:$hook_port/", { timeout = "20s", allow_private = true })
    msg:move "Target"
  end }
rule "all" { folder = { "INBOX", "W2", "W3" }, when = from:contains "@", actions = { move "Target" } }
EOT
    hooks=''
    daemon && wait_for 60 all_pushed 4 || return 1
    deliver_to W1 slow && wait_for 20 logged 'folder=W1 .*-> evaluating' && deliver_to W2 other || return 1
    wait_for 40 has Target other || return 1
    expect "another connection took it" logged 'is kept busy in W1' || return 1
    expect "while the first still waits" test "$(count Target)" -eq 1 || return 1
    wait_for 40 has_count Target 2 && wait_for 60 logged '> .* LOGOUT' || return 1
    wait_for 20 all_pushed 4 && each_once 2 Target && stop_daemon
}

# The way back to a folder for the step behind an accepted webhook is cut: nothing is new there, but something not done.
cut_on_the_way_back() {
    folders=2
    start_sink -d 1500 && make_folders && start_proxy -c "c:SELECT W1:$box/select" || return 1
    config 'watch = { "INBOX", "W*" },' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { post "hook", move "Target" } }
EOT
    daemon && wait_for 60 all_pushed 3 && deliver_to W1 a && wait_for 20 logged 'folder=W1 .*post hook' || return 1
    touch "$box/select.arm"
    wait_for 20 test -s "$box/select.cuts" && rm "$box/select.arm" || return 1
    wait_for 20 has Target a && each_once 1 Target && stop_daemon
}

disabled() {
    folders=5
    make_folders && start_proxy && config_all 'disable_extensions = { "NOTIFY" }, connections = 3, poll = "1s",' &&
        daemon || return 1
    wait_for 30 watching_more_than 5 || return 1
    expect "IDLE on the first" wait_for 10 status_says 'INBOX .*idle' &&
        expect "and the second" status_says 'W1 .*idle' || return 1
    expect "STATUS for the rest" status_says 'W4 .*status' || return 1
    deliver_to W5 a && wait_for 20 has Target a && deliver_to INBOX b && wait_for 20 has Target b || return 1
    expect "all at once, by LIST" grep -q 'LIST .*W3.*RETURN (STATUS' "$box/wire" || return 1
    worker_left() { status_says 'INBOX .*idle' && [ "$(grep -c ' LOGOUT' "$box/wire")" -ge 1 ]; }
    wait_for 60 worker_left || return 1
    before=$(connections)
    deliver_to W4 c && wait_for 20 has Target c || return 1
    expect "a connection for the work" test "$(connections)" -eq $((before + 1)) || return 1
    each_once 3 Target && stop_daemon
}

# Dovecot ends by an assertion where header fields are pushed for another SELECT than they were asked for.
no_panic() {
    expect "no panic in the server's log" test "$(grep -c 'Panic' "$dir/server/log/dovecot.log")" -eq 0
}

random() { od -An -N2 -tu2 /dev/urandom | tr -d ' '; }

cut_again_and_again() {
    folders=49
    if [ -n "${FULL:-}" ]; then total=1000 cuts=100; else total=150 cuts=15; fi
    start_pushed -c "S: :$box/server" -c "C: :$box/client" || return 1
    done_cuts() { cat "$box"/*.cuts 2>/dev/null | wc -l; }
    i=0 armed=0
    while [ "$i" -lt "$total" ]; do
        i=$((i + 1))
        n=$(($(random) % 50))
        if [ "$n" -lt 25 ]; then deliver_to INBOX "m$i"; else deliver_to "W$n" "m$i"; fi || return 1
        if [ $((i * cuts / (total - 50))) -gt "$armed" ] && [ "$armed" -lt "$cuts" ]; then # none saves the last 50
            armed=$((armed + 1))
            wait_for 60 all_pushed $((folders + 1)) || return 1
            if [ $((n % 2)) -eq 0 ]; then touch "$box/server.arm"; else touch "$box/client.arm"; fi
            enough() { [ "$(done_cuts)" -ge "$armed" ]; }
            wait_for 60 enough || return 1
            rm -f "$box/server.arm" "$box/client.arm"
        fi
    done
    wait_for 120 has_count Target "$total" && wait_for 20 queue_is_empty && each_once "$total" Target || return 1
    expect "cut often enough" test "$(done_cuts)" -ge "$cuts" && stop_daemon
}

test_case fifty_folders_on_one_connection fifty_folders
test_case fault_29_delivered_within_a_second_of_select lost_wake_up
test_case folders_that_appear_later_are_watched_and_renamed_ones_too folders_come_and_go
test_case any_folder_begins_with_inbox any_folder
test_case after_a_reload_other_header_fields_come reloaded
test_case nothing_is_missed_while_notify_is_said_anew said_anew
test_case what_came_meanwhile_is_told_by_status while_down
test_case a_busy_connection_gives_what_waits_to_another busy_elsewhere
test_case what_is_not_done_is_gone_back_to_after_a_cut cut_on_the_way_back
test_case without_notify_the_rest_is_asked_for_in_rounds disabled
test_case no_delivery_is_lost_however_often_the_connection_is_cut cut_again_and_again
test_case the_server_did_not_crash no_panic
finish
