#!/bin/sh
# What each verb does to a mailbox, and how where the server lacks MOVE or UIDPLUS.
. "$(dirname "$0")/_lib.sh"
start_server 20

every_verb() {
    start_sink && config '' <<'EOT' || return 1
rule "move"    { when = subject:is "move",    actions = { move "Moved" } }
rule "copy"    { when = subject:is "copy",    actions = { copy "Copied" } }
rule "flag"    { when = subject:is "flag",    actions = { flag "\\Flagged", flag "Important" } }
rule "unflag"  { when = subject:is "unflag",  actions = { flag("A", "B"), unflag "A" } }
rule "delete"  { when = subject:is "delete",  actions = { delete() } }
rule "junk"    { when = subject:is "junk",    actions = { junk() } }
rule "archive" { when = subject:is "archive", actions = { archive() } }
rule "post"    { when = subject:is "post",    actions = { post "hook" } }
rule "stop"    { when = subject:is "stop",    actions = { flag "Before", stop() } }
rule "behind"  { when = subject:is "stop",    actions = { flag "Behind" } }
rule "several" {
  when = subject:is "several", actions = { flag "\\Seen", copy "Copied", post "hook", flag "Label", move "Moved" },
}
EOT
    start_daemon || return 1
    deliver move copy flag unflag delete junk archive post stop several || return 1
    wait_for 20 has_count Moved 2 && wait_for 20 queue_is_empty || return 1
    expect "moved" has Moved move || return 1
    expect "copied" has Copied copy || return 1
    expect "and still there" has INBOX copy || return 1
    expect "a system flag" is_flagged INBOX flag '\Flagged' || return 1
    expect "a keyword" is_flagged INBOX flag Important || return 1
    expect "one of two taken away" is_flagged INBOX unflag B || return 1
    expect "the other is gone" test "$(flags_of INBOX unflag | grep -cw A)" -eq 0 || return 1
    expect "deleted means trash" has Trash delete || return 1
    expect "junk" has Junk junk || return 1
    expect "archived" has Archive archive || return 1
    expect "posted" test "$(posted | grep -c ' post$')" -eq 1 || return 1
    expect "what stands before stop is done" is_flagged INBOX stop Before || return 1
    expect "what stands behind it is not" test "$(flags_of INBOX stop | grep -c Behind)" -eq 0 || return 1
    expect "several: read" is_flagged Moved several '\Seen' || return 1
    expect "several: labelled" is_flagged Moved several Label || return 1
    expect "several: copied" has Copied several || return 1
    expect "several: posted once" test "$(posted | grep -c ' several$')" -eq 1 || return 1
    expect "nothing else left INBOX" has_count INBOX 5 && stop_daemon
}

deleting_in_the_trash() {
    config 'watch = { "INBOX", "Trash" },' <<'EOT' || return 1
rule "gone" { folder = "Trash", when = from:contains "@", actions = { delete() } }
EOT
    imap 'NOOP' && daemon || return 1
    wait_for 30 watching_more_than 1 || return 1
    deliver a b || return 1
    wait_for 10 has_count INBOX 2 || return 1
    imap 'SELECT INBOX' 'UID COPY 1 Trash' || return 1
    wait_for 20 logged '> [^ ]* UID EXPUNGE 1' && wait_for 20 queue_is_empty || return 1
    expect "gone for good" imap_says 'MESSAGES 0' 'STATUS Trash (MESSAGES)' && stop_daemon
}

no_bare_expunge() {
    if grep -q 'msg="> [^ ]* EXPUNGE' "$log"; then
        echo "  sent a bare EXPUNGE"
        return 1
    fi
}

# Another client has marked one as deleted; it is nobody's business but that client's.
mark_one_deleted() {
    deliver theirs && wait_for 10 has INBOX theirs || return 1
    imap 'SELECT INBOX' 'UID STORE 1 +FLAGS.SILENT (\Deleted)'
}

move_all='rule "all" { when = subject:contains "ours", actions = { move "Done" } }'

without_move() {
    config 'disable_extensions = { "MOVE" },' <<EOT || return 1
$move_all
EOT
    mark_one_deleted && start_daemon && deliver ours1 ours2 || return 1
    wait_for 20 has_count Done 2 && wait_for 20 queue_is_empty && wait_for 20 has_count INBOX 1 || return 1
    expect "no MOVE" test "$(log_count '> [^ ]* UID MOVE')" -eq 0 || return 1
    expect "the other client's is still there" has INBOX theirs || return 1
    expect "each once" test "$(contents Done | sort -u | wc -l)" -eq 2 && no_bare_expunge && stop_daemon
}

