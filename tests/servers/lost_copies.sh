#!/bin/sh
# The answer to a COPY is lost: whose copy is in the target, and is there still one to come? Against dialogues
# (tests/dialog/README.md). Three looks, 3 s and 7 s apart, decide; the cases wait side by side. ONLY: a part of a case's name.
cases='whose_copy without_uidplus still_at_it target_grows'
if [ -z "${ONLY:-}" ]; then
    said=$(mktemp -d) pids=''
    trap 'kill $pids 2>/dev/null; wait; rm -rf "$said"' EXIT
    trap 'exit 1' INT TERM
    for case in $cases; do
        ONLY=$case "$0" >"$said/$case" 2>&1 &
        pids="$pids $!"
    done
    failed=0
    for pid in $pids; do wait "$pid" || failed=1; done
    pids=''
    for case in $cases; do cat "$said/$case"; done
    exit "$failed"
fi
. "$(dirname "$0")/_lib.sh"

. "$(dirname "$0")/_script.sh"

# arrives COUNT UID SUBJECT ID SIZE SECOND: the COUNTth message of INBOX, whose COPY is sent and not answered.
arrives() {
    cat <<EOT
C: <i> IDLE
S: + idling
S: * $1 EXISTS
C: <t> UID FETCH $2:* ...
S-: * $1 FETCH (UID $2 FLAGS () INTERNALDATE "22-Nov-2026 10:00:$6 +0000" RFC822.SIZE $5 BODY[HEADER.FIELDS (DATE FROM MESSAGE-ID SUBJECT TO)]\x20
L: From: a@b.example\r\nSubject: $3\r\n${4:+Message-ID: <$4@test>\r\n}\r\n
S: )
S: <t> OK done
C: <t> UID COPY $2 Done
EOT
}
# source UID SIZE SECOND: the question about the message whose copy is looked for.
source_of() {
    cat <<EOT
on <t> UID FETCH $1 (UID INTERNALDATE RFC822.SIZE)
S: * 1 FETCH (UID $1 INTERNALDATE "22-Nov-2026 10:00:$3 +0000" RFC822.SIZE $2)
S: <t> OK done
end
EOT
}
# copy UID ID SIZE SECOND: a message in the target.
copy() {
    cat <<EOT
S-: * 8 FETCH (UID $1 INTERNALDATE "22-Nov-2026 10:00:$4 +0000" RFC822.SIZE $3 BODY[HEADER.FIELDS (MESSAGE-ID)]\\x20
L: ${2:+Message-ID: <$2@test>\\r\\n}\\r\\n
S: )
EOT
}
# target UIDNEXT; what is there above 4 on standard input
target() {
    cat <<EOT
on <t> EXAMINE Done
S: * FLAGS ()
S: * 9 EXISTS
S: * OK [UIDVALIDITY 4] UIDs valid
S: * OK [UIDNEXT $1] next
S: <t> OK [READ-ONLY] examined
end
on <t> UID FETCH 5:* ...MESSAGE-ID...
$(cat)
S: <t> OK done
end
EOT
}
again='reset
reconnect
S: * OK ready again'
copy_all() {
    config "$1" <<'EOT'
rule "all" { when = from:contains "@", actions = { copy "Done" } }
EOT
}
looks() { log_count '> [^ ]* UID FETCH 5:\*'; }
looked() { [ "$(looks)" -ge "$1" ]; }
copies() { log_count "> [^ ]* UID COPY $1 "; }

