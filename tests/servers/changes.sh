#!/bin/sh
# Rules on changed flags and on messages that went, with all that Dovecot offers for it and with less: what another
# client does is told once, live, while the daemon is down, and whenever it is killed; what the daemon does itself is
# not.
#
# FULL=1 kills it 40 times instead of 8.
. "$(dirname "$0")/_lib.sh"
start_server 30

# What each test runs with.
with_qresync='' with_condstore='disable_extensions = { "QRESYNC" },' \
    with_nothing='disable_extensions = { "QRESYNC", "CONDSTORE" },'

# MORE of the account; more rules on standard input.
changes_config() {
    {
        cat <<'EOT'
rule "changed" { on = "flags", actions = { post "hook" } }
rule "went" { on = "gone", actions = { post "hook" } }
EOT
        cat
    } >"$box/rules" && config "$1" <"$box/rules"
}

begin() { # MORE of the account
    start_sink && changes_config "$1" </dev/null
}

# Each event once: "flags UID +ADDED -REMOVED", "gone UID MESSAGE-ID", sorted; repeats of a webhook under one id count
# once.
told() {
    sort -u "$hooks.bodies" 2>/dev/null | sed -n \
        -e 's/^{"id":"\([^"]*\)","type":"message.flags".*"uid":\([0-9]*\),.*"flags_added":\[\([^]]*\)\],"flags_removed":\[\([^]]*\)\].*/\1 flags \2 +\3 -\4/p' \
        -e 's/^{"id":"\([^"]*\)","type":"message.gone".*"uid":\([0-9]*\),.*"message_id":\(null\|"[^"]*"\).*/\1 gone \2 \3/p' |
        tr -d '"' | sed 's/\\\\/\\/g' | sort -u -k1,1 | cut -d' ' -f2- | sort
}
told_are() { [ "$(told)" = "$(printf '%s\n' "$@" | sort)" ]; }
told_count() { told | wc -l; }
told_once() { # EVENT...: these, and a while later still no others
    wait_for 20 told_are "$@" || { told; return 1; }
    wait_for 10 queue_is_empty || return 1
    told_are "$@" || { echo "  told: $(told)"; return 1; }
}
nothing_told() { [ "$(told_count)" -eq 0 ]; }

live() { # MORE
    begin "$1" && start_daemon && deliver one two three || return 1
    wait_for 20 cursor_is 3 || return 1
    imap "SELECT INBOX" 'UID STORE 1 +FLAGS (\Flagged Todo)' >/dev/null || return 1
    wait_for 20 told_are 'flags 1 +\Flagged,Todo -' || { told; return 1; }
    imap "SELECT INBOX" 'UID STORE 1 -FLAGS (\Flagged)' >/dev/null || return 1
    wait_for 20 told_are 'flags 1 +\Flagged,Todo -' 'flags 1 + -\Flagged' || { told; return 1; }
    imap "CREATE Away" "SELECT INBOX" 'UID MOVE 3 Away' >/dev/null || return 1
    told_once 'flags 1 +\Flagged,Todo -' 'flags 1 + -\Flagged' 'gone 3 three@test' && stop_daemon
}
cursor_is() { "$MAILRULED" status --json | grep -q "\"last_uid\":$1,"; }
live_with_qresync() { live "$with_qresync" && expect "VANISHED" logged '< VANISHED'; }
live_with_condstore() { live "$with_condstore" && expect "no VANISHED" test "$(log_count '< VANISHED')" -eq 0; }
live_with_nothing() { live "$with_nothing" && expect "no CHANGEDSINCE" test "$(log_count CHANGEDSINCE)" -eq 0; }

