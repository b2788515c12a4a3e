#!/bin/sh
# A backlog that is fetched in several chunks.
. "$(dirname "$0")/_lib.sh"
start_server 4

# A chunk of which something is missing is asked about; the ones behind it must not overtake it.
one_goes_while_they_are_fetched() {
    start_proxy -h "C:UID FETCH:$box/fetch" || return 1
    config '' <<'EOT'
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && stop_daemon || return 1
    deliver_many 700 down || return 1
    touch "$box/fetch.arm"
    daemon
    wait_for 30 test -e "$box/fetch.held" || return 1
    imap 'SELECT INBOX' 'UID STORE 5 +FLAGS.SILENT (\Deleted)' 'UID EXPUNGE 5' || return 1
    touch "$box/fetch.go"
    wait_for 60 has_count Done 699 || return 1
    expect "nothing left behind" has_count INBOX 0 || return 1
    each_once 699 Done && stop_daemon
}

test_case fault_28_a_message_that_goes_while_a_backlog_is_fetched_holds_up_no_other one_goes_while_they_are_fetched
finish
