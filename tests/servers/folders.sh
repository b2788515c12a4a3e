#!/bin/sh
# Folders that are missing, made anew, of odd names, or emptied by somebody else.
. "$(dirname "$0")/_lib.sh"
start_server 30

missing_target_is_created_once() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Deep/New Folder" } }
EOT
    start_daemon && deliver_many 12 new || return 1
    wait_for 30 has_count "Deep/New Folder" 12 || return 1
    deliver_many 3 later || return 1
    wait_for 30 has_count "Deep/New Folder" 15 || return 1
    expect "said that it made the folder, once" test "$(log_count 'folder .*Deep/New Folder.* created')" -eq 1 ||
        return 1
    expect "one CREATE" test "$(log_count '> [^ ]* CREATE ')" -eq 1 || return 1
    expect "subscribed" imap_says 'Deep/New Folder' 'LSUB "" "*"' && stop_daemon
}

missing_target_without_create() {
    config '' <<'EOT' || return 1
rule "all" { when = subject:contains "no", actions = { move("Nowhere", { create = false }) } }
rule "flags" { when = subject:contains "yes", actions = { flag "Seen2" } }
EOT
    start_daemon || return 1
    deliver no1 yes1 || return 1
    wait_for 30 queue_says 'parked.*/INBOX/1  rule all: .*move' || return 1
    expect "flagged all the same" wait_for 20 is_flagged INBOX yes1 Seen2 || return 1
    expect "still in INBOX" has INBOX no1 || return 1
    expect "no folder made" test ! -d "$(maildir Nowhere)" && stop_daemon
}

# Deleted while nobody looks; the list of folders is old.
target_is_deleted_behind_the_back() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Gone" } }
EOT
    imap 'CREATE Gone' && start_daemon && deliver a || return 1
    wait_for 20 has Gone a || return 1
    imap 'DELETE Gone' && deliver b || return 1
    wait_for 20 has Gone b || return 1
    expect "created once" test "$(log_count 'folder .*Gone.* created')" -eq 1 && stop_daemon
}

inbox_to_inbox() {
    config '' <<'EOT' || return 1
rule "self" { when = from:contains "@", actions = { flag "First", move "inbox" } }
EOT
    start_daemon && deliver a b || return 1
    wait_for 30 is_flagged INBOX b First && wait_for 20 queue_is_empty || return 1
    expect "nothing moved" imap_says 'UIDNEXT 3' 'STATUS INBOX (UIDNEXT)' || return 1
    expect "each evaluated once" test "$(log_count 'arriving -> evaluating')" -eq 2 && stop_daemon
}

watched_target() {
    start_sink && config 'watch = { "INBOX", "Second" },' <<'EOT' || return 1
rule "there" { folder = "INBOX", when = from:contains "@", actions = { post "hook", move "Second" } }
rule "back" { folder = "Second", when = from:contains "@", actions = { post "hook", move "INBOX" } }
EOT
    imap 'CREATE Second' && daemon || return 1
    wait_for 30 watching_more_than 1 || return 1
    deliver a b || return 1
    wait_for 30 has_count Second 2 || return 1
    deliver c || return 1
    wait_for 30 has_count Second 3 && wait_for 20 queue_is_empty || return 1
    # All three were seen in Second, and left there: this daemon had put them there.
    second_seen() { "$MAILRULED" status --json | grep -q '"name":"Second","how":"[a-z]*","last_uid":3,'; }
    expect "Second was looked at" wait_for 20 second_seen && each_once 3 Second && stop_daemon
}

own_says_so() {
    start_sink && config 'watch = { "INBOX", "Second" },' <<'EOT' || return 1
rule "there" { folder = "INBOX", when = from:contains "@", actions = { move "Second" } }
rule "chain" { folder = "Second", own = true, when = from:contains "@", actions = { post "hook", move "Third" } }
EOT
    imap 'CREATE Second' && daemon || return 1
    wait_for 30 watching_more_than 1 || return 1
    deliver a b || return 1
    wait_for 30 has_count Third 2 && wait_for 20 queue_is_empty && each_once 2 Third && stop_daemon
}

missing_folder_is_made() {
    config 'poll = "1s", watch = { "INBOX", "Later" },' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
    start_daemon || return 1
    wait_for 20 status_says 'Later .*missing' || return 1
    imap 'CREATE Later' 'SELECT INBOX' && deliver a || return 1
    wait_for 20 is_flagged INBOX a Handled || return 1
    wait_for 30 status_says 'Later .*\(idle\|notify\)' || return 1
    imap 'SELECT INBOX' 'UID COPY 1 Later' || return 1
    stop_daemon
}