without_uidplus() {
    config 'disable_extensions = { "MOVE", "UIDPLUS" },' <<EOT || return 1
$move_all
EOT
    mark_one_deleted && start_daemon && deliver ours1 ours2 || return 1
    wait_for 20 has_count Done 2 && wait_for 20 queue_is_empty || return 1
    expect "left, marked deleted" is_flagged INBOX ours1 '\Deleted' || return 1
    expect "nothing removed" has_count INBOX 3 || return 1
    expect "said so" logged 'left marked .*Deleted' && no_bare_expunge && stop_daemon
}

without_uidplus_but_allowed() {
    config 'disable_extensions = { "MOVE", "UIDPLUS" }, allow_expunge = true,' <<EOT || return 1
$move_all
EOT
    start_daemon && deliver ours1 ours2 other || return 1
    wait_for 20 has_count Done 2 && wait_for 20 queue_is_empty || return 1
    expect "removed" wait_for 10 has_count INBOX 1 || return 1
    expect "the other is there" has INBOX other && stop_daemon
}

copy_is_refused() {
    config 'disable_extensions = { "MOVE" },' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move("Nowhere", { create = false }) } }
EOT
    start_daemon && deliver ours1 || return 1
    wait_for 20 queue_says 'parked' || return 1
    expect "untouched" has INBOX ours1 || return 1
    expect "not marked" test "$(flags_of INBOX ours1 | grep -c Deleted)" -eq 0 && no_bare_expunge && stop_daemon
}

# The connection breaks when the answer to the COPY comes: is it there already?
answer_to_copy_is_lost() {
    start_proxy -c "S:COPYUID:$box/cut" && config "disable_extensions = { \"MOVE\" }," <<EOT || return 1
$move_all
rule "copies" { when = subject:contains "copied", actions = { copy "Copied" } }
EOT
    imap 'CREATE Done' 'CREATE Copied' && start_daemon || return 1
    touch "$box/cut.arm"
    deliver ours1 copied1 || return 1
    wait_for 20 test -s "$box/cut.cuts" || return 1
    rm "$box/cut.arm"
    wait_for 40 queue_is_empty && wait_for 20 has_count INBOX 1 || return 1
    expect "moved once, found $(count Done)" has_count Done 1 || return 1
    expect "copied once, found $(count Copied)" has_count Copied 1 && stop_daemon
}

killed_between_copy_and_expunge() {
    start_proxy -h "C:UID EXPUNGE:$box/expunge" && config 'disable_extensions = { "MOVE" },' <<EOT || return 1
$move_all
EOT
    start_daemon || return 1
    touch "$box/expunge.arm"
    deliver ours1 ours2 || return 1
    wait_for 20 test -e "$box/expunge.held" || return 1
    kill_daemon
    touch "$box/expunge.go"
    deliver ours3
    start_daemon || return 1
    wait_for 30 has_count Done 3 && wait_for 20 queue_is_empty && wait_for 20 has_count INBOX 0 || return 1
    expect "each once" test "$(contents Done | sort -u | wc -l)" -eq 3 && stop_daemon
}

marked_as_seen_by_nobody() {
    start_sink && config '' <<'EOT' || return 1
rule "all" { when = text:contains "secret-of-the-body", actions = { flag "Read_It" } }
EOT
    start_daemon && deliver a || return 1
    wait_for 20 is_flagged INBOX a Read_It || return 1
    expect "reading does not mark as read" test "$(flags_of INBOX a | grep -c Seen)" -eq 0 && stop_daemon
}

test_case every_verb_and_its_effect every_verb
test_case deleting_in_the_trash_is_for_good deleting_in_the_trash
test_case without_move_copies_marks_and_expunges_by_uid without_move
test_case fault_42_without_uidplus_never_a_bare_expunge without_uidplus
test_case fault_42_a_bare_expunge_only_where_it_is_allowed without_uidplus_but_allowed
test_case fault_41_copy_refused_leaves_the_source_untouched copy_is_refused
test_case fault_44_the_answer_to_a_copy_is_lost answer_to_copy_is_lost
test_case killed_between_copy_and_expunge killed_between_copy_and_expunge
test_case reading_does_not_mark_as_read marked_as_seen_by_nobody
finish
