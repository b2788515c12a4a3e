#!/bin/sh
# What a server must be told to do wrong: the daemon against dialogues (tests/dialog/README.md).
. "$(dirname "$0")/_lib.sh"

. "$(dirname "$0")/_script.sh"

move_offered_but_refused() { # ANSWER
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
S: <t> $1
C: <t> UID COPY 10 Done
S: <t> OK [COPYUID 4 10 5] copied
C: <t> UID STORE 10 +FLAGS.SILENT (\\Deleted)
S: <t> OK stored
C: <t> UID EXPUNGE 10
S: * 1 EXPUNGE
S: <t> OK expunged
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID EXPUNGE 10' && followed
}
move_cannot() { move_offered_but_refused 'NO [CANNOT] not here'; }
move_bad() { move_offered_but_refused 'BAD what?'; }

copy_no() {
    play '' <<EOT || return 1
$arrival
C: <t> UID COPY 10 Done
S: <t> NO [NOPERM] not yours
EOT
    move_rule && start_daemon && begun 'NOPERM' || return 1
    wait_for 20 queue_says 'parked.*rule all: .*NOPERM' && followed
}

# The connection is lost with the MOVE under way.
move_lost() { # UIDS that are there afterwards; then what is said
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
reset
reconnect
S: * OK ready again
C: <t> UID SEARCH ...UID 10
S: * ESEARCH (TAG "<t>") UID$1
S: <t> OK done
$2
EOT
    move_rule && start_daemon && begun 'UID SEARCH' && wait_for 20 queue_is_empty && followed
}
move_lost_but_done() { move_lost '' ''; }
move_lost_and_not_done() {
    move_lost ' ALL 10' 'C: <t> UID MOVE 10 Done
S: * OK [COPYUID 4 10 5] moved
S: * 1 EXPUNGE
S: <t> OK done'
}

# The connection is lost with a COPY under way; the target had UIDNEXT 5 before. Then what is said.
copy_lost() { # UID and Message-ID of what is in the target; then what is said
    play '' <<EOT || return 1
on <t> EXAMINE Done
S: * FLAGS ()
S: * 9 EXISTS
S: * OK [UIDVALIDITY 4] UIDs valid
S: * OK [UIDNEXT 7] next
S: <t> OK [READ-ONLY] examined
end
$arrival
C: <t> UID COPY 10 Done
reset
reconnect
S: * OK ready again
C: <t> UID FETCH 10 (UID INTERNALDATE RFC822.SIZE)
S: * 1 FETCH (UID 10 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500)
S: <t> OK done
C: <t> UID FETCH 5:* ...MESSAGE-ID...
S-: * 8 FETCH (UID $1 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500 BODY[HEADER.FIELDS (MESSAGE-ID)]\x20
L: Message-ID: <$2>\r\n\r\n
S: )
S: <t> OK done
$3
EOT
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { copy "Done" } }
EOT
    start_daemon && begun 'EXAMINE Done' && wait_for 20 queue_is_empty || return 1
    expect "as many COPYs as it takes" test "$(log_count '> [^ ]* UID COPY')" -eq "$4" && followed
}
copy_lost_but_done() { copy_lost 6 one@test '' 1; }
# Another message's Message-ID may hold ours. It is looked for three times (lost_copies.sh).
copy_lost_and_not_done() {
    copy_lost 6 another.one@test 'on <t> UID FETCH 10 (UID INTERNALDATE RFC822.SIZE)
S: * 1 FETCH (UID 10 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500)
S: <t> OK done
end
on <t> UID FETCH 5:* ...
S: <t> OK done
end
C: <t> UID COPY 10 Done
S: <t> OK [COPYUID 4 10 7] copied' 2
}

# --- messages that a server slips in, or gives a new UID ---------------------------------------------------------------------

flag_rule() {
    config "$1" <<'EOT'
rule "all" { when = from:contains "@", actions = { flag "\\Flagged" } }
EOT
}