watched_folder_is_deleted_and_remade() {
    config 'poll = "1s", watch = { "INBOX", "Work" },' <<'EOT' || return 1
rule "work" { folder = "Work", when = from:contains "@", actions = { flag "Handled" } }
EOT
    imap 'CREATE Work' && daemon || return 1
    wait_for 30 watching_more_than 1 || return 1
    deliver a b || return 1
    imap 'SELECT INBOX' 'UID COPY 1 Work' || return 1
    wait_for 20 is_flagged Work a Handled || return 1
    imap 'DELETE Work' || return 1
    wait_for 40 status_says 'Work .*missing' || return 1
    expect "INBOX is watched" wait_for 20 status_says 'INBOX .*\(idle\|notify\)' || return 1
    imap 'CREATE Work' || return 1
    wait_for 40 status_says 'Work .*\(idle\|notify\)' || return 1
    imap 'SELECT INBOX' 'UID COPY 2 Work' || return 1
    wait_for 30 is_flagged Work b Handled && stop_daemon
}

# The folder is made anew while moves are queued (the connection is dark): the old UIDs belong to others now.
uidvalidity_changes_with_queued_actions() {
    start_sink -d 0 && start_proxy -c "C:UID MOVE:$box/cut" -c "C:AUTHENTICATE:$box/login" &&
        config '' <<'EOT' || return 1
rule "bad" { when = subject:contains "bad", actions = { move "Bad" } }
EOT
    start_daemon || return 1
    touch "$box/cut.arm" "$box/login.arm"
    deliver bad1 bad2 || return 1
    wait_for 30 test -s "$box/cut.cuts" || return 1
    # INBOX gets another UIDVALIDITY; innocent messages have the UIDs of before, the bad ones others.
    imap 'CREATE Side' 'SELECT INBOX' 'UID COPY 1:2 Side' 'UID STORE 1:2 +FLAGS (\Deleted)' 'EXPUNGE' || return 1
    rm -f "$mail/dovecot-uidlist" "$mail"/dovecot.index* || return 1
    deliver good1 good2 || return 1
    imap 'SELECT Side' 'UID COPY 1:2 INBOX' || return 1
    expect "an innocent message has the UID of a bad one" imap_says 'Subject: good' 'EXAMINE INBOX' \
        'UID FETCH 1:2 (BODY.PEEK[HEADER.FIELDS (SUBJECT)])' || return 1
    rm -f "$box/cut.arm" "$box/login.arm"
    wait_for 40 has_count Bad 2 && wait_for 20 queue_is_empty || return 1
    expect "the bad ones were moved" has Bad bad1 || return 1
    expect "no message lost or moved wrongly" has_count INBOX 2 || return 1
    expect "good1 stays" has INBOX good1 || return 1
    expect "said so" logged 'UIDVALIDITY changed' && stop_daemon
}

expunged_before_the_fetch() {
    start_sink && start_proxy -h "C:UID FETCH:$box/fetch" && config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { post "hook", move "Done" } }
EOT
    start_daemon || return 1
    touch "$box/fetch.arm"
    deliver a b c || return 1
    wait_for 20 test -e "$box/fetch.held" || return 1
    imap 'SELECT INBOX' 'UID STORE 1,3 +FLAGS (\Deleted)' EXPUNGE || return 1
    touch "$box/fetch.go"
    wait_for 20 has Done b || return 1
    deliver d || return 1
    wait_for 20 has Done d && wait_for 20 queue_is_empty && each_once 2 Done || return 1
    expect "no busy loop" test "$(log_count '> [^ ]* UID FETCH')" -lt 12 || return 1
    passed_over() { "$MAILRULED" status --json | grep -q '"last_uid":4,'; }
    expect "the cursor has passed" wait_for 10 passed_over && stop_daemon
}

# The one that stays is the last there is: it is not in question, and the cursor passes what went.
last_one_expunged_while_it_is_stopped() {
    config '' <<'EOT'
rule "stay" { when = subject:is "stays", actions = { flag "Seen-Once" } }
EOT
    start_daemon && deliver stays && wait_for 20 is_flagged INBOX stays Seen-Once && stop_daemon || return 1
    deliver goes && imap 'SELECT INBOX' 'UID STORE 2 +FLAGS (\Deleted)' EXPUNGE || return 1
    start_daemon || return 1
    gone_is_passed() { "$MAILRULED" status --json | grep -q '"last_uid":2,'; }
    expect "the cursor has passed" wait_for 10 gone_is_passed || return 1
    expect "the one below is not in question" test "$(log_count 'was not delivered')" -eq 0 && stop_daemon
}

moved_between_rule_and_action() {
    start_sink -d 1500 && config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { post "hook", flag "Mine", move "Done" } }
EOT
    start_daemon && deliver a b || return 1
    wait_for 20 queue_says 'webhook' || return 1
    imap 'CREATE Elsewhere' 'SELECT INBOX' 'UID MOVE 1 Elsewhere' || return 1
    wait_for 30 has Done b && wait_for 20 queue_is_empty || return 1
    expect "not dragged along" has Elsewhere a || return 1
    expect "nothing else moved" has_count Done 1 || return 1
    expect "no warning, no error" test "$(log_count 'level=\(warn\|error\)')" -eq 0 && stop_daemon
}

