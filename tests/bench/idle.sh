#!/bin/sh
# What idle accounts cost: the keeper's memory and CPU while 10,000 TLS connections (an account each) idle, how soon one
# of them is acted on, and how they come back when their server was killed. BENCH_CONNECTIONS for another number.
. "$(dirname "$0")/_lib.sh"
. "$TESTS/servers/_many.sh"
connections=${BENCH_CONNECTIONS:-10000}
last=$((connections - 1))

watch() { # COUNT: a daemon with that many connections; sets $weight (KB) and $took (ms)
    fresh
    serve main || return 1
    accounts_at main "$1"
    a_rule
    began=$(milliseconds)
    run_daemon
    wait_for 300 all_idle main "$1" || return 1
    took=$(($(milliseconds) - began))
    sleep 2
    weight=$(memory)
}

react() { # USER...: sets $median, $worst and $reads
    ask main deliver "$@"
    wait_for 60 acted main $# || return 1
    set -- $(ask main acted)
    median=$3 worst=$4 reads=$5
}

# The median of nine messages to one account.
react_one() { # USER
    for _ in 1 2 3 4 5 6 7 8 9; do
        react "$1" || return 1
        echo "$worst"
    done >"$box/reactions"
    median=$(median <"$box/reactions")
}

restart() {
    kill -KILL "$server"
    wait "$server" 2>/dev/null
    sleep 5
    serve main -u 100 || return 1
    began=$(milliseconds)
    wait_for 300 all_idle main "$connections" || return 1
    took=$(($(milliseconds) - began))
    set -- $(ask main storm)
    row "server killed, 5 s later there again: until all idle" "<= 120 s" "$(calc "$took / 1000") s"
    row "connects then, at most: a second; at once" "" "$2; $3"
}

measure() {
    watch 1 && react_one 0 || return 1
    base=$weight alone=$median
    stop_daemon && end "$server" || return 1
    watch "$connections" || return 1
    row "$connections idle TLS connections: memory of the keeper" "" \
        "$((weight / 1024)) MB (one connection: $((base / 1024)) MB)"
    row "memory a connection and account" "<= 64 KB" "$(calc "($weight - $base) / ($connections - 1)") KB"
    row "descriptors" "" "$(find "/proc/$daemon/fd" -mindepth 1 | wc -l)"
    row "until all of them idled, from the start" "<= 120 s" "$(calc "$took / 1000") s"
    set -- $(ask main storm)
    row "connects then, at most: a second; at once" "" "$2; $3"
    before=$(ticks)
    sleep 60
    used=$((($(ticks) - before) * 1000 / $(getconf CLK_TCK)))
    row "CPU in 60 idle seconds" "<= 600 ms" "$used ms"
    react_one $((connections / 2)) || return 1
    row "EXISTS to MOVE, one account among $connections; alone (median of 9)" "" "$median ms; $alone ms"
    react $(seq 0 50 "$last") || return 1
    row "the same, $((connections / 50)) at once: median; worst; reads" "reads 2" "$median ms; $worst ms; $reads"
    began=$(milliseconds)
    "$MAILRULED" status >"$box/status.out" || return 1
    row "status" "" "$(($(milliseconds) - began)) ms"
    began=$(milliseconds)
    "$MAILRULED" reload >"$box/reload.out" || return 1
    row "reload" "" "$(($(milliseconds) - began)) ms"
    wait_for 60 all_idle main "$connections" && ask main storm >/dev/null || return 1
    restart && stop_daemon
}

certificates
measure >"$dir/said" 2>&1 || { row idle "" FAILED; tail -n 5 "$log" | cut -c 1-200; ask main count; failures=1; }
cat "$dir/said"
finish
