#!/bin/sh
# The commands that ask or tell the running daemon, its signals, --once and --dry-run, and what must never be in a log.
. "$(dirname "$0")/_lib.sh"
start_server 20

rule_flag() { # FLAG
    config "${2:-}" <<EOT
rule "all" { when = from:contains "@", actions = { flag "$1" } }
EOT
}
exits() { # STATUS COMMAND...
    wanted=$1
    shift
    "$@" >"$box/out" 2>&1
    code=$?
    [ "$code" -eq "$wanted" ] || { echo "  exit status $code, not $wanted: $*"; cat "$box/out"; return 1; }
}

status_and_queue() {
    rule_flag A && exits 75 "$MAILRULED" status || return 1
    start_daemon && deliver a || return 1
    wait_for 20 is_flagged INBOX a A || return 1
    expect "the folder, how it is watched, what came" status_says 'INBOX .*\(idle\|notify\), complete .* 1 new' ||
        return 1
    expect "the account" status_says '^account test .*' || return 1
    expect "JSON" sh -c '"$MAILRULED" status --json | lua5.4 -e "local s = io.read([[a]]); assert(s:match([[^{.*}%s*$]]))"' || return 1
    expect "an empty queue" queue_is_empty || return 1
    expect "empty in JSON" test "$("$MAILRULED" queue --json)" = "[]" || return 1
    expect "only its owner may ask" test "$(stat -c %a "$box/state/control.sock")" = 600 || return 1
    expect "only its owner sees the state" test "$(stat -c %a "$box/state")" = 700 || return 1
    exits 2 "$MAILRULED" retry nonsense && exits 1 "$MAILRULED" retry 4711 && exits 1 "$MAILRULED" pause nobody ||
        return 1
    stop_daemon && exits 75 "$MAILRULED" queue
}

reload_keeps_what_works() {
    rule_flag Before && start_daemon && deliver a || return 1
    wait_for 20 is_flagged INBOX a Before || return 1
    echo 'rule "broken" {' >"$box/config.lua"
    exits 78 "$MAILRULED" reload || return 1
    expect "with the place" grep -q 'config.lua:' "$box/out" || return 1
    deliver b && wait_for 20 is_flagged INBOX b Before || return 1
    rule_flag After && exits 0 "$MAILRULED" reload || return 1
    deliver c && wait_for 20 is_flagged INBOX c After || return 1
    expect "the same connection" test "$(log_count 'connected to 127.0.0.1, ')" -eq 1 && stop_daemon
}

hup_reloads() {
    rule_flag Before && start_daemon || return 1
    echo 'nonsense(' >"$box/config.lua"
    kill -HUP "$daemon" && wait_for 10 logged 'config not reloaded' || return 1
    rule_flag After && kill -HUP "$daemon" && wait_for 10 logged 'config reloaded' || return 1
    deliver a && wait_for 20 is_flagged INBOX a After && stop_daemon
}

# The process that has read the config is gone with all evaluators, and the file has changed for the worse meanwhile.
reader_dies() {
    rule_flag Before && start_daemon && deliver a && wait_for 20 is_flagged INBOX a Before || return 1
    cp "$box/config.lua" "$box/good.lua" && echo 'rule "broken" {' >"$box/config.lua"
    kill -KILL "$(pgrep -P "$daemon")" || return 1
    wait_for 10 logged 'the evaluator that read the config was killed' || return 1
    not_evaluated() { "$MAILRULED" status -c "$box/good.lua" | grep -q '^no message is evaluated .*config.lua:'; }
    wait_for 10 not_evaluated || return 1
    sleep 2 # in which it is read again more than once
    expect "said once" test "$(log_count 'no message is evaluated until it is: ')" -eq 1 || return 1
    expect "not that the old one is in use" test "$(log_count 'stays in use')" -eq 0 || return 1
    exits 78 "$MAILRULED" reload -c "$box/good.lua" || return 1
    expect "said to whom asks" test "$(log_count 'no message is evaluated until it is: ')" -eq 2 || return 1
    echo 'rule "other" { wehn = 1 }' >"$box/config.lua"
    wait_for 60 logged 'no message is evaluated until it is: .*wehn' || return 1
    deliver b && rule_flag After && wait_for 60 is_flagged INBOX b After || return 1
    expect "said that it is good" logged 'config read again' || return 1
    not_evaluated && echo "  status still says that nothing is evaluated" && return 1
    stop_daemon
}

reload_changes_the_account() {
    rule_flag A && start_daemon || return 1
    imap 'CREATE More' && rule_flag A 'watch = { "INBOX", "More" },' && exits 0 "$MAILRULED" reload || return 1
    wait_for 20 status_says 'More .*\(idle\|notify\), complete' || return 1
    deliver a && wait_for 20 is_flagged INBOX a A || return 1
    imap 'SELECT INBOX' 'UID COPY 1 More' && wait_for 20 status_says 'More .* 1 new' || return 1
    stop_daemon
}

pause_and_resume() {
    rule_flag A && start_daemon && exits 0 "$MAILRULED" pause test || return 1
    wait_for 10 status_says 'account test .*paused' || return 1
    wait_for 10 logged 'LOGOUT' || return 1
    deliver a b || return 1
    exits 0 "$MAILRULED" resume || return 1
    wait_for 20 is_flagged INBOX a A && wait_for 20 is_flagged INBOX b A || return 1
    expect "not paused any more" status_says 'INBOX .*\(idle\|notify\)' && stop_daemon
}

