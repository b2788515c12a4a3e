#!/bin/sh
# demo.sh BUILD - a private Dovecot and a webhook receiver on loopback, the daemon on examples/demo.lua, six messages,
# and what became of them. Exit status 0 only if everything happened. Leaves nothing behind.
set -eu
cd "$(dirname "$0")/.."
build=$(cd "$1" && pwd)
dir=$(mktemp -d)
daemon='' sink=''

clean_up() {
    status=$?
    trap - EXIT
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    [ -z "$sink" ] || kill "$sink" 2>/dev/null || true
    tests/tools/dovecot.sh stop "$dir/server" >/dev/null 2>&1 || true
    [ "$status" -eq 0 ] || { echo; echo "demo failed. The daemon's log:"; cat "$dir/log" 2>/dev/null || true; }
    rm -rf "$dir"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}

say "A private mail server and a webhook receiver, on loopback, in $dir"
chmod 755 "$dir"
tests/tools/dovecot.sh start "$dir/server" 1
. "$dir/server/env"
key="whsec_$(openssl rand -base64 32)"
"$build/tools/http_sink" -o "$dir/hooks" -p "$dir/port" -k "$key" &
sink=$!
wait_for 10 test -s "$dir/port"

umask 077
mkdir "$dir/config"
echo secret >"$dir/config/password"
echo "$key" >"$dir/config/webhook.key"
sed -e "s|@IMAPS_PORT@|$IMAPS_PORT|; s|@CA@|$CA|; s|@HOOK_PORT@|$(cat "$dir/port")|" examples/demo.lua \
    >"$dir/config/config.lua"
export MAILRULED_CONFIG="$dir/config/config.lua" STATE_DIRECTORY="$dir/state"

say "mailruled check"
"$build/mailruled" check --offline

say "mailruled explain examples/demo/2-invoice.eml"
"$build/mailruled" explain --account demo examples/demo/2-invoice.eml

say "mailruled run"
"$build/mailruled" run 2>"$dir/log" &
daemon=$!
wait_for 20 grep -q 'msg=watching' "$dir/log"
"$build/mailruled" status

say "Six messages are delivered"
"$build/tools/lmtp" "$LMTP_PORT" user1 examples/demo/*.eml
for f in examples/demo/*.eml; do printf '  %s\n' "$(sed -n 's/^Subject: //p' "$f")"; done

mail="$dir/server/mail/user1"
in_folder() { grep -rlqs "$2" "$mail/$1/cur" "$mail/$1/new"; }
flags_of() { # the flags of the message with that Message-ID: letters of Maildir, keywords by name
    file=$(grep -rls "$1" "$mail" --include='*,*' | head -n 1)
    letters=${file##*:2,}
    [ "$letters" != "$file" ] || letters=''
    keywords=''
    list=$(dirname "$(dirname "$file")")/dovecot-keywords
    [ ! -f "$list" ] || while read -r n name; do
        case "$letters" in *"$(printf "\\$(printf %o $((97 + n)))")"*) keywords="$keywords $name" ;; esac
        echo "$keywords" >"$dir/keywords"
    done <"$list"
    [ ! -f "$list" ] || keywords=$(cat "$dir/keywords")
    case "$letters" in *F*) keywords="$keywords \\Flagged" ;; esac
    case "$letters" in *S*) keywords="$keywords \\Seen" ;; esac
    echo "$keywords"
}
year=2026
wait_for 30 in_folder .Tickets ticket-1@
wait_for 30 in_folder ".Invoices.$year" invoice-4711@
wait_for 30 in_folder .Newsletters weekly-46@
wait_for 30 in_folder .Junk spam-1@
flagged() { flags_of report@boss.example | grep -q Urgent; }
wait_for 30 flagged
wait_for 30 grep -q ' good tickets ' "$dir/hooks"

say "What the rules did"
bad=0
show() { # RULE TEXT TEST...
    rule=$1 text=$2
    shift 2
    if "$@"; then printf '  %-12s %s\n' "$rule" "$text"; else printf '  %-12s FAILED: %s\n' "$rule" "$text"; bad=1; fi
}
has_flag() { flags_of "$1" | grep -qF "$2"; }
show tickets "posted to the help desk, signature verified" grep -q '^200 .* good tickets ' "$dir/hooks"
show tickets "then moved to Tickets" in_folder .Tickets ticket-1@
show tickets "the out-of-office reply stayed in INBOX" in_folder . vacation@
show invoices "moved to Invoices/$year" in_folder ".Invoices.$year" invoice-4711@
show invoices "flagged Invoice" has_flag invoice-4711@ Invoice
show newsletters "moved to Newsletters, read" in_folder .Newsletters weekly-46@
show newsletters "marked as read" has_flag weekly-46@ '\Seen'
show spam "moved to Junk" in_folder .Junk spam-1@
show boss "flagged \\Flagged and Urgent" has_flag report@boss Urgent

say "The webhook's body"
cut -c 1-300 "$dir/hooks.bodies"

say "mailruled status, mailruled queue"
"$build/mailruled" status
"$build/mailruled" queue

say "Stopping"
kill -TERM "$daemon"
wait "$daemon" || bad=1
daemon=''
[ "$bad" -eq 0 ] && echo "All of it happened."
exit "$bad"
