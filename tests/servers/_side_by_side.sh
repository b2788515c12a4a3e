# Sourced: one suite on several servers, side by side, because most of it is waiting.
#
#     side_by_side SUITE SERVER...    runs "SUITE SERVER" for each, prints what each said, and exits: 1 if one failed
set -u
: "${MAILRULED:?}" "${TOOLS:?}" "${TESTS:?}"
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

side_by_side() {
    suite=$1 failed=0
    shift
    for server in "$@"; do
        "$suite" "$server" >"$said/$server" 2>&1 &
        echo $! >"$said/$server.pid"
        pids="$pids $!"
    done
    for server in "$@"; do
        wait "$(cat "$said/$server.pid")" ||
            { failed=1; grep -q '^FAIL ' "$said/$server" || echo "FAIL $server ended early"; }
        cat "$said/$server"
    done
    pids=''
    exit "$failed"
}
