#!/bin/sh
# What idle connections weigh: the keeper's memory a connection and its CPU while 1,000 TLS connections (an account each) idle.
. "$(dirname "$0")/_lib.sh"
connections=${BENCH_CONNECTIONS:-1000}
ulimit -n "$(ulimit -H -n)"

idle_server() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
    "$TOOLS/idle_server" -p "$dir/port" "$dir/cert.pem" "$dir/key.pem" &
    server=$!
    wait_for 10 test -s "$dir/port"
    tls_port=$(cat "$dir/port")
}

accounts() { # COUNT
    i=0
    while [ "$i" -lt "$1" ]; do
        cat <<CONFIG
account "a$i" {
  host = "127.0.0.1", port = $tls_port, tls_ca = "$dir/cert.pem", user = "user$i", password = secret.file "password",
  watch = { "INBOX" },
}
CONFIG
        i=$((i + 1))
    done
    echo 'rule "move" { when = from:domain "example.net", actions = { move "Target" } }'
}

all_idle() { # COUNT
    kill -USR1 "$server"
    sleep 0.1
    [ "$(cat "$dir/port.count")" = "$1 $1" ]
}

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

watch() { # COUNT: a daemon with that many connections; sets $weight (KB)
    fresh
    accounts "$1" >"$box/config.lua"
    "$MAILRULED" run 2>>"$log" &
    daemon=$!
    remember "$daemon"
    wait_for 240 all_idle "$1" || return 1
    sleep 2
    weight=$(rss)
}

measure() {
    watch 1 || return 1
    one=$weight
    stop_daemon || return 1
    began=$(date +%s%N)
    watch "$connections" || return 1
    took=$((($(date +%s%N) - began) / 1000000 - 2000))
    all=$weight
    before=$(ticks "$daemon")
    sleep 10
    used=$(($(ticks "$daemon") - before))
    row "$connections idle TLS connections: memory of the keeper" "" "$((all / 1024)) MB (one connection: $((one / 1024)) MB)"
    row "memory a connection and account" "<= 80 KB" "$(calc "($all - $one) / ($connections - 1)") KB"
    row "CPU in 10 idle seconds" "" "$(calc "$used * 1000 / $(getconf CLK_TCK)" %d) ms"
    row "until all of them idled, from the start" "" "$(calc "$took / 1000") s"
    stop_daemon
}

idle_server
measure >"$dir/said" 2>&1 || { row idle "" FAILED; tail -n 5 "$log" | cut -c 1-200; cat "$dir/port.count"; failures=1; }
cat "$dir/said"
end "$server"
finish
