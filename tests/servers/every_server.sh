#!/bin/sh
# One suite on every server that Debian has: Dovecot, Cyrus (in two layouts), Courier, GNU Mailutils' imap4d (Maildir, mbox); side by side,
# because most of it is waiting. SERVERS names some of them only. What a server offers is compared with docs/servers.md; ONLY is
# a part of a case's name.
set -u
: "${MAILRULED:?}" "${TOOLS:?}" "${TESTS:?}"
servers=${SERVERS:-"dovecot cyrus cyrus-dots courier imap4d imap4d-mbox"}
said=$(mktemp -d)
pids=''
clean_up() {
    status=$?
    trap - EXIT
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill $pids 2>/dev/null
    wait
    rm -rf "$said"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
for server in $servers; do
    "$TESTS/servers/_every_server.sh" "$server" >"$said/$server" 2>&1 &
    echo $! >"$said/$server.pid"
    pids="$pids $!"
done
failed=0
for server in $servers; do
    wait "$(cat "$said/$server.pid")" || { failed=1; grep -q '^FAIL ' "$said/$server" || echo "FAIL $server ended early"; }
    cat "$said/$server"
done
pids=''
exit "$failed"