second_instance() {
    rule_flag A && start_daemon || return 1
    exits 1 "$MAILRULED" run || return 1
    expect "says why" grep -qi 'another\|in use\|running\|lock' "$box/out" || return 1
    deliver a && wait_for 20 is_flagged INBOX a A || return 1
    exits 1 "$MAILRULED" run --once && status_says 'INBOX' && stop_daemon
}

term_during_work() {
    start_sink && config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { post "hook", flag "Seen_It", move "Done" } }
EOT
    start_daemon || return 1
    for round in 1 2 3; do
        deliver_many 60 "round$round-" || return 1
        stop_daemon || return 1
        start_daemon || return 1
    done
    all_done() { has_count Done 180 && posts 180; }
    wait_for 40 all_done && each_once 180 Done && stop_daemon
}

once() {
    config 'backlog = "all",' <<'EOT' || return 1
rule "move" { when = subject:starts "move", actions = { move "Done" } }
rule "fails" { when = subject:is "fails", actions = { move("Nowhere", { create = false }) } }
EOT
    deliver move1 move2 other || return 1
    exits 0 "$MAILRULED" run --once || return 1
    expect "two moved" has_count Done 2 || return 1
    expect "one left" has_count INBOX 1 || return 1
    exits 0 "$MAILRULED" run --once || return 1
    deliver fails || return 1
    exits 1 "$MAILRULED" run --once || return 1
    expect "left where it was" has INBOX fails || return 1
    echo wrong >"$box/password"
    exits 1 "$MAILRULED" run --once || return 1
    echo '}' >>"$box/config.lua"
    exits 78 "$MAILRULED" run --once
}

dry_run() {
    start_sink && config 'backlog = "all",' <<'EOT' || return 1
rule "move" { when = from:contains "@", actions = { post "hook", flag "Mine", move "Done" } }
EOT
    deliver a b || return 1
    for round in 1 2; do
        "$MAILRULED" run --once --dry-run >"$box/out" 2>>"$log" || return 1
    done
    expect "says what it would do, each time" test "$(log_count 'dry run: would move Done')" -eq 4 || return 1
    expect "nothing posted" test ! -s "$hooks" || return 1
    expect "nothing moved" has_count INBOX 2 || return 1
    expect "nothing flagged" test "$(flags_of INBOX a | grep -c Mine)" -eq 0 || return 1
    expect "no folder made" test ! -d "$(maildir Done)" || return 1
    expect "no journal left" test ! -e "$box/state/journal.db" || return 1
    "$MAILRULED" run --once 2>>"$log" || return 1
    expect "then for real" has_count Done 2 && posts 2
}

folders_are_listed() {
    rule_flag A && deliver a b && imap 'CREATE "Entw&APw-rfe"' || return 1
    exits 0 "$MAILRULED" folders test || return 1
    expect "counts" grep -Eq '^ *2 +2 .*INBOX$' "$box/out" || return 1
    expect "special use" grep -Eq 'Trash +Trash$' "$box/out" || return 1
    expect "names for people" grep -q 'Entwürfe$' "$box/out" || return 1
    exits 2 "$MAILRULED" folders || return 1
    "$MAILRULED" folders nobody >/dev/null 2>&1 && return 1
    echo wrong >"$box/password"
    exits 1 "$MAILRULED" folders test && expect "in words" grep -qi 'password\|authentication' "$box/out"
}

no_secret_in_a_log() {
    start_sink && config '' <<'EOT' || return 1
rule "all" { when = text:contains "secret-of", actions = { post "hook", move "Done" } }
rule "fails" { when = subject:is "never", run = function(msg) error("no") end }
EOT
    (umask 077; echo 'secret' >"$box/password")
    start_daemon && deliver a b || return 1
    wait_for 20 has_count Done 2 && wait_for 10 posts 2 || return 1
    "$MAILRULED" status >>"$log" 2>&1
    "$MAILRULED" queue >>"$log" 2>&1
    stop_daemon || return 1
    expect "no body" test "$(grep -c 'secret-of-the-body' "$log")" -eq 0 || return 1
    grep -v 'config.lua\|secret-of' "$log" | grep -w secret | grep -v 'session.*secret' && return 1
    encoded=$(printf '\0%s\0secret' "$user" | base64)
    expect "no password in another coding" test "$(grep -cF "$encoded" "$log")" -eq 0 || return 1
    expect "not in the journal's files" test "$(grep -lF "$encoded" "$box/state/"* | wc -l)" -eq 0
}

test_case status_and_queue_and_who_may_ask status_and_queue
test_case reload_of_a_bad_config_keeps_the_old_one reload_keeps_what_works
test_case hup_reloads hup_reloads
test_case a_config_read_again_because_its_reader_died_says_what_is_so reader_dies
test_case reload_of_an_account_with_another_folder reload_changes_the_account
test_case pause_and_resume pause_and_resume
test_case fault_56_a_second_instance_is_refused second_instance
test_case fault_58_term_during_work_loses_and_repeats_nothing term_during_work
test_case once_and_its_exit_statuses once
test_case dry_run_changes_nothing dry_run
test_case folders_are_listed folders_are_listed
test_case no_secret_and_no_body_in_a_log no_secret_in_a_log
finish
