#!/bin/sh
# _every_server.sh SERVER - the suite of every_server.sh on one server: dovecot, cyrus, cyrus-dots, courier, imap4d (Maildir)
# or imap4d-mbox.
# Everything is looked at through IMAP, by another client; only messages come in the server's own way.
#
# What a server cannot do is said in its table below, and what mailruled does instead is checked.
server=$1
server_tool="${server%%-*}.sh"

# prefix, separator   of its folders' names
# roles               LIST tells special use; else roles are guessed by name
# move, uidplus       offered
# keywords            can be kept
# pushes              IDLE tells of new mail at once; else only at its end
# shows_flags         an open session shows what flags another one changed
# copies_flags        COPY takes the flags along; else only now and then
# below               a folder below Done, where a folder that holds mail may have some; else beside it
SEPARATOR=/ prefix='' separator=/ roles=yes move=yes uidplus=yes keywords=yes pushes=yes shows_flags=yes copies_flags=yes
below=Done/Work
case "$server" in
dovecot) ;;
cyrus) ;;
cyrus-dots) SEPARATOR=. prefix=INBOX. separator=. ;;
courier) prefix=INBOX. separator=. roles=no move=no ;;
imap4d | imap4d-mbox) roles=no move=no uidplus=no keywords=no pushes=no shows_flags=no copies_flags=no ;;
*) echo "no such server: $server" >&2; exit 2 ;;
esac
[ "$server" != imap4d-mbox ] || MAIL_FORMAT=mbox below=DoneWork
MAIL_FORMAT=${MAIL_FORMAT:-maildir}
export SEPARATOR MAIL_FORMAT
. "$(dirname "$0")/_lib.sh"
tls=implicit more=''
# Where IDLE tells nothing that comes is seen as often as somebody asks: reconcile, then poll.
usually=15m
[ "$pushes" = yes ] || usually=1s

# --- mail, whatever the server ----------------------------------------------------------------------------------------------

# As in _lib.sh, but of today, or dated: GNU Mailutils takes a message's date for that of its arrival.
dated=''
message() { # NAME [HEADER LINE...]
    name=$1
    shift
    printf 'From: Sender <sender@example.net>\nTo: %s\nSubject: %s\nMessage-ID: <%s@test>\nDate: %s\n' \
        "${user%@*}@example.com" "$name" "$name" "${dated:-$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S +0000')}"
    for header in "$@"; do printf '%s\n' "$header"; done
    printf '\nText of %s.\n' "$name"
}

name_of() { # FOLDER as the user writes it: as the server has it
    case "$1" in
    INBOX) echo INBOX ;;
    *) echo "$prefix$(echo "$1" | tr / "$separator")" ;;
    esac
}

deliver() { # NAME...
    for one in "$@"; do
        message "$one" | "$TESTS/tools/$server_tool" deliver "$dir/server" "$user" || return 1
    done
}
deliver_with() { # NAME HEADER...
    message "$@" | "$TESTS/tools/$server_tool" deliver "$dir/server" "$user"
}
append() { # FOLDER NAME...: another client puts messages there; one of a name that was there before is the same again
    folder=$(name_of "$1")
    shift
    for one in "$@"; do
        [ -e "$box/$one.eml" ] || message "$one" >"$box/$one.eml"
        set -- "$@" "APPEND \"$folder\" @$box/$one.eml"
        shift
    done
    imap "$@" # in one session: GNU Mailutils loses what comes into an mbox while another session leaves it
}

# Without UIDPLUS what has been moved stays, marked as deleted: it does not count.
contents() {
    imap "EXAMINE \"$(name_of "$1")\"" 'UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])' | tr -d '\r' |
        awk -v marked="$uidplus" '/^\* [0-9]+ FETCH/ { gone = marked == "no" && /\\Deleted/ }
                                  tolower($1) == "message-id:" && !gone { sub(/.*</, ""); sub(/@test>.*/, ""); print }'
}
flags_of() { # FOLDER NAME
    imap "EXAMINE \"$(name_of "$1")\"" 'UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])' | tr -d '\r' |
        awk -v name="<$2@test>" '/^\* [0-9]+ FETCH/ { flags = $0; sub(/.*FLAGS \(/, "", flags); sub(/\).*/, "", flags) }
                                 index($0, name) { print flags }'
}
uid_of() { # FOLDER NAME
    imap "EXAMINE \"$(name_of "$1")\"" 'UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])' | tr -d '\r' |
        awk -v name="<$2@test>" '/^\* [0-9]+ FETCH/ { uid = $0; sub(/.*UID /, "", uid); sub(/[^0-9].*/, "", uid) }
                                 index($0, name) { print uid }'
}