while_down() { # MORE
    begin "$1" && start_daemon && deliver one two three four || return 1
    wait_for 20 cursor_is 4 && stop_daemon || return 1
    imap "SELECT INBOX" 'UID STORE 1 +FLAGS (\Answered)' 'UID STORE 2 +FLAGS (\Deleted x)' 'UID EXPUNGE 2' \
        'UID STORE 3 +FLAGS (y)' 'UID STORE 3 -FLAGS (y)' >/dev/null && deliver five || return 1
    start_daemon || return 1
    told_once 'flags 1 +\Answered -' 'gone 2 two@test' && stop_daemon || return 1
    start_daemon && told_once 'flags 1 +\Answered -' 'gone 2 two@test' && stop_daemon
}
while_down_with_qresync() {
    while_down "$with_qresync" && expect "asked what vanished" logged 'CHANGEDSINCE.*VANISHED'
}
while_down_with_condstore() { while_down "$with_condstore" && expect "asked what changed" logged 'CHANGEDSINCE'; }
while_down_with_nothing() {
    while_down "$with_nothing" && expect "no CHANGEDSINCE" test "$(log_count CHANGEDSINCE)" -eq 0
}

first_sight() {
    start_sink && deliver old1 old2 && changes_config '' </dev/null || return 1
    imap "SELECT INBOX" 'UID STORE 1 +FLAGS (\Flagged)' >/dev/null && start_daemon || return 1
    imap "SELECT INBOX" 'UID STORE 2 +FLAGS (\Flagged)' >/dev/null || return 1
    told_once 'flags 2 +\Flagged -' && stop_daemon || return 1
    # Without such rules nothing is kept, so that old changes are not told when there are some again.
    config '' </dev/null && start_daemon && stop_daemon || return 1
    imap "SELECT INBOX" 'UID STORE 1:2 -FLAGS (\Flagged)' >/dev/null && changes_config '' </dev/null && start_daemon ||
        return 1
    told_once 'flags 2 +\Flagged -' && stop_daemon
}

own_changes() { # MORE
    start_sink && changes_config "$1" <<'EOT'
rule "label" { when = subject:contains "label", actions = { flag { "\\Flagged", "Label" } } }
rule "move" { when = subject:contains "move", actions = { flag "Moving", move "Away" } }
rule "again" { on = "flags", when = flag_added "Start", actions = { flag { "Start", "Started" } } }
EOT
    start_daemon && deliver label1 move1 other || return 1
    wait_for 20 has_count Away 1 && wait_for 20 is_flagged INBOX label1 Label || return 1
    imap "SELECT INBOX" 'UID STORE 3 +FLAGS (Start)' >/dev/null || return 1
    wait_for 20 is_flagged INBOX other Started || return 1
    told_once 'flags 3 +Start -' && stop_daemon || return 1
    start_daemon && told_once 'flags 3 +Start -' && stop_daemon
}
own_changes_with_qresync() { own_changes "$with_qresync"; }
own_changes_with_nothing() { own_changes "$with_nothing"; }

own_rules() {
    start_sink && config '' <<'EOT' || return 1
rule "new" { actions = { flag "A" } }
rule "own" { on = "flags", own = true, actions = { post "hook", unflag "A", flag "B" } }
EOT
    start_daemon && deliver one || return 1
    wait_for 20 is_flagged INBOX one B && told_once 'flags 1 +A -' && stop_daemon
}

# Killed while it is about to tell the server, and right after the server has done it.
killed_around_a_store() {
    start_sink && start_proxy -h "S:OK Store completed:$box/stored" &&
        changes_config "$with_condstore" <<'EOT' || return 1
rule "label" { actions = { flag "Label" } }
EOT
    start_daemon && touch "$box/stored.arm" && deliver one || return 1
    wait_for 20 test -e "$box/stored.held" && wait_for 10 is_flagged INBOX one Label || return 1
    kill_daemon
    imap "SELECT INBOX" 'UID STORE 1 +FLAGS (Theirs)' >/dev/null && touch "$box/stored.go" || return 1
    start_daemon && told_once 'flags 1 +Theirs -' && stop_daemon
}

