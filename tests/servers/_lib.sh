# Sourced by the tests here: a private Dovecot for the script, and for each test a mailbox, a config and a daemon of its
# own.
#
#     test_case NAME FUNCTION      runs FUNCTION with a fresh mailbox; prints "ok NAME" or "FAIL NAME" with the daemon's
#                                  log
#     finish                       last line of a script: its exit status
#
# In a test: $user, $box (the folder of its files), $log (the daemon's), $port (where the daemon connects: Dovecot, or a
# proxy). A test is a chain of commands joined by "|| return 1"; `expect TEXT COMMAND...` says what was not so.
# Waiting is `wait_for SECONDS COMMAND...`: seconds are a bound for slow machines, never what the test is about.
set -u
: "${MAILRULED:?}" "${TOOLS:?}" "${TESTS:?}"
dir=$(mktemp -d)
chmod 755 "$dir"
: "${server_tool:=dovecot.sh}" # of tests/tools
failures=0 cases=0 user='' box='' log='' port='' daemon='' started_at=0
: >"$dir/pids"

clean_up() {
    status=$?
    trap - EXIT
    while read -r pid; do
        kill -KILL "$pid" 2>/dev/null
    done <"$dir/pids"
    [ ! -d "$dir/server" ] || "$TESTS/tools/$server_tool" kill "$dir/server" >/dev/null 2>&1
    if [ -n "${KEEP:-}" ]; then echo "kept: $dir"; else rm -rf "$dir"; fi
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    wait_until=$(($(date +%s) + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$wait_until" ] || { echo "  waited in vain for: $*"; return 1; }
        sleep 0.05
    done
}

expect() { # TEXT COMMAND...
    expected=$1
    shift
    "$@" >/dev/null 2>&1 || { echo "  expected: $expected ($*)"; return 1; }
}

# --- the servers ------------------------------------------------------------------------------------------------------

start_server() { # USERS, one for each test; EXTRA as in the tool
    users=${1:-20}
    "$TESTS/tools/$server_tool" start "$dir/server" "$users" || exit 1
    . "$dir/server/env"
}

# Mail for user1+Folder goes into that folder. Before start_server.
deliver_into_folders() {
    EXTRA="${EXTRA:-}
protocol lmtp {
  lmtp_save_to_detail_mailbox = yes
}"
    export EXTRA
}
deliver_to() { # FOLDER NAME
    case "$1" in INBOX) to=$user ;; *) to="$user+$1" ;; esac
    message "$2" | "$TOOLS/lmtp" "$LMTP_PORT" "$to" -
}

remember() { echo "$1" >>"$dir/pids"; }

start_sink() { # options of http_sink; sets $sink, $hook_port, $hooks
    hooks="$box/hooks"
    rm -f "$box/hook_port"
    "$TOOLS/http_sink" -o "$hooks" -p "$box/hook_port" "$@" 2>>"$box/sink.err" &
    sink=$!
    remember "$sink"
    wait_for 10 test -s "$box/hook_port" || return 1
    hook_port=$(cat "$box/hook_port")
}

start_proxy() { # options of proxy, then nothing: to Dovecot's plain port, or $1 = to:PORT; sets $proxy and $port
    target=$IMAP_PORT
    case "${1:-}" in to:*) target=${1#to:}; shift ;; esac
    rm -f "$box/proxy_port"
    "$TOOLS/proxy" -p "$box/proxy_port" -l "$box/wire" "$@" "$target" 2>>"$box/proxy.err" &
    proxy=$!
    remember "$proxy"
    wait_for 10 test -s "$box/proxy_port" || return 1
    port=$(cat "$box/proxy_port")
}

# --- the daemon -------------------------------------------------------------------------------------------------------

# config MORE: the account "test" on $port with MORE inside it, then standard input. config_text writes only that.
config() {
    {
        cat <<CONFIG
account "test" {
  host = "127.0.0.1", port = $port, tls = "none", user = "$user", password = secret.file "password",
  $1
}
CONFIG
        [ -z "${hook_port:-}" ] || cat <<CONFIG
webhook "hook" {
  url = "http://127.0.0.1:$hook_port/mail", allow_private = true, retries = { "1s", "1s", "1s", "1s" },
}
CONFIG
        cat
    } >"$box/config.new" && mv "$box/config.new" "$box/config.lua" # whole at any moment, as editors do it
}

daemon() { # start it; options of `mailruled run`
    "$MAILRULED" run --log-level debug "$@" 2>>"$log" &
    daemon=$!
    remember "$daemon"
}

start_daemon() { # and wait until it watches
    before=$(grep -c 'msg=watching' "$log")
    daemon "$@"
    wait_for 30 watching_or_dead "$before" && watching_more_than "$before"
}
watching_more_than() { [ "$(grep -c "msg=watching" "$log")" -gt "$1" ]; }
is_alive() { grep -q "^State:.[^ZX]" "/proc/$1/status" 2>/dev/null; }
watching_or_dead() { watching_more_than "$1" || ! is_alive "$daemon"; }

stop_daemon() {
    kill -TERM "$daemon" && wait "$daemon"
    code=$?
    daemon=''
    [ "$code" -eq 0 ] || { echo "  the daemon ended with $code"; return 1; }
}

kill_daemon() {
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null
    daemon=''
}

logged() { grep -q -e "$1" "$log"; }
log_count() { grep -c -e "$1" "$log"; }
status_says() { "$MAILRULED" status 2>&1 | grep -q -e "$1"; }
queue_says() { "$MAILRULED" queue 2>&1 | grep -q -e "$1"; }
queue_is_empty() { queue_says 'nothing waits and nothing is parked'; }

