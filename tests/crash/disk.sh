#!/bin/sh
# disk.sh - faults 54 to 56: the journal cannot be written, is damaged, or is in use. Nothing is forgotten, nothing is
# handled again, and what is said tells what to do.
set -u
. "$(dirname "$0")/_lib.sh"
start_server 60
start_sink hooks
. "$(dirname "$0")/_scenario.sh"
variant=move
write_config $variant
state="$dir/state"
export STATE_DIRECTORY="$state"

unmount() { umount "$state" 2>/dev/null || umount -l "$state" 2>/dev/null; }

# run_once LOG [COMMAND...]: through COMMAND; its log passes a pipe, so that only the journal meets a limit of file
# sizes.
run_once() {
    log=$1
    shift
    {
        timeout -k 20 8 "$@" "$MAILRULED" run --once -c "$dir/config/config.lua" 2>&1
        echo $? >"$dir/status"
    } | cat >"$dir/log.$log"
    status=$(cat "$dir/status")
    return "$status"
}

rm -f "$dir"/log.*
fresh_user
run_once 1 || fail "undisturbed run: $status"
snapshot want
want_is_right || exit 1

# --- full -------------------------------------------------------------------------------------------------------------

# recovers TEXT: after a run that had too little room, one that has enough does all of it, once.
recovers() {
    if [ "$status" -ge 128 ] && [ "$status" -ne 143 ]; then
        fail "$1: ended by a signal ($status)"
        cat "$dir/log.1"
        return 1
    fi
    if ! grep -q 'level=error\|mailruled run: ' "$dir/log.1"; then
        [ "$status" -eq 0 ] || fail "$1: exit status $status, and not a word"
        enough=$((enough + 1))
    fi
    make_room
    run_once 2 ||
        { fail "$1: afterwards: exit status $status"; cat "$dir/log.1"; echo ---; cat "$dir/log.2"; return 1; }
    as_wanted "$1"
}

sizes=0 enough=0
make_room() { :; }
for kilobytes in ${SIZES:-1 40 100 108 116 130 170}; do
    fresh_user
    run_once 1 sh -c 'ulimit -f $(($1 * 2)); shift; exec "$@"' sh $kilobytes
    sizes=$((sizes + 1))
    recovers "fault_54 files of at most $kilobytes KB"
done
[ "$failed" -ne 0 ] || [ "$enough" -eq $sizes ] ||
    ok "fault_54 a limit of file sizes: an error, then everything once ($((sizes - enough)) of $sizes were too small)"

sizes=0 enough=0
make_room() { mount -o remount,size=64m "$state"; }
if [ "$(id -u)" -eq 0 ] && mkdir -p "$state" && mount -t tmpfs -o size=64k none "$state" 2>/dev/null; then
    unmount
    trap 'status=$?; unmount; (exit $status); clean_up' EXIT
    for kilobytes in 16 112 136 176; do
        fresh_user
        mkdir "$state"
        mount -t tmpfs -o size=${kilobytes}k none "$state"
        run_once 1
        sizes=$((sizes + 1))
        recovers "fault_54 a disk of $kilobytes KB"
        unmount
    done
    [ "$failed" -ne 0 ] || [ "$enough" -eq $sizes ] ||
        ok "fault_54 a full disk: an error, then everything once ($((sizes - enough)) of $sizes sizes were too small)"
else
    echo "skip fault_54 a full disk: no file system may be mounted here"
fi

# --- may not be written -----------------------------------------------------------------------------------------------

# refused TEXT STATUS WORDS: the last run (log 1) ended with that status and those words, and no mail was touched.
refused() {
    snapshot got
    if [ "$status" -ne "$2" ] || ! grep -q "$3" "$dir/log.1" || ! cmp -s "$dir/before" "$dir/got"; then
        fail "$1 (exit status $status)"
        cat "$dir/log.1"
        diff "$dir/before" "$dir/got"
        return 1
    fi
    ok "$1"
}

fresh_user
snapshot before
echo >"$state"
run_once 1
refused "fault_54 a state directory that cannot be made is an error that names it" 1 "$state: "
rm -f "$state"
if [ "$(id -u)" -ne 0 ]; then
    mkdir "$state" && chmod 500 "$state"
    run_once 1
    refused "fault_54 a read-only state directory is an error that names it" 1 "$state/.*ermission denied"
    chmod 700 "$state"
