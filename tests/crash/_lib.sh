# A private Dovecot, a webhook receiver, and what one user's mailbox holds. Sourced; needs MAILRULED, TOOLS and TESTS.
# shellcheck shell=sh
dir=$(mktemp -d)
chmod 755 "$dir"
pids=''
failed=0

clean_up() {
    status=$?
    trap - EXIT
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    "$TESTS/tools/dovecot.sh" stop "$dir/server" >/dev/null 2>&1 || true
    [ -z "${KEEP:-}" ] || { echo "kept: $dir"; exit "$status"; }
    rm -rf "$dir"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

ok() { echo "ok $*"; }
fail() {
    echo "FAIL $*"
    failed=1
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.05
    done
}

# start_sink NAME OPTIONS...: its requests in $dir/NAME, its port in $dir/NAME.port and $port.
start_sink() {
    name=$1
    shift
    rm -f "$dir/$name.port"
    "$TOOLS/http_sink" -o "$dir/$name" -p "$dir/$name.port" "$@" 2>"$dir/$name.err" &
    sink=$!
    pids="$pids $sink"
    wait_for 10 test -s "$dir/$name.port"
    port=$(cat "$dir/$name.port")
}

# start_server USERS
start_server() {
    "$TESTS/tools/dovecot.sh" start "$dir/server" "$1"
    . "$dir/server/env"
    mail="$dir/server/mail"
    mkdir -p "$dir/config"
    (umask 077 && echo secret >"$dir/config/password")
}

# drop_into USER NAME CASE: a message straight into the user's INBOX. Its subject is "USER NAME".
drop_into() {
    mkdir -p "$mail/$1/new" "$mail/$1/cur" "$mail/$1/tmp"
    printf 'From: a@sender.example\nTo: %s@here.example\nSubject: %s %s\nMessage-ID: <%s@sender.example>\nX-Case: %s\n%s\n\nHello.\n' \
        "$1" "$1" "$2" "$2" "$3" 'Date: Tue, 3 Nov 2026 10:00:00 +0000' >"$mail/$1/new/100000$2.M1P1.host"
    [ "$(id -u)" -ne 0 ] || chown -R mail:mail "$mail/$1"
}

# mailbox USER: "FOLDER MESSAGE-ID LETTERS KEYWORDS", one line a message, sorted.
mailbox() {
    {
        find "$mail/$1" -name dovecot-keywords
        find "$mail/$1" -type f \( -path '*/cur/*' -o -path '*/new/*' \)
    } | xargs awk -v root="$mail/$1/" '
        FILENAME ~ /dovecot-keywords$/ {
            folder = substr(FILENAME, length(root) + 1); sub(/\/?dovecot-keywords$/, "", folder)
            keyword[folder, $1] = $2
            next
        }
        tolower($1) == "message-id:" {
            folder = substr(FILENAME, length(root) + 1); sub(/\/?(cur|new)\/[^\/]*$/, "", folder)
            letters = FILENAME
            if (!sub(/^.*:2,/, "", letters)) letters = ""
            flags = ""; words = ""
            for (i = 1; i <= length(letters); i++) {
                c = substr(letters, i, 1)
                at = index("abcdefghijklmnopqrstuvwxyz", c)
                if (at) words = words " " keyword[folder, at - 1]
                else flags = flags c
            }
            print (folder == "" ? "INBOX" : folder), $2, flags words
            nextfile
        }' | LC_ALL=C sort
}