# fetched UID NAME: the server's answer to the FETCH before it.
fetched() {
    data "$1" "$2" "$2"
    echo 'S: <t> OK done'
}

below_the_cursor() {
    play 'UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID STORE 10 +FLAGS.SILENT (\\Flagged)
S: <t> OK stored
C: <i> IDLE
S: + idling
S: * 2 EXISTS
C: <t> UID FETCH 11:* ...
S: <t> OK done
C: <t> UID SEARCH RETURN (ALL) UID 1:10
S: * ESEARCH (TAG "<t>") UID ALL 5,10
S: <t> OK found
C: <t> UID FETCH 5 ...
$(fetched 5 low)
C: <t> UID STORE 5 +FLAGS.SILENT (\\Flagged)
S: <t> OK stored
C: <t> LOGOUT
S: <t> OK bye
reconnect
S: * OK ready again
C: <t> SELECT INBOX
S: * FLAGS (\\\\Flagged)
S: * OK [PERMANENTFLAGS (\\\\Flagged)] no keywords
S: * 3 EXISTS
S: * OK [UIDVALIDITY 7] UIDs valid
S: * OK [UIDNEXT 11] next
S: <t> OK [READ-WRITE] selected
C: <t> UID SEARCH RETURN (ALL) UID 1:10
S: * ESEARCH (TAG "<t>") UID ALL 5,7,10
S: <t> OK found
C: <t> UID FETCH 7 ...
$(fetched 7 mid)
C: <t> UID STORE 7 +FLAGS.SILENT (\\Flagged)
S: <t> OK stored
EOT
    flag_rule '' && start_daemon && queue_is_empty_behind 'UID STORE 5' && stop_daemon || return 1
    start_daemon && queue_is_empty_behind 'UID STORE 7' && followed || return 1
    expect "one STORE each" test "$(log_count '> [^ ]* UID STORE')" -eq 3
}

# What is there at first sight is old, with holes and all.
old_mail_with_holes() {
    printf 'on <t> NOOP\nS: <t> OK\nend\non <t> UID FETCH 10:* ...\nS: <t> OK\nend\non <t> STATUS INBOX ...
S: * STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7)\nS: <t> OK\nend\n' | dialogue 'UIDPLUS' | sed 's/^S: \* 0 EXISTS/S: * 3 EXISTS/; s/UID SEARCH RETURN (ALL) UID 1:.../UID SEARCH RETURN (ALL) UID 1:9/
        s/^S: \* ESEARCH (TAG "<t>") UID$/& ALL 2,5:6/' >"$box/dialogue"
    "$TOOLS/imap_script" "$box/dialogue" >"$box/script_port" 2>"$box/script.err" &
    script=$!
    remember "$script"
    wait_for 10 test -s "$box/script_port" && port=$(cat "$box/script_port") || return 1
    flag_rule 'reconcile = "1s",' && start_daemon && wait_for 20 test_count 2 '> [^ ]* NOOP' && followed || return 1
    expect "listed at first sight" logged 'UID SEARCH' && expect "no STORE" test "$(log_count 'UID STORE')" -eq 0
}
test_count() { [ "$(log_count "$2")" -ge "$1" ]; }