# config MORE: as in _lib.sh, through TLS.
config() {
    at=$IMAPS_PORT
    [ "$tls" = implicit ] || at=$IMAP_PORT
    {
        cat <<CONFIG
account "test" {
  host = "127.0.0.1", port = $at, tls = "$tls", tls_ca = "$CA", user = "$user", password = secret.file "password",
  poll = "1s", reconcile = "$reconcile", $more $1
}
CONFIG
        cat
    } >"$box/config.lua"
}

# Each of the messages NAME... is in FOLDER, once; nothing else is.
holds() { # FOLDER NAME...
    folder=$1
    shift
    for one in "$@"; do echo "$one"; done | sort >"$box/wanted"
    contents "$folder" | sort | cmp -s - "$box/wanted"
}
numbered() { # PREFIX FROM TO
    seq "$2" "$3" | sed "s/^/$1/"
}
settled() { wait_for 30 queue_is_empty; }

# --- the cases ----------------------------------------------------------------------------------------------------------------

# What it offers after login, and what the daemon says of the connection.
connects() { # implicit|starttls
    tls=$1
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    tls=implicit
    expect "check finds nothing to complain about" "$MAILRULED" check || return 1
    start_daemon && expect "over TLS" logged 'connected to 127.0.0.1.*TLSv1\.[23]' || return 1
    deliver a && wait_for 30 holds Done a && wait_for 20 holds INBOX && stop_daemon
}
connects_implicit() { connects implicit; }
connects_starttls() { connects starttls; }

wrong_password() {
    config '' </dev/null && (umask 077; echo wrong >"$box/password") || return 1
    daemon
    expect "told as refused credentials" wait_for 20 logged 'connection lost: .*(auth)' || return 1
    "$MAILRULED" check >"$box/check" 2>&1
    expect "check fails" test $? -ne 0 && kill_daemon
}

offers() {
    imap CAPABILITY | tr -d '\r' | sed -n 's/^\* CAPABILITY //p' | tr ' ' '\n' | LC_ALL=C sort >"$dir/offers"
    expect "something" test -s "$dir/offers" || return 1
    for word in MOVE:$move UIDPLUS:$uidplus IDLE:yes IMAP4rev1:yes; do
        if grep -qx "${word%%:*}" "$dir/offers"; then has=yes; else has=no; fi
        expect "${word%%:*} offered: ${word##*:}" test "$has" = "${word##*:}" || return 1
    done
    # As docs/servers.md has it.
    line=$(sed -n "s/^<!-- offers ${server_tool%.sh} --> *//p" "$TESTS/../docs/servers.md")
    echo "$line" | tr -d '\`' | tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort >"$box/documented"
    diff "$box/documented" "$dir/offers" || { echo "  docs/servers.md does not say what $server offers:"; tr "\\n" " " <"$dir/offers"; return 1; }
}

lists_folders() {
    config '' </dev/null || return 1
    imap "CREATE \"$(name_of Lists/One)\"" && "$MAILRULED" folders test >"$box/folders" || return 1
    for folder in INBOX Trash Junk Archive Lists/One; do
        expect "$folder is listed" grep -qx "[ 0-9-]*\(\\\\[A-Za-z]*\)\? *$(name_of "$folder" | sed 's/\./\\./g')" "$box/folders" || { cat "$box/folders"; return 1; }
    done
    for role in Trash Junk Archive; do
        expect "$role has its role" grep -q "\\\\$role *$(name_of "$role")" "$box/folders" || { cat "$box/folders"; return 1; }
    done
}

watches_two_folders() {
    imap "CREATE \"$(name_of Work)\"" || return 1
    config 'watch = { "INBOX", "Work" },' <<EOT || return 1
rule "inbox" { folder = "INBOX", when = from:contains "@", actions = { move "Done" } }
rule "work"  { folder = "Work",  when = from:contains "@", actions = { move "$below" } }
EOT
    daemon && wait_for 30 watching_more_than 1 || return 1
    deliver a && append Work b || return 1
    wait_for 30 holds Done a && wait_for 30 holds "$below" b && settled || return 1
    wait_for 20 holds INBOX && wait_for 20 holds Work && stop_daemon
}