elif command -v setpriv >/dev/null; then
    mkdir "$state" && chmod 755 "$state"
    run_once 1 setpriv --reuid nobody --clear-groups
    refused "fault_54 a read-only state directory is an error that names it" 1 "$state/.*ermission denied"
else
    echo "skip fault_54 a read-only state directory: root without setpriv"
fi
rmdir "$state" 2>/dev/null || rm -rf "$state"

# --- in use -----------------------------------------------------------------------------------------------------------

echo "control \"$dir/control\"" >>"$dir/config/config.lua"
"$MAILRULED" run -c "$dir/config/config.lua" 2>"$dir/log.first" &
daemon=$!
pids="$pids $daemon"
wait_for 20 eval '[ "$("$MAILRULED" queue -c "$dir/config/config.lua")" = "nothing waits and nothing is parked" ] && snapshot got &&
    cmp -s "$dir/want" "$dir/got"' || { fail "the first instance"; cat "$dir/log.first"; exit 1; }
snapshot before
run_once 1
refused "fault_56 a second instance is refused, and told which process is in the way" 1 \
    "in use by another mailruled (process $daemon)"
kill -0 $daemon && "$MAILRULED" status -c "$dir/config/config.lua" >/dev/null ||
    fail "fault_56 the first instance goes on"

# --- damaged ----------------------------------------------------------------------------------------------------------

kill -KILL $daemon
wait $daemon 2>/dev/null
cp -R "$state" "$dir/killed.state"
run_once 1 || fail "fault_56 a lock is not left behind: $status"
cp -R "$state" "$dir/clean.state"

# damage TEXT FROM WORDS COMMAND...: the state as it was after FROM (clean, killed), damaged by COMMAND inside it.
damage() {
    damage=$1 from=$2 words=$3
    shift 3
    rm -rf "$state" "$dir/as_found"
    cp -R "$dir/$from.state" "$state"
    (cd "$state" && "$@") 2>/dev/null
    cp -R "$state" "$dir/as_found"
    run_once 1
    rm -f "$state/lock" "$dir/as_found/lock"
    find "$state" -name journal.db-wal -size 0 -exec rm {} + # SQLite makes an empty one when it looks into the file
    diff -r "$dir/as_found" "$state" >/dev/null || fail "fault_55 $damage: the files are left as they were found"
    refused "fault_55 $damage" 1 "$words"
}
cut_to() { dd if=journal.db of=cut bs=1 count="$1" && mv cut journal.db; }
overwrite() { # FILE OFFSET COUNT
    dd if=/dev/urandom of="$1" bs=1 seek="$2" count="$3" conv=notrunc
}
aside='damaged (.*restore .* from a backup, or move journal.db\* aside'
damage "an empty journal is refused" clean "$aside" cut_to 0
damage "half a journal is refused" clean "$aside" cut_to 40000
damage "a journal with garbage for a header is refused" clean "$aside" overwrite journal.db 0 100
damage "a journal with garbage inside is refused" clean "$aside" overwrite journal.db 4096 50000
damage "garbage for a write-ahead log is refused" killed "$aside" overwrite journal.db-wal 0 4000
damage "garbage inside the write-ahead log is refused" killed "$aside" overwrite journal.db-wal 5000 9000
damage "a lost write-ahead log is refused" killed "$aside" rm journal.db-wal
damage "a journal that is gone, but for its write-ahead log, is refused" killed "$aside" rm journal.db
newer() { printf '\0\0\1\0' | dd of=journal.db bs=1 seek=60 conv=notrunc; } # user_version
damage "a newer schema is refused" clean 'newer mailruled (schema 256, .*install that version' newer

rm -rf "$state"
cp -R "$dir/killed.state" "$state"
run_once 1 || fail "fault_54 the state of a killed daemon: $status"
cat "$dir/log.1" >"$dir/log.2"
as_wanted "fault_54 a write-ahead log that was left behind is used" &&
    ok "fault_54 a write-ahead log that was left behind is used"
exit "$failed"
