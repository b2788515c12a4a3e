#!/bin/sh
# Each message is acted on exactly once, whenever it arrives: a webhook is accepted for it, then it is moved.
. "$(dirname "$0")/_lib.sh"
start_server 20

rules() { # MORE of the account
    config "$1" <<'EOT'
rule "all" { when = from:contains "@", actions = { post "hook", move "Done" } }
EOT
}
begin() { # what the proxy holds or cuts
    start_sink && start_proxy "$@" && rules ''
}
done_are() { has_count Done "$1" && posts "$1" && has_count INBOX 0; }

while_it_runs() {
    begin && start_daemon || return 1
    for i in 1 2 3; do deliver "one$i" || return 1; done
    deliver_many 40 many || return 1
    wait_for 30 done_are 43 && each_once 43 Done && stop_daemon
}

# Of Done by UID: the numbers of the messages.
order_of() {
    imap "EXAMINE $1" "UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])" | sed -n 's/.*<down\([0-9]*\)@test>.*/\1/p'
}

a_thousand_while_it_is_stopped() {
    begin && start_daemon && stop_daemon || return 1
    deliver_many 1000 down || return 1
    start_daemon || return 1
    wait_for 60 done_are 1000 && each_once 1000 Done || return 1
    order_of Done >"$box/order"
    expect "a thousand in the folder" test "$(wc -l <"$box/order")" -eq 1000 || return 1
    sort -n "$box/order" >"$box/sorted"
    expect "moved in the order of their UIDs" cmp "$box/order" "$box/sorted" && stop_daemon
}

between_select_and_idle() {
    begin -h "C:IDLE:$box/idle" && touch "$box/idle.arm" && daemon || return 1
    wait_for 30 test -e "$box/idle.held" || return 1
    deliver gap1 gap2 || return 1
    touch "$box/idle.go"
    wait_for 30 done_are 2 || return 1
    deliver after || return 1
    wait_for 30 done_are 3 && each_once 3 Done && stop_daemon
}

between_exists_and_fetch() {
    begin -h "C:UID FETCH:$box/fetch" && start_daemon || return 1
    touch "$box/fetch.arm"
    deliver first || return 1
    wait_for 30 test -e "$box/fetch.held" || return 1
    deliver gap1 gap2 || return 1
    touch "$box/fetch.go"
    wait_for 30 done_are 3 && each_once 3 Done && stop_daemon
}

before_done_reaches_the_server() {
    begin -h "C:DONE:$box/done" && start_daemon || return 1
    touch "$box/done.arm"
    deliver first || return 1
    wait_for 30 test -e "$box/done.held" || return 1
    deliver gap1 gap2 || return 1
    touch "$box/done.go"
    wait_for 30 done_are 3 && each_once 3 Done && stop_daemon
}

between_done_and_its_ok() {
    begin -h "S:OK Idle completed:$box/ok" && start_daemon || return 1
    touch "$box/ok.arm"
    deliver first || return 1
    wait_for 30 test -e "$box/ok.held" || return 1
    deliver gap1 gap2 || return 1
    touch "$box/ok.go"
    wait_for 30 done_are 3 && each_once 3 Done && stop_daemon
}

cuts_are() { [ -f "$1.cuts" ] && [ "$(wc -l <"$1.cuts")" -ge "$2" ]; }

# The command is lost on its way, each time, until the third.
cut_again_and_again() { # RULE of the proxy, without its file
    begin -c "$1:$box/cut" && start_daemon || return 1
    touch "$box/cut.arm"
    deliver_many 5 cut || return 1
    wait_for 40 cuts_are "$box/cut" 3 || return 1
    deliver during || return 1
    rm "$box/cut.arm"
    wait_for 40 done_are 6 && each_once 6 Done && stop_daemon
}
fetch_is_lost() { cut_again_and_again "C:UID FETCH"; }
fetched_is_lost() { cut_again_and_again "S: FETCH ("; }
move_is_lost() { cut_again_and_again "C:UID MOVE"; }

# The server has moved them, and nobody was told.
answer_to_move_is_lost() {
    begin -c "S:COPYUID:$box/cut" && start_daemon || return 1
    touch "$box/cut.arm"
    deliver_many 5 cut || return 1
    wait_for 30 cuts_are "$box/cut" 1 || return 1
    rm "$box/cut.arm"
    deliver during || return 1
    wait_for 40 done_are 6 && each_once 6 Done && stop_daemon
}

during_reconnects() {
    begin -c "C:LOGIN:$box/cut" -c "C:AUTHENTICATE:$box/cut" -c "S:EXISTS:$box/first" && start_daemon || return 1
    touch "$box/cut.arm" "$box/first.arm"
    deliver first || return 1
    wait_for 40 cuts_are "$box/cut" 2 || return 1
    rm "$box/first.arm"
    deliver_many 20 down || return 1
    rm "$box/cut.arm"
    wait_for 40 done_are 21 && each_once 21 Done && stop_daemon
}

killed_and_started() {
    begin && start_daemon || return 1
    for round in 1 2 3; do
        deliver_many 20 "round$round-" || return 1
        kill_daemon
        daemon
    done
    wait_for 40 has_count Done 60 || return 1
    wait_for 20 queue_is_empty || return 1
    expect "all of them different" test "$(contents Done | sort -u | wc -l)" -eq 60 || return 1
    # A webhook that was under way when it was killed comes again under its id.
    expect "each message under one id" test "$(posted | sort -u | wc -l)" -eq 60 && stop_daemon
}

test_case fault_27_messages_delivered_while_it_runs while_it_runs
test_case fault_28_a_thousand_delivered_while_it_is_stopped_go_in_the_order_of_their_uids a_thousand_while_it_is_stopped
test_case fault_27_between_select_and_idle between_select_and_idle
test_case fault_27_between_exists_and_fetch between_exists_and_fetch
test_case fault_27_before_done_reaches_the_server before_done_reaches_the_server
test_case fault_27_between_done_and_its_ok between_done_and_its_ok
test_case fault_27_connection_cut_at_each_fetch fetch_is_lost
test_case fault_27_connection_cut_at_each_delivery_of_the_fetch fetched_is_lost
test_case fault_27_connection_cut_at_each_move move_is_lost
test_case fault_43_moved_but_the_answer_never_came answer_to_move_is_lost
test_case fault_27_delivered_during_reconnects_that_fail during_reconnects
test_case killed_and_started_again_and_again killed_and_started
finish