flag_actions() {
    cat <<'EOT'
rule "flag"    { when = subject:is "flag",    actions = { flag "\\Flagged" } }
rule "unflag"  { when = subject:is "unflag",  actions = { flag("\\Flagged", "\\Answered"), unflag "\\Flagged" } }
rule "keyword" { when = subject:is "keyword", actions = { flag "Important" } }
EOT
}

every_action() {
    {
        cat <<'EOT'
rule "move"    { when = subject:is "move",    actions = { move "Moved" } }
rule "deep"    { when = subject:is "deep",    actions = { move "Lists/Deep/Er" } }
rule "copy"    { when = subject:is "copy",    actions = { copy "Copied" } }
rule "delete"  { when = subject:is "delete",  actions = { delete() } }
rule "junk"    { when = subject:is "junk",    actions = { junk() } }
rule "archive" { when = subject:is "archive", actions = { archive() } }
rule "several" { when = subject:is "several", actions = { flag "\\Seen", copy "Copied", move "Moved" } }
EOT
        flag_actions
    } | config '' || return 1
    start_daemon || return 1
    deliver move deep copy flag unflag keyword delete junk archive several stay || return 1
    wait_for 40 holds Moved move several && wait_for 20 holds Archive archive && wait_for 20 holds Lists/Deep/Er deep || return 1
    if [ "$keywords" = yes ]; then
        settled && expect "a keyword" is_flagged INBOX keyword Important || return 1
    else
        wait_for 20 queue_says 'keyword.*parked\|parked.*keyword\|parked' || return 1
        expect "why" queue_says 'flag' || return 1
    fi
    expect "copied" wait_for 20 holds Copied copy several || return 1
    expect "deleted means trash" wait_for 20 holds Trash delete || return 1
    expect "junk" wait_for 20 holds Junk junk || return 1
    expect "a system flag" wait_for 20 is_flagged INBOX flag '\Flagged' || return 1
    expect "one of two taken away" wait_for 20 is_flagged INBOX unflag '\Answered' || return 1
    expect "the other is gone" test "$(flags_of INBOX unflag | grep -c Flagged)" -eq 0 || return 1
    [ "$copies_flags" = no ] || expect "read where it went" is_flagged Moved several '\Seen' || return 1
    expect "the others are still there" wait_for 20 holds INBOX copy flag unflag keyword stay || return 1
    expect "looking does not mark as read" test "$(flags_of INBOX stay | grep -c Seen)" -eq 0 || return 1
    expect "MOVE where it is offered" test "$(log_count '> [^ ]* UID MOVE')" -"$([ $move = yes ] && echo gt || echo eq)" 0 || return 1
    stop_daemon
}

# Messages that other clients marked are their business.
others_deleted() {
    config "$1" <<'EOT' || return 1
rule "ours" { when = subject:contains "ours", actions = { move "Done" } }
EOT
    deliver theirs && wait_for 10 has INBOX theirs && imap 'SELECT INBOX' 'UID STORE 1 +FLAGS.SILENT (\Deleted)' || return 1
    start_daemon && deliver ours1 ours2 || return 1
    wait_for 30 holds Done ours1 ours2 && settled || return 1
    if [ "$move" = yes ] || [ "$uidplus" = yes ]; then
        expect "theirs is still there, ours are gone" wait_for 20 holds INBOX theirs || return 1
    else
        expect "ours are left marked" wait_for 20 is_flagged INBOX ours1 '\Deleted' || return 1
        expect "nothing is removed" test "$(imap 'EXAMINE INBOX' | tr -d '\r' | sed -n 's/^\* \([0-9]*\) EXISTS/\1/p')" -eq 3 || return 1
        expect "it says so" logged 'left marked .*Deleted' || return 1
    fi
    ! grep -q 'msg="> [^ ]* EXPUNGE' "$log" || { echo "  sent a bare EXPUNGE"; return 1; }
    stop_daemon
}
others_deleted_by_default() { others_deleted ''; }
others_deleted_without_move() {
    if [ "$uidplus" = yes ]; then others_deleted 'disable_extensions = { "MOVE" },'; else others_deleted_by_default; fi
}