names_that_are_not_ascii() {
    config 'watch = { "INBOX", "Entwürfe/Größe" },' <<'EOT' || return 1
rule "grow" { folder = "INBOX", when = subject:contains "ä", actions = { move "Überraschung/日本語 & more" } }
rule "watch" { folder = "Entwürfe/Größe", when = from:contains "@", actions = { flag "Gesehen" } }
EOT
    imap 'CREATE "Entw&APw-rfe/Gr&APYA3w-e"' && daemon || return 1
    wait_for 30 watching_more_than 1 || return 1
    deliver_with odd 'X-Nothing: 1' || return 1
    printf 'From: a@b.example\nSubject: =?utf-8?q?=C3=A4rger?=\nMessage-ID: <umlaut@test>\n\nx\n' |
        "$TOOLS/lmtp" "$LMTP_PORT" "$user" - || return 1
    moved() { imap_says 'MESSAGES 1' 'STATUS "&ANw-berraschung/&ZeVnLIqe- &- more" (MESSAGES)'; }
    wait_for 20 moved || return 1
    imap 'SELECT INBOX' 'UID COPY 1 "Entw&APw-rfe/Gr&APYA3w-e"' || return 1
    flagged() { imap_says Gesehen 'EXAMINE "Entw&APw-rfe/Gr&APYA3w-e"' 'UID FETCH 1 (FLAGS)'; }
    wait_for 20 flagged && stop_daemon
}

keyword_that_is_not_allowed() {
    config '' <<'EOT' || return 1
rule "fine" { when = subject:contains "fine", actions = { flag "Good_Word" } }
rule "bad" { when = subject:contains "bad", actions = { flag("Bad(Word") } }
EOT
    if "$MAILRULED" check --offline >"$box/check" 2>&1; then
        start_daemon && deliver bad1 fine1 || return 1
        wait_for 20 queue_says 'parked.*rule bad: ' || return 1
        expect "the other is done" wait_for 20 is_flagged INBOX fine1 Good_Word && stop_daemon
    else
        expect "refused with the place" grep -q 'config.lua:[0-9]*: .*Bad(Word' "$box/check"
    fi
}

put() { # FOLDER NAME
    message "$2" >"$box/put.eml"
    imap "APPEND $1 @$box/put.eml" >/dev/null
}

# What was handled under the old name is not handled again, what was not is handled under the new one; nothing is moved
# away here, so that all of it is seen again.
renamed_goes_on() { # MORE of the account
    config "watch = { \"INBOX\", \"W*\" }, reconcile = \"2s\", $1" <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { copy "Target" } }
EOT
    imap 'CREATE Target' 'CREATE W1' >/dev/null && daemon && wait_for 30 watching_more_than 1 || return 1
    put W1 a && put W1 b && wait_for 20 has_count Target 2 && wait_for 20 queue_is_empty && stop_daemon || return 1
    put W1 c && imap 'RENAME W1 W2' >/dev/null && put W2 d && daemon || return 1
    wait_for 30 has_count Target 4 || return 1
    imap 'RENAME W2 W3' >/dev/null && put W3 e && wait_for 30 has_count Target 5 || return 1
    expect "each name told" test "$(log_count 'was W. before')" -eq 2 || return 1
    wait_for 20 queue_is_empty && each_once 5 Target && stop_daemon
}
renamed_with_notify() { renamed_goes_on ''; }
renamed_with_rounds() { renamed_goes_on 'disable_extensions = { "NOTIFY" }, connections = 1, poll = "1s",'; }

test_case fault_46_a_missing_target_is_created_once_and_logged missing_target_is_created_once
test_case fault_46_create_false_parks_and_holds_up_nobody missing_target_without_create
test_case fault_46_a_target_deleted_by_another_client_is_made_again target_is_deleted_behind_the_back
test_case fault_47_inbox_to_inbox_does_not_loop inbox_to_inbox
test_case fault_47_a_watched_target_does_not_loop watched_target
test_case own_rules_run_where_they_say_so own_says_so
test_case fault_37_a_watched_folder_that_does_not_exist_is_found_later missing_folder_is_made
test_case fault_37_a_watched_folder_is_deleted_and_made_again watched_folder_is_deleted_and_remade
test_case fault_37_a_renamed_folder_goes_on_under_its_new_name renamed_with_notify
test_case fault_37_also_where_folders_are_asked_for_in_rounds renamed_with_rounds
test_case fault_32_uidvalidity_changes_while_actions_are_queued uidvalidity_changes_with_queued_actions
test_case fault_34_expunged_by_another_client_before_the_fetch expunged_before_the_fetch
test_case fault_34_the_last_one_expunged_while_it_is_stopped last_one_expunged_while_it_is_stopped
test_case fault_35_moved_by_another_client_between_rule_and_action moved_between_rule_and_action
test_case names_that_are_not_ascii names_that_are_not_ascii
test_case fault_50_a_keyword_that_is_not_allowed_is_refused_for_good keyword_that_is_not_allowed
finish
