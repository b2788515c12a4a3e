# Sourced by what measures or tests many accounts, after _lib.sh: a chain of certificates, idle servers, their accounts,
# a daemon.
ulimit -n "$(ulimit -H -n)"

# A chain of three, as servers on the Internet have.
certificates() {
    (
        cd "$dir" || exit 1
        for one in ca inter leaf; do
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$one" -keyout $one.key \
                -out $one.csr
        done
        printf 'basicConstraints=critical,CA:TRUE\n' >ca.ext
        printf 'subjectAltName=IP:127.0.0.1\n' >leaf.ext
        openssl x509 -req -in ca.csr -signkey ca.key -days 2 -extfile ca.ext -out ca.pem
        openssl x509 -req -in inter.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ca.ext -out inter.pem
        openssl x509 -req -in leaf.csr -CA inter.pem -CAkey inter.key -CAcreateserial -days 2 -extfile leaf.ext \
            -out leaf.pem
        cat leaf.pem inter.pem >chain.pem
    ) >"$dir/openssl.out" 2>&1 || { cat "$dir/openssl.out"; exit 1; }
}

# serve NAME [options of idle_server]: sets $server, and $port on the first call for that name; later ones take it
# again.
serve() {
    name=$1
    shift
    port=$(cat "$box/$name" 2>/dev/null || echo 0)
    rm -f "$box/$name"
    "$TOOLS/idle_server" -p "$box/$name" -l "$port" "$@" "$dir/chain.pem" "$dir/leaf.key" 2>>"$box/server.err" &
    server=$!
    remember "$server"
    wait_for 10 test -s "$box/$name" || return 1
    port=$(cat "$box/$name")
}
ask() { # NAME COMMAND...
    name=$1
    shift
    "$TOOLS/idle_server" -a "$box/$name" "$@"
}
field() { shift "$1"; echo "$1"; } # N WORD...

# accounts_at NAME COUNT [MORE]: users 0 to COUNT - 1 of that server, at $port
accounts_at() {
    i=0
    while [ "$i" -lt "$2" ]; do
        echo "account \"$1$i\" { host = \"127.0.0.1\", port = $port, tls_ca = \"$dir/ca.pem\", user = \"user$i\"," \
            "password = secret.file \"password\", watch = { \"INBOX\" }, ${3:-} }"
        i=$((i + 1))
    done >>"$box/config.lua"
}
a_rule() { echo 'rule "move" { when = from:domain "example.net", actions = { move "Target" } }' >>"$box/config.lua"; }
run_daemon() { # without debug: ten thousand connections say a lot
    "$MAILRULED" run 2>>"$log" &
    daemon=$!
    remember "$daemon"
}

all_idle() { [ "$(ask "$1" count)" = "$2 $2" ]; } # NAME COUNT
at_least_idle() { [ "$(field 2 $(ask "$1" count))" -ge "$2" ]; }
acted() { [ "$(field 1 $(ask "$1" acted))" -eq "$2" ]; } # NAME COUNT
# The server's word for what became of the messages just delivered.
acted_in_two_rounds() { # NAME USER...
    name=$1
    shift
    ask "$name" deliver "$@"
    expect "messages of $* acted on" wait_for 20 acted "$name" $# || return 1
    expect "two rounds: $(ask "$name" acted)" test "$(field 5 $(ask "$name" acted))" -eq 2
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$daemon/status"; }
ticks() { awk '{ print $14 + $15 }' "/proc/$daemon/stat"; }