missing_target() {
    config '' <<'EOT' || return 1
rule "made"    { when = subject:contains "made",    actions = { move "New/Folder" } }
rule "refused" { when = subject:contains "refused", actions = { move("Nowhere", { create = false }) } }
EOT
    start_daemon && deliver made1 refused1 made2 || return 1
    wait_for 30 holds New/Folder made1 made2 && wait_for 30 queue_says 'parked' || return 1
    expect "the reason names the folder" queue_says 'Nowhere' || return 1
    wait_for 20 holds INBOX refused1 || return 1
    expect "and not marked" test "$(flags_of INBOX refused1 | grep -c Deleted)" -eq 0 || return 1
    expect "not made" test -z "$(imap "LIST \"\" \"$(name_of Nowhere)\"" | grep LIST.*Nowhere)" || return 1
    # Somebody removes the folder behind its back: it is made again.
    imap "DELETE \"$(name_of New/Folder)\"" && deliver made3 || return 1
    wait_for 40 holds New/Folder made3 && stop_daemon
}

while_down() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && deliver first && wait_for 30 holds Done first && stop_daemon || return 1
    deliver $(numbered a 1 8) && append INBOX b1 b2 || return 1
    start_daemon || return 1
    wait_for 30 holds Done first $(numbered a 1 8) b1 b2 && settled || return 1
    wait_for 20 holds INBOX && stop_daemon
}

# Mail of years ago is new when it comes, whatever the server takes for the date of arrival; also where UIDVALIDITY changes
# because the folder was empty, or because something came.
old_dates() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && stop_daemon || return 1
    sleep 1.1 # UIDVALIDITY is the time in seconds
    dated='Mon, 02 Nov 2020 10:00:00 +0000'
    deliver old1 old2 && start_daemon && wait_for 30 holds Done old1 old2 && settled && stop_daemon || return 1
    deliver old3 && start_daemon && wait_for 30 holds Done old1 old2 old3 && deliver old4 || return 1
    wait_for 30 holds Done old1 old2 old3 old4 && settled && stop_daemon
}

# The connection breaks with the answer to a COPY into an empty folder: it is there already.
copy_is_lost() {
    start_proxy "to:$IMAP_PORT" -c "S:COPY:$box/cut" || return 1
    direct=$IMAP_PORT tls=none IMAP_PORT=$port
    config '' <<'EOT'
rule "all" { when = from:contains "@", actions = { copy "Archive" } }
EOT
    tls=implicit IMAP_PORT=$direct
    start_daemon || return 1
    touch "$box/cut.arm"
    deliver a && wait_for 20 test -s "$box/cut.cuts" && rm "$box/cut.arm" || return 1
    wait_for 40 queue_is_empty || return 1
    expect "looked for" logged 'EXAMINE' && expect "copied once: $(contents Archive)" holds Archive a || return 1
    deliver b && wait_for 30 holds Archive a b && settled && stop_daemon
}

server_is_killed() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && deliver a1 && wait_for 30 holds Done a1 || return 1
    "$TESTS/tools/$server_tool" kill "$dir/server" && wait_for 20 logged 'connection lost' || return 1
    "$TESTS/tools/$server_tool" restart "$dir/server" || return 1
    deliver a2 a3 || return 1
    wait_for 60 holds Done a1 a2 a3 && deliver a4 && wait_for 30 holds Done a1 a2 a3 a4 && settled || return 1
    # Where they stay, marked, the server's death took the marks away; they are not moved again.
    [ "$uidplus" = no ] || wait_for 20 holds INBOX || return 1
    stop_daemon
}