# Of five copies that were under way one was made of the first; a list's copy of the third came there by itself; the
# fourth's is there, the server gives new dates; the fifth has no Message-ID.
whose_copy() {
    play 'UIDPLUS' <<EOT || return 1
$(source_of 10 500 01; source_of 11 500 01; source_of 12 700 01; source_of 13 800 01; source_of 14 900 01)
$({ copy 5 twin 500 01; copy 6 list 650 02; copy 7 dated 800 59; copy 8 '' 950 01; copy 9 '' 900 02; copy 10 '' 900 01; } | target 11)
$(arrives 1 10 one twin 500 01; arrives 2 11 two twin 500 01; arrives 3 12 three list 700 01; arrives 4 13 four dated 800 01)
$(arrives 5 14 five '' 900 01)
$again
C: <t> UID COPY <first> Done
S: <t> OK [COPYUID 4 <first> 21] copied
C: <t> UID COPY <second> Done
S: <t> OK [COPYUID 4 <second> 22] copied
EOT
    copy_all '' && start_daemon && wait_for 20 looked 5 || return 1
    wait_for 20 queue_is_empty || return 1
    expect "the first and the last were found at once, three were looked for three times" test "$(looks)" -eq 11 || return 1
    expect "the second, whose copy that was not, and the third are copied again" test "$(copies 11)-$(copies 12)" = 2-2 || return 1
    expect "nothing else is" test "$(log_count '> [^ ]* UID COPY')" -eq 7 && followed
}

# Without UIDPLUS nobody knows whose a copy is: then the date has to be the same.
date_decides() {
    play '' <<EOT || return 1
$(source_of 11 500 02)
$(copy 5 twin 500 01 | target 6)
$(arrives 1 10 one twin 500 01)
S: <t> OK copied
$(arrives 2 11 two twin 500 02)
$again
C: <t> UID COPY 11 Done
S: <t> OK copied
EOT
    copy_all '' && start_daemon && queue_is_empty_behind 'UID COPY 11' || return 1
    expect "looked for three times" test "$(looks)" -eq 3 && expect "copied again" test "$(copies 11)" -eq 2 && followed
}

# The server is still at it. Meanwhile the next message is not kept waiting; a daemon that is killed waits on when it
# comes back.
still_at_it() {
    play 'UIDPLUS' <<EOT || return 1
$(source_of 10 500 01)
$(target 5 </dev/null)
$(arrives 1 10 one one 500 01)
$again
$(arrives 2 11 two two 500 01)
S: <t> OK [COPYUID 4 11 6] copied
drain
reconnect
S: * OK ready once more
$(copy 5 one 500 01 | target 7)
EOT
    copy_all 'poll = "1h",' && start_daemon && wait_for 20 looked 1 || return 1
    first=$(date +%s%N)
    wait_for 3 logged 'msg="> [^ ]* UID COPY 11' && wait_for 3 logged 'COPYUID 4 11 6\|uid=11 .*acting\|OK .*copied' || return 1
    expect "before the second look" test "$(looks)" -eq 1 || return 1
    expect "it waits" queue_says 'waiting .*INBOX/10' && kill_daemon && daemon && wait_for 20 looked 2 || return 1
    second=$(date +%s%N)
    expect "not before its time: $(((second - first) / 1000000)) ms" test $(((second - first) / 1000000)) -ge 2500 || return 1
    wait_for 20 queue_is_empty && expect "found" test "$(looks)" -eq 2 || return 1
    expect "copied once" test "$(copies 10)" -eq 1 && followed
}

# The target grows between the looks: then it may still be coming, for longer.
target_grows() {
    play 'UIDPLUS' <<EOT || return 1
$(source_of 10 500 01)
$(target 5 </dev/null)
$(arrives 1 10 one one 500 01)
$again
C: <t> UID FETCH 5:* ...
S: <t> OK done
$(copy 5 other 500 01 | target 6)
C: <t> UID FETCH 5:* ...
S: <t> OK done
$(copy 5 other 500 01 | target 8)
C: <t> UID FETCH 5:* ...
S: <t> OK done
$({ copy 5 other 500 01; copy 8 one 500 01; } | target 9)
C: <t> UID FETCH 5:* ...
$({ copy 5 other 500 01; copy 8 one 500 01; })
S: <t> OK done
EOT
    copy_all '' && start_daemon && wait_for 40 looked 4 && wait_for 20 queue_is_empty || return 1
    expect "copied once" test "$(copies 10)" -eq 1 && followed
}

test_case fault_44_whose_copy_is_it whose_copy
test_case fault_44_without_uidplus_the_date_decides date_decides
test_case fault_44_the_server_is_still_at_it_and_the_daemon_is_killed still_at_it
test_case fault_44_the_target_grows_so_it_may_come target_grows
finish
