# Sourced by the scripts here that start a private server on loopback: ports that are free, a certificate, processes.
# shellcheck shell=sh

port_is_free() {
    ! grep -qi "$(printf ':%04X 0' "$1")" /proc/net/tcp
}

free_port() {
    while :; do
        p=$(od -An -N2 -tu2 /dev/urandom)
        p=$((20000 + p % 12000))
        if port_is_free "$p"; then
            echo "$p"
            return
        fi
    done
}

# certificate DIR: DIR/cert.pem and DIR/key.pem, for localhost.
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$1/key.pem" -out "$1/cert.pem" 2>/dev/null
}

# await_port PORT NAME LOG: until somebody listens there; else LOG is shown.
await_port() {
    n=0
    until grep -qi "$(printf ':%04X 00000000:0000 0A' "$1")" /proc/net/tcp; do
        n=$((n + 1))
        [ "$n" -lt 200 ] || { echo "$2 did not start:" >&2; cat "$3" >&2; exit 1; }
        sleep 0.05
    done
}

is_running() { grep -q "^State:.[^ZX]" "/proc/$1/status" 2>/dev/null; }

# descendants PID: it and all below it, the parents first.
descendants() {
    echo "$1"
    for child in $(pgrep -P "$1" || true); do descendants "$child"; done
}

# end_tree SIGNAL PIDFILE: the process and, where it would leave them behind, what it has started.
end_tree() {
    [ -s "$2" ] || return 0
    tree=$(descendants "$(cat "$2")")
    # shellcheck disable=SC2086
    kill "-$1" $tree 2>/dev/null || true
    for pid in $tree; do
        n=0
        while is_running "$pid"; do
            n=$((n + 1))
            [ "$n" -lt 100 ] || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
    done
    rm -f "$2"
}

: "${TOOLS:=$(cd "$(dirname "$0")/../.." && pwd)/build/tools}"

# Where tests/deps.sh unpacks servers that cannot be installed side by side.
unpacked=$(cd "$(dirname "$0")/../.." && pwd)/build/servers
need_unpacked() { # NAME FILE
    [ -e "$unpacked/$1/$2" ] || { echo "$1 is not there: run tests/deps.sh" >&2; exit 1; }
}

# Mail belongs to the system's user `mail` when root starts the server, else to whoever starts it.
if [ "$(id -u)" -eq 0 ]; then mail_user=mail; else mail_user=$(id -un); fi
mail_group=$(id -gn "$mail_user")
give_mail() { # PATH...
    [ "$(id -u)" -ne 0 ] || chown -R "$mail_user:$mail_group" "$@"
}

# A name for a file in a Maildir, different each time.
maildir_name() { echo "$(date +%s).P$$R$(od -An -N4 -tu4 /dev/urandom | tr -d ' ').localhost"; }

# Where the server has no other way for its mail, it takes LMTP.
deliver() { # DIR USER
    "$TOOLS/lmtp" "$LMTP_PORT" "$2" -
}

# serve VERB DIR [USERS or USER]: what each script does with its words. It has the functions make_server DIR USERS (all
# but starting it), launch DIR, halt DIR SIGNAL, may have deliver, and names in $env_names what DIR/env tells besides
# CA; of these the ports are chosen here.
serve() {
    dir=$2
    case "$1" in
    start)
        mkdir -p "$dir"
        dir=$(cd "$dir" && pwd)
        for name in $env_names; do
            case "$name" in *_PORT) eval "$name=\$(free_port)" ;; esac
        done
        make_server "$dir" "${3:-4}"
        chmod 755 "$dir"
        for name in $env_names; do eval "echo \"$name=\$$name\""; done >"$dir/env"
        echo "CA=$dir/cert.pem" >>"$dir/env"
        launch "$dir"
        ;;
    restart)
        . "$dir/env"
        launch "$dir"
        ;;
    deliver)
        . "$dir/env"
        deliver "$dir" "$3"
        ;;
    stop) halt "$dir" TERM ;;
    kill) halt "$dir" KILL ;;
    *) echo "usage: $(basename "$0") start|stop|kill|restart|deliver DIR" >&2; exit 2 ;;
    esac
}