# Killed as soon as the first of a batch has arrived: then most commands are under way.
daemon_is_killed() {
    config 'backlog = "all",' <<'EOT' || return 1
rule "copies" { when = subject:contains "7", actions = { copy "Sevens", move "Done" } }
rule "all"    { when = from:contains "@", actions = { flag "\\Flagged", move "Done" } }
EOT
    deliver $(numbered m 1 30) || return 1
    for delay in '> [^ ]* UID STORE' '> [^ ]* UID \(COPY\|MOVE\)' '> [^ ]* UID \(EXPUNGE\|MOVE\|STORE\)' '> [^ ]* UID FETCH'; do
        start_at=$(wc -l <"$log")
        daemon
        wait_for 4 sh -c "tail -n +$((start_at + 1)) '$log' | grep -q '$delay' || ! kill -0 $daemon" >/dev/null
        kill_daemon
    done
    deliver $(numbered n 1 5) && start_daemon || return 1
    wait_for 60 holds Done $(numbered m 1 30) $(numbered n 1 5) && settled || { "$MAILRULED" queue; echo "INBOX: " $(contents INBOX); echo "Done: " $(contents Done | sort); return 1; }
    expect "those with a copy, once" holds Sevens m7 m17 m27 || return 1
    wait_for 20 holds INBOX || return 1
    [ "$copies_flags" = no ] || expect "flagged before they went" is_flagged Done m30 '\Flagged' || return 1
    stop_daemon
}

# Where there is no UID EXPUNGE and the user allows the other one.
expunge_allowed() {
    more='allow_expunge = true,'
    "$1"
    expunged=$?
    more=''
    return "$expunged"
}
expunge_allowed_every_action() { expunge_allowed every_action; }
expunge_allowed_killed() { expunge_allowed daemon_is_killed; }

# A glob is written without the prefix of the namespace.
globs_as_written() {
    imap "CREATE \"$(name_of Work)\"" && config 'watch = { "Wo*" },' <<'EOT' || return 1
rule "all" { folder = "Work", when = from:contains "@", actions = { move "Done" } }
EOT
    start_daemon && append Work a && wait_for 30 holds Done a && wait_for 20 holds Work && settled && stop_daemon
}

# The folder is deleted and made anew under the daemon: what is in it is new, what was handled is not handled again.
made_anew() {
    reconcile=1s
    imap "CREATE \"$(name_of Work)\"" && config 'watch = { "Work" },' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { copy "Done" } }
EOT
    start_daemon && append Work a && wait_for 30 holds Done a || return 1
    append Work b && wait_for 30 holds Done a b && settled || return 1
    imap 'SELECT INBOX' "DELETE \"$(name_of Work)\"" || return 1
    wait_for 30 logged 'cannot be selected' || return 1
    sleep 1.1 # UIDVALIDITY is the time in seconds
    if [ "$MAIL_FORMAT" = mbox ]; then # see append()
        imap "CREATE \"$(name_of Work)\"" && append Work c && wait_for 60 holds Done a b c && append Work a || return 1
    else
        imap "CREATE \"$(name_of Work)\"" && append Work a c || return 1
    fi
    wait_for 60 holds Done a b c && settled || { "$MAILRULED" status; return 1; }
    expect "the one that was there before is not copied again" holds Done a b c && stop_daemon
}

cursor_is() { "$MAILRULED" status --json | grep -q "\"last_uid\":$1,"; }
# The rule names the folder as the user writes it, whatever the server calls it.
changed_below() {
    reconcile=1s
    imap "CREATE \"$(name_of Work/One)\"" && config 'watch = { "Work/One" },' <<'EOT' || return 1
rule "starred" { folder = "Work/One", on = "flags", when = flag_added "\\Flagged", actions = { copy "Starred" } }
EOT
    start_daemon && append Work/One a b && wait_for 30 cursor_is 2 || { "$MAILRULED" status; return 1; }
    imap "SELECT \"$(name_of Work/One)\"" 'UID STORE 2 +FLAGS (\Flagged)' >/dev/null || return 1
    wait_for 30 holds Starred b && settled && stop_daemon
}

# Fault 37: the watched folder goes away while it is selected; others go on; it comes back.
folder_goes_away() {
    reconcile=1s
    imap "CREATE \"$(name_of Work)\"" && config 'watch = { "INBOX", "Work" },' <<EOT || return 1
rule "inbox" { folder = "INBOX", when = from:contains "@", actions = { move "Done" } }
rule "work"  { folder = "Work",  when = from:contains "@", actions = { move "$below" } }
EOT
    daemon && wait_for 30 watching_more_than 1 || return 1
    imap 'SELECT INBOX' "RENAME \"$(name_of Work)\" \"$(name_of Away)\"" "DELETE \"$(name_of Away)\"" || return 1
    deliver a && wait_for 40 holds Done a || return 1
    wait_for 40 status_says 'Work.*\(missing\|cannot\|not\|NO\)' || { "$MAILRULED" status; return 1; }
    sleep 1.1
    imap "CREATE \"$(name_of Work)\"" && append Work b || return 1
    wait_for 60 holds "$below" b || { "$MAILRULED" status; return 1; }
    deliver c && wait_for 30 holds Done a c && stop_daemon
}