# Another UIDVALIDITY long after the first sight of the folder: what was there then is old.
old_mail_under_another_uidvalidity() {
    dialogue 'UIDPLUS' >"$box/dialogue.first" <<EOT || return 1
on <t> NOOP
S: <t> OK done
end
on <t> STATUS INBOX ...
S: * STATUS INBOX (MESSAGES 3 UIDNEXT 10 UIDVALIDITY 7)
S: <t> OK done
end
on <t> UID FETCH 10:* ...
S: <t> OK done
end
C: <i> IDLE
S: + idling
reset
reconnect
S: * OK ready again
C: <t> SELECT INBOX
S: * FLAGS (\\Flagged)
S: * OK [PERMANENTFLAGS (\\Flagged)] no keywords
S: * 3 EXISTS
S: * OK [UIDVALIDITY 8] UIDs valid
S: * OK [UIDNEXT 4] next
S: <t> OK [READ-WRITE] selected
C: <t> UID SEARCH RETURN (ALL) ALL SINCE <day>
S: * ESEARCH (TAG "<t>") UIDNOTHING
S: <t> OK found
on <t> UID FETCH 4:* ...
S: <t> OK done
end
EOT
    sed 's/^S: \* 0 EXISTS/S: * 3 EXISTS/; s/^S: \* ESEARCH (TAG "<t>") UID$/& ALL 2,5:6/; s/NOTHING//' "$box/dialogue.first" >"$box/dialogue"
    "$TOOLS/imap_script" "$box/dialogue" >"$box/script_port" 2>"$box/script.err" &
    script=$!
    remember "$script"
    wait_for 10 test -s "$box/script_port" && port=$(cat "$box/script_port") || return 1
    flag_rule '' && start_daemon && begun 'UIDVALIDITY is now 8' && followed || return 1
    expect "since the folder was seen last" logged "SINCE $(LC_ALL=C date -u -d '-1 day -2 minutes' '+%-d-%b-%Y')" || return 1
    expect "no STORE" test "$(log_count 'UID STORE')" -eq 0
}

# whole UID: a webhook's look at it.
whole() {
    cat <<EOT
C: <t> UID FETCH $1 (UID BODY.PEEK[]<0.500>)
S-: * 1 FETCH (UID $1 BODY[]<0> 
L: From: a@b.example\\r\\nSubject: one\\r\\nMessage-ID: <one@test>\\r\\n\\r\\ntext
S: )
S: <t> OK done
EOT
}

# The same mail under a new UID, as Exchange does when another program has edited it.
new_uid() { # HOW the server tells that the old one went
    start_sink && play 'UIDPLUS' <<EOT || return 1
$arrival
$(whole 10)
C: <i> IDLE
S: + idling
S: $1
S: * 1 EXISTS
C: <t> UID FETCH 11:* ...
$(fetched 11 one)
$(whole 11)
EOT
    config '' <<'EOT'
rule "all" { when = from:contains "@", actions = { post "hook" } }
EOT
    start_daemon && wait_for 20 logged 'handled before under another UID' && followed || return 1
    expect "one webhook" posts 1
}
new_uid_after_expunge() { new_uid '* 1 EXPUNGE'; }
new_uid_after_vanished() { new_uid '* VANISHED 10'; }