# --- mail -------------------------------------------------------------------------------------------------------------

message() { # NAME [HEADER LINE...]: to standard output
    name=$1
    shift
    printf 'From: Sender <sender@example.net>\nTo: %s@example.com\nSubject: %s\nMessage-ID: <%s@test>\n' "$user" \
        "$name" "$name"
    printf 'Date: Sun, 22 Nov 2026 10:00:00 +0000\n'
    for header in "$@"; do printf '%s\n' "$header"; done
    printf '\nText of %s, secret-of-the-body.\n' "$name"
}

deliver() { # NAME...
    for one in "$@"; do
        message "$one" | "$TOOLS/lmtp" "$LMTP_PORT" "$user" - || return 1
    done
}

deliver_with() { # NAME HEADER...
    message "$@" | "$TOOLS/lmtp" "$LMTP_PORT" "$user" -
}

deliver_many() { # COUNT PREFIX: PREFIX1, PREFIX2, ...
    message "$2@N@" >"$box/many.eml"
    "$TOOLS/lmtp" -n "$1" "$LMTP_PORT" "$user" "$box/many.eml"
}

maildir() { # FOLDER to its directory
    case "$1" in INBOX) echo "$mail" ;; *) echo "$mail/.$(echo "$1" | tr / .)" ;; esac
}

# Names of the messages in FOLDER, one a line, in no order.
contents() {
    folder_dir=$(maildir "$1")
    [ ! -d "$folder_dir/cur" ] ||
        find "$folder_dir/cur" "$folder_dir/new" -type f -exec sed -n 's/^Message-ID: <\(.*\)@test>.*/\1/p' {} +
}
count() { contents "$1" | wc -l; }
has() { contents "$1" | grep -qx -e "$2"; }
has_count() { [ "$(count "$1")" -eq "$2" ]; }

imap() { # COMMAND...: another client of the mailbox
    "$TOOLS/imap_do" "$IMAP_PORT" "$user" secret "$@"
}
imap_says() { # PATTERN COMMAND...
    pattern=$1
    shift
    imap "$@" | grep -q -e "$pattern"
}
# Flags of the message with that name in FOLDER.
flags_of() { # FOLDER NAME
    imap "EXAMINE \"$1\"" "UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])" | tr -d '\r' |
        awk -v name="<$2@test>" '/^\* [0-9]+ FETCH/ { flags = $0; sub(/.*FLAGS \(/, "", flags); sub(/\).*/, "", flags) }
                                 index($0, name) { print flags }'
}
is_flagged() { flags_of "$1" "$2" | tr ' ' '\n' | grep -qxF -e "$3"; }

# The webhooks that were accepted: "ID SUBJECT" a line.
posted() { sed -n 's/^200 \([^ ]*\) [^ ]* [^ ]* \(.*\)$/\1 \2/p' "$hooks"; }
posted_count() { posted | wc -l; }
posts() { [ "$(posted_count)" -eq "$1" ]; }

# Nothing was done twice: COUNT messages in FOLDER, all different; as many webhooks, each message and each id once.
each_once() { # COUNT FOLDER
    expect "$1 messages in $2, found $(count "$2")" has_count "$2" "$1" || return 1
    expect "all of them different" test "$(contents "$2" | sort -u | wc -l)" -eq "$1" || return 1
    [ -n "${hooks:-}" ] || return 0
    expect "$1 webhooks accepted, found $(posted_count)" posts "$1" || return 1
    expect "each with its own id" test "$(posted | cut -d' ' -f1 | sort -u | wc -l)" -eq "$1" || return 1
    expect "each for another message" test "$(posted | cut -d' ' -f2- | sort -u | wc -l)" -eq "$1"
}

# --- the simplest rule ------------------------------------------------------------------------------------------------

flag_all() { # MORE of the account
    config "$1" <<'EOT'
rule "all" { when = from:contains "@", actions = { flag "Handled" } }
EOT
}
handled_once() { # NAME UID
    wait_for 40 is_flagged INBOX "$1" Handled || return 1
    expect "$1 was evaluated once" test "$(log_count "uid=$2 .*-> evaluating")" -eq 1
}

# --- cases ------------------------------------------------------------------------------------------------------------

fresh() {
    cases=$((cases + 1))
    [ "$cases" -le "${users:-$cases}" ] || { echo "FAIL $1: start_server made $users users only"; exit 1; }
    user="user$cases${DOMAIN:+@$DOMAIN}"
    box="$dir/$user"
    mail="$dir/server/mail/$user"
    port=${IMAP_PORT:-0}
    log="$box/log" daemon='' hooks='' hook_port=''
    mkdir "$box"
    : >"$log"
    (umask 077; echo secret >"$box/password")
    export MAILRULED_CONFIG="$box/config.lua" STATE_DIRECTORY="$box/state"
}

# Whatever a test left running is ended by its id.
end_processes() {
    while read -r pid; do
        kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done <"$dir/pids"
    : >"$dir/pids"
}

test_case() { # NAME FUNCTION
    case "$1" in *${ONLY:-}*) ;; *) return 0 ;; esac
    fresh "$1"
    if "$2" >"$box/said" 2>&1; then
        echo "ok $1"
    else
        echo "FAIL $1"
        cat "$box/said"
        echo "  the daemon's log ends:"
        tail -n 25 "$log" | cut -c 1-240 | sed 's/^/    /'
        failures=$((failures + 1))
    fi
    end_processes
}

finish() {
    [ "$failures" -eq 0 ]
    exit
}
