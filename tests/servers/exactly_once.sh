#!/bin/sh
# Each message is acted on exactly once, whenever it arrives: a webhook is accepted for it, then it is moved.
. "$(dirname "$0")/_lib.sh"
. "$(dirname "$0")/_once.sh"
start_server 20

while_it_runs() {
    begin && start_daemon || return 1
    for i in 1 2 3; do deliver "one$i" || return 1; done
    deliver_many 40 many || return 1
    wait_for 30 done_are 43 && each_once 43 Done && stop_daemon
}

# UIDs in the order in which the rules saw them.
order_of_evaluation() { sed -n "s/.* uid=\([0-9]*\) .*arriving -> evaluating.*/\1/p" "$log"; }

a_thousand_while_it_is_stopped() {
    begin && start_daemon && stop_daemon || return 1
    deliver_many 1000 down || return 1
    start_daemon || return 1
    wait_for 60 done_are 1000 && each_once 1000 Done || return 1
    order_of_evaluation >"$box/order"
    expect "a thousand evaluated" test "$(wc -l <"$box/order")" -eq 1000 || return 1
    sort -n "$box/order" >"$box/sorted"
    expect "evaluated in the order of their UIDs" cmp "$box/order" "$box/sorted" && stop_daemon
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

# The first message is under way, and what it waits for is held back while others come.
while_held_back() { # C or S, and the text that is held
    begin -h "$1:$box/held" && start_daemon || return 1
    touch "$box/held.arm"
    deliver first || return 1
    wait_for 30 test -e "$box/held.held" || return 1
    deliver gap1 gap2 || return 1
    touch "$box/held.go"
    wait_for 30 done_are 3 && each_once 3 Done && stop_daemon
}
between_exists_and_fetch() { while_held_back 'C:UID FETCH'; }
before_done_reaches_the_server() { while_held_back 'C:DONE'; }
between_done_and_its_ok() { while_held_back 'S:OK Idle completed'; }

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
test_case killed_and_started_again_and_again killed_and_started
finish
