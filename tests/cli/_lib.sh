# What every script here begins with: a temporary folder that goes away, and one line for each thing tried.
set -u
: "${CORPUS_DIR:=$(cd "$(dirname "$0")/../.." && pwd)/../shared/corpus}"
cd "$(dirname "$0")/../.."
: "${MAILRULED:?names the binary to test}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset MAILRULED_CONFIG NO_COLOR
failures=0

ok() {
    echo "ok $1"
}
fail() {
    echo "FAIL $1"
    failures=$((failures + 1))
}
# is WHAT GOT EXPECTED
is() {
    if [ "$2" = "$3" ]; then ok "$1"; else fail "$1: got '$2', expected '$3'"; fi
}
# has WHAT FILE PATTERN (a basic regular expression)
has() {
    if grep -q -- "$3" "$2"; then ok "$1"; else fail "$1: no line with '$3' in: $(cat "$2")"; fi
}
# run COMMAND...: output in $dir/out and $dir/err, exit status in $rc
run() {
    rc=0
    "$MAILRULED" "$@" >"$dir/out" 2>"$dir/err" </dev/null || rc=$?
}
finish() {
    exit "$((failures > 0))"
}
