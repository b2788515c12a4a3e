#!/bin/sh
# What servers of the field say, and what the daemon makes of it (docs/providers.md): against dialogues.
. "$(dirname "$0")/_lib.sh"
. "$(dirname "$0")/_script.sh"

# They arrive together, and the connection ends before anything is done to them: so the next one does it to all at once.
arrivals() { # UIDS, ascending
    printf '%s\n' 'C: <i> IDLE' 'S: + idling' "S: * $# EXISTS" 'C: <t> UID FETCH 10:* ...' join
    for one in "$@"; do data "$one" "m$one"; done
    printf '%s\n' 'S: <t> OK done' 'S: * BYE for a moment' send close reconnect 'S: * OK ready again' \
        'C: <t> SELECT INBOX' "S: * $# EXISTS" 'S: * OK [UIDVALIDITY 7] UIDs valid' \
        "S: * OK [UIDNEXT $((one + 1))] next" 'S: <t> OK [READ-WRITE] selected'
}
status_json() { "$MAILRULED" status --json 2>/dev/null | grep -qE -e "$1"; }
idles() { # and says so: whatever came before has been dealt with
    printf '%s\n' 'C: <i> IDLE' 'S: + idling'
}

# --- authentication and throttling ------------------------------------------------------------------------------------

not_connected() {
    play '' <<'EOT' || return 1
C: <t> SELECT INBOX
S: <t> BAD User is authenticated but not connected.
S: * BYE Connection closed. 14
close
EOT
    move_rule || return 1
    daemon
    wait_for 20 logged 'authenticated but not connected.*again in.*(auth)' || return 1
    expect "no login at once" test "$(log_count 'msg=.> [^ ]* AUTHENTICATE')" -eq 1 || return 1
    status_says 'authenticated but not connected.*again in' && kill_daemon
}

# The MOVE is put off, not failed; nothing leaves for half an hour, not even over a new connection; then the daemon is
# ended.
absurd_backoff() {
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
S: <t> BAD Request is throttled. Suggested Backoff Time: 99999999999 milliseconds
$(idles)
EOT
    move_rule && start_daemon && wait_for 20 logged 'asks for patience: nothing is sent for \(1[89]\)[0-9][0-9] s' ||
        return 1
    wait_for 10 status_json '"pauses":1,"paused_ms":1[89][0-9]{5},' || return 1
    wait_for 10 logged '> [^ ]* IDLE' || return 1
    expect "one MOVE" test "$(log_count '> [^ ]* UID MOVE')" -eq 1 || return 1
    expect "it waits" queue_says 'waiting.*test/INBOX/10' || return 1
    expect "not failed" test "$(log_count 'move: .*again in')" -eq 0 && followed
}

throttled_and_hung_up() {
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
S: <t> NO [LIMIT] UID MOVE Rate limit hit.
S: * BYE IMAP4rev1 Server logging out, rate limit hit
close
EOT
    move_rule && start_daemon && wait_for 20 logged 'connection lost.*again in.*(busy)' || return 1
    wait_for 10 status_json '"connections":0,"pauses":1,"paused_ms":[1-9][0-9]{4},' && kill_daemon
}

# --- refusals, each by its policy -------------------------------------------------------------------------------------