conditions() {
    config '' <<'EOT' || return 1
rule "header"     { when = header "X-Case":is "header",           actions = { move "Header" } }
rule "body"       { when = text:contains "Grüße aus Köln",        actions = { move "Body" } }
rule "attachment" { when = attachment.name:glob "*.pdf" & attachment.type:is "application/pdf", actions = { move "Attachment" } }
EOT
    start_daemon && deliver_with one 'X-Case: header' && deliver stay || return 1
    {
        message two 'MIME-Version: 1.0' 'Content-Type: text/plain; charset=utf-8' 'Content-Transfer-Encoding: quoted-printable'
        echo 'Viele Gr=C3=BC=C3=9Fe aus K=C3=B6ln!'
    } | "$TESTS/tools/$server_tool" deliver "$dir/server" "$user" || return 1
    {
        message three 'MIME-Version: 1.0' 'Content-Type: multipart/mixed; boundary=b' | sed '/^$/,$d'
        printf '\n--b\nContent-Type: text/plain\n\nSee attachment.\n--b\nContent-Type: application/pdf\n'
        printf 'Content-Disposition: attachment; filename="bill.pdf"\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQK\n--b--\n'
    } | "$TESTS/tools/$server_tool" deliver "$dir/server" "$user" || return 1
    wait_for 30 holds Header one && wait_for 20 holds Body two && wait_for 20 holds Attachment three || return 1
    wait_for 20 holds INBOX stay && expect "not marked as read" test "$(flags_of INBOX stay | grep -c Seen)" -eq 0 && stop_daemon
}

large_gap() {
    config '' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { flag "\\Flagged" } }
EOT
    start_daemon && deliver first && wait_for 30 is_flagged INBOX first '\Flagged' && stop_daemon || return 1
    message many >"$box/append.eml"
    i=0
    set --
    while [ "$i" -lt 220 ]; do set -- "$@" "APPEND INBOX @$box/append.eml"; i=$((i + 1)); done
    imap "$@" >/dev/null && start_daemon || return 1
    wait_for 60 all_flagged 221 && settled && stop_daemon
}
all_flagged() {
    [ "$(imap 'EXAMINE INBOX' 'UID SEARCH FLAGGED' | tr -d '\r' | sed -n 's/^\* SEARCH//p' | wc -w)" -eq "$1" ]
}

start_server 40
case_for() { reconcile=$usually dated=''; test_case "${1}_on_$server" "$2"; }
case_for what_it_offers_is_documented offers
case_for connects_with_tls_from_the_start connects_implicit
case_for connects_with_starttls connects_starttls
case_for a_wrong_password_is_told wrong_password
case_for folders_and_their_roles lists_folders
case_for watches_two_folders watches_two_folders
case_for a_glob_in_watch_has_no_prefix globs_as_written
case_for every_action every_action
case_for fault_42_what_others_deleted_stays others_deleted_by_default
case_for fault_42_what_others_deleted_stays_without_move others_deleted_without_move
case_for fault_46_a_missing_target_is_made_or_refused missing_target
case_for fault_28_mail_that_arrives_while_the_daemon_is_down while_down
case_for mail_with_old_dates_is_new old_dates
case_for fault_44_the_answer_to_a_copy_is_lost copy_is_lost
case_for the_server_is_killed_and_comes_back server_is_killed
case_for fault_53_killed_in_the_middle_of_a_batch daemon_is_killed
[ "$uidplus" = yes ] || case_for every_action_with_expunge expunge_allowed_every_action
[ "$uidplus" = yes ] || case_for fault_53_killed_in_the_middle_of_a_batch_with_expunge expunge_allowed_killed
case_for fault_32_a_folder_made_anew made_anew
case_for fault_37_a_watched_folder_goes_away folder_goes_away
case_for header_body_and_attachment conditions
[ "$shows_flags" = no ] || case_for a_flag_changed_in_a_folder_below_another changed_below
case_for more_new_mail_than_one_fetch_asks_for large_gap
finish
