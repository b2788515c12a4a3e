#!/bin/sh
# The daemon and its commands against servers that were recorded (CORPUS_DIR/imap/MailKit), played as those providers.
# FULL=1: also one run of the daemon on every conversation (a minute).
. "$(dirname "$0")/_lib.sh"

recordings="${CORPUS_DIR:-../shared/corpus}/imap/MailKit"
[ -d "$recordings" ] || { echo "skip providers: $recordings is absent"; exit 0; }

be() { # SERVER or CONVERSATION
    rm -f "$box/script_port"
    "$TOOLS/imap_script" --mailkit "$1" -d "$recordings" >"$box/script_port" 2>"$box/script.err" &
    server=$!
    remember "$server"
    wait_for 10 test -s "$box/script_port" || return 1
    port=$(cat "$box/script_port")
}

says() { grep -q -e "$1" "$box/out" || { echo "  expected: $1, got:"; cat "$box/out"; return 1; }; }

# check_and_run SERVER LINE OF folders...: the account can be checked, its folders listed, and it is run once.
check_and_run() {
    be "$1" || return 1
    shift
    config 'connections = 1,' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { flag "\\Seen" } }
EOT
    "$MAILRULED" check >"$box/out" 2>&1 || { cat "$box/out"; return 1; }
    says 'logged in, 1 folder' || return 1
    "$MAILRULED" folders test >"$box/out" 2>&1 || { cat "$box/out"; return 1; }
    for line in "$@"; do says "$line" || return 1; done
    timeout 60 "$MAILRULED" run --once --log-level debug 2>>"$log" || { echo "  run --once: $?"; return 1; }
    expect "INBOX was looked at" logged 'first sight of this folder\|folder=INBOX msg=watching' || return 1
    expect "and nothing failed" no_trouble
}
# That a mailbox is read-only where only an EXAMINE was recorded is no trouble.
no_trouble() { ! grep 'level=\(warn\|error\)' "$log" | grep -qv 'is read-only here'; }

gmail() {
    check_and_run gmail 'INBOX$' '\\All *\[Gmail\]/All Mail' '\\Junk *\[Gmail\]/Spam' '\\Trash *\[Gmail\]/Trash' ||
        return 1
    expect "Gmail's own identity is asked for where it looks" logged 'X-GM-MSGID' || ! logged 'UID FETCH'
}
exchange() { check_and_run exchange 'INBOX$'; }
yahoo() {
    check_and_run yahoo 'I[Nn][Bb][Oo][Xx]$' || return 1
    expect "it cannot IDLE" test "$(log_count '> [^ ]* IDLE')" -eq 0
}
cyrus() { check_and_run cyrus 'INBOX$'; }
dovecot() { check_and_run dovecot 'INBOX$'; }
protonmail() {
    check_and_run protonmail 'INBOX$' || return 1
    expect "it cannot IDLE" test "$(log_count '> [^ ]* IDLE')" -eq 0
}

# The server refuses: the reason is told, in its own words, and the exit status says so.
refused() { # CONVERSATION WORDS [later: after the login]
    be "$1" || return 1
    config 'connections = 1,' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { flag "\\Seen" } }
EOT
    if [ "${3:-}" != later ]; then
        "$MAILRULED" check >"$box/out" 2>&1 && { echo "  check succeeded"; return 1; }
        says "$2" || return 1
    fi
    timeout 60 "$MAILRULED" run --once 2>>"$log" && { echo "  run --once succeeded"; return 1; }
    expect "the reason in the log" logged "$2"
}
web_login() { refused CreateGMailWebAlertCommands 'Please log in via your web browser'; }
login_disabled() { refused CreateLoginDisabledCommands 'LOGINDISABLED'; }
not_connected() { refused CreateExchangeUserIsAuthenticatedButNotConnectedCommands 'authenticated but not connected'; }
going_down() { refused CreateUnexpectedByeCommands 'going down for a reboot' later; }

# Whatever was recorded: the daemon looks at it to its end, or says why not.
every_conversation() {
    refusals=0
    for name in $("$TOOLS/imap_script" --mailkit list -d "$recordings"); do
        rm -rf "$STATE_DIRECTORY"
        be "$name" && config 'connections = 1, backlog = "all",' <<'EOT' || return 1
rule "all" { when = from:contains "@", actions = { move "Done" } }
EOT
        timeout 20 "$MAILRULED" run --once >"$box/out" 2>&1
        code=$?
        case "$code" in
        0) ;;
        1) refusals=$((refusals + 1)) && says 'level=error' || return 1 ;;
        *) echo "  $name ended with $code" && cat "$box/out" && return 1 ;;
        esac
        kill "$server"
    done
    expect "nine are refused, not $refusals" test "$refusals" -eq 9
}

test_case as_gmail gmail
test_case as_exchange exchange
test_case as_yahoo yahoo
test_case as_cyrus cyrus
test_case as_dovecot dovecot
test_case as_protonmail protonmail
test_case gmail_wants_a_web_login web_login
test_case gmail_with_login_disabled login_disabled
test_case fault_11_exchange_authenticated_but_not_connected not_connected
test_case gmail_goes_down_at_select going_down
[ -z "${FULL:-}" ] || test_case every_conversation_with_the_daemon every_conversation
finish