copyuid() { # WHAT the server says before and with its OK
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
$1
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' || return 1
    expect "one MOVE" test "$(log_count '> [^ ]* UID MOVE')" -eq 1 && followed
}
copyuid_absent() { copyuid 'S: <t> OK No messages found'; }
copyuid_uneven() { copyuid 'S: * OK [COPYUID 4 7:9 5] moved
S: <t> OK done'; }
copyuid_backwards() { copyuid 'S: <t> OK [COPYUID 4 12:10 7:9] done'; }
copyuid_without_ok() { copyuid 'S: * [COPYUID 4 10 6]
S: <t> OK done'; }
copyuid_empty() { copyuid 'S: * OK [COPYUID 4  ] moved
S: <t> OK done'; }

move_after_login_only() {
    play 'MOVE UIDPLUS' <<EOT || return 1
C: <t> CAPABILITY
S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR
S: <t> OK done
$arrival
C: <t> UID MOVE 10 Done
S: * OK [COPYUID 4 10 5] moved
S: <t> OK done
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' && followed
}

keyword_refused() {
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID STORE 10 +FLAGS.SILENT (Word)
S: <t> NO [CANNOT] no keywords here
EOT
    config '' <<'EOT' || return 1
rule "word" { when = from:contains "@", actions = { flag "Word" } }
EOT
    start_daemon || return 1
    wait_for 20 queue_says 'parked.*rule word: ' || return 1
    expect "not tried twice" test "$(log_count "> [^ ]* UID STORE")" -le 1 && kill_daemon
}

# The copy is there and journaled; what comes behind it waits for the IDLE to begin, which never does, and is not sent.
lost_behind_the_copy() {
    play 'UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID COPY 10 Done
C: <i> IDLE
S: <t> OK [COPYUID 4 10 5] copied
drain
$reconnected
C: <t> UID STORE 10 +FLAGS.SILENT (\\Deleted)
S: <t> OK stored
C: <t> UID EXPUNGE 10
S: * 1 EXPUNGE
S: <t> OK expunged
EOT
    config 'timeout = "2s"' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && wait_for 30 logged 'UID EXPUNGE 10' && wait_for 20 queue_is_empty && followed
}

# The text that a rule needs is refused for now, again and again: that is not the message's fault.
text_not_now() {
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID FETCH 10 (UID BODYSTRUCTURE)
S: <t> NO [UNAVAILABLE] not now
C: <t> UID FETCH 10 ...
S: <t> NO [UNAVAILABLE] not now either
C: <t> UID FETCH 10 ...
$(data 10 one)
S: <t> OK done
C: <t> UID FETCH 10 (UID BODYSTRUCTURE)
S: * 1 FETCH (UID 10 BODYSTRUCTURE ("text" "plain" NIL NIL NIL "7bit" 6 1 NIL NIL NIL NIL))
S: <t> OK done
C: <t> UID FETCH 10 ...
S-: * 1 FETCH (UID 10 BODY[1]<0> 
L: needle
S: )
S: <t> OK done
C: <t> UID MOVE 10 Done
S: <t> OK [COPYUID 4 10 5] moved
EOT
    config '' <<'EOT' || return 1
defaults { limits = { attempts = 1 } }
rule "text" { when = from:contains "@" & text:contains "needle", actions = { move "Done" } }
EOT
    start_daemon && wait_for 60 logged 'UID MOVE 10' && wait_for 20 queue_is_empty && followed
}

bye_in_the_middle() {
    play 'MOVE UIDPLUS' <<EOT || return 1
C: <i> IDLE
S: + idling
S: * 1 EXISTS
S: * BYE going down
close
$reconnected
C: <t> UID FETCH 10:* ...
$(data 10 one)
S: <t> OK done
C: <t> UID MOVE 10 Done
S: <t> OK [COPYUID 4 10 5] moved
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' && followed
}

# The server takes NOTIFY and then cannot keep up, or will have none of it; the daemon falls back to IDLE and STATUS.
two_folders() {
    config 'watch = { "INBOX", "Done" }, connections = 1, poll = "1s",' <<'EOT'
rule "all" { folder = "INBOX", when = from:contains "@", actions = { flag "\\Seen" } }
EOT
}
select_done='on <t> NOOP
S: <t> OK done
end
on <t> STATUS INBOX ...
S: * STATUS INBOX (MESSAGES 0 UIDNEXT 10 UIDVALIDITY 7)
S: <t> OK done
end
on <t> SELECT Done
S: * FLAGS (\\\\Seen)
S: * OK [PERMANENTFLAGS (\\\\Seen)] no keywords
S: * 0 EXISTS
S: * OK [UIDVALIDITY 4] UIDs valid
S: * OK [UIDNEXT 5] next
S: <t> OK [READ-WRITE] selected
end'
seen() {
    wait_for 20 logged "$1" && wait_for 20 status_says 'Done .*status' || return 1
    expect "INBOX by IDLE" status_says 'INBOX .*idle' && begun '> [^ ]* STATUS Done' && followed
}

notify_overflow() {
    play NOTIFY <<EOT || return 1
$select_done
on <n> NOTIFY SET ...
S: <n> OK done
end
C: <i> IDLE
S: + idling
S: * OK [NOTIFICATIONOVERFLOW] too many events
C: <t> STATUS Done ...
S: * STATUS Done (UIDNEXT 5 UIDVALIDITY 4)
S: <t> OK done
EOT
    two_folders && daemon && seen 'cannot keep up with NOTIFY'
}

notify_badevent() { # ANSWER without MailboxName; the rest
    play NOTIFY <<EOT || return 1
$select_done
on <n> NOTIFY SET ...
S: <n> $1
end
on <n> NOTIFY SET ...MailboxName...
S: <n> NO [BADEVENT (MessageNew MessageExpunge FlagChange)] no names
end
C: <t> STATUS Done ...
S: * STATUS Done (UIDNEXT 5 UIDVALIDITY 4)
S: <t> OK done
EOT
    two_folders && daemon
}
notify_without_names() {
    notify_badevent 'OK then' && wait_for 20 status_says 'Done .*notify' || return 1
    expect "INBOX too" status_says 'INBOX .*notify' && kill_daemon
}
notify_refused() { notify_badevent 'BAD no' && seen 'NOTIFY does not work here'; }

# A message is announced whenever the daemon listens, and is never there.
news_of_nothing() {
    play 'MOVE UIDPLUS' <<EOT || return 1
on <i> IDLE
S: + idling
S: * 0 EXISTS
S: * 1 EXISTS
end
on <t> NOOP
S: <t> OK done
end
on <t> UID FETCH ...
S: <t> OK done
end
on <t> UID SEARCH ...
S: * ESEARCH (TAG "<t>") UID
S: <t> OK done
end
EOT
    move_rule && start_daemon && wait_for 20 log_has 30 '> [^ ]* UID FETCH' || return 1
    begun_at=$(date +%s)
    before=$(log_count '> [^ ]* UID FETCH')
    wait_for 20 log_has $((before + 30)) '> [^ ]* UID FETCH' || return 1
    expect "30 looks take two seconds or more" test $(($(date +%s) - begun_at)) -ge 2 || return 1
    followed
}
log_has() { [ "$(log_count "$2")" -ge "$1" ]; }

test_case fault_45_move_offered_but_answered_cannot move_cannot
test_case fault_45_move_offered_but_answered_bad move_bad
test_case fault_41_no_move_and_copy_refused_leaves_the_source_alone copy_no
test_case fault_38_a_message_below_the_cursor_is_found below_the_cursor
test_case fault_38_what_was_there_at_first_sight_is_old old_mail_with_holes
test_case fault_32_old_mail_stays_old_under_another_uidvalidity old_mail_under_another_uidvalidity
test_case fault_39_the_same_mail_under_a_new_uid new_uid_after_expunge
test_case fault_39_the_same_mail_under_a_new_uid_told_by_its_old_one new_uid_after_vanished
test_case fault_43_move_lost_on_its_way_but_done move_lost_but_done
test_case fault_43_move_lost_on_its_way_and_not_done move_lost_and_not_done
test_case fault_44_copy_lost_on_its_way_but_done copy_lost_but_done
test_case fault_44_copy_lost_on_its_way_and_not_done copy_lost_and_not_done
test_case fault_48_copyuid_absent copyuid_absent
test_case fault_48_copyuid_of_unequal_lengths copyuid_uneven
test_case fault_48_copyuid_backwards copyuid_backwards
test_case fault_48_copyuid_without_ok copyuid_without_ok
test_case fault_48_copyuid_empty copyuid_empty
test_case fault_07_move_appears_only_after_login move_after_login_only
test_case fault_50_a_keyword_the_server_does_not_keep keyword_refused
test_case fault_44_copied_and_the_next_command_not_sent lost_behind_the_copy
test_case fault_51_a_text_that_is_refused_for_now text_not_now
test_case fault_13_bye_with_news_unfetched bye_in_the_middle
test_case fault_30_notify_overflow_falls_back_to_idle_and_status notify_overflow
test_case fault_31_badevent_leaves_out_the_event notify_without_names
test_case fault_31_notify_answered_bad_falls_back_to_idle_and_status notify_refused
test_case news_of_nothing_again_and_again_are_looked_into_now_and_then news_of_nothing
finish
