# Sourced by the measurements here; on top of tests/servers/_lib.sh. A measurement prints lines of `row`.
. "$TESTS/servers/_lib.sh"

# row WHAT TARGET REACHED: one line of the table.
row() { printf '%-64s | %-12s | %s\n' "$1" "$2" "$3"; }

calc() { awk "BEGIN { printf \"${2:-%.1f}\", $1 }"; }

median() { # of the numbers on standard input
    sort -n | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# A peer: ~/.imapfilter is in $box. imapfilter < config.lua
peer() {
    mkdir -p "$box/home/.imapfilter"
    HOME="$box/home" imapfilter -c "$box/peer.lua" >>"$box/peer.out" 2>&1
}

end() { # PID...: of what this script started
    for one in "$@"; do
        kill -TERM "$one" 2>/dev/null
        wait "$one" 2>/dev/null
    done
    return 0
}
