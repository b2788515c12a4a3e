#!/bin/sh
# COMPRESS=DEFLATE on the real servers that have it, Dovecot (with its plugin) and Cyrus, side by side; the cases are in
# _compress.sh. SERVERS names one of them only; ONLY is a part of a case's name.
set -u
: "${MAILRULED:?}" "${TOOLS:?}" "${TESTS:?}"
servers=${SERVERS:-"dovecot cyrus"}
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
    "$TESTS/servers/_compress.sh" "$server" >"$said/$server" 2>&1 &
    echo $! >"$said/$server.pid"
    pids="$pids $!"
done
failed=0
for server in $servers; do
    wait "$(cat "$said/$server.pid")" ||
        { failed=1; grep -q '^FAIL ' "$said/$server" || echo "FAIL $server ended early"; }
    cat "$said/$server"
done
pids=''
exit "$failed"