# The daemon is killed at any moment while flags change and messages go; then everything was told, once.
killed() { # MORE
    rounds=8
    [ -z "${FULL:-}" ] || rounds=40
    begin "$1" && start_daemon || return 1
    deliver_many $((rounds * 2)) m && wait_for 30 cursor_is $((rounds * 2)) || return 1
    round=1 expected=''
    while [ $round -le $rounds ]; do
        imap "SELECT INBOX" "UID STORE $round +FLAGS (k$((round % 3)))" \
            "UID STORE $((rounds + round)) +FLAGS (\\Deleted)" "UID EXPUNGE $((rounds + round))" >/dev/null || return 1
        sleep "0.0$((round % 7))"
        kill_daemon
        daemon
        [ $((round % 2)) -eq 0 ] || wait_for 20 status_says 'INBOX' || return 1
        round=$((round + 1))
    done
    wait_for 30 all_told $rounds || { told; return 1; }
    wait_for 10 queue_is_empty && all_told $rounds || { told; return 1; }
}
# A flag \Deleted may have been seen before its message went.
all_told() {
    round=1
    told >"$box/told" && [ "$(grep -vc '+.Deleted' "$box/told")" -eq $((2 * $1)) ] || return 1
    while [ $round -le "$1" ]; do
        [ "$(grep -cxF "flags $round +k$((round % 3)) -" "$box/told")" -eq 1 ] || return 1
        [ "$(grep -c "^gone $(($1 + round)) m" "$box/told")" -eq 1 ] || return 1
        round=$((round + 1))
    done
}
killed_with_qresync() { killed "$with_qresync"; }
killed_with_nothing() { killed "$with_nothing"; }

# +FLAGS and -FLAGS name what is to change and leave the rest: what others do at the same time stays, and is told.
others_set_flags_meanwhile() {
    start_sink && start_proxy -h "C:UID STORE:$box/store" && changes_config "" <<'EOT' || return 1
rule "label" { actions = { flag "Ours", unflag "Theirs2" } }
EOT
    start_daemon && touch "$box/store.arm" && deliver one || return 1
    wait_for 20 test -e "$box/store.held" || return 1
    imap "SELECT INBOX" 'UID STORE 1 +FLAGS (\Flagged Theirs1)' >/dev/null && touch "$box/store.go" || return 1
    wait_for 20 is_flagged INBOX one Ours || return 1
    is_flagged INBOX one Theirs1 && is_flagged INBOX one '\Flagged' || return 1
    told_once 'flags 1 +\Flagged,Theirs1 -' && stop_daemon
}

folders_in_rotation() { # MORE
    begin "connections = 1, watch = { \"INBOX\", \"Two\" }, poll = \"1s\", $1" || return 1
    deliver one && imap "CREATE Two" "SELECT INBOX" "UID MOVE 1 Two" >/dev/null || return 1
    start_daemon && wait_for 20 logged 'folder=Two.*watching\|watching.*folder=Two' || return 1
    imap "SELECT Two" 'UID STORE 1 +FLAGS (\Flagged)' >/dev/null || return 1
    told_once 'flags 1 +\Flagged -' || return 1
    imap "SELECT Two" 'UID STORE 1 +FLAGS (\Deleted)' 'UID EXPUNGE 1' >/dev/null || return 1
    wait_for 20 gone_told && stop_daemon
}
gone_told() { told | grep -q '^gone 1 '; }
rotation_with_qresync() { folders_in_rotation "$with_qresync"; }

test_case flags_and_absences_are_told_with_qresync live_with_qresync
test_case flags_and_absences_are_told_with_condstore live_with_condstore
test_case flags_and_absences_are_told_with_nothing live_with_nothing
test_case changes_while_it_is_down_with_qresync while_down_with_qresync
test_case changes_while_it_is_down_with_condstore while_down_with_condstore
test_case changes_while_it_is_down_with_nothing while_down_with_nothing
test_case what_was_there_at_first_sight_is_no_change first_sight
test_case its_own_changes_are_not_told_with_qresync own_changes_with_qresync
test_case its_own_changes_are_not_told_with_nothing own_changes_with_nothing
test_case a_rule_on_own_changes_does_not_run_after_itself own_rules
test_case its_own_changes_are_not_told_after_a_kill killed_around_a_store
test_case killed_at_any_moment_with_qresync killed_with_qresync
test_case killed_at_any_moment_with_nothing killed_with_nothing
test_case fault_52_flags_that_others_set_meanwhile others_set_flags_meanwhile
test_case folders_in_rotation_are_visited_for_their_flags rotation_with_qresync
finish
