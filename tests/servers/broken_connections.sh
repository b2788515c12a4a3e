#!/bin/sh
# Each message is acted on exactly once although the connection breaks at the worst moments, again and again.
. "$(dirname "$0")/_lib.sh"
. "$(dirname "$0")/_once.sh"
start_server 20

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

test_case fault_27_connection_cut_at_each_fetch fetch_is_lost
test_case fault_27_connection_cut_at_each_delivery_of_the_fetch fetched_is_lost
test_case fault_27_connection_cut_at_each_move move_is_lost
test_case fault_43_moved_but_the_answer_never_came answer_to_move_is_lost
test_case fault_27_delivered_during_reconnects_that_fail during_reconnects
finish