refused_move() { # ANSWER, what follows
    play 'MOVE UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID MOVE 10 Done
S: <t> $1
$2
EOT
    move_rule && start_daemon
}
over_quota() {
    refused_move 'NO [OVERQUOTA] full' "$(idles)" && wait_for 20 logged 'move: .*OVERQUOTA.*again in 480s' && followed
}
in_use() {
    refused_move 'NO [INUSE] locked' "$(idles)" && wait_for 20 logged 'move: .*INUSE.*again in 30s' && followed
}
no_permission() {
    refused_move 'NO [NOPERM] not yours' "$(idles)" && wait_for 20 queue_says 'parked.*rule all: .*NOPERM' && followed
}
limit_throttles() {
    refused_move 'NO [LIMIT] slowly' "$(idles)" && wait_for 20 status_json '"pauses":1,"paused_ms":[1-9]' || return 1
    expect "not failed" test "$(log_count 'move: .*again in')" -eq 0 && followed
}
expunge_issued() { # UIDS that are there, what follows
    refused_move 'NO [EXPUNGEISSUED] some are gone' "C: <t> UID SEARCH ...UID 10
S: * ESEARCH (TAG \"<t>\") UID$1
S: <t> OK done
$2"
}
expunge_issued_gone() { expunge_issued '' '' && queue_is_empty_behind 'UID SEARCH' && followed; }
expunge_issued_here() {
    expunge_issued ' ALL 10' 'C: <t> UID MOVE 10 Done
S: * OK [COPYUID 4 10 5] moved
S: <t> OK done' && queue_is_empty_behind 'UID SEARCH' && followed
}

move_in_part() {
    play 'MOVE UIDPLUS' <<EOT || return 1
$(arrivals 10 11 12)
C: <t> UID MOVE 10:12 Done
S: * OK [COPYUID 4 10:11 5:6] moved
S: * 1 EXPUNGE
S: * 1 EXPUNGE
S: <t> NO [UNAVAILABLE] the rest later
C: <t> UID SEARCH ...UID 10:12
S: * ESEARCH (TAG "<t>") UID ALL 12
S: <t> OK done
C: <t> UID MOVE 12 Done
S: * OK [COPYUID 4 12 7] moved
S: * 1 EXPUNGE
S: <t> OK done
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID SEARCH' || return 1
    wait_for 20 queue_is_empty && followed
}

# --- a message that cannot be had -------------------------------------------------------------------------------------

# The server chokes on UID 11: the others go on, it alone is parked.
poison() {
    play 'MOVE UIDPLUS' <<EOT || return 1
on <t> UID FETCH 10 ...
$(data 10 ten)
S: <t> OK done
end
on <t> UID FETCH 11 ...
S: <t> NO [SERVERBUG] UID FETCH Server error while fetching messages
end
on <t> UID FETCH 12 ...
$(data 12 twelve)
S: <t> OK done
end
on <t> UID SEARCH ...UID 11
S: * ESEARCH (TAG "<t>") UID ALL 11
S: <t> OK done
end
on <t> UID SEARCH ...UID 10:*
S: * ESEARCH (TAG "<t>") UID ALL 10:12
S: <t> OK done
end
on <t> UID FETCH 13:* ...
S: <t> OK done
end
on <t> UID MOVE ...
S: <t> OK moved
end
C: <i> IDLE
S: + idling
S: * 3 EXISTS
C: <t> UID FETCH 10:* ...
S: <t> NO [SERVERBUG] UID FETCH Server error while fetching messages
EOT
    config '' <<'EOT' || return 1
defaults { limits = { attempts = 1 } }
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && wait_for 40 queue_says 'uid 11.*parked\|/11 .*parked\|parked.*11' || return 1
    expect "the others moved" test "$(log_count 'msg=.*move Done\|move \\"Done\\"')" -ge 2 && kill_daemon
}

# --- one by one, what providers do ------------------------------------------------------------------------------------

# UIDs far from each other: their set alone is longer than a line may be.
far_apart="on <t> UID FETCH ...
repeat 90
$(data '10000<n>000' 'm<n>')
end
S: <t> OK done
end"

# All flags are asked for where nothing tells what changed.
short_lines_for_flags() {
    script_header='max-line: 1000'
    play 'MOVE UIDPLUS XYMHIGHESTMODSEQ' <<EOT || return 1
$far_apart
on <t> UID SEARCH ...UID 10:*
S-: * ESEARCH (TAG "<t>") UID ALL 1
repeat 90
S-: ,10000<n>000
end
S: 
S: <t> OK done
end
C: <i> IDLE
S: + idling
S: * OK [UIDNEXT 1000090001] next
S: * 90 EXISTS
C: <i> IDLE
S: + idling
EOT
    script_header=''
    config '' <<'EOT' || return 1
rule "changed" { on = "flags", actions = { flag "Seen-by-us" } }
EOT
    start_daemon && wait_for 20 asked_for_flags 2 || { cat "$box/script.err"; return 1; }
    expect "no line too long" test "$(log_count 'more than the server takes')" -eq 0 && kill_daemon
}
asked_for_flags() { [ "$(log_count "> [^ ]* UID FETCH {[0-9]*} (UID FLAGS)")" -ge "$1" ]; }

# Gmail's own number is the message's identity there.
gmail_identity() {
    play 'MOVE UIDPLUS X-GM-EXT-1' <<EOT || return 1
C: <i> IDLE
S: + idling
S: * 1 EXISTS
C: <t> UID FETCH 10:* (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID BODY.PEEK[...
$(data 10 ten | sed 's/UID 10/UID 10 X-GM-MSGID 1278455344230334865/')
S: <t> OK done
C: <t> UID MOVE 10 Done
S: <t> OK [COPYUID 4 10 5] (Success)
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' && followed
}

short_lines() {
    script_header='max-line: 1000'
    play 'MOVE UIDPLUS XYMHIGHESTMODSEQ' <<EOT || return 1
$far_apart
on <t> UID MOVE ...
S: <t> OK moved
end
C: <i> IDLE
S: + idling
S: * OK [UIDNEXT 1000090001] next
S: * 90 EXISTS
C: <t> UID SEARCH ...UID 10:*
S-: * ESEARCH (TAG "<t>") UID ALL 1
repeat 90
S-: ,10000<n>000
end
S: 
S: <t> OK done
EOT
    script_header=''
    move_rule && start_daemon && begun 'UID MOVE' && wait_for 20 queue_is_empty || return 1
    expect "more than one FETCH of a set" test "$(log_count '> [^ ]* UID FETCH')" -ge 2 || return 1
    expect "more than one MOVE" test "$(log_count '> [^ ]* UID MOVE')" -ge 2 && followed
}

identity() { # Message-ID that UID 10 has when it is to be moved; what follows
    play 'MOVE XSTOP' <<EOT || return 1
$arrival
C: <t> UID SEARCH ...UID 10
S: * ESEARCH (TAG "<t>") UID ALL 10
S: <t> OK done
C: <t> UID FETCH 10 (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])
S-: * 1 FETCH (UID 10 BODY[HEADER.FIELDS (MESSAGE-ID)] 
L: Message-ID: <$1@test>\\r\\n\\r\\n
S: )
S: <t> OK done
$2
EOT
    move_rule && start_daemon && queue_is_empty_behind 'quirks: proton bridge 1' || return 1
    wait_for 20 queue_is_empty
}
identity_is_another() { identity two "$(idles)" && wait_for 10 logged 'UID 10 is another message now' && followed; }
identity_is_the_same() {
    identity one 'C: <t> UID MOVE 10 Done
S: <t> OK [COPYUID 4 10 5] moved' && followed
}

list_returns_nothing() { # ANSWER
    play 'MOVE UIDPLUS SPECIAL-USE LIST-EXTENDED' <<EOT || return 1
C: <t> LIST "" "*" RETURN (SPECIAL-USE)
S: <t> $1
$arrival
C: <t> UID MOVE 10 Done
S: <t> OK moved
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' && followed
}
list_empty() { list_returns_nothing 'OK done'; }
list_bad() { list_returns_nothing 'BAD syntax'; }

# Where NOOP shows nothing and IDLE only pretends; MOVE is broken there, too.
polls_by_status() {
    play 'MOVE UIDPLUS IDLE ID' <<EOT || return 1
C: <t> STATUS INBOX ...
S: * STATUS "INBOX" ()
S: <t> OK done
C: <t> UID FETCH 10:* ...
$(data 10 ten)
S: <t> OK done
C: <t> UID COPY 10 Done
S: <t> OK [COPYUID 4 10 5] copied
C: <t> UID STORE 10 +FLAGS.SILENT (...)
S: <t> OK stored
C: <t> UID EXPUNGE 10
S: <t> OK expunged
EOT
    config 'behaves_like = "imap.163.com", poll = "1s",' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && queue_is_empty_behind 'UID EXPUNGE 10' || return 1
    expect "ID before SELECT" test "$(grep -n '> [^ ]* ID' "$log" | head -n 1 | cut -d: -f1)" -lt \
        "$(grep -n '> [^ ]* SELECT' "$log" | head -n 1 | cut -d: -f1)" && kill_daemon
}

polls_by_select() {
    play 'MOVE UIDPLUS IDLE' <<EOT || return 1
C: <t> SELECT INBOX
S: * 0 EXISTS
S: * OK [UIDVALIDITY 7] UIDs valid
S: * OK [UIDNEXT 10] next
S: <t> OK [READ-WRITE] selected
C: <t> SELECT INBOX
S: * 1 EXISTS
S: * OK [UIDVALIDITY 7] UIDs valid
S: * OK [UIDNEXT 11] next
S: <t> OK [READ-WRITE] selected
C: <t> UID FETCH 10:* ...
$(data 10 ten)
S: <t> OK done
C: <t> UID MOVE 10 Done
S: <t> OK [COPYUID 4 10 5] moved
EOT
    config 'behaves_like = "imap.naver.com", poll = "1s",' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && queue_is_empty_behind 'UID MOVE 10' && kill_daemon
}

# The answer to a COPY is lost where HEADER cannot be searched: what is in the target is fetched.
copy_looked_for_without_search() {
    play 'UIDPLUS' <<EOT || return 1
$arrival
C: <t> UID COPY 10 Done
reset
reconnect
S: * OK ready again
C: <t> UID FETCH 10 (UID INTERNALDATE RFC822.SIZE)
S: * 1 FETCH (UID 10 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500)
S: <t> OK done
C: <t> EXAMINE Done
S: * 1 EXISTS
S: * OK [UIDVALIDITY 4] UIDs valid
S: * OK [UIDNEXT 6] next
S: <t> OK [READ-ONLY] examined
C: <t> UID FETCH 5:* ...MESSAGE-ID...
S-: * 1 FETCH (UID 5 INTERNALDATE "22-Nov-2026 10:00:00 +0000" RFC822.SIZE 500 BODY[HEADER.FIELDS (MESSAGE-ID)]\x20
L: Message-ID: <one@test>\\r\\n\\r\\n
S: )
S: <t> OK done
EOT
    config 'behaves_like = "imap.mail.yahoo.co.jp",' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { copy "Done" } }
EOT
    start_daemon && begun 'EXAMINE' && wait_for 20 queue_is_empty && followed
}

# --- extensions -------------------------------------------------------------------------------------------------------

limited_batches() {
    play 'MOVE UIDPLUS MESSAGELIMIT=2' <<EOT || return 1
$(arrivals 10 11 12)
C: <t> UID MOVE ... Done
S: <t> OK moved
C: <t> UID MOVE ... Done
S: <t> OK moved
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE' || return 1
    expect "no more than two in one" test "$(log_count '> [^ ]* UID MOVE 10:12')" -eq 0 && followed
}

uid_only() {
    play 'ENABLE MOVE UIDPLUS MESSAGELIMIT=1000 UIDONLY' <<EOT || return 1
C: <t> ENABLE UIDONLY
S: * ENABLED UIDONLY
S: <t> OK done
$(printf '%s\n' "$arrival" | sed 's/\* 1 FETCH (UID 10 /* 10 UIDFETCH (/')
C: <t> UID MOVE 10 Done
S: * OK [COPYUID 4 10 5] moved
S: * VANISHED 10
S: <t> OK done
EOT
    move_rule && start_daemon && queue_is_empty_behind 'UID MOVE 10' && followed
}

test_case fault_11_authenticated_but_not_connected_is_trouble_with_the_login not_connected
test_case fault_12_an_absurd_backoff_time_pauses_the_account_for_half_an_hour absurd_backoff
test_case fault_12_rate_limit_and_bye throttled_and_hung_up
test_case fault_51_over_quota_is_tried_again_after_long over_quota
test_case fault_51_limit_slows_the_account_down_and_fails_nothing limit_throttles
test_case fault_51_in_use_is_tried_again_soon in_use
test_case fault_51_no_permission_is_final no_permission
test_case fault_51_expunge_issued_and_it_was_this_message expunge_issued_gone
test_case fault_51_expunge_issued_and_it_was_another expunge_issued_here
test_case fault_45_move_done_in_part_the_rest_is_asked_for move_in_part
test_case fault_40_a_message_that_cannot_be_fetched_is_parked_alone poison
test_case gmail_identity_is_asked_for gmail_identity
test_case lines_of_a_thousand_octets short_lines
test_case lines_of_a_thousand_octets_that_ask_for_flags short_lines_for_flags
test_case a_uid_that_means_another_message_now_is_left_alone identity_is_another
test_case a_uid_that_means_the_same_message_is_acted_on identity_is_the_same
test_case list_with_return_that_gives_nothing list_empty
test_case list_with_return_that_is_refused list_bad
test_case polls_by_status_where_noop_keeps_nothing_alive polls_by_status
test_case polls_by_select_where_nothing_else_shows_news polls_by_select
test_case a_lost_copy_is_found_without_searching_headers copy_looked_for_without_search
test_case messagelimit_bounds_what_a_command_names limited_batches
test_case uidonly_from_login_to_move uid_only
finish
